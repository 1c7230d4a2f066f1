"""Changing many files of a project at once.

Every changed file is first written below studio/deleting; the file `ready` then says that the set is whole. From there
on files only move to their places, which whoever opens the project next goes on with: a crash leaves the old project or
the new one, never a mixture. A single file moves at once: it is whole by itself, and no reader has to wait.
"""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hintseg.apps.studio.links import writable
from hintseg.errors import InputError, RunError
from hintseg.hints.dataset_json import table_path
from hintseg.io.reading import read_json
from hintseg.io.writing import atomic_path, flush, write_text

FOLDER, READY = "deleting", "ready"


@dataclass(frozen=True)
class Change:
    """Files on their way into a project.

    Attributes:
        staged: folder that holds them, each at its path below the project.
        copies: folder below the project that keeps what was there; empty: nothing is lost by the change.
        removed: paths below the project of files that go.
    """

    staged: Path
    copies: str
    removed: list[str] = field(default_factory=list)

    def write_table(self, root: Path, name: str, table: Mapping[str, Any]) -> None:
        """Stage a hint table; a file of its earlier name goes."""
        self.write(f"{name}.json", json.dumps(table, ensure_ascii=False).encode())
        if (before := table_path(root, name)).name != f"{name}.json":
            self.removed.append(before.name)

    def write(self, name: str, content: bytes) -> None:
        """Stage a file by its path below the project; OSError where it cannot be written."""
        path = self.staged / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@contextmanager
def changing(root: Path, kind: str = "") -> Iterator[Change]:
    """Collect changed files; all of them move to their places when the block ends without error, dataset.json last.

    Args:
        kind: folder below studio/kept in which the copies lie; empty: there are none.

    Raises:
        RunError: a folder is a link or cannot be written.
    """
    staged = writable(root, "studio", FOLDER, READY).parent
    shutil.rmtree(staged, ignore_errors=True)
    time = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    change = Change(staged, kind and f"studio/kept/{kind}/{time}-{secrets.token_hex(2)}")
    try:
        yield change
        changed = [path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file()]
        for part in (*changed, *change.removed):
            target = writable(root, *part.split("/"))
            _require_room(target)
            if change.copies and target.exists():
                kept = writable(root, *change.copies.split("/"), *part.split("/"))
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(target, kept)
                flush(kept)
        for part in changed:
            flush(staged / part)  # else a power cut leaves it empty in the place of a file that was whole
        if len(changed) + len(change.removed) > 1:
            write_text(staged / READY, json.dumps({"removed": change.removed}))
        else:
            _move(root, staged, change.removed)
    except OSError as error:
        raise RunError(f"{staged}: cannot be written ({error.strerror}); free some space.") from error
    finish_change(root)


def finish_change(root: Path) -> None:
    """Move a whole set of changed files to their places, dataset.json last; forget one that is not whole.

    Raises:
        RunError: a folder is a link or cannot be written.
    """
    staged = root / "studio" / FOLDER
    if not staged.is_dir() or staged.is_symlink():
        return
    staged = writable(root, "studio", FOLDER, READY).parent
    if (staged / READY).exists():
        _move(root, staged, _removed(staged / READY))
    shutil.rmtree(staged, ignore_errors=True)


def _require_room(target: Path) -> None:
    """Refuse a change, before any of it is done, one of whose files cannot move to its place: RunError."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{target}: cannot be written ({error.strerror}).") from error
    if target.is_dir() or not os.access(target.parent, os.W_OK):
        raise RunError(f"{target}: cannot be written; remove what is there, or let the folder be written to.")


def _move(root: Path, staged: Path, removed: list[str]) -> None:
    files = [path for path in staged.rglob("*") if path.is_file() and path != staged / READY]
    try:
        for path in sorted(files, key=lambda path: path.name == "dataset.json"):
            target = writable(root, *path.relative_to(staged).parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, target)
        for name in removed:
            target = writable(root, *name.split("/"))
            target.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{target}: cannot be written ({error.strerror}).") from error


def _replace(path: Path, target: Path) -> None:
    """`os.replace`, also where the target's folder is a file system of its own."""
    try:
        os.replace(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with atomic_path(target) as temporary:
            shutil.copyfile(path, temporary)
        path.unlink()


def _removed(ready: Path) -> list[str]:
    """Files that go with a change; none where an older studio began it."""
    try:
        return [str(part) for part in read_json(ready)["removed"]]
    except (InputError, KeyError, TypeError):
        return []
