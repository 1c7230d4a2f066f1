"""One studio a folder: a lock that ends with its server, however that ends."""

import json
import os
import platform
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hintseg.apps.studio.links import writable
from hintseg.apps.studio.processes import birth
from hintseg.apps.studio.run_record import RunRecord
from hintseg.errors import InputError, RunError
from hintseg.io.locking import take_lock
from hintseg.io.reading import read_json

BEAT = 10.0  # seconds between signs of life, for machines that do not see each other's locks
LOCK = b'{"address": '  # how a lock's note begins, unless nobody holds it
IDENTIFIER = re.compile("[0-9a-f]{8}")
ANYBODYS = ("Thumbs.db", "desktop.ini")
SILENT = 6 * BEAT  # a server of another machine that was silent for so long is gone


@contextmanager
def locked_folder(root: Path, address: str) -> Iterator[None]:
    """Hold a project for this server.

    Args:
        address: of the page, which a second server names.

    Raises:
        InputError: its folder studio/ is not hintseg's.
        RunError: another server holds it, or it cannot be written.
    """
    path = writable(root, "studio", "server.lock")
    _require_own(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror}); choose another folder.") from error
    try:
        free, holder = take_lock(handle), _holder(path)
        if free is False or (holder and _lives(holder, path, free)):
            raise RunError(_refusal(root, holder))
        _write(handle, _self(address))
        ended = threading.Event()
        beat = threading.Thread(target=_beat, args=(path, ended), daemon=True)
        beat.start()
        try:
            yield
        finally:
            ended.set()
            beat.join()
            _write(handle, {})
    finally:
        os.close(handle)


def _require_own(folder: Path) -> None:
    """Refuse a folder studio/ that somebody made for other things: files of changes and imports come and go in it."""
    names = [path.name for path in sorted(folder.glob("[!.]*")) if path.name not in ANYBODYS]
    if names and not any(map(_is_own, (folder / "server.lock", *folder.glob("*.json")))):
        raise InputError(
            f"{folder}: is a folder of your own, which holds {names[0]!r:.80}, but the studio keeps its things in a "
            "folder of that name; rename yours, then start again."
        )


def _is_own(path: Path) -> bool:
    """Whether a file is one that tells a studio's folder, by what it holds."""
    if not path.is_file():
        return False
    is_lock = path.name == "server.lock"
    try:
        content = read_json(path)
    except InputError:  # of a lock a power cut may have left a part
        return is_lock and (path.stat().st_size <= 2 or path.read_bytes().startswith(LOCK))
    if is_lock:
        return not content or (isinstance(content, dict) and content.keys() <= {"address", "pid", "born", "machine"})
    if not isinstance(content, dict):
        return False
    if path.name == "classes.json":
        return all(isinstance(one, str) and IDENTIFIER.fullmatch(one) for one in content.values())
    if path.name == "appearance.json":
        return content.keys() in ({"order", "colors"}, {"order", "colours"})
    return RunRecord.load(path.parent, path.stem) is not None


def _lives(holder: dict[str, Any], path: Path, free: bool | None) -> bool:
    """Whether a server that a lock file names may still run, though its lock could be taken."""
    if holder.get("machine") == platform.node():
        return not free and birth(int(holder["pid"])) == holder.get("born")
    probe = path.with_name(f".clock-{os.getpid()}")  # both times by the clock of the folder's own machine
    probe.touch()
    try:
        return probe.stat().st_mtime - path.stat().st_mtime < SILENT
    finally:
        probe.unlink(missing_ok=True)


def _holder(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except InputError:
        return {}
    expected = {"pid": int, "machine": str, "address": str}
    if not isinstance(found, dict) or not all(isinstance(found.get(name), kind) for name, kind in expected.items()):
        return {}
    return found


def _refusal(root: Path, holder: dict[str, Any]) -> str:
    if not holder:
        return f"{root}: another server has this folder open; use that one, or end it first."
    return (
        f"{root}: another server has this folder open at {holder.get('address')} "
        f"(process {holder['pid']} on {holder.get('machine')}); use that one, or end it first."
    )


def _self(address: str) -> dict[str, Any]:
    pid = os.getpid()
    return {"address": address, "pid": pid, "born": birth(pid), "machine": platform.node()}


def _write(handle: int, content: dict[str, Any]) -> None:
    with suppress(OSError):
        os.lseek(handle, 0, os.SEEK_SET)
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(content).encode())


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        with suppress(OSError):
            os.utime(path)
