"""Classes that differ in case only."""

import json
import shutil

import numpy as np
import pytest

from hintseg.check import inspect
from hintseg.formats.registry import import_dataset
from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_image


@pytest.fixture
def folder(tmp_path):
    write_image(tmp_path / "images/a.png", np.zeros((9, 9, 3), np.uint8))
    return tmp_path


def test_classes_that_differ_in_case_only_are_told(folder, tmp_path):
    (folder / "dataset.json").write_text('{"classes": ["Cow", "grass", "cow"]}')
    dataset = Dataset.open(folder)
    assert [said for said in inspect(dataset, dataset.paths).warnings if "'Cow' and 'cow' differ in case only" in said]


def test_an_import_tells_of_classes_that_differ_in_case_only(folder, tmp_path):
    source = tmp_path / "coco"
    shutil.copytree(folder / "images", source / "images")
    annotations = [{"id": n, "image_id": 1, "category_id": n, "bbox": [1, 1, 4, 4]} for n in (1, 2)]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 9, "width": 9}], "annotations": annotations,
        "categories": [{"id": 1, "name": "Cow"}, {"id": 2, "name": "cow"}],
    }  # fmt: skip
    (source / "instances.json").write_text(json.dumps(content))
    _, found = import_dataset(source, tmp_path / "out")
    (note,) = [note for note in found.notes if "differ in case only" in note]
    assert note.startswith("the classes 'Cow' and 'cow'")
