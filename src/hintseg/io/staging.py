"""A folder that is being made says so until it is whole, so that half of one is never taken for a whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hintseg.errors import InputError
from hintseg.io.storage.outputs import sole_writer
from hintseg.io.writing import write_text

UNFINISHED = ".unfinished"  # lies in a folder until all of it is written


def require_finished(folder: Path) -> None:
    """Refuse a folder whose making was stopped: InputError."""
    if os.path.lexists(folder / UNFINISHED):
        raise InputError(
            f"{folder}: is unfinished: the command that makes it (import, simulate or prepare) is running, or was "
            "stopped. If none is running, delete this folder and run that command again."
        )


def holds_something(folder: Path) -> bool:
    """Whether there is anything in a folder besides the mark of one that is being made.

    Raises:
        InputError: what another command left unfinished.
    """
    if any(path.name != UNFINISHED for path in folder.iterdir()):
        require_finished(folder)
        return True
    return False


@contextmanager
def being_made(folder: Path) -> Iterator[None]:
    """The folder counts as unfinished until the block ends without error; one that stayed empty leaves no mark.

    Raises:
        InputError: another process has filled it meanwhile.
        RunError: it cannot be written, or another process is filling it.
    """
    with sole_writer(str(folder)):
        if folder.exists() and holds_something(folder):
            raise InputError(f"{folder}: was filled by another process meanwhile; choose a new folder.")
        with _marked(folder):
            yield


@contextmanager
def _marked(folder: Path) -> Iterator[None]:
    new, mark = not folder.exists(), folder / UNFINISHED
    write_text(mark, "Not all of this folder is written yet.\n")
    try:
        yield
    except BaseException:
        if not any(path.name != UNFINISHED for path in folder.iterdir()):
            mark.unlink()
            if new:
                folder.rmdir()
        raise
    mark.unlink()
