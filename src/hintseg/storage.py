"""Addresses: a local path, or a URL of any store that fsspec opens (s3://, gs://, hf://, https://, memory://).

What is remote is copied into a cache before it is read and copied out after it was written, so that everything else
sees local files. Every request is repeated with growing pauses when the store fails or asks to slow down.

    HINTSEG_CACHE       folder of the copies; default ~/.cache/hintseg
    HINTSEG_CACHE_GB    how large it may grow; the copies unused for longest leave first; default 50
"""

import hashlib
import json
import os
import random
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hintseg.errors import ConfigError, HintsegError, InputError, RunError
from hintseg.images import atomic_path
from hintseg.ranks import first_process

TRIES = 8
FIRST_PAUSE = 0.2  # seconds; doubles with every try
STREAMS = 8
PUBLISH_EVERY = 60.0  # seconds between two copies of what a run wrote


def is_remote(address: str | Path) -> bool:
    """Whether an address is a URL ("s3://bucket/folder") rather than a path of this machine."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", str(address)) is not None


def below(address: str, name: str) -> str:
    """The address of a name in a folder.

    Raises:
        InputError: it would lie outside the folder.
    """
    if is_remote(address):
        if name.startswith("/") or ".." in name.split("/"):
            raise InputError(f"{name!r} would be written outside {address}; rename it.")
        return f"{address.rstrip('/')}/{name}"
    path = Path(address) / name
    if not path.resolve().is_relative_to(Path(address).resolve()):
        raise InputError(f"{name!r} would be written outside {address}; rename it.")
    return str(path)


def list_files(address: str) -> dict[str, str]:
    """Every file below a folder: its name there → a mark that changes when its content does.

    Raises:
        InputError: the store cannot be reached or refuses.
        ConfigError: no package is installed for the URL's scheme.
    """
    if not is_remote(address):
        folder = Path(address)
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {path.relative_to(folder).as_posix(): _mark_of(path) for path in files}
    system, root = _opened(address)
    system.invalidate_cache()
    found = _steadily(lambda: system.find(root, detail=True), address)
    prefix = root.rstrip("/") + "/"
    return {name.removeprefix(prefix): _mark(found[name]) for name in sorted(found) if name.startswith(prefix)}


def exists(address: str) -> bool:
    """Whether there is a file at an address.

    Raises:
        InputError: the store cannot be reached or refuses.
        ConfigError: no package is installed for the URL's scheme.
    """
    if not is_remote(address):
        return Path(address).is_file()
    system, path = _opened(address)
    system.invalidate_cache()
    return bool(_steadily(lambda: system.exists(path), address))


@contextmanager
def local_file(address: str) -> Iterator[Path]:
    """A path at which a file can be read now: itself, or a copy that goes away with the block.

    Raises:
        InputError: it is absent, or the store cannot be reached.
        ConfigError: no package is installed for the URL's scheme.
    """
    if not is_remote(address):
        yield Path(address)
        return
    system, path = _opened(address)
    with tempfile.TemporaryDirectory(prefix="hintseg-") as folder:
        copy = Path(folder) / Path(path).name
        _steadily(lambda: system.get_file(path, str(copy)), address)
        yield copy


@contextmanager
def new_file(address: str) -> Iterator[Path]:
    """A path to write; the file appears at the address, whole, when the block ends without error.

    Raises:
        RunError: it cannot be written.
        ConfigError: no package is installed for the URL's scheme.
    """
    if not is_remote(address):
        with atomic_path(Path(address)) as temporary:
            yield temporary
        return
    with tempfile.TemporaryDirectory(prefix="hintseg-") as folder:
        copy = Path(folder) / Path(address).name
        yield copy
        _upload(copy, address)


def fetch(address: str | Path) -> Path:
    """The local path of a file or folder: itself, or for a URL a copy in the cache, brought up to date.

    Raises:
        InputError: it is absent, the store cannot be reached, or it is larger than the cache may be.
        ConfigError: no package is installed for the URL's scheme.
    """
    if not is_remote(address):
        return Path(address)
    address = str(address).rstrip("/")
    place = _place(address)
    system, path = _opened(address)
    name = Path(path).name or "root"
    found = _steadily(lambda: system.info(path), address)
    if found["type"] == "file":
        _bring(address.rpartition("/")[0], {name: _mark(found)}, place)
    else:
        _bring(address, list_files(address), place / name)
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
        RunError: the store cannot be written.
        ConfigError: no package is installed for the URL's scheme.
    """
    if not is_remote(address):
        yield Path(address)
        return
    address = str(address).rstrip("/")
    folder = _place(address) / (Path(address).name or "root")
    if not first_process():
        yield folder
        return
    _bring(address, list_files(address), folder)
    folder.mkdir(parents=True, exist_ok=True)
    sent = {name: _mark_of(path) for name, path in _publishable(folder)}
    ended, failures = threading.Event(), []

    def copy_out() -> None:
        for name, path in _publishable(folder):
            try:
                mark = _mark_of(path)
                if sent.get(name) != mark:
                    _upload(path, below(address, name))
                    sent[name] = mark
            except FileNotFoundError:
                continue  # replaced or removed while we looked

    def copy_now_and_then() -> None:
        while not ended.wait(every):
            try:
                copy_out()
            except HintsegError as error:
                failures.append(error)  # the last copy decides; this one is tried again

    sender = threading.Thread(target=copy_now_and_then, daemon=True)
    sender.start()
    try:
        yield folder
    finally:
        ended.set()
        sender.join()
        copy_out()
        _remember(folder, list_files(address))


def _publishable(folder: Path) -> Iterable[tuple[str, Path]]:
    """Whole files; not those still being written, locks, and caches that can be made again."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not path.name.startswith(".") and name.parts[0] != "cache":
            yield name.as_posix(), path


def _bring(address: str, files: dict[str, str], folder: Path) -> None:
    """Files of a remote folder in a local one; those whose mark did not change are kept."""
    known = _remembered(folder)
    wanted = [name for name in files if known.get(name) != files[name] or not (folder / name).is_file()]
    system, root = _opened(address)

    def bring(name: str) -> None:
        target = Path(below(str(folder), name))
        target.parent.mkdir(parents=True, exist_ok=True)
        with new_file(str(target)) as temporary:
            _steadily(lambda: system.get_file(f"{root.rstrip('/')}/{name}", str(temporary)), f"{address}/{name}")
        known[name] = files[name]

    try:
        with ThreadPoolExecutor(STREAMS) as pool:
            list(pool.map(bring, wanted))
        for name in known.keys() - files.keys():
            (folder / name).unlink(missing_ok=True)
    finally:
        _remember(folder, {name: mark for name, mark in known.items() if name in files})


def _remembered(folder: Path) -> dict[str, str]:
    try:
        found = json.loads(_notes(folder).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(folder: Path, marks: dict[str, str]) -> None:
    with new_file(str(_notes(folder))) as temporary:
        temporary.write_text(json.dumps(marks), "utf-8")


def _notes(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.json"


def _place(address: str) -> Path:
    """The cache's folder for an address; touched, so that it counts as used."""
    place = _cache() / hashlib.sha256(address.encode()).hexdigest()[:20]
    try:
        place.mkdir(parents=True, exist_ok=True)
        os.utime(place)
    except OSError as error:
        raise RunError(f"{place}: cannot be written ({error.strerror}); set HINTSEG_CACHE elsewhere.") from error
    return place


def _cache() -> Path:
    return Path(os.environ.get("HINTSEG_CACHE") or Path.home() / ".cache" / "hintseg")


def _make_room(kept: Path) -> None:
    """Remove the copies unused for longest until the cache is within its limit; `kept` stays."""
    given = os.environ.get("HINTSEG_CACHE_GB", "50")
    try:
        limit = float(given) * 1e9
    except ValueError as error:
        raise ConfigError(f"HINTSEG_CACHE_GB={given!r}: must be a number of gigabytes.") from error
    places = sorted((path for path in _cache().iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    sizes = {place: sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) for place in places}
    if sizes[kept] > limit:
        raise InputError(f"{kept}: holds {sizes[kept] / 1e9:.1f} GB, more than HINTSEG_CACHE_GB={given}; raise it.")
    total = sum(sizes.values())
    for place in places:
        if total > limit and place != kept:
            shutil.rmtree(place, ignore_errors=True)
            total -= sizes[place]


def _upload(path: Path, address: str) -> None:
    system, target = _opened(address)
    try:
        _steadily(lambda: system.put_file(str(path), target), address)
    except InputError as error:
        raise RunError(str(error)) from error


def _opened(address: str) -> tuple[Any, str]:
    import fsspec

    try:
        return fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise ConfigError(
            f"{address}: {error}; for s3:// that is pip install 'hintseg[s3]', for gs:// pip install gcsfs."
        ) from error
    except ValueError as error:
        raise InputError(f"{address}: {error}.") from error


def _steadily(request: Callable[[], Any], address: str) -> Any:
    """The request's result, tried again after growing pauses; what a repetition cannot mend is raised at once."""
    tried = 0
    while True:
        try:
            return request()
        except (FileNotFoundError, IsADirectoryError) as error:
            raise InputError(f"{address}: no such file.") from error
        except PermissionError as error:
            raise InputError(f"{address}: access denied ({error}); check your credentials.") from error
        # Every store has errors of its own, which share no base class.
        except Exception as error:
            tried += 1
            if tried == TRIES:
                raise InputError(
                    f"{address}: the store failed {TRIES} times, at last with {type(error).__name__} ({error})."
                ) from error
            time.sleep(FIRST_PAUSE * 2**tried * random.uniform(0.5, 1))


def _mark(info: dict[str, Any]) -> str:
    """What tells one content of a remote file from another."""
    stamp = info.get("ETag") or info.get("etag") or info.get("md5Hash") or info.get("blob_id")
    stamp = stamp or info.get("LastModified") or info.get("mtime") or info.get("created") or ""
    return f"{info.get('size')} {stamp}"


def _mark_of(path: Path) -> str:
    state = path.stat()
    return f"{state.st_size} {state.st_mtime_ns}"
