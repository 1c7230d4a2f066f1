"""The notebooks run from their first cell to their last."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads(path.read_text("utf-8"))
    assert notebook["nbformat"] == 4
    sources = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    names: dict = {}
    for source in sources:
        exec(compile(source, path.name, "exec"), names)
        *_, last = source.splitlines()
        if last.startswith("Image.fromarray("):
            picture = eval(last, names)
            assert isinstance(picture, Image.Image)
            assert len(np.unique(np.asarray(picture))) > 50
    assert (tmp_path / "first-steps" / "run" / "weights.safetensors").exists()
