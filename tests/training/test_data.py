"""Training images: reduced, and their superpixels and boxes kept."""

import numpy as np
import pytest

from hintseg.api import choose_recipe
from hintseg.errors import InputError
from hintseg.hints.labels import UNLABELED
from hintseg.io.images import write_image
from hintseg.pseudo_labels.grabcut import box_seeds
from hintseg.pseudo_labels.target import reduce_to
from hintseg.training import data
from hintseg.training.data import TrainingImages


def test_thin_strokes_survive_reduction():
    labels = np.full((200, 300), UNLABELED, np.uint8)
    labels[50, 20:200] = 1
    small, reduced = reduce_to(np.zeros((200, 300, 3), np.uint8), labels, 60)
    assert small.shape == (40, 60, 3)
    assert (reduced[10, 5:39] == 1).all()
    assert (reduced == UNLABELED).sum() > 2000


def test_superpixels_are_cached_and_a_damaged_cache_is_made_again(scenes, tmp_path, tiny):
    config = choose_recipe(weights="none", settings=tiny).data
    key = scenes.keys("train")[0]
    first = TrainingImages(scenes, (key,), ("scribbles",), config, tmp_path / "cache").sample(key).regions
    (stored,) = (tmp_path / "cache").glob("*.npz")
    stored.write_bytes(b"damaged")
    second = TrainingImages(scenes, (key,), ("scribbles",), config, tmp_path / "cache").sample(key).regions
    assert (first == second).all()


def test_what_boxes_show_is_cached_and_found_once(scenes, tmp_path, tiny, monkeypatch):
    config = choose_recipe(weights="none", settings=tiny).data
    key = scenes.keys("train")[0]
    calls = []
    monkeypatch.setattr(data, "box_seeds", lambda image, boxes: calls.append(1) or box_seeds(image, boxes))

    def likely():
        return TrainingImages(scenes, (key,), ("boxes",), config, tmp_path / "cache").target(key)[1].seeds

    first = likely()
    (stored,) = (tmp_path / "cache").glob("*.npz")
    assert (likely() == first).all()
    assert len(calls) == 1
    stored.write_bytes(b"damaged")
    assert (likely() == first).all()
    assert len(calls) == 2
    TrainingImages(scenes, (key,), ("scribbles",), config, tmp_path / "cache").target(key)
    assert len(calls) == 2


def test_a_supplied_contour_map_guides_the_superpixels(scenes, tiny, tmp_path):
    config = choose_recipe(weights="none", settings=[*tiny, "data.num_superpixels=2"]).data
    key = scenes.keys("train")[0]
    contours = np.zeros((72, 96, 3), np.uint8)
    contours[:, 48] = 255
    write_image(scenes.root / "contours" / f"{key}.png", contours)
    regions = TrainingImages(scenes, (key,), ("scribbles",), config, tmp_path / "cache").sample(key).regions
    assert regions[10, 10] == regions[60, 40] != regions[10, 90] == regions[60, 60]
    write_image(scenes.root / "contours" / f"{key}.png", contours[:5])
    with pytest.raises(InputError, match=r"contours.*is 96×5"):
        scenes.contours(key)


def test_seeds_found_in_some_images_are_known_to_all(scenes, tiny, tmp_path):
    config = choose_recipe(weights="none", settings=tiny).data
    images = TrainingImages(scenes, scenes.keys("train"), ("tags",), config, tmp_path / "cache")
    some = images.only(images.keys[:2])
    shape = images.sample(images.keys[0]).labels.shape
    assert (images.sample(images.keys[0]).propagated == UNLABELED).all()
    some.set_seeds({images.keys[0]: np.full(shape, 1, np.uint8)})
    for which in (some, images):
        assert (which.sample(images.keys[0]).propagated == 1).all()
    images.set_seeds({images.keys[1]: np.full(shape, 2, np.uint8)})
    for which in (some, images):
        assert (which.sample(images.keys[0]).propagated == UNLABELED).all()
        assert (which.sample(images.keys[1]).propagated == 2).all()
