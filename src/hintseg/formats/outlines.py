"""Masks → polygons that cover exactly their pixels.

An outline runs along the edges of pixels. Polygons of other tools have no holes: a cut of no width joins each hole to
the outline round it, there and back, so that filling by the even-odd rule leaves the hole out.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))  # (row, column): right, down, left, up; a mask lies on the right hand


def outlines(mask: NDArray[np.bool_], tolerance: float = 0) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Of every area whose pixels touch by their sides: the polygon, (N, 2) x, y, and how many pixels it covers.

    Args:
        tolerance: pixels by which a polygon of fewer corners may lie beside the outline.
    """
    import cv2

    count, areas, found, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    for number in range(1, count):
        x, y, width, height, pixels = found[number].tolist()
        part = areas[y : y + height, x : x + width] == number
        found_rings = rings(part)
        if tolerance:
            found_rings = [_simplified(ring, tolerance) for ring in found_rings]
        yield joined(found_rings) + np.array([x, y]), pixels


def _simplified(ring: NDArray[np.int64], tolerance: float) -> NDArray[np.int64]:
    import cv2

    fewer = cv2.approxPolyDP(ring.astype(np.int32), tolerance, True)[:, 0].astype(np.int64)
    return fewer if len(fewer) >= 3 else ring


def rings(part: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """The corners, (N, 2) x, y, of the outlines of one area: the outer one first, then those of its holes."""
    height, width = part.shape
    padded = np.pad(part, 1)
    inside, wide = padded[1:-1, 1:-1], width + 1
    starts = np.zeros((4, height + 1, wide), np.bool_)  # direction → whether an edge begins at a corner
    starts[0, :-1, :-1] = inside & ~padded[:-2, 1:-1]
    starts[1, :-1, 1:] = inside & ~padded[1:-1, 2:]
    starts[2, 1:, 1:] = inside & ~padded[2:, 1:-1]
    starts[3, 1:, :-1] = inside & ~padded[1:-1, :-2]
    edges, following, turning = _following(starts)
    corner_of = (edges % starts[0].size).tolist()
    is_left = [True] * len(edges)
    found = []
    for first in range(len(edges)):
        edge, corners = first, []
        while is_left[edge]:
            is_left[edge] = False
            if turning[edge]:
                corners.append(corner_of[following[edge]])
            edge = following[edge]
        if corners:
            places = np.array(corners, np.int64)
            found.append(np.stack([places % wide, places // wide], axis=1))
    return found  # the first edge of all is the outer outline's: the uppermost, looking right


def joined(found: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """One polygon of an outline and those of its holes."""
    ring = found[0]
    for hole in found[1:]:
        near = int(((ring - hole[0]) ** 2).sum(axis=1).argmin())
        ring = np.concatenate([ring[: near + 1], hole, hole[:1], ring[near:]])
    return ring


def _following(starts: NDArray[np.bool_]) -> tuple[NDArray[np.int64], list[int], list[bool]]:
    """All edges, sorted by direction, then by corner; and of each the place of the one after it in that list, and
    whether that has another direction.

    Where two areas touch at a corner the outline turns right and stays with its own.
    """
    size = starts[0].size
    flat = starts.reshape(4, size)
    edges = np.flatnonzero(flat)
    following, turning = [], []
    for direction, (down, right) in enumerate(STEPS):
        ends = np.flatnonzero(flat[direction]) + down * starts.shape[2] + right
        ahead = np.full(len(ends), (direction + 3) % 4)
        for other in (direction, (direction + 1) % 4):  # the last that there is counts
            ahead[flat[other, ends]] = other
        following.append(ahead * size + ends)
        turning.append(ahead != direction)
    return edges, np.searchsorted(edges, np.concatenate(following)).tolist(), np.concatenate(turning).tolist()
