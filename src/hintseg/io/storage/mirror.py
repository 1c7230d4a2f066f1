"""Whole folders at an address, through copies on this machine.

HINTSEG_CACHE       folder of the copies; default ~/.cache/hintseg
HINTSEG_CACHE_GB    how large it may grow; the copies unused for longest leave first; default 50; a run that
                    is not copied out yet stays
"""

import hashlib
import json
import logging
import os
import re
import shutil
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from hintseg.distributed import first_process
from hintseg.errors import ConfigError, HintsegError, InputError, RunError
from hintseg.io.listing import MADE_BY
from hintseg.io.reading import json_object
from hintseg.io.storage.addresses import is_remote, local_path, require_openable
from hintseg.io.storage.files import (
    WEB,
    below,
    list_files,
    mark,
    mark_of,
    opened,
    require_writable,
    retry,
    upload,
)
from hintseg.io.writing import atomic_path, write_text

Progress = Callable[[str, int, int, dict[str, float]], None]
log = logging.getLogger(__name__)

PLACE, INDEX = re.compile("[0-9a-f]{20}"), re.compile(r"[0-9a-f]{32}\.faiss")  # names of what is made in the cache
STREAMS = 8
PUBLISH_EVERY = 60.0  # seconds between two copies of what a run wrote


def fetch(address: str | Path, progress: Progress | None = None) -> Path:
    """The local path of a file or folder: itself, or for a URL a copy in the cache, brought up to date.

    Args:
        progress: called with ("fetch", done, total, {}) for every file that is copied.

    Raises:
        InputError: it is absent, the store cannot be reached, or it is larger than the cache may be.
        ConfigError: no package is installed for the URL's scheme.
    """
    if not is_remote(address):
        return local_path(address)
    address = str(address).rstrip("/")
    system, path = opened(address)
    place = _place(address)
    name = Path(path).name or "root"
    found = retry(lambda: system.info(path), address)
    listed = list_files(address) if found["type"] != "file" or found.get("mimetype") == "text/html" else {}
    if address.startswith(WEB) and listed:
        listed = _looked_up(address, listed)
    if found["type"] == "file" and not listed:
        _bring(address.rpartition("/")[0], {name: mark(found)}, place)
    else:
        _bring(address, listed, place / name, progress)
    _make_room(place)
    return place / name


@contextmanager
def published(address: str | Path, every: float = PUBLISH_EVERY) -> Iterator[Path]:
    """A local folder whose files also appear at the address; for a local one the folder itself.

    What is there already is fetched first. New and changed files are copied out every minute and at the end, also
    after an error, so that little is lost with the machine. Of processes that train together the first one copies.

    Args:
        address: folder, or its URL.
        every: seconds between two copies.

    Raises:
        RunError: the store cannot be written, or is read-only.
        ConfigError: no package is installed for the URL's scheme.
    """
    if not is_remote(address):
        yield local_path(address)
        return
    address = str(address).rstrip("/")
    require_openable(address)
    require_writable(address)
    folder = _place(address) / (Path(address).name or "root")
    if not first_process():
        yield folder
        return
    _bring(address, list_files(address), folder)
    folder.mkdir(parents=True, exist_ok=True)
    copies, ended = _Copies(folder, address), threading.Event()
    sender = threading.Thread(target=copies.send_now_and_then, args=(every, ended), daemon=True)
    sender.start()
    try:
        yield folder
    finally:
        ended.set()
        sender.join()
        copies.send()
        _unsent(folder).unlink(missing_ok=True)


class _Copies:
    """What of a folder lies at its address, and what is still to be sent there."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self.sent = _sent_before(folder)
        self.checksums = {name: note.checksum for name, note in _read_notes(folder).items()}

    def send(self) -> None:
        """Copy new and changed files out."""
        before = dict(self.sent)
        for name, path in _publishable(self.folder):
            try:
                state = mark_of(path)
                if self.sent.get(name) != state:
                    self.checksums[name] = _checksum(path)
                    upload(path, below(self.address, name))
                    self.sent[name] = state
                    _write_json(_unsent(self.folder), self.sent)
            except FileNotFoundError:
                continue  # replaced or removed while we looked
        if self.sent != before:
            # So that the next process knows these copies for its own, and fetches none over what is newer here.
            there = list_files(self.address)
            notes = {name: _Note(mark, self.checksums.get(name, "")) for name, mark in there.items()}
            _write_notes(self.folder, notes)

    def send_now_and_then(self, every: float, ended: threading.Event) -> None:
        """`send` every so many seconds; what fails is tried again."""
        while not ended.wait(every):
            try:
                self.send()
            except HintsegError as error:
                log.warning("%s Tried again in %g s.", error, every)


def _sent_before(folder: Path) -> dict[str, str]:
    """Of every file that the address holds as it lies here, its mark; kept beside the folder until all are copied out.

    While it lies there the folder is not evicted, and what an earlier process could not copy out is copied out now.
    """
    here = {name: mark_of(path) for name, path in _publishable(folder)}
    if _unsent(folder).exists():
        before = json_object(_unsent(folder))
        sent = {name: mark for name, mark in here.items() if before.get(name) == mark}
    else:
        sent = {name: mark for name, mark in here.items() if name in _read_notes(folder)}
    _write_json(_unsent(folder), sent)
    return sent


def _publishable(folder: Path) -> Iterable[tuple[str, Path]]:
    """Whole files; not those still being written, locks, and caches that can be made again.

    A checkpoint comes last: whoever goes on with it finds all that was made before it.
    """
    for path in sorted(folder.rglob("*"), key=lambda path: (path.name == "checkpoint.pt", path)):
        name = path.relative_to(folder)
        is_own = path.name == MADE_BY or not path.name.startswith(".")
        if path.is_file() and is_own and name.parts[0] != "cache":
            yield name.as_posix(), path


def _looked_up(address: str, names: Iterable[str]) -> dict[str, str]:
    """Marks of the files of a folder that a web server lists, which tells names alone."""
    system, _ = opened(address)

    def look(name: str) -> str:
        place = below(address, name)
        return mark(retry(lambda: system.info(place), place))

    with ThreadPoolExecutor(STREAMS) as pool:
        return dict(zip(names, pool.map(look, names), strict=True))


def _bring(address: str, files: dict[str, str], folder: Path, progress: Progress | None = None) -> None:
    """Files of a remote folder in a local one; whole ones whose mark did not change are kept."""
    known = _read_notes(folder)
    newer = _unsent(folder).exists()  # what is here may have changed since it was noted

    def is_kept(name: str) -> bool:
        path, note = folder / name, known.get(name)
        if note is None or note.mark != files[name] or not path.is_file():
            return False
        return newer or note.checksum == _checksum(path)

    wanted = [name for name in files if not is_kept(name)]
    system, root = opened(address)

    def bring(name: str) -> None:
        target = Path(below(str(folder), name))
        with atomic_path(target) as temporary:
            source = below(address, name) if address.startswith(WEB) else f"{root.rstrip('/')}/{name}"
            retry(lambda: system.get_file(source, str(temporary)), f"{address}/{name}")
        known[name] = _Note(files[name], _checksum(target))

    try:
        with ThreadPoolExecutor(STREAMS) as pool:
            for done, _ in enumerate(pool.map(bring, wanted), start=1):
                if progress is not None:
                    progress("fetch", done, len(wanted), {})
        for name in known.keys() - files.keys():
            (folder / name).unlink(missing_ok=True)
    finally:
        _write_notes(folder, {name: note for name, note in known.items() if name in files})


class _Note(NamedTuple):
    """What is known of a copy: the mark that the store gave, and a checksum of its content."""

    mark: str
    checksum: str


def _checksum(path: Path) -> str:
    found = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found = zlib.crc32(block, found)
    return f"{found:08x}"


def _read_notes(folder: Path) -> dict[str, _Note]:
    return {name: _Note(*note) for name, note in json_object(_notes(folder)).items() if isinstance(note, list)}


def _write_notes(folder: Path, notes: dict[str, _Note]) -> None:
    _write_json(_notes(folder), notes)


def _write_json(path: Path, marks: Mapping[str, object]) -> None:
    write_text(path, json.dumps(marks))


def _unsent(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.unsent.json"


def _notes(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.json"


def _place(address: str) -> Path:
    """The cache's folder for an address; touched, so that it counts as used."""
    place = cache_folder() / hashlib.sha256(address.encode()).hexdigest()[:20]
    try:
        place.mkdir(parents=True, exist_ok=True)
        os.utime(place)
    except OSError as error:
        raise RunError(f"{place}: cannot be written ({error.strerror}); set HINTSEG_CACHE elsewhere.") from error
    return place


def cache_folder() -> Path:
    """Where copies and what can be made again lie on this machine."""
    return Path(os.environ.get("HINTSEG_CACHE") or "~/.cache/hintseg").expanduser()


def _made_here() -> list[Path]:
    """Copies, by the digest they are called by and the notes in or beside them, and indexes of segments."""
    found = [path for path in cache_folder().iterdir() if PLACE.fullmatch(path.name) and path.is_dir()]
    copies = [path for path in found if _notes(path).exists() or any(path.glob(".*.json"))]
    return copies + [path for path in cache_folder().glob("segments/*.faiss") if INDEX.fullmatch(path.name)]


def _size(path: Path) -> int:
    return sum(one.stat().st_size for one in (path, *path.rglob("*")) if one.is_file())


def _make_room(kept: Path) -> None:
    """Remove the copies unused for longest until the cache is within its limit; `kept` stays.

    The folder may hold other things than hintseg's: these are neither counted nor touched.
    """
    given = os.environ.get("HINTSEG_CACHE_GB", "50")
    try:
        limit = float(given) * 1e9
    except ValueError as error:
        raise ConfigError(f"HINTSEG_CACHE_GB={given!r}: must be a number of gigabytes.") from error
    places = sorted(_made_here(), key=lambda path: path.stat().st_mtime)
    sizes = {place: _size(place) for place in {*places, kept}}
    if sizes[kept] > limit:
        raise InputError(f"{kept}: holds {sizes[kept] / 1e9:.1f} GB, more than HINTSEG_CACHE_GB={given}; raise it.")
    total = sum(sizes.values())
    for place in places:
        # What a run could not copy out yet is nowhere else.
        if total > limit and place != kept and not any(place.glob(".*.unsent.json")):
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                with suppress(OSError):  # in use
                    place.unlink()
            total -= sizes[place]
