"""Points: clicks, drawn as discs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.hints.forms.form import HintForm, Row


@dataclass(frozen=True)
class Point:
    """One click inside a region."""

    x: float
    y: float
    label: int

    def named(self) -> frozenset[int]:
        """The class."""
        return frozenset({self.label})


def parse(row: Row) -> Point:
    """[x, y, class], inside the image."""
    row.require(3)
    x, y = row.numbers(row.values[:2])
    height, width = row.size()
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"{row.where}: point ({x:g}, {y:g}) lies outside the {width}×{height} image.")
    return Point(x, y, row.label(row.values[2]))


def draw(points: Sequence[Point], labels: NDArray[np.uint8], radius: int) -> None:
    """Each point becomes a disc; where discs of two classes overlap, the nearer point wins."""
    distance = np.full(labels.shape, np.inf)
    for point in points:
        x, y = int(point.x), int(point.y)
        top, left = max(y - radius, 0), max(x - radius, 0)
        rows, columns = np.ogrid[
            top : min(y + radius + 1, labels.shape[0]), left : min(x + radius + 1, labels.shape[1])
        ]
        here = np.hypot(rows - y, columns - x)
        window = np.s_[top : top + here.shape[0], left : left + here.shape[1]]
        nearer = (here <= radius) & (here < distance[window])
        labels[window][nearer] = point.label
        distance[window][nearer] = here[nearer]


POINTS = HintForm(parse, label_of=lambda row: row[2], draw=draw)
