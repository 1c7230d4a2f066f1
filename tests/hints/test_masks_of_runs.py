"""Masks of a run that were copied into a data set."""

import json
import shutil

import numpy as np
import pytest

from hintseg.apps.batch_inference.output import Output, Prediction
from hintseg.check import inspect
from hintseg.errors import InputError
from hintseg.formats.registry import export_masks, import_dataset
from hintseg.formats.writer import Classes
from hintseg.hints.dataset import Dataset
from hintseg.io.class_list import DESCRIPTION, KEY, as_description, parse_classes
from hintseg.io.images import read_label_map, write_image, write_labels


@pytest.mark.parametrize(
    ("described", "told", "refused"),
    [
        ({"classes": ["a", "b"]}, ["a", "b"], False),
        ({"classes": ["a", "b", "c"]}, ["a", "b"], False),
        ({"classes": ["renamed", "b"]}, ["a", "b"], False),
        ({"classes": ["b", "a"]}, ["a", "b"], True),
        ({"classes": ["a", "b"], "unlabeled": 0}, ["a", "b"], True),
        ({"classes": ["a", "b"], "ignore_index": 0}, ["a", "b"], True),
    ],
)
def test_masks_that_came_with_their_folder_from_a_run_mean_what_they_meant_there(tmp_path, described, told, refused):
    write_image(tmp_path / "images/1.png", np.zeros((4, 4, 3), np.uint8))
    write_labels(tmp_path / "masks/1.png", np.ones((4, 4), np.uint8))
    (tmp_path / "masks/.made-by.json").write_text(json.dumps({"maker": "x", "classes": told}))
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    dataset = Dataset.open(tmp_path)
    if refused:
        with pytest.raises(InputError, match="other classes or values"):
            dataset.mask("1")
    else:
        assert (dataset.mask("1") == 1).all()


@pytest.fixture
def copied(tmp_path):
    """A data set with a mask that a run of other classes wrote, but for the folder that says so."""

    def make(labels, told, **described):
        write_image(tmp_path / "data/images/1.png", np.zeros((2, 2, 3), np.uint8))
        (tmp_path / "data/dataset.json").write_text(json.dumps(described))
        output = Output(str(tmp_path / "run/masks"), classes=told)
        output.write("1", Prediction(np.array(labels, np.uint8)))
        (tmp_path / "data/masks").mkdir()
        shutil.copy(tmp_path / "run/masks/1.png", tmp_path / "data/masks")
        return Dataset.open(tmp_path / "data")

    return make


@pytest.mark.parametrize(
    ("labels", "told", "described"),
    [
        ([[0, 1], [1, 255]], ("rest", "cow"), {"classes": ["rest", "cow"]}),
        ([[0, 1], [1, 255]], ("rest", "cow"), {"classes": ["Rest", "cow", "dog"]}),
        ([[0, 0], [0, 255]], ("rest", "cow"), {"classes": ["rest", "dog"]}),
        ([[0, 1], [1, 255]], ("class 0", "class 1"), {"classes": ["rest", "dog"]}),
        ([[0, 1], [1, 255]], ("räst", "кот"), {"classes": ["räst", "кот"]}),
    ],
)
def test_a_copied_mask_is_read_where_its_values_mean_the_same(copied, labels, told, described):
    assert copied(labels, told, **described).mask("1").tolist() == labels


@pytest.mark.parametrize(
    "described",
    [
        {"classes": ["rest", "dog"]},
        {"classes": ["cow", "rest"]},
        {"classes": ["rest", "cow"], "ignore_index": 0},
        {"classes": ["rest", "cow"], "unlabeled": 0},
    ],
)
def test_a_copied_mask_of_other_classes_is_refused_with_both_lists(copied, described):
    dataset = copied([[0, 1], [1, 255]], ("rest", "cow"), **described)
    here = ", ".join(described["classes"])
    with pytest.raises(InputError, match=rf"other classes \(rest, cow; its . is .*\) than these \({here}; . is"):
        dataset.mask("1")
    assert inspect(dataset, dataset.paths).errors


def test_a_copied_mask_can_be_imported_by_naming_its_values(copied, tmp_path):
    root = copied([[0, 1], [1, 255]], ("rest", "cow"), classes=["rest", "cattle"]).root
    (root / "classes.txt").write_text("rest\ncattle\n")
    dataset, _ = import_dataset(root, tmp_path / "imported", "png")
    assert dataset.mask("1").tolist() == [[0, 1], [1, 255]]


def test_export_refuses_masks_of_other_classes(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    write_labels(tmp_path / "masks/a.png", np.ones((2, 2), np.uint8), classes=("rest", "cow"))
    with pytest.raises(InputError, match="none of the 1 masks can be exported"):
        export_masks({"a": tmp_path / "a.png"}, tmp_path / "masks", tmp_path / "out", "voc", Classes(("a", "b"), None))


def test_every_written_mask_names_its_classes(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    write_labels(tmp_path / "masks/a.png", np.ones((2, 2), np.uint8))
    classes = Classes(("rest", "cow"), None)
    export_masks({"a": tmp_path / "a.png"}, tmp_path / "masks", tmp_path / "out", "voc", classes)
    assert read_label_map(tmp_path / "out/SegmentationClass/a.png").classes == ("", *classes.names)


@pytest.mark.parametrize("text", ["", "[", "{}", "[1]", "[]", '"a"', "[" * 100_000])
def test_a_damaged_list_of_classes_is_none(text):
    assert parse_classes({KEY: text}, {}) is None
    assert parse_classes({}, {DESCRIPTION: text}) is None
    assert parse_classes({}, {DESCRIPTION: as_description(("a", "b"))}) == ("a", "b")
