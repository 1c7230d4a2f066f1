"""How far hints are propagated where an image may hold more than is hinted."""

import numpy as np
import pytest

from hintseg.functional.segments.superpixels import find_superpixels
from hintseg.hints.labels import UNLABELED
from hintseg.hints.model import ImageHints
from hintseg.hints.types.boxes import Box
from hintseg.hints.types.points import Point
from hintseg.hints.types.tags import Tag
from hintseg.io.samples import DecodedImage
from hintseg.pseudo_labels.pipeline import middles, pseudo_labels
from hintseg.pseudo_labels.propagate import propagated

COW, GRASS, SKY = 0, 1, 2
POINTS = (Point(10, 30, COW), Point(40, 30, GRASS))
BOX = Box(4, 20, 16, 40, COW)


def taught(background=None, exhaustive=True, verified=None, **hints):
    """How many pixels of 4800 get a label from a dark cow beside bright grass."""
    image = np.full((60, 80, 3), 40, np.uint8)
    image[:, 25:] = 200
    given = ImageHints(hints, background=background, tags_exhaustive=exhaustive, verified_classes=verified)
    labels = pseudo_labels(DecodedImage(image, None), given, 3, find_in_boxes=middles)
    return int((propagated(image, labels, find_superpixels(image, 60)) < UNLABELED).sum())


def test_hints_of_all_that_is_there_divide_the_image():
    assert taught(points=POINTS) > 2400
    assert taught(points=POINTS, exhaustive=False) > 2400
    assert taught(points=POINTS, verified=frozenset({COW, GRASS})) > 2400  # a class was added since


@pytest.mark.parametrize(
    "known",
    [
        {"points": POINTS, "background": SKY},
        {"points": POINTS, "tags": (Tag(SKY),)},
        {"points": POINTS, "verified": frozenset()},
        {"points": POINTS[:1], "exhaustive": False},
        {"points": POINTS[1:], "boxes": (BOX,), "background": SKY},
    ],
)
def test_hints_do_not_take_the_pixels_of_what_is_there_without_one(known):
    assert 0 < taught(**known) < 900
