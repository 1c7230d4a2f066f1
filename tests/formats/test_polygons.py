"""Polygons against a plain version of pycocotools' rule, pixel by pixel."""

from itertools import pairwise

import numpy as np
import pytest

from hintseg.formats import polygons
from hintseg.formats.polygons import clipped_line, filled, filled_together
from hintseg.formats.rle import decode_polygons


def mask_of(size, vertices):
    mask = np.zeros(size, np.bool_)
    window, inside = filled(size, np.array(vertices, np.float64))
    mask[window] = inside
    return mask


def as_pycocotools(size, vertices):
    """rleFrPoly: corners in fifths of a pixel, each side a chain of points, of which those in mid-column count."""
    height, width = size
    corners = [(int(5 * x + 0.5), int(5 * y + 0.5)) for x, y in vertices]
    chain = []
    for (xs, ys), (xe, ye) in zip(corners, [*corners[1:], corners[0]], strict=True):
        dx, dy = abs(xe - xs), abs(ye - ys)
        flip = (dx >= dy and xs > xe) or (dx < dy and ys > ye)
        if flip:
            xs, ys, xe, ye = xe, ye, xs, ys
        if dx >= dy:
            slope = (ye - ys) / dx if dx else 0
            points = [(xs + t, int(ys + slope * t + 0.5)) for t in range(dx + 1)]
        else:
            slope = (xe - xs) / dy
            points = [(int(xs + slope * t + 0.5), ys + t) for t in range(dy + 1)]
        chain += points[::-1] if flip else points
    toggles = np.zeros(height * width + 1, np.int64)
    for (u0, v0), (u1, v1) in pairwise(chain):
        x = ((u1 if u1 < u0 else u1 - 1) + 0.5) / 5 - 0.5
        if u1 == u0 or x != int(x) or not 0 <= x <= width - 1:
            continue
        y = int(np.ceil(min(max((min(v0, v1) + 0.5) / 5 - 0.5, 0), height)))
        toggles[int(x) * height + y] += 1
    return (np.cumsum(toggles)[:-1] % 2).astype(bool).reshape(width, height).T


@pytest.mark.parametrize(
    ("vertices", "pixels"),
    [
        ([(2, 2), (6, 2), (6, 6), (2, 6)], 16),
        ([(6, 6), (6, 2), (2, 2), (2, 6)], 16),
        ([(2.5, 2.5), (6.5, 2.5), (6.5, 6.5), (2.5, 6.5)], 16),
        ([(-5, -5), (3, -5), (3, 3), (-5, 3)], 9),
        ([(-1e6, -1e6), (1e6, -1e6), (1e6, 1e6), (-1e6, 1e6)], 80),
        ([(20, 20), (30, 20), (30, 30)], 0),
        ([(2, 2), (6, 2)], 0),
        ([(2, 2), (2, 2), (2, 2)], 0),
        ([(0, 0), (10, 0), (10, 8), (0, 8), (0, 0)], 80),
    ],
)
def test_areas(vertices, pixels):
    assert mask_of((8, 10), vertices).sum() == pixels
    assert decode_polygons([np.ravel(vertices).tolist()], (8, 10)).sum() == pixels


def test_as_pycocotools_has_it():
    random = np.random.default_rng(0)
    for trial in range(300):
        size = tuple(random.integers(1, 24, 2).tolist())
        vertices = random.uniform(-6, 30, (random.integers(1, 9), 2))
        if trial % 3:
            vertices = np.round(vertices * 5 / (trial % 3)) / 5  # corners and outlines on centers
        np.testing.assert_array_equal(mask_of(size, vertices), as_pycocotools(size, vertices.tolist()))


def test_large_polygons_are_not_held_together(monkeypatch):
    square = np.array([(0, 0), (9, 0), (9, 9), (0, 9)], np.float64)
    assert len(filled_together([(10, 10)] * 2, [square] * 2)) == 2
    for limit in ("MOST_TOGETHER", "CHUNK"):
        with monkeypatch.context() as changed:
            changed.setattr(polygons, limit, 20)
            assert filled_together([(10, 10)] * 2, [square] * 2) is None


def test_together_as_one_by_one():
    random = np.random.default_rng(1)
    for trial in range(40):
        number = 1 + trial % 7
        sizes = [tuple(random.integers(1, 24, 2).tolist()) for _ in range(number)]
        several = [np.round(random.uniform(-6, 30, (random.integers(1, 9), 2)) * 5) / 5 for _ in range(number)]
        found = filled_together(sizes, several)
        for size, vertices, (window, inside) in zip(sizes, several, found, strict=True):
            mask = np.zeros(size, np.bool_)
            mask[window] = inside
            np.testing.assert_array_equal(mask, as_pycocotools(size, vertices.tolist()))


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ([(1, 1), (5, 5)], [[(1, 1), (5, 5)]]),
        ([(-5, 4), (20, 4)], [[(0, 4), (10, 4)]]),
        ([(5, 4), (5, -4), (8, -4), (8, 4)], [[(5, 4), (5, 0)], [(8, 0), (8, 4)]]),
        ([(-5, -5), (-5, 20)], []),
        ([(30, 30)], []),
        ([(3, 3)], [[(3, 3)]]),
    ],
)
def test_lines_are_cut_at_the_edge(line, pieces):
    found = clipped_line((8, 10), np.array(line, np.float64))
    assert [[tuple(at) for at in piece.tolist()] for piece in found] == pieces
