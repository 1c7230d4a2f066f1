"""Files that appear whole or not at all, and arrays that are kept until they can no longer be read."""

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import HintsegError, RunError

PARTIAL = ".partial-"  # begins the name of a file that is being written
LITTLE = 2**20  # bytes; with less a disk counts as full


def write_text(path: Path, text: str) -> None:
    """A whole UTF-8 text file, or none."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")


def is_partial(name: str) -> bool:
    """Whether a file, by its name or path, is one that `atomic_path` had not finished."""
    return name.rpartition("/")[2].startswith(PARTIAL)


def is_writable(folder: Path) -> bool:
    """Whether a folder, or the one in which it can be made, seems to let files be written: asked before long work."""
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    return os.access(there, os.W_OK | os.X_OK)


@contextmanager
def atomic_path(path: Path, durable: bool = True) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends without error; RunError where none can.

    Args:
        durable: on the disk before it does; what a power cut may empty, since it can be made again, need not be.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=PARTIAL, suffix=path.suffix)
        os.close(handle)
    except OSError as error:
        raise RunError(f"{path.parent}: cannot be written ({error.strerror}); choose another folder.") from error
    temporary = Path(name)
    try:
        yield temporary
        # Now, since safetensors makes the file anew, readable by its owner alone.
        os.chmod(temporary, 0o666 & ~_umask())
        if durable:
            flush(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise RunError(
            f"{path}: writing failed ({error.strerror or error}); free some space or choose another folder."
        ) from error
    except HintsegError:
        raise
    except Exception as error:
        # torch and safetensors have errors of their own for a disk that is full.
        if shutil.disk_usage(path.parent).free < LITTLE:
            raise RunError(
                f"{path}: writing failed (no space left on device); free some or choose another folder."
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Bring a file to the disk: one that is renamed before it is there may be empty after a power cut."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_arrays(path: Path, *names: str) -> tuple[NDArray[Any], ...] | None:
    """Arrays of an .npz file that can be made again; None where it is absent, damaged, another's or lacks one."""
    if not path.is_file():  # a pipe would block
        return None
    try:
        # Members are read whole: numpy stops at the last value, before their checksum is looked at.
        with zipfile.ZipFile(path) as stored:
            if stored.comment not in (b"", path.name.encode()):  # the first: as earlier versions wrote them
                return None
            members = [io.BytesIO(stored.read(f"{name}.npy")) for name in names]
        return tuple(np.lib.format.read_array(member, allow_pickle=False) for member in members)
    except Exception:  # a flipped bit of an archive's head is an error of almost any kind; all mean the same here
        return None


def cached_arrays(
    path: Path, names: Sequence[str], make: Callable[[], Sequence[NDArray[Any]]], size: tuple[int, ...] | None = None
) -> tuple[NDArray[Any], ...]:
    """Arrays of an .npz file by name; made and left there where `read_arrays` finds none, or none of this size."""
    found = read_arrays(path, *names)
    if found is not None and (size is None or all(array.shape == size for array in found)):
        return found
    made = tuple(make())
    named: dict[str, Any] = dict(zip(names, made, strict=True))
    with atomic_path(path, durable=False) as temporary:
        np.savez_compressed(temporary, **named)
        with zipfile.ZipFile(temporary, "a") as stored:
            stored.comment = path.name.encode()
    return made


def link_or_copy(source: Path, target: Path) -> None:
    """`target` becomes a hard link to what `source` leads to, or a copy; a RunError where something is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        os.link(os.path.realpath(source) if source.is_symlink() else source, target)
        return
    try:
        with source.open("rb") as content, target.open("xb") as copy:
            shutil.copyfileobj(content, copy)
    except OSError as error:
        raise RunError(f"{target}: cannot be written ({error.strerror}); choose another folder.") from error
