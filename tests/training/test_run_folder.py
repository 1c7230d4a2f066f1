"""What a run leaves in its folder, and whose the folder is."""

import json

import pytest
import torch

from hintseg import Segmenter
from hintseg.errors import RunError


def test_a_run_folder_holds_everything(run, tmp_path, scenes, completed):
    segmenter = run(settings=completed)
    folder = tmp_path / "run"
    for name in (
        "run.json",
        "weights.safetensors",
        "memory_bank.safetensors",
        "metrics.csv",
        "metrics.json",
        "checkpoint.pt",
    ):
        assert (folder / name).exists(), name
    assert len((folder / "metrics.csv").read_text().splitlines()) == 6
    log = (folder / "log.txt").read_text("utf-8")
    assert "4 images" in log
    assert "iteration 3" in log
    assert "finished" in log
    assert json.loads((folder / "metrics.json").read_text())["iterations"] == 5
    assert len(list((folder / "pseudo_labels" / "000003").iterdir())) == 4
    image = scenes.image(scenes.keys("val")[0])
    again = Segmenter.open(folder, "cpu")
    assert (again.predict(image) == segmenter.predict(image)).all()


def test_folders_are_not_overwritten_shared_or_mixed(run, tmp_path):
    run("a", iterations=2)
    with pytest.raises(RunError, match="already holds a run"):
        run("a", iterations=2)
    with pytest.raises(RunError, match="cannot go on, since iterations was 2 and is 3"):
        run("a", iterations=3, resume=True)
    checkpoint = tmp_path / "a" / "checkpoint.pt"
    torch.save(torch.load(checkpoint, weights_only=True) | {"version": 0}, checkpoint)
    with pytest.raises(RunError, match=r"another version of hintseg \(format 0, .*delete it"):
        run("a", iterations=2, resume=True)
    checkpoint.write_bytes(b"cut off")
    with pytest.raises(RunError, match="checkpoint is damaged"):
        run("a", iterations=2, resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        run("file/run", iterations=2)


@pytest.mark.parametrize("name", ["log.txt", ".lock", "cache", "cache/features"])
def test_nothing_is_written_through_links_in_a_run(run, tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "a" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere" / "file")
    (tmp_path / "a" / ".made-by.json").write_text("{}")
    with pytest.raises(RunError, match="is a link"):
        run("a", iterations=1)
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_run_is_locked_while_it_trains(run):
    messages = []

    def second(stage, done, total, values):
        if stage == "train" and not messages:
            with pytest.raises(RunError) as caught:
                run("a", resume=True)
            messages.append(str(caught.value))

    run("a", iterations=1, progress=second)
    assert "another hintseg process" in messages[0]
