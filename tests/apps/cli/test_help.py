"""What `hintseg --help` and the help of every command say."""

import re

import pytest
from typer.testing import CliRunner

from hintseg.apps.cli.app import app
from hintseg.version import __version__

COMMANDS = [command.name or "" for command in app.registered_commands]
# Words of earlier versions that a newcomer would have to guess.
OLD = r"photograph|picture|doubt|spread|\bverb|\bforms?\b|share of|look at|over-segment|segment memory"


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments])
    assert result.exit_code == 0
    return " ".join(result.output.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_and_shows_an_example(command):
    text = shown(command, "--help")
    assert f"Example: hintseg {command}" in text
    assert not re.search(OLD, text, re.IGNORECASE)


def test_the_list_of_commands():
    text = shown("--help")
    for command in COMMANDS:
        assert command in text
    assert shown("-h") == text


def test_no_bracket_is_swallowed():
    assert "needs hintseg[onnx]" in shown("evaluate", "--help")


def test_version():
    assert shown("--version") == f"hintseg {__version__}"
