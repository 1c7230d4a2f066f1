"""The hint tables of a folder that other programs write, too."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hintseg.apps.studio.changes import Change
from hintseg.apps.studio.drawn import TABLES, Rows
from hintseg.apps.studio.kept import keep_file
from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import read_table, table_path
from hintseg.hints.labels import UNLABELED
from hintseg.hints.names import plain_name
from hintseg.hints.types.registry import HINT_TYPES, with_label_maps, with_tables

CLASS_OF = {"scribbles": 0, "points": -1, "boxes": -1}  # place of the class in a table's row
NUMBERED = (*TABLES, "verified_classes")  # tables whose rows name or number classes
Marks = tuple[tuple[int, ...], ...]


def rows_of(dataset: Dataset, key: str) -> Rows:
    """Table → what it holds of one image; InputError where one cannot be read."""
    return {name: dataset.tables[name].get(key, []) for name in TABLES}


def stage_rows(root: Path, key: str, rows: Rows, change: Change) -> None:
    """Let a change write the tables that hold something else of an image.

    Raises:
        InputError: a table cannot be read.
        RunError: it cannot be written.
    """
    for name in TABLES:
        table = read_table(root / f"{name}.json")  # anew: others write it, too
        if table.get(key, []) != rows[name]:
            table.pop(key, None)
            change.write_table(root, name, table | ({key: rows[name]} if rows[name] else {}))


def types_by_image(dataset: Dataset) -> dict[str, list[str]]:
    """Key → its hint types, of all images."""
    named = dataset.hint_keys()
    return {key: [name for name in HINT_TYPES if key in named[name]] for key in dataset.keys(None)}


def hinted_keys(
    dataset: Dataset, among: frozenset[str] | None = None, types: Collection[str] = tuple(HINT_TYPES)
) -> set[str]:
    """Keys with a hint, which an empty list or an empty label map is not; what cannot be read counts as one.

    Args:
        among: only these; None: all, also of images that are gone.
        types: hint types that count.
    """
    named = dataset.hint_keys()
    listed = frozenset[str]().union(*(named[name] for name in types))
    rows = cache(lambda: [read_table(dataset.root / f"{name}.json") for name in with_tables() if name in types])

    def is_hinted(key: str) -> bool:
        if key in dataset.paths:
            try:
                return bool(dataset.hints(key, types, maps=False).types() or dataset.hints(key, types).types())
            except InputError:
                pass
        if any(table.get(key) for table in rows()):
            return True
        paths = (dataset.label_path(folder, key) for folder in with_label_maps() if folder in types)
        return any(path is not None and _is_drawn(dataset, path) for path in paths)

    return set(filter(is_hinted, listed if among is None else listed & among))


def _is_drawn(dataset: Dataset, path: Path) -> bool:
    """Whether a label map whose image is not at hand says anything; so does one that cannot be read."""
    try:
        values = dataset.coding.read(path, dataset.classes)
        return bool((dataset.coding.decode(values, dense=False, path=path) < UNLABELED).any())
    except InputError:
        return True


def stage_nothing_known(root: Path, keys: Iterable[str], change: Change, *, hinted: bool = False) -> None:
    """Of images that lose their hints nothing is known any more, not that verified classes are absent.

    Args:
        hinted: whether they have other hints, so that all classes that these do not name would count as absent.

    Raises:
        InputError: verified_classes.json cannot be read.
        RunError: it cannot be written; a copy of what it was is in studio/kept/tables.
    """
    table = read_table(root / "verified_classes.json")
    emptied: dict[str, list[Any]] = {key: [] for key in keys if hinted or table.get(key)}
    if emptied:
        if (path := table_path(root, "verified_classes")).exists():
            keep_file(root, path, "tables")
        change.write_table(root, "verified_classes", table | emptied)


def by_number(rows: Rows, classes: Sequence[str]) -> Rows:
    """The same rows with the numbers of classes that they name, so that a name's change leaves them what they are."""
    labels = {plain_name(name): label for label, name in enumerate(classes)}
    return {name: [with_names(name, row, labels) for row in found] for name, found in rows.items()}


def with_names(name: str, row: Any, new: Mapping[str, int | str]) -> Any:
    """A row of a table with what its class's name, made plain, is replaced by; itself where it names none of them."""
    try:
        value = row[CLASS_OF[name]] if name in CLASS_OF else row
    except (LookupError, TypeError):  # no row at all, which reading it says
        return row
    if not isinstance(value, str) or plain_name(value) not in new:
        return row
    return numbered(name, row, new[plain_name(value)])


def numbered(name: str, row: Any, label: int | str) -> Any:
    """A row of a table with another class, by number or name."""
    if name not in CLASS_OF:
        return label
    changed = list(row)
    changed[CLASS_OF[name]] = label
    return changed


def mark(path: Path) -> tuple[int, ...]:
    """Changes when another program writes a file or a folder's entries."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
