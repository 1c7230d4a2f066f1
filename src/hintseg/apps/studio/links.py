"""Where the studio may write: real folders of the project, never through a link that leads elsewhere."""

import os
from pathlib import Path
from typing import BinaryIO

from hintseg.errors import InputError, RunError


def writable(root: Path, *parts: str) -> Path:
    """The path of a file of the project that may be written or deleted.

    A file that is itself a link is no obstacle: what is written replaces the link, and what it leads to stays.

    Raises:
        RunError: one of its folders is a link, or the path leaves the project.
    """
    path = root.joinpath(*parts)
    real = Path(os.path.realpath(root)).joinpath(*path.relative_to(root).parts[:-1])
    found = Path(os.path.realpath(path.parent))
    if ".." in path.relative_to(root).parts or found != real:
        raise RunError(
            f"{path.parent}: is a link that leads to {found}; the studio writes and deletes nothing through links. "
            "Replace the link by a folder."
        )
    return path


def opened_anew(path: Path) -> BinaryIO:
    """An empty file to write to; a link that lies there is replaced, and what it leads to stays."""
    path.unlink(missing_ok=True)
    return path.open("xb")


def write_new(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet; it appears whole or not at all.

    Raises:
        InputError: the name is taken.
        RunError: the folder cannot be written.
    """
    temporary = path.with_name(f".partial-{os.getpid()}-{os.urandom(4).hex()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        try:
            os.link(temporary, path)  # unlike a rename, fails where the name is taken
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if path.exists():
                raise FileExistsError from None
            os.replace(temporary, path)
    except FileExistsError as error:
        raise InputError(f"{path.name}: an image of this name is there already; rename it.") from error
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}); free some space or choose another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
