"""How deep pixels lie inside a region, beside distances to every pixel outside."""

import numpy as np

from hintseg.functional.shapes import deepest, distance_to_border


def plain_distance(mask):
    outside = np.argwhere(~np.pad(mask, 1)) - 1
    found = np.zeros(mask.shape)
    for y, x in np.argwhere(mask):
        found[y, x] = np.hypot(*(outside - (y, x)).T).min()
    return found


def test_distances_are_those_to_the_nearest_pixel_outside():
    mask = np.random.default_rng(0).random((24, 31)) < 0.9
    assert np.abs(distance_to_border(mask) - plain_distance(mask)).max() < 0.1  # OpenCV's 5×5 mask: within 2 %


def test_the_edge_of_the_image_is_a_border():
    assert distance_to_border(np.ones((5, 7), bool)).tolist()[2] == [1, 2, 3, 3, 3, 2, 1]


def test_the_deepest_pixel():
    mask = np.zeros((20, 30), bool)
    mask[2:5, 2:25] = True
    mask[8:19, 10:21] = True
    assert deepest(mask) == (15, 13)
