"""Boxes of an image → where in them their classes probably are.

GrabCut [Rother, Kolmogorov, Blake, SIGGRAPH 2004; OpenCV's] tells what is in a box from what surrounds it; the
middle of the box where that finds nothing, or where nothing surrounds it.
"""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.hints.labels import UNLABELED
from hintseg.hints.types.boxes import Box

MIDDLE = 0.4  # of each side of a box: probably its class
SURROUNDINGS = 0.5  # of each side of a box, seen beyond it
LONGEST_SIDE = 200  # pixels of what GrabCut sees
ROUNDS = 2
ELLIPSE = 0.9  # of each side of a box: objects seldom reach its corners
LEAST = 0.05  # of a box; less is not believed


def box_seeds(image: NDArray[np.uint8], boxes: Iterable[Box]) -> NDArray[np.uint8]:
    """What boxes probably show, smaller ones on top: inside a cow's box, the meadow's box says nothing.

    Args:
        image: (H, W, 3) uint8.

    Returns:
        (H, W) uint8: classes, UNLABELED elsewhere.
    """
    seeds = np.full(image.shape[:2], UNLABELED, np.uint8)
    for box in _largest_first(boxes):
        seeds[box_pixels(box, seeds.shape, 1.0)] = UNLABELED
        place, found = _cut_out(image, box)
        if found.sum() < LEAST * seeds[box_pixels(box, seeds.shape, 1.0)].size:
            seeds[box_pixels(box, seeds.shape, MIDDLE)] = box.label
        else:
            seeds[place][found] = box.label
    return seeds


def box_centers(boxes: Iterable[Box], size: tuple[int, int]) -> NDArray[np.uint8]:
    """`box_seeds` without an image: the middle of every box."""
    seeds = np.full(size, UNLABELED, np.uint8)
    for box in _largest_first(boxes):
        seeds[box_pixels(box, size, 1.0)] = UNLABELED
        seeds[box_pixels(box, size, MIDDLE)] = box.label
    return seeds


def _cut_out(image: NDArray[np.uint8], box: Box) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """A box with its surroundings, and what GrabCut finds in it, a pixel from its edge and in the box's ellipse."""
    place = box_pixels(box, image.shape, 1 + 2 * SURROUNDINGS)
    seen = image[place]
    height, width = seen.shape[:2]
    top, left = place[0].start, place[1].start
    rows, columns = box_pixels(box, image.shape, 1.0)
    inside = np.zeros((height, width), bool)
    inside[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = True
    scale = min(LONGEST_SIDE / max(height, width), 1)
    small = (max(round(width * scale), 1), max(round(height * scale), 1))
    reduced = cv2.resize(inside.astype(np.uint8), small, interpolation=cv2.INTER_NEAREST)
    if reduced.all() or not reduced.any():
        return place, np.zeros((height, width), bool)
    labels = np.where(reduced > 0, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    pixels = np.ascontiguousarray(cv2.resize(seen, small, interpolation=cv2.INTER_AREA))
    cv2.setRNGSeed(0)
    cv2.grabCut(pixels, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    cut = cv2.erode((labels == cv2.GC_PR_FGD).astype(np.uint8), np.ones((3, 3), np.uint8))
    found = cv2.resize(cut, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    down = (np.arange(height) + top + 0.5 - (box.y0 + box.y1) / 2) / (ELLIPSE * (box.y1 - box.y0) / 2)
    across = (np.arange(width) + left + 0.5 - (box.x0 + box.x1) / 2) / (ELLIPSE * (box.x1 - box.x0) / 2)
    return place, found & inside & (down[:, None] ** 2 + across**2 <= 1)


def _largest_first(boxes: Iterable[Box]) -> list[Box]:
    return sorted(boxes, key=lambda box: (box.x0 - box.x1) * (box.y1 - box.y0))


def box_pixels(box: Box, size: Sequence[int], fraction: float) -> tuple[slice, slice]:
    """Rows and columns of a box shrunk, or grown, about its center; at least one pixel."""
    slices = []
    for low, high, length in ((box.y0, box.y1, size[0]), (box.x0, box.x1, size[1])):
        center, half = (low + high) / 2, fraction * (high - low) / 2
        first = int(np.clip(np.floor(center - half), 0, length - 1))
        slices.append(slice(first, int(np.clip(np.ceil(center + half), first + 1, length))))
    return slices[0], slices[1]


def resized_boxes(boxes: Iterable[Box], before: Sequence[int], after: Sequence[int]) -> tuple[Box, ...]:
    """Boxes of an image whose (H, W, …) changed."""
    down, across = after[0] / before[0], after[1] / before[1]
    return tuple(Box(box.x0 * across, box.y0 * down, box.x1 * across, box.y1 * down, box.label) for box in boxes)
