"""Label maps that mark a value as no data (GDAL_NODATA)."""

import json

import numpy as np
import pytest
import tifffile

from hintseg.check import inspect
from hintseg.errors import InputError
from hintseg.formats.registry import import_dataset
from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_image

VALUES = np.array([[0, 1], [2, 2]])


def label_tiff(path, values, nodata):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = "rgb" if values.ndim == 3 else "minisblack"
    tifffile.imwrite(path, values, photometric=kind, extratags=[(42113, "s", 0, str(nodata), True)])


@pytest.fixture
def folder(tmp_path):
    def make(values, nodata, hint_type="masks", **described):
        write_image(tmp_path / "data/images/a.png", np.zeros((2, 2, 3), np.uint8))
        label_tiff(tmp_path / "data" / hint_type / "a.tif", values, nodata)
        if described:
            (tmp_path / "data/dataset.json").write_text(json.dumps(described))
        return Dataset.open(tmp_path / "data")

    return make


@pytest.mark.parametrize(
    ("values", "nodata", "described", "expected"),
    [
        (VALUES.astype(np.uint8), 2, {"classes": ["a", "b"]}, [[0, 1], [255, 255]]),
        (VALUES.astype(np.uint8), 7, {"classes": ["a", "b", "c"]}, [[0, 1], [2, 2]]),
        (np.where(VALUES == 2, -9999, VALUES).astype(np.int16), -9999, {"classes": ["a", "b"]}, [[0, 1], [255, 255]]),
        (np.where(VALUES == 2, 65535, VALUES).astype(np.uint16), 65535, {"classes": ["a", "b"]}, [[0, 1], [255, 255]]),
        (VALUES.astype(np.uint8), 0, {"classes": ["a", "b"], "ignore_index": 0}, [[255, 0], [1, 1]]),
        (VALUES.astype(np.uint8), 0, {"classes": ["a", "b"], "unlabeled": 0}, [[254, 0], [1, 1]]),
        (
            VALUES.astype(np.uint8),
            0,
            {"classes": ["a", "b", "c"], "ignore_index": 0, "first_label": 0},
            [[255, 1], [2, 2]],
        ),
        (VALUES.astype(np.uint8), "nan", {"classes": ["a", "b", "c"]}, [[0, 1], [2, 2]]),
    ],
)
def test_no_data_is_ignored_in_masks(folder, values, nodata, described, expected):
    assert folder(values, nodata, **described).mask("a").tolist() == expected


@pytest.mark.parametrize("hint_type", ["masks", "scribbles"])
def test_no_data_that_is_a_class_is_refused_and_teaches_nothing(folder, hint_type):
    dataset = folder(VALUES.astype(np.uint8), 0, hint_type, classes=["ground", "b", "c"])
    with pytest.raises(InputError, match=r"a.tif: the value 0 is marked as no data .* is a class, too, and 1 pixels"):
        dataset.hints("a")
    found = inspect(dataset, dataset.paths)
    assert not found.hinted_pixels
    assert len(found.errors) == 1


def test_no_data_is_unlabeled_in_scribbles(folder):
    hints = folder(VALUES.astype(np.uint8), 2, "scribbles", classes=["a", "b"]).hints("a")
    assert hints.scribble_map.labels.tolist() == [[0, 1], [254, 254]]


def test_no_data_makes_no_class_without_a_description(folder):
    assert folder(np.where(VALUES == 2, 200, VALUES).astype(np.uint8), 200).classes == ("class 0", "class 1")


@pytest.fixture
def exported(tmp_path):
    def make(values, nodata, names, file="classes.txt"):
        write_image(tmp_path / "exported/images/a.png", np.zeros((2, 2, 3), np.uint8))
        label_tiff(tmp_path / "exported/masks/a.tif", values.astype(np.uint8), nodata)
        (tmp_path / "exported" / file).write_text(names)
        return import_dataset(tmp_path / "exported", tmp_path / "out", "png")[0]

    return make


@pytest.mark.parametrize(
    ("nodata", "names", "expected"), [(2, "a\nb\n", [[0, 1], [255, 255]]), (9, "a\nb\nc\n", [[0, 1], [2, 2]])]
)
def test_import_leaves_no_data_ignored(exported, nodata, names, expected):
    assert exported(VALUES, nodata, names).mask("a").tolist() == expected


def test_import_refuses_no_data_that_is_a_class(exported):
    with pytest.raises(InputError, match="the value 2 is marked as no data"):
        exported(VALUES, 2, "a\nb\nc\n")


def test_import_takes_255_for_no_class_where_it_is_no_data(exported):
    assert exported(np.where(VALUES == 0, 0, 255), 255, "a\nb\n").mask("a").tolist() == [[0, 255], [255, 255]]


def test_import_by_color_leaves_no_data_ignored_unless_it_is_a_class(exported):
    colors = np.array([(9, 9, 9), (0, 0, 0), (250, 1, 2)])[VALUES]
    assert exported(colors, 9, "b:0,0,0::\nc:250,1,2::\n", "labelmap.txt").mask("a").tolist() == [[255, 0], [1, 1]]


def test_import_by_color_refuses_no_data_that_is_a_class(exported):
    colors = np.array([(9, 9, 9), (0, 0, 0), (250, 1, 2)])[VALUES]
    with pytest.raises(InputError, match=r"marks as no data .* what is 'b' in labelmap\.txt"):
        exported(colors, 0, "a:9,9,9::\nb:0,0,0::\nc:250,1,2::\n", "labelmap.txt")
