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
    assert "images are held out, as their folders say: 1 test, 1 val." in found.notes


@pytest.mark.parametrize(
    "folders", [("train", "north"), ("field", "contest"), ("test flight", "field"), ("val", "test")]
)
def test_other_folders_name_none(tmp_path, folders):
    for folder, name in zip(folders, "ab", strict=True):
        labelme(tmp_path / "in", folder, name)
    dataset, found = import_dataset(tmp_path / "in", tmp_path / "out")
    assert dataset.splits == ()
    assert not any("held out" in note for note in found.notes)


def test_years_of_folders_do_not_count(tmp_path):
    maps(tmp_path / "in", "train2017", "a")
    maps(tmp_path / "in", "val2017", "b")
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "out")
    assert (dataset.keys("train"), dataset.keys("val")) == (("a",), ("b",))


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


def tagged(root, **subsets):
    """CVAT's file about images in folders, by a name without suffix, with their subset."""
    image = '<image id="{}" name="{}.jpg" subset="{}" width="64" height="48"><tag label="cow"/></image>'
    for name in subsets:
        photograph(root / f"{name.replace('_', '/')}.jpg", 64, 48)
    parts = enumerate((name.replace("_", "/"), subset) for name, subset in subsets.items())
    body = "".join(image.format(number, *part) for number, part in parts)
    (root / "annotations.xml").write_text(f"<annotations><version>1.1</version>{body}</annotations>")


@pytest.mark.parametrize(
    ("subsets", "splits"),
    [
        ({"train_a": "", "val_b": "", "test_c": "Test"}, {"train": "a", "val": "b", "test": "c"}),
        ({"north_a": "", "north_b": "", "train_c": "", "south_d": "Validation"}, {"train": "abc", "val": "d"}),
        ({"train_a": "Train", "train_b": "", "val_c": "", "val_d": "Val"}, {"train": "a", "val": "cd"}),
    ],
)
def test_folders_hold_out_what_no_list_names(tmp_path, subsets, splits):
    tagged(tmp_path / "in", **subsets)
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "out")
    assert {name: "".join(sorted(dataset.keys(name))) for name in splits} == splits


def test_another_file_called_data_is_nothing_to_yolo(tmp_path):
    yolo(tmp_path / "in", "train", "a")
    (tmp_path / "in" / "sensor.data").write_bytes(b"\xff\xfe\x00\x81")
    assert import_dataset(tmp_path / "in", tmp_path / "out")[0].keys() == ("a",)
