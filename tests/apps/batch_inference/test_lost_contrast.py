"""Images of another scale than those of training: predicting and completing say that nothing of them is seen."""

import dataclasses
import json
import logging

import cv2
import numpy as np
import pytest
import tifffile

from hintseg import train
from hintseg.api import choose_recipe
from hintseg.apps.batch_inference.cluster import _say, _Warnings
from hintseg.apps.batch_inference.complete import complete_masks
from hintseg.apps.batch_inference.input_images import find_images
from hintseg.apps.batch_inference.local import predict_here
from hintseg.apps.batch_inference.output import Output
from hintseg.hints.dataset import Dataset
from hintseg.inference.segmenter import Segmenter
from hintseg.io.samples import BandSelection

RAMP = np.tile(np.linspace(0, 1, 64), (48, 1))


@pytest.fixture
def deep(tmp_path):
    """Two images of 0 … 3000 and one of 0 … 1."""
    root = tmp_path / "deep"
    (root / "images").mkdir(parents=True)
    for name, largest in (("a", 3000), ("b", 3000), ("z", 1)):
        tifffile.imwrite(root / f"images/{name}.tif", (RAMP * largest).astype(np.float32))
    (root / "dataset.json").write_text('{"classes": ["ground", "square", "disc"]}')
    (root / "points.json").write_text(json.dumps({key: [[5, 5, 0], [50, 40, 1]] for key in "abz"}))
    return Dataset.open(root)


def warned(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_run_says_once_that_images_are_black(scenes, tiny, deep, tmp_path, caplog):
    recipe = choose_recipe(weights="none", iterations=2, settings=tiny)
    segmenter = train(scenes, "scribbles", tmp_path / "run", recipe=recipe, weights="none", device="cpu")
    images = find_images([deep.root / "images"])
    for view, said in (
        (BandSelection(stretch=(0.0, 1.0)), "a.tif"),
        (BandSelection(stretch=(0.0, 3000.0)), "z.tif"),
        (BandSelection(), None),
    ):
        segmenter.description = dataclasses.replace(segmenter.description, view=view)
        for work in (
            lambda: list(predict_here(segmenter, images, Output(str(tmp_path / "out")), recipe.inference)),
            lambda: list(complete_masks(segmenter, deep, deep.keys(), (), "", str(tmp_path / "out"), overwrite=True)),
        ):
            caplog.clear()
            segmenter._warned.clear()
            work()
            found = [sentence for sentence in warned(caplog) if "almost no contrast" in sentence]
            assert len(found) == (said is not None)
            assert said is None or found[0].startswith(f"{said} has almost no contrast after the stretch of the run,")


def test_workers_of_a_cluster_name_one_image_between_them(scenes, tiny, deep, tmp_path, caplog):
    """Each has a network of its own, and what it warns of comes back with its batches."""
    recipe = choose_recipe(weights="none", iterations=2, settings=tiny)
    run = train(scenes, "scribbles", tmp_path / "run", recipe=recipe, weights="none", device="cpu").run
    batches = []
    for names in (["a", "z"], ["b"]):
        segmenter, kept = Segmenter.open(run, "cpu"), _Warnings()
        segmenter.description = dataclasses.replace(
            segmenter.description, view=BandSelection(stretch=(0.0, 1.0)), largest=20
        )
        logging.getLogger("hintseg").addHandler(kept)
        for name in names:
            segmenter.predict_decoded(segmenter.decode_image(deep.root / f"images/{name}.tif"))
            batches.append(kept.taken())
        logging.getLogger("hintseg").removeHandler(kept)
    caplog.clear()
    said = set()
    for warnings in batches:
        _say(warnings, said)
    assert [sentence.split(" has ")[0] for sentence in warned(caplog) if "contrast" in sentence] == ["a.tif"]
    assert said == {"contrast", "size"}


def test_a_run_of_chosen_channels_says_once_that_images_have_none_to_choose(scenes, tiny, tmp_path, caplog):
    recipe = choose_recipe(weights="none", iterations=2, settings=tiny)
    segmenter = train(scenes, "scribbles", tmp_path / "run", recipe=recipe, weights="none", device="cpu")
    for path, depth in (("a.png", np.uint8), ("b.png", np.uint8), ("deep.png", np.uint16), ("c.tif", np.uint8)):
        image = np.zeros((48, 64, 3), depth)
        image[:, 32:] = 200
        cv2.imwrite(str(tmp_path / path), image)
    segmenter.description = dataclasses.replace(segmenter.description, view=BandSelection((2, 1, 0)))
    for path, said in (("deep.png", 0), ("c.tif", 0), ("a.png", 1), ("b.png", 1)):
        segmenter.decode_image(tmp_path / path)
        found = [sentence for sentence in warned(caplog) if "by the channels [2, 1, 0] of the run" in sentence]
        assert [sentence.split()[0] for sentence in found] == ["a.png"] * said


def test_completion_without_a_run_says_how_many_images_are_black(deep, tmp_path, caplog):
    out = str(tmp_path / "out")
    assert list(complete_masks(None, deep, deep.keys(), ("points",), "harmonic", out)) == [None] * 3
    (said,) = warned(caplog)
    assert said.startswith(
        "1 of 3 images have almost no contrast (e.g. z: fewer than 8 gray levels) after the stretch that all images"
    )
