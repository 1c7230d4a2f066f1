"""A lock on an open file that ends with its process, however that ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from hintseg.errors import RunError

BYTE = 1 << 30  # the byte that is locked on Windows, far behind what the file says, so that others can read it


def take_lock(handle: int) -> bool | None:
    """Whether the lock was free and is held now; None where the file system has no locks."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(handle, BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


@contextmanager
def holding(handle: int, taken: str) -> Iterator[None]:
    """Hold the lock of an open file, and close it at the end; RunError, saying `taken`, where another process does."""
    try:
        if take_lock(handle) is False:
            raise RunError(taken)
        yield
    finally:
        os.close(handle)
