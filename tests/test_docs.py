"""The worked example of CONTRIBUTING.md runs, and the documented commands exist."""

import re
from pathlib import Path

import pytest
import torch

from hintseg.cli.app import app
from hintseg.network.embedder import PixelMaps
from hintseg.segments.region_memory import RegionMemory
from hintseg.training.objective import TERMS, TermInputs

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_example_of_a_new_loss_runs():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.S)
    names: dict = {}
    exec(blocks[0], names)
    terms = eval("{" + blocks[1] + "}", names)
    assert not set(terms) & set(TERMS)
    logits = torch.zeros(1, 4, 2, 2)
    inputs = TermInputs(PixelMaps(logits, logits), *[torch.zeros(1)] * 7, "average", None, RegionMemory(4))
    assert float(terms["confidence"](inputs)) == pytest.approx(0.75)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_documented_commands_and_options_exist(page):
    import typer

    commands = typer.main.get_command(app).commands
    options = {
        name: {flag for option in command.params for flag in option.opts + option.secondary_opts}
        for name, command in commands.items()
    }
    for block in re.findall(r"```(?:bash|console|sh)\n(.*?)```", page.read_text("utf-8"), re.S):
        for verb, rest in re.findall(r"^hintseg (\S+)(.*)$", block.replace("\\\n", " "), re.M):
            assert verb in commands, f"{page}: hintseg {verb}"
            for flag in re.findall(r"\s(--[a-z-]+)", rest.split("#")[0]):
                assert flag in options[verb], f"{page}: hintseg {verb} {flag}"
