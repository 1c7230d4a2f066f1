"""Label maps as runs of pixels, there and back."""

import tracemalloc

import numpy as np

from hintseg.apps.studio.runs import connected_runs, painted
from hintseg.hints.labels import UNLABELED


def test_painted_again_runs_are_the_label_map():
    labels = np.random.default_rng(0).choice([0, 1, 2, UNLABELED], (17, 23)).astype(np.uint8)
    assert np.array_equal(painted(connected_runs(labels, labels.size), labels.shape), labels)


def test_later_regions_lie_over_earlier_ones():
    assert painted([(0, [0, 0, 3]), (1, [0, 1, 2])], (1, 4)).tolist() == [[0, 1, 0, UNLABELED]]


def test_a_region_of_a_large_image_needs_little_memory():
    runs = [number for row in range(1000) for number in (row, 0, 1000)]
    tracemalloc.start()
    try:
        painted([(0, runs)], (1000, 1000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1000 * 1000
