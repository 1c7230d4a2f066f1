"""Writing a data set folder, and finding the parts of a benchmark that was unpacked somewhere."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.io.reading import lines_of
from hintseg.io.staging import holds_something
from hintseg.io.storage.addresses import local_path
from hintseg.io.storage.outputs import require_no_part
from hintseg.io.writing import link_or_copy, write_text


def find(root: Path, *candidates: str) -> Path | None:
    """The first candidate path below `root` that exists, or is a link that leads nowhere, of which reading says so."""
    return next((root / candidate for candidate in candidates if os.path.lexists(root / candidate)), None)


def required(root: Path, what: str, *candidates: str) -> Path:
    """`find` for what nothing can be done without; InputError, with what was looked for, where there is none."""
    found = find(root, *candidates)
    if found is None:
        raise InputError(f"{root}: {what} not found; looked for {', '.join(candidates)} in this folder.")
    return found


def read_lines(path: Path) -> list[str]:
    """First word of every line that is not empty."""
    return [line.split()[0] for line in lines_of(path) if line.strip()]


def require_empty(out: Path) -> None:
    """Refuse to write into a folder that holds something, or a part of a data set: InputError, RunError."""
    place = local_path(out)
    if (place.exists() or place.is_symlink()) and (not place.is_dir() or holds_something(place)):
        raise InputError(f"{out}: is not empty, or no folder; choose a new one.")
    require_no_part(str(out), told=False)


def write_folder(
    out: Path, classes: Sequence[str], background: int | None, images: Mapping[str, Path],
    splits: Mapping[str, Sequence[str]], tables: Mapping[str, Mapping[str, Sequence[Any]]],
) -> Dataset:  # fmt: skip
    """Images (hard links where the file system allows), splits, hint tables and dataset.json.

    Args:
        images: KEY → file.
        splits: name → keys.
        tables: "points", "boxes", … → KEY → rows; empty tables are left out.
    """
    for key, path in images.items():
        link_or_copy(path, out / "images" / f"{key}{path.suffix.lower()}")
    for name, keys in splits.items():
        write_text(out / f"{name}.txt", "".join(f"{key}\n" for key in keys))
    for name, table in tables.items():
        if table:
            write_text(out / f"{name}.json", json.dumps(table))
    dataset = Dataset(out, tuple(classes), background)
    dataset.save_description()
    return dataset
