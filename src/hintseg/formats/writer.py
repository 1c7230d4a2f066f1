"""Label maps of images, on their way into another tool's format."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.formats.label_colors import means_nothing


class Labeled(NamedTuple):
    """An image's name, its (H, W) uint8 label map, and its file."""

    name: str
    labels: NDArray[np.uint8]
    image: Path

    @property
    def key(self) -> str:
        """The name without its suffix."""
        return self.name.removesuffix(Path(self.name).suffix)


class Classes(NamedTuple):
    """Names by label; the background's label, or None; "#rrggbb" by label, where somebody chose colors."""

    names: tuple[str, ...]
    background: int | None
    colors: tuple[str, ...] = ()

    def masks(self, labels: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """(label, mask) of every class in a label map; ignored pixels belong to none."""
        for label in np.unique(labels).tolist():
            if label < len(self.names):
                yield label, labels == label


def require_lines(names: Iterable[str], file: str, comment: str = "") -> None:
    """Refuse class names that a text file with one name a line cannot hold.

    Raises:
        InputError: one begins or ends with blanks, or as a comment does, or means that nothing is known.
    """
    for name in names:
        if name != name.strip() or (comment and name.startswith(comment)) or means_nothing(name):
            raise InputError(
                f"the class name {name!r:.80} cannot be written into {file}, where it would be read as another or as "
                "ignored pixels; rename the class, or export in another format."
            )


def extent(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """x, y, width, height of the tight rectangle round a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1
