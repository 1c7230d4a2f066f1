"""Folders that are being made."""

import pytest

from hintseg.errors import InputError, RunError
from hintseg.io.staging import being_made, holds_something, require_finished


def test_a_folder_is_finished_when_all_was_written(tmp_path):
    out = tmp_path / "out"
    with being_made(out):
        (out / "a").touch()
        with pytest.raises(InputError, match="delete this folder"):
            require_finished(out)
    require_finished(out)
    assert [path.name for path in out.iterdir()] == ["a"]


def test_what_was_stopped_stays_unfinished(tmp_path):
    out = tmp_path / "out"
    out.mkdir()

    def stop():
        (out / "a").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), being_made(out):
        stop()
    for look in (require_finished, holds_something):
        with pytest.raises(InputError, match="is unfinished"):
            look(out)


def test_what_failed_before_anything_was_written_leaves_nothing(tmp_path):
    (tmp_path / "there").mkdir()
    for name in ("new", "there"):
        with pytest.raises(ValueError, match="too early"), being_made(tmp_path / name):
            raise ValueError("too early")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert not holds_something(tmp_path / "there")


def test_a_mark_alone_can_be_gone_on_with(tmp_path):
    (tmp_path / ".unfinished").touch()
    assert not holds_something(tmp_path)


def test_one_process_alone_fills_a_folder(tmp_path):
    out = tmp_path / "out"
    with being_made(out), pytest.raises(RunError, match="another hintseg process writes there"), being_made(out):
        pass
    (out / "a.txt").write_text("a")
    with pytest.raises(InputError, match="was filled by another process meanwhile"), being_made(out):
        pass
    assert [path.name for path in out.iterdir()] == ["a.txt"]
