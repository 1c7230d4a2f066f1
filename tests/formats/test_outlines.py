"""Polygons that cover exactly the pixels of their masks."""

import tracemalloc

import numpy as np
import pytest

from hintseg.formats.outlines import outlines, rings
from hintseg.formats.polygons import filled


def filled_again(mask):
    again = np.zeros(mask.shape, int)
    for ring, pixels in outlines(mask):
        window, inside = filled(mask.shape, ring.astype(float))
        assert inside.sum() == pixels
        again[window] += inside
    return again


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (13, 17), (40, 30)])
def test_filled_again_a_mask_is_the_same(size, share):
    for seed in range(5):
        mask = np.random.default_rng(seed).random(size) < share
        assert np.array_equal(filled_again(mask), mask)


def test_holes_islands_in_them_and_corners_that_touch():
    mask = np.zeros((12, 12), bool)
    mask[1:11, 1:11] = True
    mask[3:9, 3:9] = False
    mask[5:7, 5:7] = True
    mask[0, 0] = True  # touches by a corner
    assert np.array_equal(filled_again(mask), mask)
    assert len(list(outlines(mask))) == 3


def test_only_corners_are_listed_and_the_outer_outline_comes_first():
    mask = np.ones((4, 6), bool)
    mask[1:3, 2:4] = False
    outer, hole = rings(mask)
    assert outer.tolist() == [[6, 0], [6, 4], [0, 4], [0, 0]]
    assert sorted(hole.tolist()) == [[2, 1], [2, 3], [4, 1], [4, 3]]


def test_holes_that_touch_the_outside_by_a_corner():
    mask = np.array([[1, 1, 1, 0], [1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 1]], bool)
    assert np.array_equal(filled_again(mask), mask)


def test_memory_follows_the_edges_not_the_pixels():
    mask = np.ones((800, 800), bool)
    mask[200:400, 200:400] = False
    tracemalloc.start()
    try:
        list(outlines(mask))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * mask.size
