"""Taking what was read into the project: all of it or nothing, and nothing of the user's unasked."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hintseg.apps.studio.changes import Change, changing
from hintseg.apps.studio.class_names import checked_names
from hintseg.apps.studio.class_table import FOLDERS, require_placed
from hintseg.apps.studio.conflict import ConflictError
from hintseg.apps.studio.drawn import in_pixel
from hintseg.apps.studio.importing.reading import Read
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.tables import CLASS_OF, NUMBERED, hinted_keys, numbered
from hintseg.errors import InputError
from hintseg.hints.coding import LabelCoding, parse_coding
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import read_description, read_table, write_description
from hintseg.io.images import read_image_size, write_labels
from hintseg.io.writing import link_or_copy

Existing = Literal["keep", "replace"]
EDGE = 0.1  # pixels that a vertex keeps from the right and lower edges, on which it would lie outside


def take(project: Project, read: Read, existing: Existing, version: str) -> dict[str, Any]:
    """Bring annotations into the project.

    Args:
        existing: what becomes of an image that has hints or a mask already: "keep" leaves it as it is, "replace" takes
            the imported ones instead.
        version: of what the project holds of these images, as `Read.version`.

    Returns:
        images taken, images kept, where copies of changed files lie (None: nothing was changed), and the import's
        background where it is not the project's.

    Raises:
        ConflictError: the project is another one by now.
        InputError: too many classes, or the project got an image of the name of a new one.
        RunError: a folder is a link or cannot be written.
    """
    with project.locked() as dataset:
        if taken := read.taken(project):
            raise InputError(f"{taken[0]}: the project has an image of this name by now; read the files again.")
        if version != read.version(project):
            raise ConflictError("the project was changed elsewhere since the import was read.", read.report(project))
        hinted = set(read.hinted(project))
        keys = {key: own for key, own in read.keys.items() if existing != "keep" or own not in hinted}
        known, added = read.labels(project), read.added(project)
        named = [*zip(project.identifiers, dataset.classes, strict=True), *((None, name) for name in added)]
        names = checked_names(named, project.identifiers)
        require_placed(dataset, names)
        labels = [
            known[label] if label in known else names.index(name) for label, name in enumerate(read.dataset.classes)
        ]
        with changing(project.root, "imports") as change:
            stays = bool(hinted_keys(dataset) - set(keys.values()))
            coding, rest = _stage_description(dataset, read, names, labels, stays, change)
            plan = _Plan(dataset, read, keys, labels, rest, coding, change)
            _stage_images(plan)
            for name in NUMBERED:
                _stage_table(plan, name)
            _stage_label_maps(plan)
    copied = (project.root / change.copies).is_dir()
    return {
        "taken": len(keys), "kept": len(read.keys) - len(keys), "keys": sorted(keys.values()),
        "copy": change.copies if copied else None, "not_background": None if rest is None else names[rest],
    }  # fmt: skip


class _Plan(NamedTuple):
    """What goes where.

    Attributes:
        dataset: the project's.
        read: what is imported.
        keys: imported key → the project's.
        labels: the project's label by imported label.
        rest: label of the import's background where it is not the project's.
        coding: of the project's label maps from now on.
    """

    dataset: Dataset
    read: Read
    keys: Mapping[str, str]
    labels: Sequence[int]
    rest: int | None
    coding: LabelCoding
    change: Change


def _stage_description(
    dataset: Dataset, read: Read, names: list[str], labels: Sequence[int], stays: bool, change: Change
) -> tuple[LabelCoding, int | None]:
    """dataset.json with the classes that come in, where it changes; the import's background if it is not the project's.

    Args:
        stays: whether images keep hints of their own, which another background would give another meaning.
    """
    path, background = dataset.root / "dataset.json", dataset.background
    content: dict[str, Any] = read_description(path) if path.exists() else {"ignore_index": dataset.ignore_index}
    coding = LabelCoding(len(names), **parse_coding(content, len(names), path))
    rest = None if read.dataset.background is None else labels[read.dataset.background]
    background = rest if background is None and not stays else background
    changed = {"classes": names, "background": background, "tags_exhaustive": dataset.tags_exhaustive}
    if not path.exists() or (names, background) != (list(dataset.classes), dataset.background):
        write_description(change.staged, content | changed)
    return coding, None if rest == background else rest


def _stage_images(plan: _Plan) -> None:
    for key, own in plan.keys.items():
        if own in plan.read.new:
            path = plan.read.dataset.path(key)
            link_or_copy(path, plan.change.staged / "images" / f"{own}{path.suffix}")


def _stage_table(plan: _Plan, name: str) -> None:
    own = read_table(plan.dataset.root / f"{name}.json")
    taken = set(plan.keys.values())
    table = {key: rows for key, rows in own.items() if key not in taken}
    for key, rows in read_table(plan.read.dataset.root / f"{name}.json").items():
        if key in plan.keys:
            size = read_image_size(plan.read.dataset.path(key))
            table[plan.keys[key]] = [_row(name, row, plan.labels, size) for row in rows]
    if name == "verified_classes":
        table = _unverified(plan) | table
    if table != own:
        plan.change.write_table(plan.dataset.root, name, table)


def _unverified(plan: _Plan) -> dict[str, list[int]]:
    """Rows of verified_classes.json: nobody verified imported classes in the project's images, nor its in the others.

    An image without a hint gets none: of it nothing is known. The import's background needed no hint to be there.
    """
    if not plan.dataset.tags_exhaustive:
        return {}
    own, theirs = set(range(len(plan.dataset.classes))), set(plan.labels) - {plan.rest}
    rows = dict.fromkeys(hinted_keys(plan.dataset) - set(plan.keys.values()), own)
    rows |= {plan.keys[key]: theirs for key in hinted_keys(plan.read.dataset) & plan.keys.keys()}
    return {key: sorted(labels) for key, labels in sorted(rows.items()) if labels != own | set(plan.labels)}


def _row(name: str, row: Any, labels: Sequence[int], size: tuple[int, int]) -> Any:
    """A row with the project's class, and places that the page can send back."""
    found = numbered(name, row, labels[row[CLASS_OF[name]] if name in CLASS_OF else row])
    if name == "points":
        found[:2] = _inside(found[:2], size)
    elif name == "scribbles":
        found[1:] = [[_inside(place, size) for place in found[1]], *(round(width) for width in found[2:])]
    return found


def _inside(place: Sequence[float], size: tuple[int, int]) -> list[float]:
    return [min(in_pixel(at), end - EDGE) for at, end in zip(place, size[::-1], strict=True)]


def _stage_label_maps(plan: _Plan) -> None:
    table = np.arange(256, dtype=np.uint8)
    table[: len(plan.labels)] = plan.labels
    for key, own in plan.keys.items():
        for folder in FOLDERS:
            before = plan.dataset.label_path(folder, own) if own in plan.dataset.paths else None
            target, labels = f"{folder}/{own}.png", _label_map(plan.read.dataset, folder, key)
            if labels is not None:
                write_labels(plan.change.staged / target, plan.coding.encode(table[labels]), quickly=True)
            if before is not None and (labels is None or before != plan.dataset.root / target):
                plan.change.removed.append(before.relative_to(plan.dataset.root).as_posix())


def _label_map(dataset: Dataset, folder: str, key: str) -> NDArray[np.uint8] | None:
    if folder == "masks":
        return dataset.mask(key)
    found = dataset.hints(key, (folder,)).scribble_map
    return None if found is None else found.labels
