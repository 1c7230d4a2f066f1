"""What the lists of an unpacked archive may name: plain names, of ordinary files that lie in the archive.

An archive is a stranger's. No name of its lists leads out of the folders of the data set that is written, and none of
its links brings a file along that lies elsewhere on this machine.
"""

import re
from pathlib import Path
from unicodedata import category

from hintseg.errors import InputError
from hintseg.hints.names import REFUSED
from hintseg.io.images import read_image_size
from hintseg.io.listing import require_file

LONGEST = 200  # letters of a name; file systems hold 255 bytes


def plain_key(name: object, where: object) -> str:
    """A name that means a file directly in the folder it is joined to.

    Raises:
        InputError: a path, a hidden or empty name, or one with letters that cannot be shown.
    """
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= LONGEST
        or re.search(r'^\.|[/\\:*?"<>|]|[ .]$', name)  # some mean a folder, a drive or a device on other systems
        or any(category(letter) in REFUSED for letter in name)
    ):
        raise InputError(
            f"{where}: {name!r:.80} is no plain file name (one without folders, '..' and drives); the archive is "
            "damaged, or not what it claims to be."
        )
    return name


class Archive:
    """Folders in which every file must lie; they may be links themselves, since whoever unpacks may put them anywhere.

    Args:
        folders: the one that was given, and those of its parts.
    """

    def __init__(self, *folders: Path) -> None:
        self.folders = tuple(folder.resolve() for folder in folders)

    def file(self, path: Path) -> Path:
        """An ordinary file that lies in one of the folders once links are followed.

        Raises:
            InputError: it is absent, a folder, a pipe, or a link to somewhere else.
        """
        require_file(path)
        real = path.resolve()
        if not any(real.is_relative_to(folder) for folder in self.folders):
            raise InputError(
                f"{path}: a link leads from there out of the archive, to {real}; put the file itself there."
            )
        return path


def require_size(path: Path, size: tuple[int, ...], image: Path) -> None:
    """Refuse a label map, or what an annotation declares, of another size than its image: InputError."""
    height, width = read_image_size(image)
    if tuple(size) != (height, width):
        said = "×".join(str(side) for side in reversed(size))
        raise InputError(f"{path}: is {said} but {image} is {width}×{height}; unpack both from one release.")
