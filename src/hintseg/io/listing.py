"""Which files of a folder are images, and which were passed over."""

import logging
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from hintseg.errors import InputError

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".avif", ".jp2", ".ppm", ".pgm",
)  # fmt: skip
# Files that lie beside images and are none: georeferences, overviews, metadata, lists.
COMPANIONS = frozenset(
    (
        ".xml", ".tfw", ".jgw", ".jpw", ".pgw", ".wld", ".prj", ".ovr", ".msk", ".xmp", ".txt", ".json", ".jsonl",
        ".csv", ".tsv", ".md", ".html", ".yaml", ".yml", ".ini", ".db", ".log", ".npz", ".parquet",
    )
)  # fmt: skip
SYSTEM_FILES = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini"))


MADE_BY = ".made-by.json"  # lies in a folder of outputs
log = logging.getLogger(__name__)


class Listing(NamedTuple):
    """Files below a folder.

    Attributes:
        images: path below the folder → the file; sorted.
        passed_over: suffix (empty: none) → files that are neither images nor what usually lies beside them, and
            links that lead nowhere, under "broken link".
    """

    images: dict[str, Path]
    passed_over: Counter[str]


def list_images(folder: Path, out: Path | None = None) -> Listing:
    """Images below a folder; linked files and folders are followed, hidden ones and sub-folders of outputs left out.

    Args:
        out: a further folder to leave out.
    """
    images: dict[str, Path] = {}
    passed_over: Counter[str] = Counter()
    for path in _files(folder, frozenset(), out):
        if is_image_name(path.name):
            if path.is_file():
                images[path.relative_to(folder).as_posix()] = path
            else:
                passed_over["broken link" if path.is_symlink() and not path.exists() else "pipe or device"] += 1
        elif not is_companion(path.name):
            passed_over[path.suffix.lower()] += 1
    return Listing(dict(sorted(images.items())), passed_over)


def passed_over_sentence(
    folder: str | Path, passed_over: Counter[str], suffixes: Sequence[str] = IMAGE_SUFFIXES, what: str = "images"
) -> str:
    """What is said of files that were not read; empty where there are none.

    Args:
        suffixes: of files that are read.
        what: what these are called.
    """
    if not passed_over:
        return ""
    kinds = ", ".join(f"{number} {suffix or 'without suffix'}" for suffix, number in passed_over.most_common(8))
    return f"{folder}: {not_read(passed_over.total())} ({kinds}); {what} end in {', '.join(suffixes)}."


def not_read(count: int) -> str:
    """That so many files were not read."""
    return f"{count} {'files were' if count > 1 else 'file was'} not read"


def is_image_name(name: str) -> bool:
    """Whether a file of this name is read as an image; hidden files ("._a.jpg") are not."""
    path = PurePath(name)
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def is_companion(name: str) -> bool:
    """Whether a file usually lies beside images and is none."""
    path = PurePath(name)
    return path.name.startswith(".") or path.name.lower() in SYSTEM_FILES or path.suffix.lower() in COMPANIONS


def composed(name: str) -> str:
    """A file's name as every other system writes it: macOS takes letters with accents apart (NFD)."""
    return unicodedata.normalize("NFC", name)


def require_file(path: Path) -> None:
    """Refuse what would block or never end when it is read.

    Raises:
        InputError: absent, a folder, a pipe, a socket or a device.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "is a link that leads nowhere" if path.is_symlink() else "no such file"
        raise InputError(f"{path}: {what}.") from error
    except (OSError, ValueError) as error:  # a loop of links, a name too long, a zero byte
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise InputError(f"{path}: is {kind}, not a file; give a file.")


def require_no_pipe(path: Path) -> None:
    """`require_file` of a path that may be absent, where the caller says so better; what may not be read is undamaged.

    Raises:
        InputError: a folder, a pipe, a socket, a device, a link that leads nowhere, or a file that cannot be opened.
    """
    if not os.path.lexists(path):
        return
    require_file(path)
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); it may belong to another user.") from error


def _files(folder: Path, above: frozenset[tuple[int, int]], out: Path | None) -> Iterator[Path]:
    """Every file that is not hidden; a linked folder that holds itself is entered once."""
    try:
        state = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}).") from error
    here = (state.st_dev, state.st_ino)
    if here in above:
        return
    if above and (any(entry.name == MADE_BY for entry in entries) or (out is not None and _same(folder, out))):
        log.warning("%s: is left out; hintseg writes its masks there.", folder)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if or_false(entry.is_dir):
            yield from _files(Path(entry.path), above | {here}, out)
        else:
            yield Path(entry.path)


def or_false(look: Callable[[], bool]) -> bool:
    """What an entry of a folder says it is; a link that leads in circles is nothing."""
    try:
        return look()
    except OSError:
        return False


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)
