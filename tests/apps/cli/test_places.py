"""Servers and the folders that they hold."""

import sys

import pytest

from hintseg.apps.cli import app
from hintseg.apps.studio.lock import locked_folder


def test_a_folder_serves_one_label_studio_at_a_time(tmp_path, monkeypatch, capsys):
    served = []
    monkeypatch.setattr("hintseg.apps.studio.listen.listen", lambda service, host, port: served.append(port))
    monkeypatch.setattr(sys, "argv", ["hintseg", "label-studio", str(tmp_path), "--token", "x", "--port", "18977"])
    with locked_folder(tmp_path, "http://127.0.0.1:1/"), pytest.raises(SystemExit) as stop:
        app.main()
    assert stop.value.code == 2
    assert "has this folder open at http://127.0.0.1:1/" in " ".join(capsys.readouterr().err.split())
    assert served == []
    with pytest.raises(SystemExit) as stop:
        app.main()
    assert (stop.value.code or 0, served) == (0, [18977])


@pytest.mark.parametrize(
    "arguments",
    [
        ("studio", "s3://bucket/fields"),
        ("label-studio", "s3://bucket/work", "--token", "x"),
        ("label-studio", "work", "--token", "x", "--run", "s3://bucket/run"),
        ("import", "https://host/annotations.json", "--out", "data"),
        ("import", "annotations.json", "--out", "s3://bucket/fields"),
        ("prepare", "voc12", "--root", "s3://bucket/voc", "--out", "data"),
        ("prepare", "voc12", "--root", "voc", "--out", "s3://bucket/fields"),
        ("measure", "s3://bucket/run"),
        ("measure", "masks", "--images", "s3://bucket/images"),
    ],
)
def test_what_needs_a_local_folder_takes_no_url_for_the_name_of_one(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["hintseg", *arguments])
    with pytest.raises(SystemExit) as stop:
        app.main()
    assert stop.value.code == 2
    assert "is not on this machine; give a local path" in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []
