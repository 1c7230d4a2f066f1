"""Scribbles: strokes, or a picture of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.hints.forms.form import HintForm, Row, picture_classes
from hintseg.hints.labels import UNLABELLED, VOID

MAX_WIDTH = 200


@dataclass(frozen=True)
class Scribble:
    """A stroke inside a region: its vertices ((x, y), …), drawn `width` pixels wide."""

    vertices: tuple[tuple[float, float], ...]
    label: int
    width: int = 3

    def named(self) -> frozenset[int]:
        """The class."""
        return frozenset({self.label})


@dataclass(frozen=True)
class ScribbleMap:
    """Scribbles that came as a picture: a label map (H, W) uint8, `UNLABELLED` where nothing was drawn."""

    labels: NDArray[np.uint8]

    def named(self) -> frozenset[int]:
        """The classes drawn."""
        return picture_classes(self.labels)


def parse(row: Row) -> Scribble:
    """[class, [[x, y], …]] or [class, [[x, y], …], width]."""
    row.require(2, 3)
    label, path, *rest = row.values
    if not isinstance(path, list) or not path:
        raise InputError(f"{row.where}: a stroke is [class, [[x, y], …]] with at least one vertex.")
    vertices = tuple((x, y) for x, y in (row.numbers(vertex, 2) for vertex in path))
    (width,) = row.numbers(rest) or (3,)
    if not 1 <= width <= MAX_WIDTH:
        raise InputError(f"{row.where}: a stroke is 1 to {MAX_WIDTH} pixels wide, not {width:g}.")
    return Scribble(vertices, row.label(label), round(width))


def draw(scribbles: Sequence[Scribble | ScribbleMap], labels: NDArray[np.uint8], radius: int) -> None:
    """Strokes, and the picture over them; strokes of different classes become void where they cross."""
    drawn = np.full(labels.shape, UNLABELLED, dtype=np.uint8)
    for scribble in scribbles:
        if isinstance(scribble, ScribbleMap):
            there = scribble.labels != UNLABELLED
            drawn[there] = scribble.labels[there]
            continue
        stroke = np.zeros(labels.shape, dtype=np.uint8)
        vertices = np.round(np.array(scribble.vertices)).astype(np.int32).reshape(-1, 1, 2)
        vertices = np.concatenate([vertices, vertices[-1:]])  # a line of one vertex would not be drawn
        cv2.polylines(stroke, [vertices], isClosed=False, color=1, thickness=scribble.width)
        here = stroke.astype(bool)
        conflict = here & (drawn != UNLABELLED) & (drawn != scribble.label)
        drawn[here] = scribble.label
        drawn[conflict] = VOID
    labels[drawn != UNLABELLED] = drawn[drawn != UNLABELLED]


SCRIBBLES = HintForm[Scribble | ScribbleMap](parse, label_of=lambda row: row[0], picture=ScribbleMap, draw=draw)
