"""Hints that could not be saved because others came first: copies in studio/kept, until what they hold is saved."""

import glob
import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from hintseg.apps.studio.drawn import TABLES, DrawnHints, version_of
from hintseg.apps.studio.links import writable
from hintseg.errors import InputError, RunError
from hintseg.hints.dataset import Dataset
from hintseg.io.images import read_image_size
from hintseg.io.listing import require_no_pipe
from hintseg.io.reading import read_json
from hintseg.io.writing import atomic_path, write_text

NAME = 40  # characters of an image's name in that of a copy; file systems take 255 bytes


def keep(root: Path, key: str, drawn: DrawnHints, names: dict[str, str]) -> str:
    """Write a copy of what was refused.

    Args:
        names: identifier → class name, for people who read the file.

    Returns:
        The copy's name.

    Raises:
        RunError: it cannot be written.
    """
    drop_held(root, key, drawn)
    return _write(root, key, drawn, names)


def keep_outside(dataset: Dataset, key: str, drawn: DrawnHints, names: dict[str, str]) -> None:
    """Write a copy of what was drawn on an earlier file of an image, where it leaves that image now.

    Raises:
        InputError: no such image, or it cannot be read.
        RunError: it cannot be written.
    """
    height, width = read_image_size(dataset.path(key))
    if drawn.leaves(width, height):
        _write(dataset.root, key, drawn, names, "outside")


def _write(root: Path, key: str, drawn: DrawnHints, names: dict[str, str], *below: str) -> str:
    name = f"{version_of(key)}-{version_of(drawn.model_dump())}.json"
    content = {
        "image": key, "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "classes": {one: names.get(one) for one in sorted(drawn.identifiers())}, "hints": drawn.model_dump(),
    }  # fmt: skip
    write_text(writable(root, "studio", "kept", *below, name), json.dumps(content, ensure_ascii=False, indent=1))
    return name


def kept(root: Path, key: str) -> list[dict[str, Any]]:
    """Copies of one image: name, time and hints, oldest first."""
    found = []
    for path in (root / "studio" / "kept").glob(f"{version_of(key)}-*.json"):
        with suppress(InputError, KeyError, TypeError, ValidationError):
            content = read_json(path)
            hints = DrawnHints.model_validate(content["hints"])
            found.append({"name": path.name, "time": str(content["time"]), "hints": hints.model_dump()})
    return sorted(found, key=lambda copy: (copy["time"], copy["name"]))


def drop(root: Path, key: str, name: str) -> None:
    """Delete one copy of an image; one that is gone already is no error.

    Raises:
        RunError: it lies behind a link.
    """
    if name in {copy["name"] for copy in kept(root, key)}:
        writable(root, "studio", "kept", name).unlink(missing_ok=True)


def drop_held(root: Path, key: str, drawn: DrawnHints) -> None:
    """Delete the copies whose every hint is among these.

    Raises:
        RunError: they lie behind a link.
    """
    for copy in kept(root, key):
        if drawn.holds(DrawnHints.model_validate(copy["hints"])):
            drop(root, key, copy["name"])


class Unshown(NamedTuple):
    """What the files hold of an image's hints and the page does not show, so that its next save leaves it out.

    Attributes:
        anything: parts of hints that leave the image, or what follows.
        classes: whole hints, whose classes may be in the image all the same.
    """

    anything: bool
    classes: bool


def unshown(dataset: Dataset, key: str) -> Unshown:
    """Look into the files for what a page leaves out."""
    try:
        hints = dataset.hints(key, TABLES)
    except InputError:
        return Unshown(anything=True, classes=True)
    return Unshown(bool(hints.corrections), bool(hints.outside))


def keep_file(root: Path, path: Path, folder: str = "masks") -> None:
    """Copy a file that is about to be replaced or withdrawn into a folder below studio/kept.

    Raises:
        InputError: it is a pipe.
        RunError: it cannot be read or written.
    """
    require_no_pipe(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: cannot be copied ({error.strerror}); mend it, or move it elsewhere.") from error
    name = f"{_stem(root, path)}-{hashlib.sha256(content).hexdigest()[:16]}{path.suffix}"
    copy = writable(root, "studio", "kept", folder, name)
    if not copy.exists():
        with atomic_path(copy) as temporary:
            temporary.write_bytes(content)


def has_kept_mask(root: Path, path: Path) -> bool:
    """Whether a copy of an earlier content of a mask is kept."""
    return any((root / "studio" / "kept" / "masks").glob(f"{glob.escape(_stem(root, path))}-*"))


def _stem(root: Path, path: Path) -> str:
    """Of its copies: the name for people, then which file it is."""
    return f"{path.stem[:NAME]}-{version_of(path.relative_to(root).as_posix())}"
