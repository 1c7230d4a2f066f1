"""Outputs never meet sources, strangers' run folders reach nothing, published files have ordinary permissions."""

import json
import os
import re
import shutil
import socket
import stat

import fsspec
import numpy as np
import pytest
from tests.apps.cli.test_cli import hintseg, trained  # noqa: F401  fixtures

from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_image, write_labels
from hintseg.io.storage.outputs import sole_writer


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def photos(tmp_path):
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "photos" / name, np.full((40, 50, 3), 90, np.uint8))
    return tmp_path / "photos"


def test_no_command_writes_over_sources(hintseg, trained, scenes, photos, tmp_path):  # noqa: F811
    link, hard = tmp_path / "link", tmp_path / "hard"
    link.symlink_to(photos)
    hard.mkdir()
    os.link(photos / "a.png", hard / "a.png")
    data, images = scenes.root, scenes.root / "images"
    notes, before = tmp_path / "notes.json", contents(tmp_path)
    notes.write_text('{"mine": 1}')
    before = contents(tmp_path)
    for command in (
        ("predict", trained, photos, "--out", photos),
        ("predict", trained, photos, "--out", photos, "--overwrite"),
        ("predict", trained, photos, "--out", photos, "--resume"),
        ("predict", trained, photos, "--out", link, "--overwrite"),
        ("predict", trained, photos / "a.png", "--out", photos, "--overwrite"),
        ("predict", trained, photos, "--out", photos / "new" / ".."),
        ("predict", trained, photos / "*.png", "--out", tmp_path / "new" / ".." / "photos"),
        ("complete", trained, "--out", images / "new" / "..", "--overwrite"),
        ("evaluate", trained, data, "--out", photos / "new" / ".." / "a.png", "--overwrite"),
        ("measure", data / "masks", "--out", photos / "new" / ".." / "a.png"),
        ("retrieve", trained, photos / "a.png", "--at", "3,3", "--out", photos / "new" / ".."),
        ("train", data, "--out", photos / "new" / "..", "--weights", "none"),
        ("export", trained, "--masks", data / "masks", "--out", photos / "new" / ".."),
        ("import", data, "--out", photos / "new" / ".."),
        ("predict", trained, photos, "--out", hard, "--overwrite"),
        ("predict", trained, images, "--out", data / "masks", "--overwrite"),
        ("complete", data, "--method", "harmonic", "--out", images),
        ("complete", data, "--method", "harmonic", "--out", data / "masks", "--overwrite"),
        ("complete", data, "--method", "harmonic", "--out", data / "scribbles" / "x"),
        ("complete", trained, "--out", images, "--overwrite"),
        ("evaluate", trained, data, "--out", data / "points.json", "--overwrite"),
        ("evaluate", trained, data, "--out", notes),
        ("suggest", trained, "--out", data / "dataset.json", "--overwrite"),
        ("retrieve", trained, photos / "a.png", "--at", "3,3", "--out", photos, "--overwrite"),
        ("train", data, "--out", data, "--weights", "none"),
        ("train", data, "--out", photos, "--weights", "none", "--resume"),
        ("compare", data, "--out", data, "--weights", "none"),
        ("demo", "--out", photos),
        ("simulate", data, "--out", data),
        ("export", trained, "--masks", data / "masks", "--out", photos),
        ("export", trained, "--masks", data / "masks", "--out", photos.as_uri()),
        ("import", data, "--out", photos),
    ):
        code, out, err = hintseg(*command)
        assert code == 2, f"{command}: {out}{err}"
        assert contents(tmp_path) == before, command
    assert not list(tmp_path.rglob("new"))


def test_masks_are_replaced_only_when_asked_and_only_ones_own(hintseg, trained, photos, tmp_path):  # noqa: F811
    for extra in ((), ("--soft",), ("--parquet",)):
        out = tmp_path / f"masks{len(extra)}{''.join(extra)}"
        command = ("predict", trained, photos, "--out", out, *extra)
        assert hintseg(*command)[0] == 0
        before = contents(out)
        code, _, err = hintseg(*command)
        assert code == 2
        assert "--overwrite" in err
        assert "--resume" in err
        assert contents(out) == before
        assert hintseg(*command, "--resume")[0] == 0
        assert hintseg(*command, "--overwrite")[0] == 0
    out = tmp_path / "masks0"
    write_labels(out / "a.png", np.ones((40, 50), np.uint8))  # drawn by hand
    edited = (out / "a.png").read_bytes()
    code, _, err = hintseg("predict", trained, photos, "--out", out, "--overwrite")
    assert code == 2
    assert "not made by hintseg" in err
    assert (out / "a.png").read_bytes() == edited


def test_outputs_inside_of_inputs_are_left_out(hintseg, trained, scenes, photos):  # noqa: F811
    command = ("predict", trained, photos, "--out", photos / "masks")
    for more in ((), ("--resume",), ("--overwrite",)):
        code, out, err = hintseg(*command, *more)
        assert code == 0, err
        assert "2 of 2 masks" in out
    for given in (photos, f"{photos}/**/*.png", photos / "masks"):
        code, out, err = hintseg("predict", trained, given, "--out", photos / "deep" / str(len(str(given))))
        assert ("2 of 2 masks" in out) if given != photos / "masks" else ("no image found" in err)
    inside = scenes.root / "images" / "masks"
    assert hintseg("complete", scenes.root, "--method", "harmonic", "--out", inside)[0] == 0
    assert list(Dataset.open(scenes.root).paths) == list(scenes.paths)


def test_a_folder_of_photographs_never_becomes_one_of_masks(hintseg, trained, photos, tmp_path):  # noqa: F811
    """It would be left out when the folder round it is read."""
    shutil.copytree(photos, tmp_path / "all" / "more")
    before = contents(tmp_path / "all")
    code, _, err = hintseg("predict", trained, photos / "a.png", "--out", tmp_path / "all")
    assert code == 2
    assert "hintseg did not make" in err
    write_labels(tmp_path / "all" / "c.png", np.ones((40, 50), np.uint8))
    code, _, err = hintseg("predict", trained, photos / "a.png", "--out", tmp_path / "all" / "more")
    assert code == 2
    (tmp_path / "all" / "c.png").unlink()
    assert contents(tmp_path / "all") == before


def test_no_result_lies_among_the_parts_of_a_data_set(hintseg, trained, scenes, photos, tmp_path):  # noqa: F811
    data = scenes.root
    before = contents(tmp_path)
    for command in (
        ("suggest", trained, "--out", data / "tags.json"),
        ("evaluate", trained, data, "--out", data / "masks" / "e.json"),
        ("retrieve", trained, photos / "a.png", "--at", "3,3", "--out", photos),
        ("retrieve", trained, photos / "a.png", "--at", "3,3", "--out", data / "masks"),
        ("simulate", data, "--out", data / "masks" / "x"),
        ("simulate", data, "--out", data / "images" / "x"),
        ("train", data, "--weights", "none", "--iterations", 1, "--out", data),
        ("train", data, "--weights", "none", "--iterations", 1, "--out", data / "masks" / "run"),
    ):
        code, out, err = hintseg(*command)
        assert code == 2, f"{command}: {out}{err}"
        assert "of its own" in err, err
        assert contents(tmp_path) == before, command


def test_results_are_replaced_only_when_asked(hintseg, trained, scenes, photos, tmp_path):  # noqa: F811
    for command in (
        ("evaluate", trained, scenes.root, "--out", tmp_path / "e.json"),
        ("suggest", trained, "--out", tmp_path / "s.json"),
        ("retrieve", trained, photos / "a.png", "--at", "3,3", "--out", tmp_path / "r"),
    ):
        for more, expected in (((), 0), ((), 2), (("--overwrite",), 0)):
            code, _, err = hintseg(*command, *more)
            assert code == expected, err


def test_what_a_run_says_of_itself_is_made_anew(hintseg, trained, scenes, photos):  # noqa: F811
    for command, made in (
        (("evaluate", trained, scenes.root), "evaluation-val.json"),
        (("suggest", trained), "suggestions.json"),
        (("retrieve", trained, photos / "a.png", "--at", "3,3"), "retrieval/a.json"),
        (("report", trained), "report.html"),
    ):
        assert hintseg(*command)[0] == 0
        when = (trained / made).stat().st_mtime_ns
        code, _, err = hintseg(*command)
        assert code == 0, err
        assert (trained / made).stat().st_mtime_ns > when


@pytest.mark.parametrize("data", ["memory://data", "reference://x", "https://host/x", "//host/x", "/dev", "/"])
def test_a_strangers_run_reaches_nothing(hintseg, trained, scenes, photos, tmp_path, monkeypatch, data):  # noqa: F811
    described = json.loads((trained / "run.json").read_text("utf-8"))
    (trained / "run.json").write_text(json.dumps(described | {"data": data}), "utf-8")
    shutil.copytree(scenes.root / "masks", trained / "masks")

    def reached(address, **_):
        pytest.fail(f"{address} was opened")

    monkeypatch.setattr(fsspec.core, "url_to_fs", reached)
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: reached(address))
    commands = {
        "complete": (), "report": (), "suggest": (), "retrieve": (photos / "a.png", "--at", "3,3"),
        "export": ("--out", tmp_path / "coco"),
    }  # fmt: skip
    for name, options in commands.items():
        code, _, err = hintseg(name, trained, *options)
        assert code == 2, name
        assert "--data" in err or data == "/", err
    assert hintseg("evaluate", trained, scenes.root)[0] == 0  # with the data that is named
    for name, options in commands.items():
        code, _, err = hintseg(name, trained, *options, "--data", scenes.root, *["--overwrite"][: name == "complete"])
        assert code == 0 or (name == "complete" and "not made by hintseg" in err), err


def test_a_run_that_names_more_or_else_is_damaged(hintseg, trained, photos):  # noqa: F811
    text = (trained / "run.json").read_text("utf-8")
    for change in ({"weights": "https://host/w.pth"}, {"data": 5}, {"data": ["x"]}, {"keys": [1]}):
        (trained / "run.json").write_text(json.dumps(json.loads(text) | change), "utf-8")
        code, _, err = hintseg("predict", trained, photos, "--out", photos.parent / "m")
        assert code == 2
        assert "run.json: is damaged" in err


def test_published_files_have_ordinary_permissions(hintseg, trained):  # noqa: F811
    mask = os.umask(0)
    os.umask(mask)
    for path in trained.rglob("*"):
        if path.is_file() and path.name != ".lock" and "tensorboard" not in path.parts:
            assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask, path


def test_outputs_arrive_at_file_addresses(hintseg, trained, scenes, photos, tmp_path):  # noqa: F811
    place = tmp_path / "out ä"
    for command, made in (
        (("predict", trained, photos.as_uri()), "a.png"),
        (("complete", trained.as_uri()), "scene 0 ä.png"),
        (("evaluate", trained, scenes.root.as_uri()), ""),
        (("suggest", trained, scenes.root.as_uri()), ""),
        (("retrieve", trained, (photos / "a.png").as_uri(), "--at", "3,3"), "a.png"),
        (("export", trained, "--masks", (scenes.root / "masks").as_uri()), "annotations.json"),
        (("simulate", scenes.root, "--split", "val"), "dataset.json"),
    ):
        target = place / command[0]
        code, _, err = hintseg(*command, "--out", target.as_uri())
        assert code == 0, err
        assert (target / made if made else target).is_file(), command
    code, _, err = hintseg("evaluate", trained, scenes.root, "--out", "s3://bucket/x.json")
    assert code == 2
    assert "not on this machine" in err


def test_areas_of_what_complete_and_predict_wrote_are_measured(hintseg, trained, scenes, tmp_path):  # noqa: F811
    assert hintseg("complete", trained)[0] == 0
    code, out, _ = hintseg("measure", trained)
    assert code == 0
    assert len(out.splitlines()) == 1 + len(scenes.keys("train")) * len(scenes.classes)
    assert hintseg("predict", trained, scenes.root / "images", "--out", tmp_path / "predicted")[0] == 0
    code, out, _ = hintseg("measure", tmp_path / "predicted")
    assert code == 0
    assert len(out.splitlines()) == 1 + len(scenes.keys()) * len(scenes.classes)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / ".made-by.json").write_text('{"classes": ["a"]}')
    code, _, said = hintseg("measure", tmp_path / "nothing")
    assert code == 2
    assert "holds no masks" in said


def test_a_name_that_the_system_refuses_is_one_sentence(hintseg, scenes):  # noqa: F811
    code, _, error = hintseg("measure", scenes.root / "masks", "--out", "a" * 300)
    assert code == 2
    assert re.search(r"^hintseg: .*a{300}.*: cannot be used \(File name too long\)\.$", error, re.M)


def test_two_processes_do_not_write_into_one_folder(hintseg, trained, photos, tmp_path):  # noqa: F811
    with sole_writer(str(tmp_path / "masks")):
        code, _, error = hintseg("predict", trained, photos, "--out", tmp_path / "masks")
        assert (code, "another hintseg process writes there" in error) == (2, True)
        assert not (tmp_path / "masks").exists()
        assert hintseg("predict", trained, photos, "--out", tmp_path / "others")[0] == 0
    assert hintseg("predict", trained, photos, "--out", tmp_path / "masks")[0] == 0


def test_a_run_that_cannot_be_written_is_evaluated_into_another_file(hintseg, trained, scenes, tmp_path, monkeypatch):  # noqa: F811
    command = ["evaluate", trained, scenes.root, "--split", "val"]
    before = contents(trained)
    monkeypatch.setattr("hintseg.io.writing.os.access", lambda place, mode: not str(place).startswith(str(trained)))
    code, _, said = hintseg(*command)
    assert code == 2
    assert "cannot be written; choose another place with --out" in said
    code, shown, _ = hintseg(*command, "--out", tmp_path / "scores.json")
    assert code == 0
    assert "Report: none, as" in " ".join(shown.split())
    assert json.loads((tmp_path / "scores.json").read_text("utf-8"))["mean_iou"] > 0
    assert contents(trained) == before
