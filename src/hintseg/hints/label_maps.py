"""Label images of a folder (masks/, scribbles/): which file belongs to which image."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hintseg.errors import InputError
from hintseg.hints.keys import without_suffix
from hintseg.io.listing import MADE_BY, composed, list_images, not_read, passed_over_sentence
from hintseg.io.reading import read_json

# Formats that keep every value, and GIF, which is refused by name; the first one is looked for first.
LABEL_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif")


class LabelMaps(NamedTuple):
    """Label images below a folder.

    Attributes:
        files: KEY → file.
        passed_over: suffix → files of a format that changes or cannot hold labels.
        doubled: files whose image has another image already.
    """

    files: dict[str, Path]
    passed_over: Counter[str]
    doubled: tuple[Path, ...]


def list_label_maps(folder: Path) -> LabelMaps:
    """Label maps below a folder, which may be absent; of two for one image the PNG counts."""
    if not folder.is_dir():
        return LabelMaps({}, Counter(), ())
    found, doubled = list_images(folder), []
    files: dict[str, Path] = {}
    passed_over = Counter(found.passed_over)
    for name, path in sorted(found.images.items(), key=lambda item: _order(item[1])):
        if path.suffix.lower() not in LABEL_SUFFIXES:
            passed_over[path.suffix.lower()] += 1
        elif files.setdefault(composed(without_suffix(name)), path) is not path:
            doubled.append(path)
    return LabelMaps(files, passed_over, tuple(doubled))


def broken_link(path: Path) -> Path | None:
    """A label map of this name, in any format, that is a link that leads nowhere."""
    named = (path.with_name(f"{path.stem}{suffix}") for suffix in LABEL_SUFFIXES)
    return next((one for one in named if one.is_symlink() and not one.exists()), None)


def require_own_values(folder: Path, classes: Sequence[str], first_label: int) -> None:
    """Refuse masks that came with their folder from a run that counts the classes in another way: InputError."""
    told = folder / MADE_BY
    if not os.path.lexists(told):
        return
    content = read_json(told)
    learned = content.get("classes") if isinstance(content, dict) else None
    found = misplaced(learned if isinstance(learned, list) else (), classes, first_label)
    if found is not None:
        label, name = found
        raise InputError(
            f"{folder}: holds masks that hintseg wrote for other classes or values ({name!r:.80} is {label} there, "
            f"but {classes.index(name) + first_label} here); import them with classes.txt, or write them with "
            f"the data set's own classes, or remove {told.name} if they were converted."
        )


def misplaced(told: Sequence[Any], classes: Sequence[str], first_label: int) -> tuple[int, str] | None:
    """The first value, and its name, of a list of classes by value that the data set has for another value."""
    pairs = enumerate(told)
    return next((one for one in pairs if one[1] in classes and classes.index(one[1]) + first_label != one[0]), None)


def require_size(path: Path, shape: tuple[int, ...], size: tuple[int, int]) -> None:
    """Refuse a label map of another size (height, width) than its image: InputError."""
    if shape != size:
        raise InputError(
            f"{path}: is {shape[1]}×{shape[0]} but its image is {size[1]}×{size[0]}; export it at the image's size."
        )


def passed_over_label_maps(folder: str, found: LabelMaps) -> list[str]:
    """Sentences about files that were not looked at."""
    said = []
    if found.passed_over:
        said.append(passed_over_sentence(f"{folder}/", found.passed_over, LABEL_SUFFIXES[:-1], "label maps"))
    if found.doubled:
        first = found.doubled[0].name
        said.append(f"{folder}/: {not_read(len(found.doubled))}, first {first!r}: its image has another label map.")
    return said


def _order(path: Path) -> tuple[int, bool, str]:
    suffix = path.suffix.lower()
    rank = LABEL_SUFFIXES.index(suffix) if suffix in LABEL_SUFFIXES else len(LABEL_SUFFIXES)
    return rank, path.suffix != suffix, str(path)
