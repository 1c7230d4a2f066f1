"""Masks are taken for those of the images of their names, unless they say that they were made of others."""

import shutil

import cv2
import fsspec
import numpy as np
import pytest
import tifffile

from hintseg.apps.batch_inference.complete import complete_masks
from hintseg.apps.batch_inference.input_images import find_images
from hintseg.apps.batch_inference.output import Output, Prediction
from hintseg.apps.batch_inference.pairing import images_of_masks
from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_image, write_labels
from hintseg.io.storage.mirror import fetch


def masks_of(images, folder):
    found, compute = find_images([images]), lambda path: Prediction(np.zeros((4, 5), np.uint8))
    assert not any(Output(str(folder)).write_all(found, compute, keep=False))
    return folder


@pytest.fixture
def trained_on(tmp_path):
    """A data set's images, and other photographs of the same names."""
    for place in ("data/images", "photos"):
        for value, name in enumerate(("a", "deep/b", "c")):
            write_image(tmp_path / place / f"{name}.png", np.full((4, 5, 3), value + 9 * len(place), np.uint8))
    return tmp_path / "data/images"


@pytest.mark.parametrize("is_named", [False, True])
def test_masks_of_other_photographs_are_not_taken_for_those_of_the_training_images(
    trained_on, tmp_path, caplog, is_named
):
    masks = masks_of(tmp_path / "photos", tmp_path / "masks")
    shutil.copy(tmp_path / "photos/c.png", trained_on / "c.png")  # one is the same
    sentence = f"2 of 3 masks were made of other images than those of their names in {trained_on}, .*e.g. a"
    if is_named:
        assert len(images_of_masks(masks, trained_on, str(trained_on), is_named)) == 3
        assert "2 of 3 masks were made of other images" in caplog.text
    else:
        with pytest.raises(InputError, match=sentence + ".*--images"):
            images_of_masks(masks, trained_on, str(trained_on), is_named)


def test_masks_of_the_same_images_pass_wherever_these_lie_now(trained_on, tmp_path, caplog):
    masks = masks_of(trained_on, tmp_path / "masks")
    (tmp_path / "data").rename(tmp_path / "moved")
    (tmp_path / "links").mkdir()
    for path in (tmp_path / "moved/images").iterdir():
        (tmp_path / "links" / path.name).symlink_to(path)
    for place in (tmp_path / "moved/images", tmp_path / "links"):
        assert sorted(images_of_masks(masks, place, str(place), is_named=False)) == ["a", "c", "deep/b"]
    assert not caplog.records


def test_masks_that_say_nothing_of_their_images_pass(trained_on, tmp_path, caplog):
    for name in ("a", "deep/b", "other"):
        write_labels(tmp_path / "masks" / f"{name}.png", np.zeros((4, 5), np.uint8))
    assert len(images_of_masks(tmp_path / "masks", trained_on, str(trained_on), is_named=False)) == 3
    assert not caplog.records


def test_masks_made_at_an_address_are_of_the_copies_that_are_fetched_from_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HINTSEG_CACHE", str(tmp_path / "cache"))
    store = fsspec.filesystem("memory")
    content = cv2.imencode(".png", np.zeros((4, 5, 3), np.uint8))[1].tobytes()
    store.pipe("/paired/images/a.png", content)
    masks, copy = masks_of("memory://paired/images", tmp_path / "masks"), fetch("memory://paired") / "images"
    assert list(images_of_masks(masks, copy, "memory://paired/images", is_named=False)) == ["a"]
    store.pipe("/paired/images/a.png", content + b"changed")
    with pytest.raises(InputError, match="1 of 1 masks"):
        images_of_masks(masks, copy, "memory://paired/images", is_named=False)


def test_masks_of_a_completion_without_a_run_are_of_images_that_share_their_contrast(tmp_path, caplog):
    """Which an image more changes, too: the mark does not tell which of the two it was."""
    (tmp_path / "data/images").mkdir(parents=True)
    for name in "ab":
        tifffile.imwrite(tmp_path / f"data/images/{name}.tif", np.arange(48 * 64, dtype=np.uint16).reshape(48, 64))
    (tmp_path / "data/dataset.json").write_text('{"classes": ["x", "y"]}')
    (tmp_path / "data/points.json").write_text('{"a": [[5, 5, 0], [50, 40, 1]]}')
    dataset, images = Dataset.open(tmp_path / "data"), tmp_path / "data/images"
    assert list(complete_masks(None, dataset, ["a"], ("points",), "harmonic", str(tmp_path / "masks"))) == [None]
    assert len(images_of_masks(tmp_path / "masks", images, str(images), is_named=False)) == 2
    assert not caplog.text
    tifffile.imwrite(images / "c.tif", np.full((48, 64), 60_000, np.uint16))
    assert len(images_of_masks(tmp_path / "masks", images, str(images), is_named=False)) == 3
    assert "1 of 1 masks were made of other images than those of their names" in caplog.text
    assert "or their common contrast" in caplog.text
