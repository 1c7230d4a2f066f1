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


def test_what_one_annotation_file_does_not_list_is_not_absent_from_its_images(tmp_path):
    for name, categories in (("vehicles", ["car", "person"]), ("plants", ["tree"])):
        write_image(tmp_path / f"in/{name}/{name}0.png", np.zeros((9, 9, 3), np.uint8))
        content = {
            "images": [{"id": 1, "file_name": f"{name}0.png", "height": 9, "width": 9}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]}],
            "categories": [{"id": number, "name": one} for number, one in enumerate(categories, start=1)],
        }
        (tmp_path / f"in/{name}/{name}.json").write_text(json.dumps(content))
    dataset, found = import_dataset(tmp_path / "in", tmp_path / "out")
    car, tree = map(dataset.classes.index, ("car", "tree"))
    assert not dataset.hints("vehicles0").absent(2)[tree]
    assert not dataset.hints("plants0").absent(2)[car]
    assert any("2 of 2 images come from annotation files that list only some classes" in note for note in found.notes)


def test_a_list_of_no_classes_says_nothing(tmp_path):
    for name, meta in (("one", True), ("two", False)):
        write_image(tmp_path / f"in/{name}.png", np.zeros((9, 9, 3), np.uint8))
        listed = "<meta><task><labels><label><name>cat</name></label></labels></task></meta>" if meta else ""
        box = '<box label="cat" xtl="1" ytl="1" xbr="5" ybr="5"/>'
        text = f'<annotations>{listed}<image id="0" name="{name}.png" width="9" height="9">{box}</image></annotations>'
        (tmp_path / f"in/{name}.xml").write_text(text)
    import_dataset(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out/verified_classes.json").exists()
