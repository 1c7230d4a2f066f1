"""A run folder says where its run is."""

import json

from hintseg.api import train
from hintseg.training.progress import FILE, noted


def state(folder):
    return json.loads((folder / FILE).read_text("utf-8"))


def test_the_last_step_of_every_stage_is_noted(tmp_path):
    (tmp_path / ".made-by.json").touch()
    heard = []
    note = noted(tmp_path, lambda *said: heard.append(said))
    for stage, total in (("features", 3), ("train", 2)):
        for done in range(1, total + 1):
            note(stage, done, total, {})
        assert state(tmp_path) == {"stage": stage, "done": total, "total": total}
    assert heard[-1] == ("train", 2, 2, {})
    assert len(heard) == 5


def test_nothing_is_written_into_a_folder_that_is_no_run(tmp_path):
    noted(tmp_path)("check", 1, 1, {})
    assert not list(tmp_path.iterdir())


def test_runs_leave_it(scenes, tiny, tmp_path):
    train(scenes, "scribbles", tmp_path / "run", weights="none", device="cpu", iterations=2, settings=tiny)
    assert state(tmp_path / "run")["stage"] == "memory"
