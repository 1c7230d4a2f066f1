"""Names that are almost those of what is read."""

import numpy as np
import pytest

from hintseg.check import inspect, require_trainable
from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.misspelt import misspelt
from hintseg.io.images import write_image


@pytest.fixture
def folder(tmp_path):
    write_image(tmp_path / "images/a.png", np.zeros((9, 9, 3), np.uint8))
    (tmp_path / "dataset.json").write_text('{"classes": ["a", "b"]}')
    return tmp_path


def put(folder, name):
    if "." in name:
        (folder / name).write_text('{"a": [[4, 4, 1]]}')
    else:
        (folder / name).mkdir()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("point.json", "points.json"),
        ("Points.json", "points.json"),
        ("points.JSON", "points.json"),
        ("tag.json", "tags.json"),
        ("box.json", "boxes.json"),
        ("scribble.json", "scribbles.json"),
        ("verified-classes.json", "verified_classes.json"),
        ("looked-for.json", "looked_for.json"),
        ("dataset.jsn", "dataset.json"),
        ("scribble", "scribbles"),
        ("mask", "masks"),
        ("Masks", "masks"),
        ("contour", "contours"),
        ("Train.txt", "train.txt"),
        ("train2017.txt", "train.txt"),
        ("val.TXT", "val.txt"),
    ],
)
def test_a_misspelt_name_is_told(folder, name, meant):
    put(folder, name)
    if (folder / meant).exists() and (folder / name).samefile(folder / meant):
        pytest.skip("the file system ignores case")
    end = "" if "." in name else "/"
    said = f"{name}{end} is not read; did you mean {meant}{end}?"
    dataset = Dataset.open(folder)
    found = inspect(dataset, dataset.paths)
    assert said in found.warnings
    with pytest.raises(InputError) as refused:
        require_trainable(found, dataset, ("points",), "refuse")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "points.json",
        "masks",
        "masks-crf",
        "predicted",
        "studio",
        "train.txt",
        "valid.txt",
        "trains.txt",
        "notes.json",
        ".mask",
    ],
)
def test_other_names_are_nobodys_mistake(folder, name):
    put(folder, name)
    assert not list(misspelt(folder))


@pytest.mark.parametrize("name", ["Val.txt", "VALID.txt", "held-out.txt", "eval.txt", "val2017.txt", "test_list.txt"])
def test_other_names_of_held_out_splits_are_understood(folder, name):
    for key in "bc":
        write_image(folder / "images" / f"{key}.png", np.zeros((9, 9, 3), np.uint8))
    (folder / name).write_text("b\n")
    assert not list(misspelt(folder))
    assert Dataset.open(folder).keys("train") == ("a", "c")


@pytest.mark.parametrize("name", ["test1.txt", "testimony.txt", "notes.txt", "train_val.txt", "north_test.txt"])
def test_lists_of_other_names_hold_nothing_out(folder, name):
    write_image(folder / "images" / "b.png", np.zeros((9, 9, 3), np.uint8))
    (folder / name).write_text("a\n")
    assert Dataset.open(folder).keys("train") == ("a", "b")


def test_a_folder_without_a_description_says_so_too(folder):
    (folder / "dataset.json").rename(folder / "data_set.json")
    with pytest.raises(
        InputError, match=r"neither dataset.json nor any hint.* data_set.json is not read; did you mean"
    ):
        Dataset.open(folder)
