"""Scribbles: strokes, or an image of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.hints.types.hint_type import HintType, Row, label_map_classes

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
    """Scribbles that came as an image: a label map (H, W) uint8, `UNLABELED` where nothing was drawn."""

    labels: NDArray[np.uint8]

    def named(self) -> frozenset[int]:
        """The classes drawn."""
        return label_map_classes(self.labels)


def parse(row: Row) -> Scribble | None:
    """[class, [[x, y], …]] or [class, [[x, y], …], width]; None where it lies outside the image."""
    row.require(2, 3)
    label, path, *rest = row.values
    if not isinstance(path, list) or not path:
        raise InputError(f"{row.where}: a stroke is [class, [[x, y], …]] with at least one vertex.")
    vertices = tuple((x, y) for x, y in (row.numbers(vertex, 2) for vertex in path))
    (width,) = row.numbers(rest) or (3,)
    if not 1 <= width <= MAX_WIDTH:
        raise InputError(f"{row.where}: a stroke is 1 to {MAX_WIDTH} pixels wide, not {width:g}.")
    stroke = Scribble(vertices, row.label(label), round(width))
    left, top, right, bottom = bounds(stroke.vertices)
    height, size = row.size()
    if right < 0 or bottom < 0 or left > size or top > height:
        row.correct("strokes outside their image left out")
        return None
    if left < 0 or top < 0 or right > size or bottom > height:
        row.correct("strokes clipped to their image")
    return stroke


def bounds(vertices: Sequence[tuple[float, float]]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a stroke's vertices."""
    across, down = zip(*vertices, strict=True)
    return min(across), min(down), max(across), max(down)


def draw(scribbles: Sequence[Scribble | ScribbleMap], labels: NDArray[np.uint8], radius: int) -> None:
    """The image, and strokes over it, which correct it; strokes of different classes are ignored where they cross."""
    for scribble in scribbles:
        if isinstance(scribble, ScribbleMap):
            np.copyto(labels, scribble.labels, where=scribble.labels != UNLABELED)
    drawn = np.full(labels.shape, UNLABELED, dtype=np.uint8)
    strokes = [scribble for scribble in scribbles if isinstance(scribble, Scribble)]
    for label in sorted({stroke.label for stroke in strokes}):
        plane = np.zeros(labels.shape, dtype=np.uint8)
        for stroke in strokes:
            if stroke.label == label:
                draw_stroke(stroke, plane)
        here = plane.astype(bool)
        conflict = here & (drawn != UNLABELED)
        drawn[here] = label
        drawn[conflict] = IGNORE_INDEX
    np.copyto(labels, drawn, where=drawn != UNLABELED)


def draw_stroke(stroke: Scribble, plane: NDArray[np.uint8]) -> None:
    """A stroke's pixels become 1."""
    import cv2

    vertices = np.round(np.array(stroke.vertices)).astype(np.int32).reshape(-1, 1, 2)
    vertices = np.concatenate([vertices, vertices[-1:]])  # a line of one vertex would not be drawn
    cv2.polylines(plane, [vertices], isClosed=False, color=1, thickness=stroke.width)


SCRIBBLES = HintType[Scribble | ScribbleMap](parse, label_of=lambda row: row[0], label_map=ScribbleMap, draw=draw)
