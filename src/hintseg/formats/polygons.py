"""Polygons → masks, and lines cut off at the edge of the image.

Polygons cover the pixels that pycocotools gives them (COCO's `rleFrPoly`): corners are rounded to a fifth of a pixel,
each side is a chain of such places, and a pixel is inside where its center is.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 20  # crossings that are held at once
MOST_TOGETHER = 1 << 22  # pixels of the windows of polygons that are filled at once
WORD = 8  # pixels, a byte each, of a machine word
ONCE = np.uint8(1)
Window = tuple[slice, slice]
Filled = tuple[Window, NDArray[np.bool_]]


def filled(size: tuple[int, int], vertices: NDArray[np.floating]) -> Filled:
    """The pixels of a polygon.

    Args:
        size: (height, width) of the image.
        vertices: (N, 2) x, y in pixels; the last is joined to the first.

    Returns:
        The window (rows, columns) of the image in which the polygon lies, and the mask of this window.
    """
    # In each column of pixels, those below an odd number of the outline's crossings with its middle are inside.
    fifths = np.trunc(np.concatenate([vertices, vertices[:1]], dtype=np.float64).T * 5 + 0.5)
    # The first column whose middle lies beyond a corner, within the image; the first row likewise.
    cells = np.maximum(np.ceil((fifths - 2) / 5), 0.0)
    across, down = np.minimum(cells[0], size[1]), np.minimum(cells[1], size[0])
    columns, rows = across.tolist(), down.tolist()
    left, right, top, bottom = int(min(columns)), int(max(columns)), int(min(rows)), int(max(rows))
    height, width = bottom - top, right - left
    words = -(-width // WORD)  # of a row: `WORD` pixels are toggled at once
    toggles = np.zeros((height + 1, words), np.uint64)
    pixels = toggles.view(np.uint8)
    flat = pixels.reshape(-1)
    chains = _chains(fifths)
    count = np.abs(across[1:] - across[:-1])
    # Of an edge's crossings: column = offset + number of the crossing among all.
    total = count.cumsum()
    offset = np.minimum(across[:-1], across[1:]) - (total - count)
    for edges, numbers in _parts(total):
        times = count[edges].astype(np.int64)
        column = numbers + offset[edges].repeat(times)
        row = _crossings(column, chains[:, edges].repeat(times, axis=1))
        row -= 2
        row /= 5
        np.ceil(row, out=row)
        np.minimum(np.maximum(row, top, out=row), bottom, out=row)
        row *= words * WORD
        row += column
        row -= top * words * WORD + left
        np.bitwise_xor.at(flat, row.astype(np.int64), ONCE)  # only whether it is odd counts
    np.bitwise_xor.accumulate(toggles, axis=0, out=toggles)
    return np.s_[top:bottom, left:right], pixels[:height, :width].view(np.bool_)


def filled_together(
    sizes: Sequence[tuple[int, int]], polygons: Sequence[NDArray[np.floating]]
) -> list[Filled] | None:  # fmt: skip
    """`filled` for several polygons, (height, width) and vertices of each: small ones take less than half the time.

    None where they are large, and better filled one by one.
    """
    corners = np.array([len(polygon) + 1 for polygon in polygons])
    first = corners.cumsum() - corners
    owner = np.arange(len(polygons)).repeat(corners)
    closed = [part for polygon in polygons for part in (polygon, polygon[:1])]
    fifths = np.trunc(np.concatenate(closed, dtype=np.float64).T * 5 + 0.5)
    cells = np.minimum(np.maximum(np.ceil((fifths - 2) / 5), 0.0), np.array(sizes, np.float64)[owner, ::-1].T)
    left, top = np.minimum.reduceat(cells, first, axis=1)
    right, bottom = np.maximum.reduceat(cells, first, axis=1)
    height = bottom - top + 1  # of a column of toggles: the last takes what lies below the window
    ends = (height * (right - left)).cumsum()
    across = cells[0]
    times = np.abs(np.diff(across))
    times[first[1:] - 1] = 0  # from one polygon to the next there is no edge
    total = times.cumsum()
    if ends[-1] > MOST_TOGETHER or total[-1] > CHUNK:
        return None
    begins = ends - height * (right - left)
    offset = np.minimum(across[:-1], across[1:]) - (total - times)
    edge = np.arange(len(times)).repeat(times.astype(np.int64))
    of = owner[edge]
    column = np.arange(total[-1]) + offset[edge]
    row = np.ceil((_crossings(column, _chains(fifths)[:, edge]) - 2) / 5)
    place = (begins - left * height - top)[of] + column * height[of] + np.clip(row, top[of], bottom[of])
    toggles = np.bincount(place.astype(np.int64), minlength=int(ends[-1])).astype(np.uint8) & 1
    # An outline crosses each column an even number of times, so that nothing is carried into the next.
    inside = np.bitwise_xor.accumulate(toggles).view(np.bool_)
    found = []
    for x0, x1, y0, y1, begin, end in np.stack([left, right, top, bottom, begins, ends], 1).astype(np.int64).tolist():
        mask = inside[begin:end].reshape(x1 - x0, y1 - y0 + 1)[:, :-1].T
        found.append((np.s_[y0:y1, x0:x1], mask))
    return found


def _chains(fifths: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, N) of the sides of a polygon with corners (2, N + 1) x, y: x and y of the first place, the step along the
    other axis for one along the longer axis, which goes right, or down where a side is steep, and whether it is.
    """
    start, stop = fifths[:, :-1], fifths[:, 1:]
    step = stop - start
    x, y = step
    found = np.empty((4, x.size))
    is_steep = np.abs(x) < np.abs(y)
    longer = np.where(is_steep, y, x)
    found[:2] = np.where(longer < 0, stop, start)
    np.divide(np.where(is_steep, x, y), longer, out=found[2], where=longer != 0)  # one without length crosses nothing
    found[3] = is_steep
    return found


def _crossings(column: NDArray[np.float64], chains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where chains cross the middles of columns: the upper of the two places beside it, in fifths of a pixel."""
    x, y, slope, is_steep = chains
    middle = 5 * column + 2.5
    found = np.trunc(y + slope * (middle - 0.5 + (slope < 0) - x) + 0.5)
    steep = is_steep.nonzero()[0]
    if steep.size:
        (x, y, slope, _), middle = chains[:, steep], middle[steep]
        nearest = np.rint((middle - x) / slope)  # the number of the place nearest to the middle: beyond it, or before
        is_beyond = (np.trunc(x + slope * nearest + 0.5) > middle) == (slope > 0)
        found[steep] = y + nearest - is_beyond
    return found


def _parts(total: NDArray[np.float64]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Edges in groups of about `CHUNK` crossings, and the numbers of these; `total` counts up to each edge's end."""
    if total[-1] <= CHUNK:
        yield np.s_[:], np.arange(total[-1])
        return
    cuts = np.searchsorted(total, np.arange(CHUNK, total[-1], CHUNK)).tolist()
    for start, stop in pairwise([0, *cuts, len(total)]):
        first, last = (float(total[edge - 1]) if edge else 0.0 for edge in (start, stop))
        yield np.s_[start:stop], np.arange(first, last)


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
