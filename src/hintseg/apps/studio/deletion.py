"""Deleting a class: files number classes by position, so that all that follow it move up, in every file at once.

Every changed file is first written below studio/deleting; the file `ready` then says that the set is whole. From there
on files only move to their places, which whoever opens the project next goes on with: a crash leaves the old project or
the new one, never a mixture.
"""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hintseg.apps.studio.drawn import TABLES
from hintseg.apps.studio.links import writable
from hintseg.errors import InputError, RunError
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import read_json, read_table
from hintseg.hints.forms.registry import FORMS
from hintseg.hints.labels import UNLABELLED, VOID
from hintseg.io.images import write_labels
from hintseg.io.storage.outputs import MADE_BY
from hintseg.io.writing import write_text

FOLDER, READY = "deleting", "ready"
CLASS_OF = {"scribbles": 0, "points": -1, "boxes": -1}  # place of the class in a table's row
NUMBERED = (*TABLES, "looked_for")


class Uses(NamedTuple):
    """What a class is used for.

    Attributes:
        hints: strokes, points, boxes and ticks of it, and pictures of strokes that show it.
        images: that have any.
        masks: pictures in masks/ that show it.
    """

    hints: int
    images: int
    masks: int


def uses_of(dataset: Dataset, label: int) -> Uses:
    """Hints and label pictures of a class.

    Raises:
        InputError: a file cannot be read.
    """
    hints = 0
    keys: set[str] = set()
    for name in TABLES:
        for key, rows in read_table(dataset.root / f"{name}.json").items():
            found = sum(_label(dataset, name, row) == label for row in rows)
            hints, keys = hints + found, keys | ({key} if found else set())
    scribbles, masks = (
        [key for key in dataset.label_maps[folder].files if (_labels(dataset, folder, key) == label).any()]
        for folder in ("scribbles", "masks")
    )
    return Uses(hints + len(scribbles), len(keys.union(scribbles)), len(masks))


def delete_class(dataset: Dataset, label: int) -> str:
    """Take a class out of every file; returns the folder below the project that keeps what was there.

    Raises:
        InputError: it is the only class, or a file cannot be read or renumbered.
        RunError: a folder is a link or cannot be written.
    """
    root = dataset.root
    if len(dataset.classes) == 1:
        raise InputError("the only class cannot be deleted; rename it, or add another one first.")
    staged = writable(root, "studio", FOLDER, READY).parent
    shutil.rmtree(staged, ignore_errors=True)
    time = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    copies = f"studio/kept/classes/{time}-{label}"
    try:
        _stage(dataset, label, staged)
        for path in (path for path in staged.rglob("*") if path.is_file()):
            target = writable(root, *path.relative_to(staged).parts)
            if target.exists():
                kept = writable(root, *copies.split("/"), *path.relative_to(staged).parts)
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(target, kept)
        write_text(staged / READY, "every file is here")
    except OSError as error:
        raise RunError(f"{staged}: cannot be written ({error.strerror}); free some space.") from error
    finish_deletion(root)
    return copies


def finish_deletion(root: Path) -> None:
    """Move a whole set of changed files to their places, dataset.json last; forget one that is not whole.

    Raises:
        RunError: a folder is a link or cannot be written.
    """
    staged = root / "studio" / FOLDER
    if not staged.is_dir() or staged.is_symlink():
        return
    staged = writable(root, "studio", FOLDER, READY).parent
    if (staged / READY).exists():
        files = [path for path in staged.rglob("*") if path.is_file() and path.name != READY]
        for path in sorted(files, key=lambda path: path.name == "dataset.json"):
            target = writable(root, *path.relative_to(staged).parts)
            try:
                os.replace(path, target)
            except OSError as error:
                raise RunError(f"{target}: cannot be written ({error.strerror}).") from error
    shutil.rmtree(staged, ignore_errors=True)


def _stage(dataset: Dataset, label: int, staged: Path) -> None:
    for name in NUMBERED:
        path = dataset.root / f"{name}.json"
        if path.exists():
            table = {key: _without(dataset, name, rows, label) for key, rows in read_table(path).items()}
            left = {key: rows for key, rows in table.items() if rows or name == "looked_for"}
            write_text(staged / f"{name}.json", json.dumps(left, ensure_ascii=False))
    moved = np.arange(256, dtype=np.uint8)
    moved[label + 1 : len(dataset.classes)] -= 1
    names = [name for number, name in enumerate(dataset.classes) if number != label]
    for folder, gone in (("masks", VOID), ("scribbles", UNLABELLED)):
        moved[label] = gone
        if doubled := dataset.label_maps[folder].doubled:
            raise InputError(f"{doubled[0]}: is a second label map of its image; remove one of the two first.")
        _stage_record(dataset, folder, names, staged)
        for key, path in dataset.label_maps[folder].files.items():
            before = _labels(dataset, folder, key)
            labels = moved[before]
            if np.array_equal(labels, before):
                continue
            target = staged / path.relative_to(dataset.root)
            if target.suffix.lower() != ".png":
                raise InputError(
                    f"{path}: is no PNG, so that the studio cannot take a class out of it; convert it first."
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            write_labels(target, dataset.coding.encode(labels))
    path = dataset.root / "dataset.json"
    unsaid: dict[str, Any] = {"void": dataset.void, "tags_complete": dataset.tags_complete}
    content: dict[str, Any] = read_json(path) if path.exists() else unsaid
    background = dataset.background
    if background is not None:
        background = None if background == label else background - (background > label)
    write_text(
        staged / "dataset.json",
        json.dumps(content | {"classes": names, "background": background}, indent=1, ensure_ascii=False),
    )


def _stage_record(dataset: Dataset, folder: str, names: list[str], staged: Path) -> None:
    """What a folder of masks says of its classes, where it says those of the project."""
    path = dataset.root / folder / MADE_BY
    if path.exists():
        told = read_json(path)
        if told.get("classes") == list(dataset.classes):
            write_text(staged / folder / MADE_BY, json.dumps(told | {"classes": names}, ensure_ascii=False))


def _label(dataset: Dataset, name: str, row: Any) -> int:
    value = row[CLASS_OF[name]] if name in CLASS_OF else row
    return dataset.label(value, f"{name}.json")


def _without(dataset: Dataset, name: str, rows: list[Any], label: int) -> list[Any]:
    found = []
    for row in rows:
        number = _label(dataset, name, row)
        if number != label:
            number -= number > label
            found.append(_numbered(row, CLASS_OF[name], number) if name in CLASS_OF else number)
    return found


def _numbered(row: list[Any], place: int, number: int) -> list[Any]:
    changed = list(row)
    changed[place] = number
    return changed


def _labels(dataset: Dataset, folder: str, key: str) -> np.ndarray:
    """(H, W) uint8: classes, `UNLABELLED` or `VOID` of one label picture."""
    path = dataset.label_maps[folder].files[key]  # of an image that is gone, too
    return dataset.coding.decode(dataset.coding.read(path, dataset.classes), FORMS[folder].dense, path)
