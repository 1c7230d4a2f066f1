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
