"""The bar moves forward from the first second, and what is left is said as soon as it can be known."""

import json
import time

import pytest

from hintseg.apps.studio.run_progress import FULL, INSTANT, STAGES, run_progress, whole_part


@pytest.mark.parametrize("begins", [INSTANT, FULL])
def test_stages_follow_each_other_and_have_names(begins):
    assert set(begins) <= set(STAGES)
    assert list(begins.values()) == sorted(begins.values())
    parts = [whole_part(stage, part, begins) for stage in begins for part in (0, 0.5, 1)]
    assert parts == sorted(parts)
    assert parts[0] > 0
    assert parts[-1] == 1


def test_a_run_without_a_word_is_starting(tmp_path):
    expected = {"stage": "starting", "done": 0, "total": 0, "part": 0.0, "left": None}
    assert run_progress(tmp_path, True, time.time()) == expected
    for text in ("", "[]", '{"stage": "fit"}', '{"stage": "fit", "done": "x", "total": 1}'):
        (tmp_path / "progress.json").write_text(text, "utf-8")
        assert run_progress(tmp_path, True, time.time()) == expected


def test_what_is_left_follows_from_what_is_done(tmp_path):
    (tmp_path / "progress.json").write_text(json.dumps({"stage": "train", "done": 0, "total": 10}), "utf-8")
    found = run_progress(tmp_path, False, time.time() - 12)
    assert (found["stage"], found["part"]) == ("training", 0.12)
    assert found["left"] == pytest.approx(88, abs=2)
    assert run_progress(tmp_path, False, 0.0)["left"] is None
    (tmp_path / "progress.json").write_text(json.dumps({"stage": "check", "done": 0, "total": 10}), "utf-8")
    assert run_progress(tmp_path, False, time.time())["left"] is None
    (tmp_path / "progress.json").write_text(json.dumps({"stage": "new", "done": 1, "total": 0}), "utf-8")
    assert run_progress(tmp_path, False, time.time())["stage"] == "new"
