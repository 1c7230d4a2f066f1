"""What a digest of an image goes by."""

import numpy as np
import tifffile

from hintseg.check import inspect
from hintseg.hints.dataset import Dataset
from hintseg.hints.digest import hint_digest, pixel_digest
from hintseg.hints.model import ImageHints
from hintseg.hints.types.points import Point
from hintseg.io.samples import DecodedImage


def test_a_mask_of_no_data_counts_as_the_pixels_do(tmp_path):
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images/a.tif", np.full((4, 5, 3), 9, np.uint8), photometric="rgb")
    (tmp_path / "dataset.json").write_text('{"classes": ["x", "y"]}')
    found = set()
    for value in (255, 0, 1):  # 255: all of it holds data, as without a mask
        found.add(inspect(Dataset.open(tmp_path), ["a"], digests=True).digests["a"][0])
        tifffile.imwrite(tmp_path / "images/a.tif.msk", np.array([[value] * 5] * 3 + [[255] * 5], np.uint8))
    assert len(found) == 2


def test_an_image_without_a_mask_keeps_its_digest():
    image = np.zeros((2, 2, 3), np.uint8)
    assert pixel_digest(DecodedImage(image)) == "b5cf5f9aaf1168e0"
    assert pixel_digest(DecodedImage(image, np.eye(2, dtype=bool))).startswith("b5cf5f9aaf1168e0+")


def test_classes_of_hints_outside_the_image_count():
    hints = {"points": (Point(3, 3, 1),)}
    assert hint_digest(ImageHints(hints)) == "2969efb405688aac"
    assert hint_digest(ImageHints(hints, outside=frozenset({0}))) != hint_digest(ImageHints(hints))
