"""Splits that a folder of annotations says by the names of its folders, or in lists."""

import json

import numpy as np
import pytest
from tests.formats.test_reader import photograph

from hintseg.formats.registry import import_dataset
from hintseg.io.images import write_labels


def labelme(root, split, name):
    photograph(root / split / f"{name}.jpg", 64, 48)
    shape = {"label": "cow", "points": [[1, 1], [30, 1], [30, 30]], "shape_type": "polygon"}
    content = {"version": "5", "shapes": [shape], "imagePath": f"{name}.jpg", "imageHeight": 48, "imageWidth": 64}
    (root / split / f"{name}.json").write_text(json.dumps(content))


def voc(root, split, name):
    photograph(root / split / f"{name}.jpg", 64, 48)
    box = "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>20</xmax><ymax>20</ymax></bndbox>"
    (root / split / f"{name}.xml").write_text(
        f"<annotation><filename>{name}.jpg</filename><object><name>cow</name>{box}</object></annotation>"
    )


def maps(root, split, name):
    photograph(root / "images" / split / f"{name}.jpg", 64, 48)
    write_labels(root / "annotations" / split / f"{name}.png", np.ones((48, 64), np.uint8))
    (root / "classes.txt").write_text("field\ncow\n")


def yolo(root, split, name):
    photograph(root / "images" / split / f"{name}.jpg", 64, 48)
    path = root / "labels" / split / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("0 0.5 0.5 0.2 0.2\n")
    (root / "classes.txt").write_text("cow\n")


@pytest.mark.parametrize("write", [labelme, voc, maps, yolo])
def test_folders_name_splits(tmp_path, write):
    for split, name in (("Train", "a"), ("valid", "b"), ("test", "c")):
        write(tmp_path / "in", split, name)
    dataset, found = import_dataset(tmp_path / "in", tmp_path / "out")
    assert [dataset.keys(split) for split in ("train", "val", "test")] == [("a",), ("b",), ("c",)]
    assert "images belong to the splits that their folders name: test 1, train 1, val 1." in found.notes


@pytest.mark.parametrize("folders", [("train", "train/north"), ("field", "contest"), ("test flight", "field")])
def test_other_folders_name_none(tmp_path, folders):
    for folder, name in zip(folders, "ab", strict=True):
        labelme(tmp_path / "in", folder, name)
    dataset, found = import_dataset(tmp_path / "in", tmp_path / "out")
    assert dataset.splits == ()
    assert not any("splits" in note for note in found.notes)


def test_an_image_beside_held_out_ones_is_trained_on(tmp_path):
    labelme(tmp_path / "in", ".", "a")
    labelme(tmp_path / "in", "val", "b")
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "out")
    assert (dataset.keys("train"), dataset.keys("val")) == (("a",), ("b",))


def test_lists_that_darknets_data_file_names(tmp_path):
    root = tmp_path / "in"
    for folder, name, split in (("obj_Train_data", "a", "train"), ("obj_Validation_data", "b", "valid")):
        photograph(root / folder / f"{name}.jpg", 64, 48)
        (root / folder / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
        (root / f"{split}.txt").write_text(f"data/{folder}/{name}.jpg\n")
    (root / "obj.names").write_text("cow\n")
    (root / "obj.data").write_text("classes = 1\ntrain = data/train.txt\nvalid = data/valid.txt\nbackup = backup/\n")
    dataset, _ = import_dataset(root, tmp_path / "out")
    assert (dataset.keys("train"), dataset.keys("val")) == (("a",), ("b",))


def test_folders_complete_what_a_list_says(tmp_path):
    root = tmp_path / "in"
    for split, name in (("train", "a"), ("val", "b"), ("test", "c")):
        photograph(root / split / f"{name}.jpg", 64, 48)
    image = '<image id="{}" name="{}" subset="{}" width="64" height="48"><tag label="cow"/></image>'
    named = (("train/a.jpg", "default"), ("val/b.jpg", "default"), ("test/c.jpg", "Test"))
    body = "".join(image.format(number, name, subset) for number, (name, subset) in enumerate(named))
    (root / "annotations.xml").write_text(f"<annotations><version>1.1</version>{body}</annotations>")
    dataset, _ = import_dataset(root, tmp_path / "out")
    assert [dataset.keys(split) for split in ("train", "val", "test")] == [("a",), ("b",), ("c",)]


def test_another_file_called_data_is_nothing_to_yolo(tmp_path):
    yolo(tmp_path / "in", "train", "a")
    (tmp_path / "in" / "sensor.data").write_bytes(b"\xff\xfe\x00\x81")
    assert import_dataset(tmp_path / "in", tmp_path / "out")[0].keys() == ("a",)
