"""Which JSON files count as results of hintseg, and may be replaced."""

import json
import os

import pytest

from hintseg.errors import RunError
from hintseg.io.storage.results import write_result

RESULT = [{"doubt": 1, "worth": 2}]


@pytest.mark.parametrize("content", ["[]", "{}", "[{}]", "null", "", "[[]]", '{"a": 1}', '[{"doubt": 1}]', "my notes"])
def test_what_may_be_anybodys_is_never_replaced(tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(RunError, match="was not made by hintseg"):
        write_result(path, RESULT, overwrite=True)
    assert path.read_text() == content


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_what_is_no_file_is_never_replaced(tmp_path, kind):
    path = tmp_path / "mine.json"
    {"pipe": os.mkfifo, "folder": os.mkdir, "link": lambda path: os.symlink("nowhere", path)}[kind](path)
    with pytest.raises(RunError, match="was not made by hintseg"):
        write_result(path, RESULT, overwrite=True)


def test_results_are_replaced_when_asked(tmp_path):
    write_result(tmp_path / "a.json", RESULT, overwrite=False)
    write_result(tmp_path / "a.json", RESULT * 2, overwrite=True)
    assert json.loads((tmp_path / "a.json").read_text()) == RESULT * 2


@pytest.mark.parametrize("told", ["run.json", ".made-by.json"])
def test_an_empty_result_is_known_by_its_folder(tmp_path, told):
    (tmp_path / told).write_text("{}")
    write_result(tmp_path / "a.json", [], overwrite=False)
    write_result(tmp_path / "a.json", RESULT, overwrite=True)


def test_where_nothing_can_be_written_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("hintseg.io.writing.os.access", lambda place, mode: place != tmp_path)
    with pytest.raises(RunError, match=f"{tmp_path}/new/deep: cannot be written; choose another place with --out"):
        write_result(tmp_path / "new" / "deep" / "a.json", RESULT, overwrite=True)
