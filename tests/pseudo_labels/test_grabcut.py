"""What is in a box, on images whose answer is known."""

import cv2
import numpy as np
import pytest

from hintseg.hints.labels import UNLABELED
from hintseg.hints.model import ImageHints
from hintseg.hints.types.boxes import Box
from hintseg.hints.types.points import Point
from hintseg.io.samples import DecodedImage
from hintseg.pseudo_labels.grabcut import MIDDLE, box_centers, box_pixels, box_seeds
from hintseg.pseudo_labels.pipeline import middles, pseudo_labels


def scene(size=(90, 120), seed=0):
    """A bent red thing in front of green and blue patches, and its mask."""
    generator = np.random.default_rng(seed)
    patches = generator.integers(0, 2, (size[0] // 10, size[1] // 10))
    image = np.where(np.kron(patches, np.ones((10, 10)))[..., None] > 0, [40, 150, 60], [50, 60, 160])
    thing = np.zeros(size, np.uint8)
    cv2.ellipse(thing, (60, 50), (30, 22), 20, 0, 360, 1, -1)
    cv2.circle(thing, (68, 42), 14, 0, -1)  # a bay where the middle of the box is not the thing
    image = np.where(thing[..., None] > 0, [190, 50, 40], image) + generator.normal(0, 12, (*size, 3))
    return image.clip(0, 255).astype(np.uint8), thing > 0


def around(mask, label):
    rows, columns = np.nonzero(mask)
    return Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, label)


@pytest.mark.parametrize("enlarged", [1, 4])
def test_the_thing_in_a_box_is_found(enlarged):
    image, thing = scene()
    image, thing = (np.repeat(np.repeat(array, enlarged, 0), enlarged, 1) for array in (image, thing))
    box = around(thing, 3)
    seeds = box_seeds(image, [box])
    inside = np.zeros_like(thing)
    inside[box_pixels(box, thing.shape, 1.0)] = True
    found = seeds == 3
    assert ((seeds == UNLABELED) | found).all()
    assert not found[~inside].any()
    assert thing[found].mean() > 0.98
    assert found[thing].mean() > 0.6
    middle = box_centers([box], thing.shape) == 3
    assert thing[middle].mean() < 0.8, "the image is too easy"


def test_seeds_are_the_same_every_time():
    image, thing = scene()
    boxes = [around(thing, 1), Box(0, 0, 50, 40, 2)]
    first = box_seeds(image, boxes)
    cv2.setRNGSeed(7)
    assert (box_seeds(image, boxes) == first).all()


def test_without_surroundings_or_a_find_it_is_the_middle():
    image, thing = scene()
    whole = Box(0, 0, 120, 90, 1)
    assert (box_seeds(image, [whole]) == box_centers([whole], thing.shape)).all()
    rows, columns = box_pixels(whole, thing.shape, MIDDLE)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (27, 63, 36, 84)
    plain = np.full_like(image, 90)  # what is in the box is like everything else
    small = Box(20, 20, 50, 60, 1)
    assert (box_seeds(plain, [small])[box_pixels(small, thing.shape, MIDDLE)] == 1).any()


def test_without_boxes_nothing_is_likely():
    image, _ = scene()
    assert (box_seeds(image, []) == UNLABELED).all()
    hints = ImageHints({"points": (Point(60, 30, 1),)}, background=0)
    plain, given = (pseudo_labels(DecodedImage(image), hints, 2, find_in_boxes=find) for find in (middles, box_seeds))
    assert (plain.seeds == given.seeds).all()
    assert plain.seeds[30, 60] == 1


def test_smaller_boxes_lie_on_top():
    image, thing = scene()
    box, meadow = around(thing, 2), Box(0, 0, 119, 90, 1)
    for boxes in ([box, meadow], [meadow, box]):
        seeds = box_seeds(image, boxes)
        inside = seeds[box_pixels(box, thing.shape, 1.0)]
        assert not (inside == 1).any()
        assert (inside == 2).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (50, 700)])
def test_every_box_has_a_seed_however_small_the_image(size):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (*size, 3)).astype(np.uint8)
    for _ in range(8):
        low = generator.random(2) * 0.9
        high = low + generator.random(2) * (1.3 - low) + 0.01  # some end beyond the image
        box = Box(low[1] * size[1], low[0] * size[0], high[1] * size[1], high[0] * size[0], 5)
        assert (box_seeds(image, [box])[box_pixels(box, size, 1.0)] == 5).any()


def test_a_target_takes_seeds_in_boxes_as_likely_and_never_as_certain():
    image, thing = scene()
    box = around(thing, 1)
    hints = ImageHints({"boxes": (box,)}, background=0)
    seeds = box_seeds(image, hints.boxes)
    target = pseudo_labels(DecodedImage(image), hints, 2)
    assert (target.seeds[seeds == 1] == 1).all()
    within = np.zeros_like(thing)
    within[box_pixels(box, thing.shape, 1.0)] = True
    assert (target.labels[within] == UNLABELED).all()
    assert (target.labels[~within] == 0).all()
    assert (target.seeds[~within] == 0).all()
    assert (target.seeds[within & (seeds != 1)] == UNLABELED).all()
