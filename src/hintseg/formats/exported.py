"""Label maps of photographs, on their way into another tool's format."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Labelled(NamedTuple):
    """A photograph's name, its (H, W) uint8 label map, and its file."""

    name: str
    labels: NDArray[np.uint8]
    photograph: Path

    @property
    def key(self) -> str:
        """The name without its suffix."""
        return Path(self.name).with_suffix("").as_posix()


class Classes(NamedTuple):
    """Names by label; the background's label, or None."""

    names: tuple[str, ...]
    background: int | None

    def masks(self, labels: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """(label, mask) of every class in a label map; void belongs to none."""
        for label in np.unique(labels).tolist():
            if label < len(self.names):
                yield label, labels == label


def extent(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """x, y, width, height of the tight rectangle round a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1
