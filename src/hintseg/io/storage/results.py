"""Results: evaluation, suggestions, neighbors as JSON, areas as CSV; one may replace another, and nothing else."""

import json
from pathlib import Path
from typing import Any

from hintseg.errors import RunError
from hintseg.io.storage.outputs import MADE_BY, require_no_part
from hintseg.io.writing import is_writable, write_text

# Entries by which a result, or each row of it, is told.
TOLD_BY = (
    {"confusion", "mean_iou"},
    {"uncertainty", "worth"},
    {"doubt", "worth"},
    {"similarity", "box"},
    {"row", "mean_iou"},
)
AREAS = "image,class,pixels,percent,square_metres"  # first line of a table of areas


def require_result(path: Path, overwrite: bool) -> None:
    """Refuse a path where something is that must not be written over, and one among the parts of a data set.

    Raises:
        RunError: it lies in a data set, or where nothing can be written, or something lies there that is no result, or
            one does and `overwrite` is not given.
    """
    require_no_part(str(path.parent))
    if not is_writable(path.parent):
        raise RunError(f"{path.parent}: cannot be written; choose another place with --out.")
    if not path.exists() and not path.is_symlink():
        return
    if not _is_result(path):
        raise RunError(f"{path}: was not made by hintseg and is not written over; choose another --out.")
    if not overwrite:
        raise RunError(f"{path}: is there already; add --overwrite to replace it, or choose another --out.")


def write_result(path: Path, content: Any, overwrite: bool) -> Path:
    """Write a result and return its path; RunError as of `require_result`."""
    require_result(path, overwrite)
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False))
    return path


def _is_result(path: Path) -> bool:
    try:
        text = path.read_text("utf-8") if path.is_file() else ""
        if text.partition("\n")[0] == AREAS:
            return True
        content = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return False
    rows = content if isinstance(content, list) else [content]
    if not rows:  # anybody's, unless it lies where only results do
        return any((path.parent / name).is_file() for name in (MADE_BY, "run.json"))
    return all(isinstance(row, dict) and any(told <= row.keys() for told in TOLD_BY) for row in rows)
