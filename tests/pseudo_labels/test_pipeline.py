import numpy as np

from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.hints.model import ImageHints
from hintseg.hints.types.boxes import Box
from hintseg.hints.types.points import Point
from hintseg.hints.types.tags import Tag
from hintseg.io.samples import DecodedImage
from hintseg.pseudo_labels.pipeline import drawn, limited_by_boxes, middles, pseudo_labels, without_invalid

HINTS = ImageHints({"points": (Point(3, 3, 2),), "boxes": (Box(10, 4, 20, 14, 1),)}, background=0)


def test_the_stages_one_after_the_other_are_the_whole():
    image, valid = np.zeros((20, 30, 3), np.uint8), np.ones((20, 30), bool)
    valid[:, 25:] = False
    labels = drawn(HINTS, (20, 30), 3, point_radius=1)
    labels = limited_by_boxes(labels, HINTS.boxes, middles(image, HINTS.boxes))
    labels = without_invalid(labels, valid)
    whole = pseudo_labels(DecodedImage(image, valid), HINTS, 3, point_radius=1, find_in_boxes=middles)
    for one, other in zip(labels, whole, strict=True):
        assert np.array_equal(one, other)


def test_pixels_without_data_are_ignored_whatever_hints_say():
    valid = np.ones((20, 30), bool)
    valid[:9] = False
    hints = ImageHints({"boxes": HINTS.boxes}, background=0)
    labels = pseudo_labels(DecodedImage(np.zeros((20, 30, 3), np.uint8), valid), hints, 3)
    assert (labels.labels[:9] == IGNORE_INDEX).all()
    assert (labels.seeds[:9] == IGNORE_INDEX).all()
    assert (labels.labels[9:, 20:] == 0).all()  # outside the only box
    assert (labels.labels[9:14, 10:20] == UNLABELED).all()


def test_what_is_certain_stays_as_it_is_when_boxes_come():
    labels = drawn(HINTS, (20, 30), 3, point_radius=1)
    before = labels.labels.copy()
    limited_by_boxes(labels, HINTS.boxes, np.full((20, 30), UNLABELED, np.uint8))
    assert np.array_equal(labels.labels, before)


def test_boxes_limit_no_class_of_which_another_object_was_drawn_or_that_nobody_looked_for():
    def far(point, verified_classes=None, *tags):
        drawn = {"boxes": HINTS.boxes, "points": (point,), "tags": tags}
        hints = ImageHints(drawn, background=0, verified_classes=verified_classes)
        return pseudo_labels(DecodedImage(np.zeros((20, 30, 3), np.uint8), None), hints, 2, 2, middles).labels[19, 29]

    inside, apart = Point(10, 8, 1), Point(3, 3, 1)  # the first one's disc leaves the box
    assert (far(inside), far(apart), far(inside, frozenset())) == (0, UNLABELED, UNLABELED)
    assert far(inside, frozenset({0})) == 0, "a class that was added later is where its boxes are"
    assert far(inside, frozenset({0}), Tag(1)) == UNLABELED, "but not where a tag says that there is more"


def test_without_a_background_what_boxes_leave_is_of_no_class():
    hints = ImageHints({"boxes": HINTS.boxes}, verified_classes=frozenset({0}))
    labels = pseudo_labels(DecodedImage(np.zeros((20, 30, 3), np.uint8), None), hints, 2, find_in_boxes=middles)
    assert labels.labels[19, 29] == UNLABELED
    assert not labels.possible[:, 19, 29].any()


def test_without_a_background_a_class_without_boxes_is_not_all_that_lies_outside_those_of_others():
    def far(background, *hints):
        found = ImageHints({"boxes": HINTS.boxes, "points": hints}, background=background)
        return pseudo_labels(DecodedImage(np.zeros((20, 30, 3), np.uint8), None), found, 3, 2, middles).labels[19, 29]

    assert far(None, Point(3, 3, 2)) == far(0, Point(3, 3, 2)) == UNLABELED
    assert (far(None), far(0)) == (UNLABELED, 0)
