"""Run a notebook from its first cell to its last and keep what it shows: examples/run_notebook.py NOTEBOOK."""

import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

WIDTH = 480  # pixels of a kept picture, at most


def run(cells: list[dict[str, Any]], name: str) -> None:
    """Execute the code of notebook cells in the current folder; each gets its printed text and its last value."""
    names: dict[str, Any] = {}
    count = 0
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        count += 1
        tree = ast.parse("".join(cell["source"]), name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(tree, name, "exec"), names)
            value = None if last is None else eval(compile(ast.Expression(last.value), name, "eval"), names)
        cell["execution_count"], cell["outputs"] = count, list(_outputs(printed.getvalue(), value, count))


def _outputs(printed: str, value: object, count: int) -> Any:
    if printed:
        yield {"name": "stdout", "output_type": "stream", "text": printed.splitlines(keepends=True)}
    if value is not None:
        data: dict[str, Any] = {"text/plain": [repr(value)]}
        if isinstance(value, Image.Image):
            value.thumbnail((WIDTH, WIDTH))
            held = io.BytesIO()
            value.save(held, "JPEG", quality=85)
            data = {"image/jpeg": base64.b64encode(held.getvalue()).decode(), "text/plain": [f"image of {value.size}"]}
        yield {"data": data, "execution_count": count, "metadata": {}, "output_type": "execute_result"}


if __name__ == "__main__":
    path = Path(sys.argv[1]).resolve()
    notebook = json.loads(path.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run(notebook["cells"], path.name)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")
