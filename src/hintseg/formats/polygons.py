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
    x, y = np.concatenate([vertices, vertices[:1]]).T
    # The first column whose middle lies beyond a corner, within the image; the first row likewise.
    across = np.minimum(np.maximum(np.floor(x + 0.5), 0), size[1]).astype(np.int64)
    down = np.minimum(np.maximum(np.floor(y + 0.5), 0), size[0])
    left, right, top, bottom = int(across.min()), int(across.max()), int(down.min()), int(down.max())
    height, width = bottom - top, right - left
    toggles = np.zeros((height + 1) * width, np.bool_)
    steps = np.diff(across)
    crossed = np.flatnonzero(steps)
    slope = np.diff(y)[crossed] / np.diff(x)[crossed]
    first, count = np.minimum(across[:-1], across[1:])[crossed], np.abs(steps[crossed])
    x0, y0 = x[crossed], y[crossed]
    for part in _parts(count):
        times = count[part]
        column = np.arange(int(times.sum())) + np.repeat(first[part] - (np.cumsum(times) - times), times)
        crossing = np.repeat(y0[part], times) + (column + 0.5 - np.repeat(x0[part], times)) * np.repeat(
            slope[part], times
        )
        row = np.minimum(np.maximum(np.floor(crossing + 0.5), top), bottom).astype(np.int64)
        crossings = np.bincount((row - top) * width + (column - left), minlength=len(toggles))
        toggles ^= (crossings & 1).astype(np.bool_)  # only whether it is odd counts
    inside = np.logical_xor.accumulate(toggles.reshape(height + 1, width)[:height], axis=0)
    return np.s_[top:bottom, left:right], inside


def _parts(count: NDArray[np.int64]) -> list[slice]:
    """Edges in groups of about `CHUNK` crossings."""
    total = np.cumsum(count)
    if not len(total) or total[-1] <= CHUNK:
        return [np.s_[:]]
    cuts = np.searchsorted(total, np.arange(CHUNK, int(total[-1]), CHUNK)).tolist()
    return [np.s_[start:stop] for start, stop in pairwise([0, *cuts, len(count)])]


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
