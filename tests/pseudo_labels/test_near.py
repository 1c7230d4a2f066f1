"""A hint reaches what is near and alike, and nothing else."""

import numpy as np

from hintseg.hints.labels import UNLABELED
from hintseg.pseudo_labels.near import REACH, corrected, near_hints, touched
from hintseg.pseudo_labels.target import PseudoLabels

SIZE = (100, 200)
RADIUS = round(REACH * 200)


def click(row, column, label):
    labels = np.full(SIZE, UNLABELED, np.uint8)
    labels[row, column] = label
    return labels


def target_of(labels, possible=None):
    return PseudoLabels(labels, np.ones(2, bool), np.zeros(2, bool), labels, possible)


def test_a_click_in_a_superpixel_of_half_the_image_takes_what_is_near():
    regions = np.zeros(SIZE, np.int64)
    regions[50:] = 1
    of_hints = touched(click(45, 100, 1), regions, 2)
    rows, columns = np.nonzero(of_hints == 1)
    assert rows.max() == 49
    assert rows.min() == 45 - RADIUS
    assert (columns.min(), columns.max()) == (100 - RADIUS, 100 + RADIUS)
    assert set(np.unique(of_hints)) == {1, 2}


def test_a_superpixel_that_two_classes_touch_is_nobodys():
    labels = click(10, 10, 0)
    labels[12, 12] = 1
    assert (touched(labels, np.zeros(SIZE, np.int64), 2) == 2).all()


def test_without_hints_nothing_is_reached():
    nothing = np.full(SIZE, UNLABELED, np.uint8)
    assert not near_hints(nothing, 2).any()
    assert (touched(nothing, np.zeros(SIZE, np.int64), 2) == 2).all()


def test_one_click_moves_a_networks_mask_near_it_alone():
    predicted, completed = np.zeros(SIZE, np.uint8), np.ones(SIZE, np.uint8)
    mask = corrected(predicted, completed, target_of(click(50, 100, 1)))
    assert mask[50, 100] == 1
    assert 0 < (mask != predicted).mean() < 0.05
    np.testing.assert_array_equal(corrected(predicted, completed, target_of(click(50, 100, UNLABELED))), predicted)


def test_what_boxes_exclude_is_replaced_everywhere():
    predicted, completed = np.ones(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
    possible = np.ones((2, *SIZE), bool)
    possible[1, :, 100:] = False
    mask = corrected(predicted, completed, target_of(np.full(SIZE, UNLABELED, np.uint8), possible))
    assert (mask[:, :100] == 1).all()
    assert (mask[:, 100:] == 0).all()
