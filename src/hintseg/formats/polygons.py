"""Polygons → masks, and lines cut off at the edge of the image.

A pixel is inside a polygon where its centre is; of centres on the outline, those on its right and lower sides.
pycocotools draws the same, but rounds corners to a fifth of a pixel.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 22  # crossings that are held at once
Window = tuple[slice, slice]


def filled(size: tuple[int, int], vertices: NDArray[np.floating]) -> tuple[Window, NDArray[np.bool_]]:
    """The pixels of a polygon.

    Args:
        size: (height, width) of the image.
        vertices: (N, 2) x, y in pixels; the last is joined to the first.

    Returns:
        The window (rows, columns) of the image in which the polygon lies, and the mask of this window.
    """
    # In each column of pixels, those below an odd number of the outline's crossings with its middle are inside.
    # The first column or row whose middle lies beyond a position, within the image.
    after = np.floor(vertices + 0.5).clip(0, size[::-1]).astype(np.int64)
    (left, top), (right, bottom) = after.min(axis=0).tolist(), after.max(axis=0).tolist()
    height, width = bottom - top, right - left
    toggles = np.zeros((height + 1) * width, np.uint8)
    stop = np.roll(vertices, -1, axis=0)
    ends = np.stack([after[:, 0], np.roll(after[:, 0], -1)])
    first, count = ends.min(axis=0), np.ptp(ends, axis=0)
    total = np.cumsum(count)
    for edges in np.split(np.arange(len(count)), np.searchsorted(total, np.arange(CHUNK, total[-1], CHUNK))):
        edge = np.repeat(edges, count[edges])
        column = np.arange(len(edge)) - np.repeat(np.cumsum(count[edges]) - count[edges], count[edges]) + first[edge]
        (x0, y0), (x1, y1) = vertices[edge].T, stop[edge].T
        crossing = y0 + (column + 0.5 - x0) * ((y1 - y0) / (x1 - x0))
        row = np.floor(crossing + 0.5).clip(top, bottom).astype(np.int64)
        np.add.at(toggles, (row - top) * width + column - left, 1)  # only whether it is odd counts
    inside = np.add.accumulate(toggles.reshape(height + 1, width)[:height], axis=0, dtype=np.uint8) & 1
    return np.s_[top:bottom, left:right], inside.astype(np.bool_)


def clipped_line(size: tuple[int, int], vertices: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The pieces of a line, (N, 2) x, y, that lie in an image of (height, width)."""
    low, high = np.zeros(2), np.array(size[::-1], np.float64)
    if (vertices >= low).all() and (vertices <= high).all():
        return [vertices]
    pieces: list[list[NDArray[np.float64]]] = []
    for start, stop in pairwise(vertices):
        step = stop - start
        with np.errstate(divide="ignore", invalid="ignore"):
            enter, leave = np.sort(np.stack([(low - start) / step, (high - start) / step]), axis=0)
        still = step == 0  # along this axis: always inside or never
        enter[still], leave[still] = np.where((start < low) | (start > high), np.inf, -np.inf)[still], np.inf
        first, last = max(enter.max(), 0.0), min(leave.min(), 1.0)
        if first > last:
            continue
        begin, end = (start + at * step for at in (first, last))
        if first > 0 or not pieces or (pieces[-1][-1] != begin).any():
            pieces.append([begin])
        pieces[-1].append(end)
    return [np.array(piece).clip(low, high) for piece in pieces]
