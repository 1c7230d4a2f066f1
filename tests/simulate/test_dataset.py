"""What comes along when hints are simulated, and what does not."""

import json
import os

import numpy as np
import pytest

from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_image
from hintseg.simulate import dataset as simulated
from hintseg.simulate.dataset import simulate_dataset


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_list_that_is_no_file_is_refused_before_anything_is_written(scenes, tmp_path, kind):
    (scenes.root / "x.txt").mkdir() if kind == "folder" else os.mkfifo(scenes.root / "x.txt")
    with pytest.raises(InputError, match=r"x.txt: is a"):
        simulate_dataset(scenes, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_linked_file_from_elsewhere_comes_along_only_as_a_list(scenes, tmp_path):
    (scenes.root / "train.txt").rename(tmp_path / "list")
    (scenes.root / "train.txt").symlink_to(tmp_path / "list")
    simulate_dataset(scenes, tmp_path / "out")
    assert Dataset.open(tmp_path / "out").keys("train") == scenes.keys("train")
    (tmp_path / "private").write_text("a password\n")
    (scenes.root / "notes.txt").symlink_to(tmp_path / "private")
    with pytest.raises(InputError, match=r"notes.txt: is a link to a file outside"):
        simulate_dataset(scenes, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_contours_come_along(scenes, tmp_path):
    key = scenes.keys("train")[0]
    contours = np.linspace(0, 255, 72 * 96).reshape(72, 96).astype(np.uint8)
    write_image(scenes.root / "contours" / f"{key}.png", contours)
    simulate_dataset(Dataset.open(scenes.root), tmp_path / "out")
    made = Dataset.open(tmp_path / "out")
    assert made.contours(key).tolist() == Dataset.open(scenes.root).contours(key).tolist()
    assert made.contours(scenes.keys("train")[1]) is None


def test_what_is_verified_comes_along(scenes, tmp_path):
    key = scenes.keys("train")[0]
    (scenes.root / "verified_classes.json").write_text(json.dumps({key: [1]}))
    simulate_dataset(Dataset.open(scenes.root), tmp_path / "out")
    made = Dataset.open(tmp_path / "out")
    assert made.hints(key).verified_classes == {1}
    assert made.hints(scenes.keys("train")[1]).verified_classes is None


def test_stopped_halfway_it_is_unfinished(scenes, tmp_path, monkeypatch):
    def stopped(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulated, "link_or_copy", stopped)
    with pytest.raises(KeyboardInterrupt):
        simulate_dataset(scenes, tmp_path / "out")
    for use in (lambda: Dataset.open(tmp_path / "out"), lambda: simulate_dataset(scenes, tmp_path / "out")):
        with pytest.raises(InputError, match="is unfinished"):
            use()
