"""The class table in a project's folder, and what files say about the classes by name.

Hint tables may name classes instead of numbering them, and label maps that hintseg wrote say which class each value is:
a class that gets another name gets it there, too, in every file at once.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hintseg.apps.studio.changes import Change, changing
from hintseg.apps.studio.identifiers import remember
from hintseg.apps.studio.tables import NUMBERED, hinted_keys, with_names
from hintseg.errors import InputError
from hintseg.hints.coding import parse_coding
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import read_description, read_table, write_description
from hintseg.hints.label_maps import LabelMaps, misplaced
from hintseg.hints.names import is_unnamed, plain_name
from hintseg.io.class_list import KEY, with_classes
from hintseg.io.images import classes_of_label_map
from hintseg.io.reading import json_object
from hintseg.io.storage.outputs import MADE_BY

FOLDERS = ("masks", "scribbles")


def write_classes(
    dataset: Dataset, identifiers: Sequence[str], names: Sequence[str], background: int | None, complete: bool
) -> None:
    """Rename classes and add new ones; what else dataset.json says stays.

    Args:
        dataset: as it is on disk.
        identifiers: of its classes.
        names: of its classes, then of new ones.
        background: the background class.
        complete: `tags_exhaustive` of the folder format.

    Raises:
        InputError: a file cannot be read or rewritten, or masks would be those of other classes.
        RunError: a folder is a link or cannot be written.
    """
    path = dataset.root / "dataset.json"
    content = read_description(path) if path.exists() else {"ignore_index": dataset.ignore_index}
    parse_coding(content, len(names), path)  # before anything is written: a new class may have the ignored value
    content |= {"classes": names, "background": background, "tags_exhaustive": complete}
    require_placed(dataset, names)
    identifiers = (*identifiers, *(secrets.token_hex(4) for _ in names[len(identifiers) :]))
    former = dataset.background if background != dataset.background else None
    added = _unverified(dataset, len(names), former) if complete else {}
    if tuple(names[: len(dataset.classes)]) == dataset.classes and not added and former is None:
        _write(dataset.root, identifiers, names, content)
        return
    with changing(dataset.root) as change:
        _stage_tables(dataset, names, added, former, change)
        for folder in FOLDERS if tuple(names[: len(dataset.classes)]) != dataset.classes else ():
            _stage_label_maps(dataset, dataset.label_maps[folder], names, change)
            stage_record(dataset, folder, lambda told: _renamed(dataset, told, names), change)
        _write(change.staged, identifiers, names, content)


def require_placed(dataset: Dataset, names: Sequence[str]) -> None:
    """Refuse names that a folder's record has for other values, so that its masks could not be read: InputError."""
    for path in (dataset.root / folder / MADE_BY for folder in FOLDERS):
        told = _told(json_object(path))
        found = misplaced(_renamed(dataset, told, names), names, dataset.first_label)
        if found is not None and misplaced(told, dataset.classes, dataset.first_label) is None:
            raise InputError(
                f"{path}: {found[1]!r:.80} is another class there ({found[0]}), so that the masks could not be read; "
                "choose another name."
            )


def stage_record(dataset: Dataset, folder: str, changed: Callable[[list[Any]], list[Any]], change: Change) -> None:
    """Change what the record of a folder of masks says of their classes: names by value."""
    record = json_object(dataset.root / folder / MADE_BY)
    told = _told(record)
    if (after := changed(told)) != told:
        content = json.dumps(record | {"classes": after}, ensure_ascii=False)
        change.write(f"{folder}/{MADE_BY}", content.encode())


def _write(root: Path, identifiers: Sequence[str], names: Sequence[str], content: dict[str, Any]) -> None:
    remember(root, identifiers, names)
    write_description(root, content)


def _told(record: dict[str, Any]) -> list[Any]:
    told = record.get("classes")
    return told if isinstance(told, list) else []


def _renamed(dataset: Dataset, told: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """What a file says of its classes, by value, with the new names of those that it calls as the data set does."""
    found = list(told)
    for value, (before, after) in enumerate(zip(dataset.classes, names, strict=False), start=dataset.first_label):
        if before != after and value < len(found) and _plain(str(found[value])) == _plain(before):
            found[value] = after
    return found


def _plain(name: str) -> str:
    return plain_name(name).casefold()


def _unverified(dataset: Dataset, count: int, former: int | None) -> dict[str, list[int]]:
    """Rows of verified_classes.json: in images that have hints, nobody has verified new classes.

    Nor the former background, which needed no hint to be there.
    """
    known = [label for label in range(len(dataset.classes)) if label != former]
    if (count == len(dataset.classes) and former is None) or not dataset.classes:
        return {}
    return dict.fromkeys(sorted(hinted_keys(dataset)), known)


def _stage_tables(
    dataset: Dataset, names: Sequence[str], added: dict[str, list[int]], former: int | None, change: Change
) -> None:
    new = {plain_name(old): name for old, name in zip(dataset.classes, names, strict=False)}
    for name in NUMBERED:
        before = read_table(dataset.root / f"{name}.json")
        after = {key: [with_names(name, row, new) for row in rows] for key, rows in before.items()}
        if name == "verified_classes":
            unsaid = () if former is None else (former, names[former])
            after = added | {key: [row for row in rows if row not in unsaid] for key, rows in after.items()}
        if after != before:
            change.write_table(dataset.root, name, after)


def _stage_label_maps(dataset: Dataset, found: LabelMaps, names: Sequence[str], change: Change) -> None:
    for path in (*found.files.values(), *found.doubled):
        content = path.read_bytes()
        told = classes_of_label_map(path) if KEY.encode() in content else ()
        if is_unnamed(told) or (after := _renamed(dataset, told, names)) == list(told):
            continue
        if path.suffix.lower() != ".png":
            raise InputError(
                f"{path}: names the class itself and is no PNG, so that the studio cannot rename it there; convert it."
            )
        change.write(path.relative_to(dataset.root).as_posix(), with_classes(content, after))
