"""WeakTarget: all hints of one image as a label map and a set of allowed classes.

Each form is rasterised by one small function `form(hints, labels) -> None` that draws on a label map.
`FORMS_BY_STRENGTH` lists them weakest first, so that a stronger form overwrites a weaker one.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.hints.model import UNLABELLED, VOID, ImageHints


class WeakTarget(NamedTuple):
    """Training target of one image.

    Attributes:
        labels: (H, W) uint8: a class, `UNLABELLED` or `VOID`.
        allowed: (C,) bool: classes that may occur in the image at all.
    """

    labels: NDArray[np.uint8]
    allowed: NDArray[np.bool_]


def weak_target(hints: ImageHints, size: tuple[int, int], num_classes: int, point_radius: int = 3) -> WeakTarget:
    """Combine every form of one image.

    Strokes and points that touch pixels of another class make those pixels void: nobody knows.

    Args:
        size: (height, width).
        point_radius: a point is drawn as a disc of this many pixels [SPML: 6 at 512 px crops].
    """
    labels = np.full(size, UNLABELLED, dtype=np.uint8)
    draw_points(hints, labels, point_radius)
    draw_scribbles(hints, labels)
    draw_mask(hints, labels)
    named = hints.classes()
    allowed = np.ones(num_classes, dtype=np.bool_)
    if hints.tags_complete and named:
        allowed[:] = False
        allowed[sorted(named)] = True
    return WeakTarget(labels, allowed)


def draw_points(hints: ImageHints, labels: NDArray[np.uint8], radius: int) -> None:
    """Each point becomes a disc; where discs of two classes overlap, the nearer point wins."""
    distance = np.full(labels.shape, np.inf)
    for point in hints.points:
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


def draw_scribbles(hints: ImageHints, labels: NDArray[np.uint8]) -> None:
    """Strokes and the scribble map; crossing strokes of different classes become void where they cross."""
    drawn = np.full(labels.shape, UNLABELLED, dtype=np.uint8)
    for scribble in hints.scribbles:
        stroke = np.zeros(labels.shape, dtype=np.uint8)
        vertices = np.round(np.array(scribble.vertices)).astype(np.int32).reshape(-1, 1, 2)
        vertices = np.concatenate([vertices, vertices[-1:]])  # a line of one vertex would not be drawn
        cv2.polylines(stroke, [vertices], isClosed=False, color=1, thickness=scribble.width)
        here = stroke.astype(bool)
        conflict = here & (drawn != UNLABELLED) & (drawn != scribble.label)
        drawn[here] = scribble.label
        drawn[conflict] = VOID
    if hints.scribble_map is not None:
        there = hints.scribble_map.labels != UNLABELLED
        drawn[there] = hints.scribble_map.labels[there]
    labels[drawn != UNLABELLED] = drawn[drawn != UNLABELLED]


def draw_mask(hints: ImageHints, labels: NDArray[np.uint8]) -> None:
    """A dense mask overrides everything where it says something."""
    if hints.mask is not None:
        there = hints.mask.labels != UNLABELLED
        labels[there] = hints.mask.labels[there]


def reduce_to(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], longest_side: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Shrink image and labels together; thin strokes survive because labelled pixels win their cell."""
    height, width = labels.shape
    factor = longest_side / max(height, width)
    if factor >= 1:
        return image, labels
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], 3)
    reduced = np.full((size[1], size[0]), UNLABELLED, dtype=np.uint8)
    reduced[:] = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST).reshape(size[1], size[0])
    rows, columns = np.nonzero(labels < UNLABELLED)
    target = ((rows * size[1]) // height, (columns * size[0]) // width)
    empty = reduced[target] == UNLABELLED
    reduced[target[0][empty], target[1][empty]] = labels[rows[empty], columns[empty]]
    return small, reduced
