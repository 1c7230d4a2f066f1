"""dataset.json and the hint tables: JSON read with errors that name file, image and value."""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from hintseg.errors import InputError
from hintseg.hints.coding import parse_coding
from hintseg.hints.label_maps import list_label_maps
from hintseg.hints.labels import IGNORE_INDEX, MAX_CLASSES, UNLABELED
from hintseg.hints.layout import EARLIER_FILES, FILES, FOLDERS
from hintseg.hints.misspelt import misspelt
from hintseg.hints.names import plain_name, require_names
from hintseg.hints.types.hint_type import LARGEST
from hintseg.hints.types.registry import HINT_TYPES, with_label_maps, with_tables
from hintseg.io.images import read_labels
from hintseg.io.listing import MADE_BY, composed
from hintseg.io.reading import read_json
from hintseg.io.samples import BandSelection
from hintseg.io.writing import write_text

# Data sets outlive programs: what earlier ones wrote is read for good.
EARLIER = {"void": "ignore_index", "unlabelled": "unlabeled", "tags_complete": "tags_exhaustive"}
ENTRIES = (
    "classes", "background", "ignore_index", "unlabeled", "first_label", "tags_exhaustive", "bands", "range",
)  # fmt: skip


def table_path(root: Path, name: str) -> Path:
    """ROOT/NAME.json, or the file of its earlier name where there is only that; InputError where there are both."""
    path, earlier = root / f"{name}.json", root / EARLIER_FILES.get(f"{name}.json", "")
    if not earlier.is_file():
        return path
    if path.exists():
        raise InputError(f"{earlier}: is the earlier name of {path.name}, which is there, too; keep one of the two.")
    return earlier


def read_table(path: Path) -> dict[str, list[Any]]:
    """A hint table KEY → list, keys composed (NFC); empty where the file is absent, under an earlier name as well.

    Raises:
        InputError: of another shape.
    """
    path = table_path(path.parent, path.stem)
    if not path.exists():
        return {}
    table = read_json(path)
    if not isinstance(table, dict):
        raise InputError(f"{path}: must be an object that maps image names to lists.")
    found: dict[str, list[Any]] = {}
    for key, rows in table.items():
        if not isinstance(rows, list):
            raise InputError(f"{path}, image {key!r:.80}: must be a list but is {rows!r:.80}.")
        if found.setdefault(composed(key), rows) is not rows:
            raise InputError(
                f"{path}: image {key!r:.80} stands there twice, with accents stored in two ways; keep one."
            )
    return found


def read_description(path: Path) -> dict[str, Any]:
    """dataset.json with its entries under their present names.

    Raises:
        InputError: no object, or an entry stands there under both names.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be an object with the entry 'classes'.")
    for earlier, name in EARLIER.items():
        if earlier in content and name in content:
            raise InputError(f"{path}: {earlier!r} is the earlier name of {name!r}; keep one of the two.")
    return {EARLIER.get(str(name), str(name)): value for name, value in content.items()}


def write_description(root: Path, content: Mapping[str, Any]) -> None:
    """Write ROOT/dataset.json."""
    write_text(root / "dataset.json", json.dumps(content, indent=1, ensure_ascii=False))


def parse_description(path: Path) -> dict[str, Any]:
    """dataset.json as the arguments of `Dataset`.

    Raises:
        InputError: an entry is missing or invalid.
    """
    content = read_description(path)
    classes = content.get("classes")
    if not isinstance(classes, list) or not classes:
        raise InputError(f"{path}: 'classes' must be a list of names.")
    if len(classes) > MAX_CLASSES:
        raise InputError(f"{path}: {len(classes)} classes are more than the {MAX_CLASSES} a label map can hold.")
    require_names(classes, path)
    for entry in content.keys() - ENTRIES:
        if near := get_close_matches(entry, (*ENTRIES, *EARLIER), n=1, cutoff=0.85):
            meant = EARLIER.get(near[0], near[0])
            raise InputError(f"{path}: has no entry {entry!r:.80}; did you mean {meant!r}? Correct or remove it.")
    coding = parse_coding(content, len(classes), path)
    background = content.get("background")
    names = [plain_name(name) for name in classes]
    if isinstance(background, str) and plain_name(background) in names:
        background = names.index(plain_name(background))
    if background is not None and (
        not isinstance(background, int) or isinstance(background, bool) or not 0 <= background < len(classes)
    ):
        raise InputError(f"{path}: 'background' must be null, a class index or a class name but is {background!r:.80}.")
    complete = content.get("tags_exhaustive", True)
    if not isinstance(complete, bool):
        raise InputError(f"{path}: 'tags_exhaustive' must be true or false but is {complete!r:.80}.")
    return {
        "classes": tuple(classes), "background": background, "tags_exhaustive": complete,
        "view": parse_view(content, path), **coding,
    }  # fmt: skip


def parse_view(content: dict[str, Any], path: Path) -> BandSelection:
    """The entries 'bands' and 'range', both optional.

    Raises:
        InputError: one is invalid.
    """
    bands, limits = content.get("bands"), content.get("range")
    if bands is not None and not (
        isinstance(bands, list) and len(bands) in (1, 3) and all(type(band) is int and band >= 0 for band in bands)
    ):
        raise InputError(f"{path}: 'bands' must be one or three channel numbers from 0 but is {bands!r:.80}.")
    if limits is not None and not (
        isinstance(limits, list)
        and len(limits) == 2
        and all(type(limit) in (int, float) for limit in limits)
        and -LARGEST < limits[0] < limits[1] < LARGEST
    ):
        raise InputError(f"{path}: 'range' must be two numbers, the smaller first, but is {limits!r:.80}.")
    return BandSelection(tuple(bands or ()), None if limits is None else (float(limits[0]), float(limits[1])))


def hint_files(root: Path) -> dict[str, Path]:
    """Every file of a data set that says what its classes and hints are, by its name."""
    tables = [root / name for name in FILES]
    maps = [path for folder in FOLDERS for path in (root / folder).rglob("*")]
    maps = [path for path in maps if path.name == MADE_BY or not path.name.startswith(".")]
    return {path.relative_to(root).as_posix(): path for path in sorted([*tables, *maps]) if path.is_file()}


def classes_from_hints(root: Path) -> tuple[str, ...]:
    """Name classes "class 0", "class 1", … up to the largest index that any hint uses.

    Raises:
        InputError: a class that is no index, masks of 0 and 255 alone, or no hint at all.
    """
    largest, ignored = -1, None
    for name in with_tables():
        for key, rows in read_table(root / f"{name}.json").items():
            for row in rows:
                try:
                    value = HINT_TYPES[name].label_of(row)
                except (LookupError, TypeError):
                    value = None
                if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_CLASSES:
                    raise InputError(
                        f"{root / name}.json, image {key}: {value!r:.80} is no class index; "
                        "write a dataset.json with the class names."
                    )
                largest = max(largest, value)
    for name in with_label_maps():
        for path in list_label_maps(root / name).files.values():
            labels = read_labels(path)
            ignored = ignored or (path if name == "masks" and (labels == IGNORE_INDEX).any() else None)
            largest = max([largest, *np.unique(labels[labels < UNLABELED]).tolist()])
    if largest <= 0 and ignored:
        raise InputError(
            f"{root}: has no dataset.json, and its masks hold no values but 0 and 255 (ignored), such as {ignored}; "
            "these usually mean background (0) and object (255). Write a dataset.json: "
            '{"classes": ["background", "object"], "background": 0}, and 1 in place of 255; or name what 0 is, if 255 '
            "is to be ignored."
        )
    if largest < 0:
        said = "".join(f" {sentence}" for sentence in misspelt(root))
        raise InputError(f"{root}: has neither dataset.json nor any hint; name the classes in dataset.json.{said}")
    return tuple(f"class {index}" for index in range(largest + 1))
