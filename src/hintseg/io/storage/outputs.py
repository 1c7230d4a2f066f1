"""What hintseg made, and what an output must not write over.

Masks, probabilities, images and shards carry `MARK`, in a field of their format that names the software. A file
without it is somebody's own, or was edited by another program since: it is never written over. Since some programs keep
the field, label maps hold a checksum of their pixels in it, too. A folder of outputs holds `MADE_BY`, a run folder
`run.json`; both are left out where a folder round them is read.
"""

import hashlib
import os
import re
import tempfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError, RunError
from hintseg.io.images import read_labels
from hintseg.io.listing import MADE_BY as MADE_BY
from hintseg.io.locking import holding
from hintseg.io.pillow import is_tiff
from hintseg.io.rasters import ends_early
from hintseg.io.reading import json_object
from hintseg.io.storage.addresses import is_remote, local_path
from hintseg.io.storage.files import below, exists, local_file, read_ends
from hintseg.io.writing import write_text

MARK = "made by hintseg"
ENDS = 8192  # bytes at either end of a file among which the mark is
PNG_END = b"IEND\xaeB`\x82"


def marked(labels: NDArray[np.uint8], source: str = "") -> str:
    """What a label map says made it: `MARK`, the mark of the image it was made of, and a checksum of its pixels."""
    return f"{MARK}{source and ', source '}{source}, pixels {zlib.crc32(np.ascontiguousarray(labels).data):08x}"


def is_made_here(address: str) -> bool:
    """Whether hintseg made a file, and nobody has saved it anew since.

    Raises:
        InputError: the store cannot be reached.
    """
    ends = read_ends(address, ENDS)
    told = re.search(rb"%b(?:, source [0-9a-f]+)?(, pixels [0-9a-f]{8})" % MARK.encode(), ends)
    if MARK.encode() not in ends or told is None or is_cut(ends):
        return MARK.encode() in ends or not ends.strip(b"\0")
    try:
        with local_file(address) as path:
            return is_cut_tiff(path) or marked(read_labels(path)).encode().endswith(told[1])
    except InputError:  # no label map any more
        return False


def is_cut_tiff(path: Path) -> bool:
    """Whether a TIFF ends before its pixels do."""
    return is_tiff(path) and ends_early(path)


def is_cut(ends: bytes) -> bool:
    """Whether a file is empty, zeros alone, or a PNG without its end, as power cuts and bad copies leave them.

    Args:
        ends: its first and last bytes.
    """
    return not ends.strip(b"\0") or (ends.startswith(b"\x89PNG") and PNG_END not in ends)


@contextmanager
def sole_writer(folder: str) -> Iterator[None]:
    """Keep other processes of this machine out of a folder of outputs, whether it is there yet or not.

    Nobody watches a folder at a URL.

    Raises:
        RunError: another one writes there.
    """
    if is_remote(folder):
        yield
        return
    place = Path(tempfile.gettempdir()) / f"hintseg-locks-{os.getuid() if hasattr(os, 'getuid') else 'all'}"
    name = hashlib.sha256(os.path.realpath(local_path(folder)).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(place / name, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError:  # no place for locks
        yield
        return
    with holding(handle, f"{folder}: another hintseg process writes there; wait for it, or choose another --out."):
        yield


def require_apart(folder: str, sources: Iterable[str | Path]) -> None:
    """Refuse an output folder in which sources lie, by whatever path, link or case they are reached: RunError."""
    own = identity(folder)
    for parent, source in {_parent(source): source for source in sources}.items():
        if own is not None and own == identity(parent):
            raise RunError(
                f"{folder}: is where {source} lies, so that outputs would mix with sources; choose a folder of its own."
            )


def require_outside(folder: str, parts: Iterable[str]) -> None:
    """Refuse an output folder that is, or lies in, one from which hints and masks are read: RunError."""
    for part in parts:
        if _lies_in(folder, part):
            raise RunError(f"{folder}: lies in {part}, which is part of the data set; choose a folder of its own.")


def require_no_part(folder: str, told: bool = True) -> None:
    """Refuse a data set, and what is read of one, as a folder of outputs.

    Args:
        told: whether the folder will say that it is one of outputs, so that a new one among the images is left out.

    Raises:
        RunError: it is one, lies in its masks, scribbles or contours, or holds images of it.
    """
    if is_remote(folder):
        return
    own = local_path(folder).resolve()
    for base in (own, *own.parents):
        if (base / "dataset.json").is_file() and (base / "images").is_dir():
            if own == base:
                raise RunError(f"{folder}: is a data set; choose a folder of its own, such as {folder}/predicted.")
            require_outside(folder, [str(base / part) for part in ("masks", "scribbles", "contours")])
            new = told and ((own / MADE_BY).exists() or not own.is_dir() or not any(own.iterdir()))
            if own == base / "images" or (own.is_relative_to(base / "images") and not new):
                raise RunError(f"{folder}: lies among the images of a data set; choose a folder of its own.")


def require_no_run(folder: str) -> None:
    """Refuse a run folder as one of other outputs: RunError."""
    if exists(below(folder, "run.json")):
        raise RunError(f"{folder}: is a run folder; choose a folder of its own, such as {below(folder, 'predicted')}.")


def require_place(folder: str, sources: Iterable[str | Path]) -> None:
    """Refuse a folder in which masks would mix with a data set, a run, or the images they are made of: RunError."""
    require_no_part(folder)
    require_no_run(folder)
    require_apart(folder, sources)


def require_replaceable(target: str, overwrite: bool, sources: Collection[object] = ()) -> None:
    """Refuse to write where something is: sources always, what hintseg did not make always, the rest unless asked.

    Args:
        target: where something is, or a local path where nothing need be.
        sources: what is read, as `identity` has it.

    Raises:
        RunError: it must not be written over.
    """
    own = identity(target)
    if own is None:
        return
    if own in sources:
        raise RunError(f"{target}: is itself read here and is not written over; choose another --out.")
    if not is_remote(target) and not local_path(target).is_file():
        raise RunError(f"{target}: is no ordinary file and is not written over; choose another --out.")
    if not is_made_here(target):
        raise RunError(
            f"{target}: was not made by hintseg, or edited since, and is not written over; choose another --out."
        )
    if not overwrite:
        raise RunError(
            f"{target}: is there already; add --overwrite to replace it, go on with it by --resume where there is "
            "one, or choose another --out."
        )


def claim_folder(folder: Path, *known: str) -> None:
    """Make a folder hintseg's own; one that holds something must have been that before.

    Args:
        known: names of files by one of which it is told, too.

    Raises:
        RunError: it holds something else, is part of a data set, or cannot be written.
    """
    require_no_part(str(folder))
    if "run.json" not in known:
        require_no_run(str(folder))
    told = any((folder / name).exists() for name in known)
    if (folder / MADE_BY).exists():
        if "maker" in json_object(folder / MADE_BY) and not told:
            raise RunError(f"{folder}: holds masks, and may hold other files; choose a new folder.")
        return
    held = folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())
    if (held and not told) or (folder.exists() and not folder.is_dir()):
        raise RunError(f"{folder}: holds files that hintseg did not make here; choose a new folder.")
    write_text(folder / MADE_BY, "{}")


def _lies_in(folder: str, part: str) -> bool:
    if is_remote(folder) or is_remote(part):
        return f"{folder.rstrip('/')}/".startswith(f"{part.rstrip('/')}/")
    own, whole = local_path(folder).resolve(), local_path(part).resolve()
    known = identity(whole)  # by which another case of the letters is noticed
    return own.is_relative_to(whole) or (known is not None and known in map(identity, (own, *own.parents)))


def _parent(source: str | Path) -> str:
    return str(source).rpartition("/")[0] if is_remote(source) else os.path.dirname(local_path(source).absolute())


def identity(address: str | Path) -> object:
    """The same of every path, link and case that leads to one file or folder; None where a local path holds nothing."""
    if is_remote(address):
        return str(address).rstrip("/")
    path = local_path(address)
    try:
        state = path.stat() if path.exists() else path.lstat()
    except OSError:
        return None
    return state.st_dev, state.st_ino
