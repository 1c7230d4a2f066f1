"""What lies in a data set's folder under the names that are read: ordinary files and folders, all of them written."""

import os
import time
from pathlib import Path

from hintseg.errors import InputError
from hintseg.hints.splits import HELD_OUT
from hintseg.hints.types.registry import with_label_maps, with_tables
from hintseg.io.staging import require_finished

FOLDERS = (*with_label_maps(), "contours")
EARLIER_FILES = {"verified_classes.json": "looked_for.json"}  # which are read where there is no other
FILES = ("dataset.json", *(f"{name}.json" for name in with_tables()), *EARLIER_FILES, *EARLIER_FILES.values())
SPLITS = tuple(f"{name}.txt" for name in ("train", *HELD_OUT))
DELETING = "studio/deleting/ready"  # the studio's mark of files that are on their way to their places
PAUSES = (0.02, 0.1, 0.4)  # seconds in which a studio that is running ends a change


def require_sound(root: Path) -> None:
    """Refuse a folder that is no whole data set, or in which something else stands in place of a part.

    Raises:
        InputError: no `images/`, unfinished, or a part is a link that leads nowhere, a pipe, or a folder in place of a
            file.
    """
    require_finished(root)
    try:
        for pause in PAUSES:
            if _is_half_done(root):
                time.sleep(pause)
        if _is_half_done(root):
            raise InputError(f"{root}: a change is half done; open the folder once with hintseg studio, which ends it.")
        with os.scandir(root) as entries:
            wrong = sorted(f"{root / entry.name}: {fault}" for entry in entries if (fault := _fault(entry)))
    except OSError as error:
        raise InputError(f"{root}: cannot be read ({error.strerror}).") from error
    if wrong:
        raise InputError(wrong[0])
    if not (root / "images").is_dir():
        raise InputError(f"{root}: has no folder images/; put the images there.")


def _is_half_done(root: Path) -> bool:
    return (root / DELETING).exists() and not (root / DELETING).parent.is_symlink()


def _fault(entry: os.DirEntry[str]) -> str:
    """Why an entry cannot be read as its name says; empty where it can, or is not read."""
    is_folder = entry.name in ("images", *FOLDERS)
    if not is_folder and entry.name not in (*FILES, *SPLITS):
        return ""
    if entry.is_dir() if is_folder else entry.is_file():
        return ""
    if entry.is_symlink() and not os.path.exists(entry.path):
        return "is a link that leads nowhere; put the file or folder there that it stands for, or remove the link."
    if is_folder:
        return "is no folder; rename it, and put the images into a folder of this name."
    return f"is {'a folder' if entry.is_dir() else 'a pipe, socket or device'}, not a file; rename it."
