"""Images of a data set that the stretch which all share leaves without contrast."""

import json

import cv2
import numpy as np
import pytest
import tifffile

from hintseg.check import inspect
from hintseg.hints.dataset import Dataset

RAMP = np.tile(np.linspace(0, 1, 64), (48, 1))


def warnings_of(folder, images, **described):
    (folder / "images").mkdir()
    for name, pixels in images.items():
        if name.endswith(".tif"):
            tifffile.imwrite(folder / "images" / name, pixels)
        else:
            cv2.imwrite(str(folder / "images" / name), pixels)
    keys = [name.rpartition(".")[0] for name in images]
    (folder / "dataset.json").write_text(json.dumps({"classes": ["a", "b"], **described}))
    (folder / "points.json").write_text(json.dumps({key: [[5, 5, 0], [50, 40, 1]] for key in keys}))
    dataset = Dataset.open(folder)
    found = inspect(dataset, dataset.keys())
    assert not found.errors
    return [said for said in found.warnings if "contrast" in said or "several types" in said]


def deep(largest, kind=np.uint16, smallest=0):
    return (smallest + RAMP * (largest - smallest)).astype(kind)


def test_sample_types_that_do_not_suit_one_another_are_said(tmp_path):
    mixed, flat = warnings_of(tmp_path, {"a.tif": deep(3000), "b.tif": deep(1, np.float32), "c.png": deep(3000)})
    assert mixed.startswith("The images have samples of several types (2 uint16, 1 float32), but all are stretched")
    assert flat.startswith("1 of 3 images have almost no contrast (e.g. b: fewer than 8 gray levels) after the stretch")
    assert 'convert them to the scale of the others, or write a "range" that suits all into dataset.json' in flat


@pytest.mark.parametrize(("bright", "flat"), [(1, "5 of 6 images have almost no contrast (e.g. n0: "), (5, "1 of 6")])
def test_images_of_another_scale_are_said(tmp_path, bright, flat):
    images = {f"n{place}.tif": deep(300) for place in range(6 - bright)}
    images |= {f"z{place}.png": deep(60000) for place in range(bright)}
    (said,) = warnings_of(tmp_path, images)
    assert said.startswith(flat)


def test_images_of_which_only_black_and_white_are_left_are_said(tmp_path):
    images = {f"a{place}.tif": deep(1, np.float32) for place in range(40)}
    bright = {"z.tif": deep(3000)}
    found = warnings_of(tmp_path, images | bright, range=[0, 1])
    assert [said[:49] for said in found] == ["1 of 41 images have almost no contrast (e.g. z: f"]


def test_images_that_a_stated_range_blackens_are_said(tmp_path):
    images = {"a.tif": deep(3000), "b.tif": deep(1, np.float32)}
    (said,) = warnings_of(tmp_path, images, range=[0, 3000])
    assert said.startswith("1 of 2 images have almost no contrast (e.g. b: ")


@pytest.mark.parametrize(
    "images",
    [
        {"a.tif": deep(3000), "b.tif": deep(3000)},
        {"a.tif": deep(3000), "empty.tif": np.full((48, 64), 7, np.uint16)},  # nothing is lost
        {"a.tif": deep(3000), "dim.tif": deep(200)},  # still 17 of 255
        {"a.tif": deep(3000), "sparse.tif": np.where(RAMP > 0.7, deep(3000), deep(9)[:, ::-1])},
        {"a.png": deep(255, np.uint8), "black.png": np.zeros((48, 64), np.uint8), "dark.png": deep(2, np.uint8)},
        {"a.tif": deep(3000), "dark.png": deep(2, np.uint8)},  # 8 bits stay as they are
    ],
)
def test_images_that_lose_nothing_are_not_mentioned(tmp_path, images):
    assert warnings_of(tmp_path, images) == []
