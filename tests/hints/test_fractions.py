"""Coordinates that look like fractions of the image's sides."""

import json

import numpy as np
import pytest

from hintseg.check import inspect
from hintseg.formats.registry import import_dataset
from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_image

FRACTIONS = {
    "points": [[[0.5, 0.5, 0], [0.2, 0.9, 1]], [[0.1, 0.1, 1]]],
    "boxes": [[[0.1, 0.1, 0.9, 0.9, 0]], [[0, 0.3, 0.6, 1, 1]]],
    "scribbles": [[[0, [[0.1, 0.1], [0.9, 0.9]]]], [[1, [[0, 0.1], [1, 0.9]]]]],
}
FEW = {"points": [[[0, 1, 0]], [[1, 1, 0]]]}
PIXELS = {
    "points": [[[0.5, 0.5, 0]], [[0.1, 0.1, 1], [5, 0.5, 1]]],
    "boxes": [[[0.1, 0.1, 0.9, 1.9, 0]]],
    "scribbles": [[[0, [[0.1, 0.1], [0.9, 30]]]], [[1, [[0, 0.1], [1, 0.9]]]]],
}


def data(root, hint_type, rows, side=40):
    table = {}
    for number, hints in enumerate(rows):
        write_image(root / f"images/{number}.png", np.zeros((side, side, 3), np.uint8))
        table[str(number)] = hints
    (root / f"{hint_type}.json").write_text(json.dumps(table))
    (root / "dataset.json").write_text(json.dumps({"classes": ["a", "b"]}))
    dataset = Dataset.open(root)
    return [said for said in inspect(dataset, dataset.keys()).warnings if "fractions" in said]


@pytest.mark.parametrize(("hint_type", "rows"), [*FRACTIONS.items(), *FEW.items()])
def test_fractions_are_suspected(tmp_path, hint_type, rows):
    (said,) = data(tmp_path, hint_type, rows)
    assert said.startswith(f"{hint_type}: in all 2 images")


@pytest.mark.parametrize(("hint_type", "rows"), PIXELS.items())
def test_pixels_are_not(tmp_path, hint_type, rows):
    assert not data(tmp_path, hint_type, rows)


def test_of_one_image_only_numbers_that_are_not_whole_say_so(tmp_path):
    assert data(tmp_path / "a", "points", FRACTIONS["points"][:1])
    assert not data(tmp_path / "b", "points", FEW["points"][:1])
    assert not data(tmp_path / "c", "points", [[[0.5, 0.5, 0]]], side=1)


def test_imports_say_so_too(tmp_path):
    images, annotations = [], []
    for number in range(2):
        write_image(tmp_path / f"{number}.png", np.zeros((40, 40, 3), np.uint8))
        images.append({"id": number, "file_name": f"{number}.png"})
        annotations.append({"image_id": number, "category_id": 1, "bbox": [0.1, 0.2, 0.5, 0.5]})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cow"}]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    _, found = import_dataset(tmp_path, tmp_path / "out")
    assert any(note.startswith("boxes: in all 2 images") for note in found.notes)


@pytest.mark.parametrize(("side", "suspected"), [(1.0, True), (30.0, False)])
def test_imported_polygons_say_so_too(tmp_path, side, suspected):
    write_image(tmp_path / "a.png", np.zeros((40, 40, 3), np.uint8))
    corners = [[0.1 * side, 0.1 * side], [0.9 * side, 0.1 * side], [0.9 * side, 0.9 * side]]
    shape = {"label": "cow", "points": corners, "shape_type": "polygon"}
    (tmp_path / "a.json").write_text(json.dumps({"imagePath": "a.png", "shapes": [shape]}))
    _, found = import_dataset(tmp_path, tmp_path / "out")
    assert any(note.startswith("polygons: in the one image") for note in found.notes) == suspected
