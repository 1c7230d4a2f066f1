"""One studio a folder, and locks of servers that are gone."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest
from typer.testing import CliRunner

from hintseg.apps.cli.app import app
from hintseg.apps.studio.lock import SILENT, locked_folder
from hintseg.errors import InputError, RunError

HOLD = """
import sys, time
from pathlib import Path
from hintseg.apps.studio.lock import locked_folder
with locked_folder(Path(sys.argv[1]), "http://127.0.0.1:8801/"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("own", [(), ("classes.json", "server.lock", "run-2024.json")])
def test_a_folder_called_studio_that_is_the_users_own_is_refused_and_stays(tmp_path, own):
    mine = [tmp_path / "studio" / name for name in ("import/2024/c.jpg", "deleting/f.jpg", *own)]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine")
    found = CliRunner().invoke(app, ["studio", str(tmp_path), "--no-open", "--port", "8807"])
    assert "is a folder of your own, which holds '" in str(found.exception)
    assert all(path.read_bytes() == b"mine" for path in mine)
    assert not (tmp_path / "images").exists()


def noted(folder, **changes):
    """A lock file as a server leaves it that could not tidy up."""
    path = folder / "studio" / "server.lock"
    path.parent.mkdir(exist_ok=True)
    content = {"address": "http://here/", "pid": os.getpid(), "born": "never", "machine": platform.node()}
    path.write_text(json.dumps(content | changes), "utf-8")
    return path


def test_a_second_server_is_refused_and_the_first_one_named(holder, tmp_path):
    named = rf"http://127\.0\.0\.1:8801/ \(process {holder.pid} on"
    with pytest.raises(RunError, match=named), locked_folder(tmp_path, "x"):
        pass


def test_another_name_of_the_folder_is_the_same_folder(holder, tmp_path):
    alias = tmp_path.with_name("alias")
    alias.symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(RunError, match="another server"), locked_folder(alias, "x"):
        pass


def test_the_lock_of_a_killed_server_is_free(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with locked_folder(tmp_path, "x"):
        pass


def test_a_lock_is_given_back(tmp_path):
    for _ in range(2):
        with locked_folder(tmp_path, "x"):
            pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1}'])
def test_a_damaged_note_holds_nothing(tmp_path, content):
    noted(tmp_path).write_text(content, "utf-8")
    with locked_folder(tmp_path, "x"):
        pass


def test_this_machine_before_its_reboot_holds_nothing(tmp_path):
    noted(tmp_path)
    with locked_folder(tmp_path, "x"):
        pass


def test_another_machine_holds_it_as_long_as_it_gives_signs_of_life(tmp_path):
    path = noted(tmp_path, machine="microscope-2")
    with pytest.raises(RunError, match="on microscope-2"), locked_folder(tmp_path, "x"):
        pass
    old = time.time() - SILENT - 5
    os.utime(path, (old, old))
    with locked_folder(tmp_path, "x"):
        pass


def test_a_folder_without_locks_is_told_by_its_process(tmp_path, monkeypatch):
    monkeypatch.setattr("hintseg.apps.studio.lock.take_lock", lambda handle: None)
    with (
        locked_folder(tmp_path, "http://first/"),
        pytest.raises(RunError, match="http://first/"),
        locked_folder(tmp_path, "x"),
    ):
        pass
    noted(tmp_path)
    with locked_folder(tmp_path, "x"):
        pass


def test_the_command_refuses_in_one_sentence(holder, tmp_path):
    program = [sys.executable, "-m", "hintseg.apps.cli.app"]
    command = [*program, "studio", str(tmp_path), "--port", "18899", "--weights", "none", "--no-open"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 2
    assert len(answer.stderr.splitlines()) == 1
    assert f"process {holder.pid}" in answer.stderr


def test_check_and_train_work_on_an_open_folder(scenes, tiny, tmp_path):
    call = CliRunner().invoke
    settings = [part for setting in tiny for part in ("--set", setting)]
    with locked_folder(scenes.root, "http://first/"):
        assert call(app, ["check", str(scenes.root)]).exit_code == 0
        command = ["train", str(scenes.root), "--out", str(tmp_path / "run"), "--iterations", "1", "--weights", "none"]
        done = call(app, [*command, "--hints", "points", "--device", "cpu", *settings])
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("name", "content", "is_own"),
    [
        ("classes.json", '{"cow": "0123abcd"}', True),
        ("classes.json", '{"cow": "#ff0000"}', False),
        ("classes.json", '["cow"]', False),
        ("appearance.json", '{"order": [], "colors": {}}', True),
        ("appearance.json", '{"order": [], "colours": {}}', True),  # of an earlier version
        ("server.lock", "{}", True),
        ("server.lock", '{"pid": 1, "host": "a"}', False),
        (
            "run-001.json",
            '{"run": "run-001", "pid": 1, "born": null, "machine": "a", "classes": [], "stopped": false}',
            True,
        ),
        ("run-2024.json", '{"speed": 3}', False),
    ],
)
def test_a_studios_folder_is_told_by_what_its_files_hold(tmp_path, name, content, is_own):
    (tmp_path / "studio").mkdir()
    (tmp_path / "studio" / name).write_text(content)
    told = nullcontext() if is_own else pytest.raises(InputError, match="is a folder of your own")
    with told, locked_folder(tmp_path, "x"):
        pass
