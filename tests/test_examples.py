"""The notebooks run from their first cell to their last, use public names alone, and show what they make."""

import ast
import importlib.util
import json
from pathlib import Path

import pytest

import hintseg

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def runner():
    spec = importlib.util.spec_from_file_location("run_notebook", EXAMPLES / "run_notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.run


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_and_shows_what_it_shows(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads(path.read_text("utf-8"))
    assert notebook["nbformat"] == 4
    kept = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    runner()(notebook["cells"], path.name)
    made = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [[sorted(one.get("data", {})) for one in cell] for cell in made] == [
        [sorted(one.get("data", {})) for one in cell] for cell in kept
    ]
    assert sum("image/jpeg" in one.get("data", {}) for cell in made for one in cell) == 4
    assert (tmp_path / "first-steps" / "run" / "weights.safetensors").exists()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_imports_public_names(path):
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            for node in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(node, ast.ImportFrom) and node.module.startswith("hintseg"):
                    assert node.module == "hintseg"
                    assert {alias.name for alias in node.names} <= set(dir(hintseg))
