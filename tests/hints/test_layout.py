"""Parts of a data set's folder that are links which lead nowhere, pipes, or folders: named, never taken as absent."""

import json
import os
import shutil

import numpy as np
import pytest

from hintseg.apps.studio.project import Project
from hintseg.errors import InputError
from hintseg.hints import layout
from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_image, write_labels

FILES = ("dataset.json", "points.json", "verified_classes.json", "train.txt", "test.txt")
FOLDERS = ("images", "masks", "scribbles", "contours")


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data"
    for key in ("a", "b"):
        write_image(root / f"images/{key}.png", np.zeros((8, 8, 3), np.uint8))
        write_labels(root / f"masks/{key}.png", np.eye(8, dtype=np.uint8))
    (root / "dataset.json").write_text(json.dumps({"classes": ["x", "y"]}))
    (root / "train.txt").write_text("a\n")
    return root


def replaced(path, kind):
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(path.parent.parent / "nowhere")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_text("x")


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in FILES for kind in ("link", "pipe", "folder")]
    + [(name, kind) for name in FOLDERS for kind in ("link", "pipe", "file")],
)
def test_a_part_that_cannot_be_read_is_named(root, name, kind):
    replaced(root / name, kind)
    for opens in (Dataset.open, Project):
        with pytest.raises(InputError, match=f"{name}: is "):
            opens(root)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_mask_that_cannot_be_read_is_named(root, kind):
    replaced(root / "masks/a.png", kind)
    with pytest.raises(InputError, match=r"masks/a.png: is a"):
        Dataset.open(root).hints("a")


def test_links_that_lead_somewhere_are_followed(root, tmp_path):
    for name in ("dataset.json", "train.txt", "masks"):
        (root / name).rename(tmp_path / name)
        (root / name).symlink_to(tmp_path / name)
    dataset = Dataset.open(root)
    assert dataset.keys("train") == ("a",)
    assert dataset.has_mask("a")
    assert dataset.classes == ("x", "y")


@pytest.mark.parametrize("kind", ["file", "link", "pipe"])
def test_an_unfinished_folder_is_refused(root, kind):
    replaced(root / ".unfinished", kind)
    for opens in (Dataset.open, Project):
        with pytest.raises(InputError, match="is unfinished"):
            opens(root)


def test_what_masks_say_of_their_maker_is_never_taken_as_absent(root):
    replaced(root / "masks/.made-by.json", "link")
    with pytest.raises(InputError, match=r".made-by.json: is a link that leads nowhere"):
        Dataset.open(root).hints("a")


def test_a_change_that_the_studio_is_just_ending_is_waited_for(root, monkeypatch):
    ready = root / layout.DELETING
    ready.parent.mkdir(parents=True)
    ready.touch()
    pauses = []
    monkeypatch.setattr(layout.time, "sleep", lambda pause: (pauses.append(pause), ready.unlink()))
    assert Dataset.open(root).classes == ("x", "y")
    assert len(pauses) == 1
    ready.touch()
    monkeypatch.setattr(layout.time, "sleep", pauses.append)
    with pytest.raises(InputError, match="a change is half done"):
        Dataset.open(root)
