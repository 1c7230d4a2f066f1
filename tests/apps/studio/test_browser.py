"""The studio opens its page where there is a desktop."""

import socket
import webbrowser

import pytest
from typer.testing import CliRunner

from hintseg.apps.cli.app import app
from hintseg.apps.studio import browser as module

pytest.importorskip("fastapi")

from hintseg.apps.studio import server


def test_a_page_is_opened_when_its_server_listens(monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        waiting = module.open_when_listening("the page", "127.0.0.1", port)
        assert opened == []
        listening.listen()
        waiting.join(timeout=30)
    assert opened == ["the page"]


@pytest.mark.parametrize(
    ("names", "found"), [({}, False), ({"DISPLAY": ":0"}, True), ({"DISPLAY": ":9", "SSH_CONNECTION": "1"}, False)]
)
def test_a_desktop_is_a_screen_of_this_machine(monkeypatch, names, found):
    monkeypatch.setattr(module.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert module.has_desktop() is found


@pytest.mark.parametrize(
    ("options", "desktop", "opens"), [([], True, True), ([], False, False), (["--no-open"], True, False)]
)
def test_the_command_opens_the_page_unless_told_not_to(monkeypatch, tmp_path, options, desktop, opens):
    opened = []
    monkeypatch.setattr(server, "has_desktop", lambda: desktop)
    monkeypatch.setattr(server, "open_when_listening", lambda *given: opened.append(given))
    monkeypatch.setattr(server, "listen", lambda *given: None)
    monkeypatch.setattr(server, "require_port", lambda *given: None)
    answer = CliRunner().invoke(app, ["studio", str(tmp_path / "new"), "--port", "8999", "--weights", "none", *options])
    assert answer.exit_code == 0, answer.output
    assert opened == ([("http://127.0.0.1:8999/", "127.0.0.1", 8999)] if opens else [])
