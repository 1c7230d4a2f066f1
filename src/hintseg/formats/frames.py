"""From the size that an annotation file declares to the image as it is: scaled, or turned as EXIF says."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.io.images import read_orientation, resize_nearest
from hintseg.io.pillow import oriented


@dataclass(frozen=True)
class Frame:
    """How coordinates of an annotation file lie in its image.

    Attributes:
        size: (height, width) of the upright image.
        declared: (height, width) that the annotation file says.
        orientation: EXIF's, where the annotations were drawn on the image as it is stored; 1: on the upright one.
    """

    size: tuple[int, int]
    declared: tuple[int, int]
    orientation: int = 1

    @property
    def is_identity(self) -> bool:
        """Whether nothing is changed."""
        return self.size == self.declared and self.orientation == 1

    @property
    def scale(self) -> float:
        """Pixels of the image per pixel that was declared, along a side."""
        return float((self.size[0] * self.size[1] / (self.declared[0] * self.declared[1])) ** 0.5)

    def moved(self, vertices: NDArray[np.floating], of_pixels: bool = False) -> NDArray[np.float64]:
        """(N, 2) x, y in the upright image.

        Args:
            of_pixels: they name pixels, the first of which is (0, 0), and are no positions between pixels.
        """
        places = np.asarray(vertices, np.float64).reshape(-1, 2)
        if self.is_identity:
            return places
        middle = 0.5 if of_pixels and self.orientation != 1 else 0.0
        x, y = places.T + middle
        height, width = self.declared
        # EXIF's orientation: bit by bit, what is mirrored, and whether rows are columns.
        if self.orientation in (2, 3, 7, 8):
            x = width - x
        if self.orientation in (3, 4, 6, 7):
            y = height - y
        if self.orientation >= 5:
            x, y, height, width = y, x, width, height
        scale = np.array([self.size[1] / width, self.size[0] / height])
        return (np.stack([x, y], axis=1) - middle) * scale

    def moved_map(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A label map of the declared size as one of the image's."""
        return labels if self.is_identity else resize_nearest(oriented(labels, self.orientation), self.size)

    def shown(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column of the declared map that each pixel of the image shows, as `moved_map` chooses them."""
        across = self.declared[::-1] if self.orientation >= 5 else self.declared
        i, j = (_nearest(wanted, there) for wanted, there in zip(self.size, across, strict=True))
        rows, columns = (j[None], i[:, None]) if self.orientation >= 5 else (i[:, None], j[None])
        if self.orientation in (3, 4, 6, 7):
            rows = self.declared[0] - 1 - rows
        if self.orientation in (2, 3, 7, 8):
            columns = self.declared[1] - 1 - columns
        return rows, columns


def _nearest(wanted: int, there: int) -> NDArray[np.int64]:
    """Which of `there` places each of `wanted` ones repeats or keeps, as `resize_nearest` has it."""
    # That would take a time that depends on `there`, which a file may declare as it likes.
    places = np.floor(np.arange(wanted) * (1 / (wanted / there))).astype(np.int64)
    return places.clip(0, there - 1)


def frame_of(path: Path, size: tuple[int, int], declared: tuple[int, int], where: Path) -> Frame:
    """How annotations made on an image of a declared size lie in the file.

    Args:
        size: (height, width) of the upright image.
        declared: (height, width) that the annotation file `where` says.

    Raises:
        InputError: the sizes have nothing to do with each other.
    """
    if declared == size:
        return Frame(size, size)
    orientation = read_orientation(path)
    stored = size[::-1] if orientation >= 5 else size
    if declared == stored or (_same_aspect(declared, stored) and not _same_aspect(declared, size)):
        return Frame(size, declared, orientation)
    if _same_aspect(declared, size):
        return Frame(size, declared)
    raise InputError(
        f"{path}: is {size[1]}×{size[0]}, but {where} was drawn on an image of {declared[1]}×{declared[0]}; use the "
        "image that was annotated."
    )


def _same_aspect(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Whether one size is the other scaled, but for rounding."""
    return any(
        abs(a[0] * b[1] / a[1] - b[0]) < 1 or abs(a[1] * b[0] / a[0] - b[1]) < 1
        for a, b in ((first, second), (second, first))
    )
