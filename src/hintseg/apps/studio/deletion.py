"""Deleting a class: files number classes by position, so that all that follow it move up, in every file at once."""

from typing import Any, NamedTuple

import numpy as np

from hintseg.apps.studio.changes import Change, changing
from hintseg.apps.studio.class_table import stage_record
from hintseg.apps.studio.drawn import TABLES
from hintseg.apps.studio.tables import CLASS_OF, NUMBERED, numbered
from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import read_description, read_table, write_description
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.io.images import write_labels


class Uses(NamedTuple):
    """What a class is used for.

    Attributes:
        hints: strokes, points, boxes and ticks of it, and scribble maps that show it.
        images: that have any.
        masks: masks that show it.
        damaged: label maps that cannot be read, of whatever class; deleting one moves them to the copies.
    """

    hints: int
    images: int
    masks: int
    damaged: list[str]


def uses_of(dataset: Dataset, label: int) -> Uses:
    """Hints and label maps of a class.

    Raises:
        InputError: a file cannot be read.
    """
    hints = 0
    keys: set[str] = set()
    for name in TABLES:
        for key, rows in read_table(dataset.root / f"{name}.json").items():
            found = sum(_label(dataset, name, row) == label for row in rows)
            hints, keys = hints + found, keys | ({key} if found else set())
    damaged: list[str] = []
    showing: dict[str, list[str]] = {"scribbles": [], "masks": []}
    for folder, shown in showing.items():
        for key, path in dataset.label_maps[folder].files.items():
            if (labels := _labels(dataset, folder, key)) is None:
                damaged.append(path.relative_to(dataset.root).as_posix())
            elif (labels == label).any():
                shown.append(key)
    scribbles, masks = showing.values()
    return Uses(hints + len(scribbles), len(keys.union(scribbles)), len(masks), damaged)


def delete_class(dataset: Dataset, label: int) -> str:
    """Take a class out of every file; returns the folder below the project that keeps what was there.

    Raises:
        InputError: it is the only class, or a file cannot be read or renumbered.
        RunError: a folder is a link or cannot be written.
    """
    if len(dataset.classes) == 1:
        raise InputError("the only class cannot be deleted; rename it, or add another one first.")
    with changing(dataset.root, "classes") as change:
        _stage(dataset, label, change)
    return change.copies


def _stage(dataset: Dataset, label: int, change: Change) -> None:
    staged = change.staged
    tables = {name: read_table(dataset.root / f"{name}.json") for name in NUMBERED}
    left = {
        name: {key: _without(dataset, name, rows, label) for key, rows in table.items()}
        for name, table in tables.items()
    }
    losing = {key for name in TABLES for key, rows in tables[name].items() if len(left[name][key]) < len(rows)}
    moved = np.arange(256, dtype=np.uint8)
    moved[label + 1 : len(dataset.classes)] -= 1
    names = [name for number, name in enumerate(dataset.classes) if number != label]
    for folder, gone in (("masks", IGNORE_INDEX), ("scribbles", UNLABELED)):
        moved[label] = gone
        if doubled := dataset.label_maps[folder].doubled:
            raise InputError(f"{doubled[0]}: is a second label map of its image; remove one of the two first.")
        if broken := dataset.label_maps[folder].passed_over["broken link"]:
            raise InputError(
                f"{folder}/: {broken} label maps are links to files that are not there now, so no class can be taken "
                "out of them; bring the files back, or remove the links, first."
            )
        stage_record(dataset, folder, lambda told: _moved_up(told, label + dataset.first_label), change)
        for key, path in dataset.label_maps[folder].files.items():
            before = _labels(dataset, folder, key)
            if before is None:  # once mended, its values would be other classes
                change.removed.append(path.relative_to(dataset.root).as_posix())
                losing.add(key)
                continue
            labels = moved[before]
            if (before == label).any():
                losing.add(key)
            if np.array_equal(labels, before):
                continue
            target = staged / path.relative_to(dataset.root)
            if target.suffix.lower() != ".png":
                raise InputError(
                    f"{path}: is no PNG, so that the studio cannot take a class out of it; convert it first."
                )
            write_labels(target, dataset.coding.encode(labels))
    # The deleted class may still be there, and nobody says which one it is now.
    left["verified_classes"] |= {key: [] for key in sorted(losing)}
    for name, table in left.items():
        if tables[name] or table:
            kept = {key: rows for key, rows in table.items() if rows or name == "verified_classes"}
            change.write_table(dataset.root, name, kept)
    path = dataset.root / "dataset.json"
    unsaid: dict[str, Any] = {"ignore_index": dataset.ignore_index, "tags_exhaustive": dataset.tags_exhaustive}
    content: dict[str, Any] = read_description(path) if path.exists() else unsaid
    background = dataset.background
    if background is not None:
        background = None if background == label else background - (background > label)
    write_description(staged, content | {"classes": names, "background": background})


def _moved_up(told: list[Any], value: int) -> list[Any]:
    """Names by value, as the values are where one of them is gone."""
    return told[:value] + told[value + 1 :]


def _label(dataset: Dataset, name: str, row: Any) -> int:
    value = row[CLASS_OF[name]] if name in CLASS_OF else row
    return dataset.label(value, f"{name}.json")


def _without(dataset: Dataset, name: str, rows: list[Any], label: int) -> list[Any]:
    found = []
    for row in rows:
        number = _label(dataset, name, row)
        if number != label:
            number -= number > label
            found.append(numbered(name, row, number))
    return found


def _labels(dataset: Dataset, folder: str, key: str) -> np.ndarray | None:
    """(H, W) uint8: classes, `UNLABELED` or `IGNORE_INDEX` of one label map; None where it cannot be read."""
    path = dataset.label_maps[folder].files[key]  # of an image that is gone, too
    try:
        return dataset.coding.decode(dataset.coding.read(path, dataset.classes), HINT_TYPES[folder].dense, path)
    except InputError:
        return None
