"""Points: clicks, drawn as discs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hintseg.hints.labels import IGNORE_INDEX
from hintseg.hints.types.hint_type import HintType, Row


@dataclass(frozen=True)
class Point:
    """One click inside a region."""

    x: float
    y: float
    label: int

    def named(self) -> frozenset[int]:
        """The class."""
        return frozenset({self.label})


def parse(row: Row) -> Point | None:
    """[x, y, class]; None where it lies outside the image."""
    row.require(3)
    x, y = row.numbers(row.values[:2])
    label = row.label(row.values[2])
    height, width = row.size()
    if not (0 <= x < width and 0 <= y < height):
        row.correct("points outside their image left out")
        return None
    return Point(x, y, label)


def draw(points: Sequence[Point], labels: NDArray[np.uint8], radius: int) -> None:
    """Each point becomes a disc, ignored where points of two classes share a pixel.

    Where discs of two classes overlap, the nearer point wins, then the earlier.
    """
    if not points:
        return
    height, width = labels.shape
    contested = _contested(points)
    # Of several values assigned to a pixel the last one stays: the earlier point, the nearer ring.
    x, y, label = np.array([(point.x, point.y, point.label) for point in reversed(points)]).astype(np.int64).T
    if contested:
        label[[pixel in contested for pixel in zip(x.tolist(), y.tolist(), strict=True)]] = IGNORE_INDEX
    for ring in _rings(radius):
        rows = (y[:, None] + ring[:, 0]).ravel()
        columns = (x[:, None] + ring[:, 1]).ravel()
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        labels[rows[inside], columns[inside]] = np.repeat(label, len(ring))[inside]


def conflict(points: Sequence[Point]) -> str | None:
    """What is said of points of two classes on one pixel."""
    return "images where points of two classes share a pixel, which is ignored" if _contested(points) else None


def _contested(points: Sequence[Point]) -> set[tuple[int, int]]:
    """Pixels on which points of several classes lie."""
    classes: dict[tuple[int, int], int] = {}
    return {
        pixel
        for point in points
        if classes.setdefault(pixel := (int(point.x), int(point.y)), point.label) != point.label
    }


@cache
def _rings(radius: int) -> list[NDArray[np.int64]]:
    """(N, 2) offsets (row, column) of a disc's pixels by their distance from its center, the farthest first."""
    offsets = np.array(
        [(row, column) for row in range(-radius, radius + 1) for column in range(-radius, radius + 1)], np.int64
    )
    squares = (offsets**2).sum(axis=1)
    return [offsets[squares == square] for square in np.unique(squares)[::-1] if square <= radius**2]


POINTS = HintType(parse, label_of=lambda row: row[2], draw=draw, conflict=conflict)
