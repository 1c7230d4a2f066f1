"""A training outlives its server: the next one finds it, shows it, stops it, and starts no second one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from hintseg.errors import HintsegError, RunError
from hintseg.hints.dataset import Dataset
from hintseg.inference.run_config import RunConfig
from hintseg.io.images import read_labels

pytest.importorskip("fastapi")
from hintseg.apps.studio.accepted import accept
from hintseg.apps.studio.drawn import DrawnHints, DrawnPoint
from hintseg.apps.studio.processes import birth, end
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.run_record import RunRecord, newest_run
from hintseg.apps.studio.trainer import Model, Trainer

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


@pytest.fixture
def process():
    started = []

    def start(command=SLEEP, **options):
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options))
        assert started[-1].stdout.readline() == "up\n"
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()
        one.stdout.close()


@pytest.fixture
def project(folder):
    project = Project.open(folder)
    project.set_classes([(None, "a"), (None, "b")], None, None, project.table()["version"])
    point = DrawnPoint(label=project.identifiers[0], x=1, y=1)
    project.save_hints("b", DrawnHints(points=[point]), project.hints_version("b"))
    return project


def finish(run):
    """Make a run folder one that can be used."""
    run.mkdir(parents=True, exist_ok=True)
    for name in ("weights", "memory_bank"):
        (run / f"{name}.safetensors").touch()


@pytest.fixture
def left(project, process):
    """What a killed server leaves behind: a training, its record and its progress."""
    running = process()
    out = project.root / "studio" / "run-004"
    out.mkdir(parents=True)
    (out / "progress.json").write_text(json.dumps({"stage": "train", "done": 7, "total": 120}), "utf-8")
    RunRecord.of("run-004", running.pid, project.identifiers).save(project.root)
    return running


def test_a_running_training_is_found_again_and_stopped(project, left):
    trainer = Trainer(project, "none")
    state = trainer.state()
    assert (state["training"], state["run"], state["done"], state["total"]) == (True, "run-004", 7, 120)
    with pytest.raises(HintsegError, match="training already"):
        trainer.start("quick")
    trainer.stop()
    left.wait(timeout=10)
    state = trainer.state()
    assert not state["training"]
    assert "error" not in state
    assert Trainer(project, "none").state() == state
    assert state["stopped"]


def test_a_training_that_dies_alone_is_told(project, left):
    trainer = Trainer(project, "none")
    (project.root / "studio" / "last.log").write_text("WARNING x\nhintseg: the disk is full.\n", "utf-8")
    left.kill()
    left.wait()
    assert trainer.state()["error"] == "the disk is full."


def test_the_next_server_tells_of_a_training_that_died_with_the_last_one(project, left):
    left.kill()
    left.wait()
    assert Trainer(project, "none").state()["error"] == "it ended before it was finished."
    record = project.root / "studio" / "run-004.json"
    kept = record.read_text("utf-8")
    record.write_text(json.dumps(json.loads(kept) | {"machine": "elsewhere"}), "utf-8")
    assert Trainer(project, "none").state() == {"training": False}  # there it may still run
    record.write_text(kept, "utf-8")
    finish(project.root / "studio" / "run-005")
    assert Trainer(project, "none").state() == {"training": False}


def test_a_finished_run_that_somebody_deletes_did_not_fail(project, left):
    trainer = Trainer(project, "none")
    finish(project.root / "studio" / "run-004")
    left.kill()
    left.wait()
    assert "error" not in trainer.state()
    shutil.rmtree(project.root / "studio" / "run-004")
    assert "error" not in trainer.state()
    assert Trainer(project, "none").state() == {"training": False}


def test_the_number_of_a_deleted_run_is_not_given_again(project, left, monkeypatch, process):
    left.kill()
    left.wait()
    shutil.rmtree(project.root / "studio" / "run-004")
    next_one = process()
    monkeypatch.setattr("hintseg.apps.studio.trainer.subprocess.Popen", lambda command, **options: next_one)
    trainer = Trainer(project, "none")
    trainer.start("quick")
    assert trainer.state()["run"] == "run-005"


@pytest.mark.parametrize(
    "change", [{"born": "another life"}, {"machine": "elsewhere"}, {"born": None}, {"pid": 2**22 + 7}, {"classes": 3}]
)
def test_a_number_that_another_process_has_by_now_is_no_training(project, left, change):
    path = project.root / "studio" / "run-004.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    trainer = Trainer(project, "none")
    assert trainer.state()["training"] is False
    trainer.stop()
    assert left.poll() is None


def test_a_process_that_hears_nothing_is_ended(process):
    deaf = process(DEAF)
    end(deaf.pid, birth(deaf.pid), patience=0.3)
    deaf.wait(timeout=10)


def test_a_process_that_ended_but_was_not_reaped_does_not_run(process):
    ended = process()
    assert birth(ended.pid) == birth(ended.pid) is not None
    ended.kill()
    deadline = time.monotonic() + 10
    while birth(ended.pid) is not None:
        assert time.monotonic() < deadline


def test_a_run_serves_as_long_as_its_classes_are_todays(project, left):
    out = project.root / "studio" / "run-004"
    for name in ("weights", "memory_bank"):
        (out / f"{name}.safetensors").write_bytes(b"")
    model = Model(project, Trainer(project, "none"))
    assert model.usable() == out
    ids = project.identifiers
    project.set_classes([(ids[0], "renamed"), (ids[1], "b")], None, None, project.table()["version"])
    assert model.usable() == out
    project.set_classes([(ids[0], "renamed"), (ids[1], "b"), (None, "c")], None, None, project.table()["version"])
    assert model.usable() == out
    assert model.unlearned() == [project.identifiers[2]]
    project.delete_class(ids[0], project.table()["version"])
    assert model.usable() is None
    assert model.unlearned() == []


def test_a_run_that_nobody_recorded_serves_by_the_names_of_its_classes(project, left, monkeypatch):
    learned = tuple(project.dataset.classes)
    monkeypatch.setattr(RunConfig, "load", lambda path: SimpleNamespace(classes=learned))
    out = project.root / "studio" / "run-004"
    for name in ("weights", "memory_bank"):
        (out / f"{name}.safetensors").write_bytes(b"")
    for record in (project.root / "studio").glob("run-004.json"):
        record.unlink()
    model = Model(project, Trainer(project, "none"))
    assert model.usable() == out
    assert model.unlearned() == []
    ids = project.identifiers
    added = [*zip(ids, learned, strict=True), (None, "later")]
    project.set_classes(added, None, None, project.table()["version"])
    assert model.unlearned() == [project.identifiers[2]]
    project.delete_class(ids[0], project.table()["version"])
    kept = project.identifiers
    names = list(project.dataset.classes)
    project.set_classes([*zip(kept, names, strict=True), (None, "new")], None, None, project.table()["version"])
    assert model.usable() is None


SERVER = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.trainer import Trainer
trainer = Trainer(Project.open(Path(sys.argv[1])), "none")
trainer.start("thorough")
print("up", flush=True)
time.sleep(60)
"""


def test_a_training_outlives_its_server(project, process):
    """Killed with all that a terminal kills when it is closed."""
    server = process([sys.executable, "-c", SERVER, str(project.root)], start_new_session=True)
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    trainer = Trainer(project, "none")
    assert trainer.state()["training"]
    assert trainer.state()["run"] == "run-001"
    trainer.stop()
    assert not trainer.state()["training"]


@pytest.fixture
def started(monkeypatch):
    """The commands of trainings, which end at once."""
    commands = []

    class Ended:
        pid = 2**22 + 7

        def __init__(self, command, **options):
            commands.append(command)

        def wait(self):
            return 0

    monkeypatch.setattr("hintseg.apps.studio.trainer.subprocess.Popen", Ended)
    return commands


@pytest.mark.parametrize(
    ("effort", "weights", "instant"), [("quick", "auto", True), ("normal", "auto", False), ("quick", "none", False)]
)
def test_a_quick_training_is_an_instant_run(project, started, effort, weights, instant):
    Trainer(project, weights).start(effort)
    (command,) = started
    assert ("instant" in command) == instant
    assert ("--iterations" in command) != instant
    assert command[command.index("--weights") + 1] == weights


@pytest.mark.parametrize("lost", ["b", "été 1"])
@pytest.mark.parametrize("content", [None, b"no image"])
def test_a_lost_image_with_hints_does_not_stop_training(project, started, lost, content):
    """The training that starts names it."""
    point = DrawnPoint(label=project.identifiers[1], x=9, y=1)
    project.save_hints("été 1", DrawnHints(points=[point]), project.hints_version("été 1"))
    path = project.dataset.path(lost)
    path.unlink() if content is None else path.write_bytes(content)
    Trainer(project).start("quick")
    assert len(started) == 1


def test_a_training_that_cannot_be_recorded_does_not_run(project, monkeypatch):
    started = []
    popen = subprocess.Popen

    def start(command, **options):
        (project.root / "studio" / "run-001.json").mkdir(parents=True)
        started.append(popen(SLEEP, **options))
        return started[-1]

    monkeypatch.setattr("hintseg.apps.studio.trainer.subprocess.Popen", start)
    trainer = Trainer(project, "none")
    with pytest.raises(RunError, match=r"run-001\.json: writing failed"):
        trainer.start("quick")
    assert started[0].wait(20) == -signal.SIGKILL
    assert trainer.state() == {"training": False}


def test_an_accepted_mask_is_a_hint_for_training(project):
    assert Dataset.open(project.root).hints("b").types() == ("points",)
    accept(project, "b", np.ones((72, 96), np.uint8))
    hints = Dataset.open(project.root).hints("b", ("masks",))
    assert hints.types() == ("masks",)
    accept(project, "b", np.zeros((72, 96), np.uint8))
    (copy,) = (project.root / "studio" / "kept" / "masks").iterdir()
    assert (read_labels(copy) == 1).all()  # what was replaced


def test_the_newest_run_is_the_one_of_the_highest_number(tmp_path):
    for number in ("001", "999", "1000"):
        run = tmp_path / f"run-{number}"
        run.mkdir()
        for name in ("weights", "memory_bank"):
            (run / f"{name}.safetensors").touch()
    assert newest_run(tmp_path, "run-*").name == "run-1000"
    (tmp_path / "run-1000/memory_bank.safetensors").unlink()
    assert newest_run(tmp_path, "run-*").name == "run-999"
