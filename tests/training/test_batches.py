"""Which images are drawn, and who decodes them."""

import json

import numpy as np
import torch

from hintseg.api import choose_recipe
from hintseg.config.schema import DataConfig
from hintseg.hints.dataset import Dataset
from hintseg.training.batches import TrainingBatches
from hintseg.training.data import TrainingImages
from hintseg.training.loading import decode, loader


def test_rare_images_with_placed_hints_are_drawn_more_often(scenes, tmp_path):
    keys = scenes.keys("train")
    (scenes.root / "points.json").write_text(json.dumps({keys[2]: [[5, 6, 0]]}))
    images = TrainingImages(Dataset.open(scenes.root), keys, ("tags", "points"), DataConfig(), tmp_path / "cache")

    def drawn(images, count):
        batches = TrainingBatches(images, DataConfig(), 9, 0, None)
        return [batches._key(position) for position in range(count)]

    half = drawn(images, 12)
    assert half[1::2] == [keys[2]] * 6
    assert sorted(half[0::2]) == sorted(2 * [keys[0], keys[1], keys[3]]), "the others come in turn"
    plain = drawn(TrainingImages(scenes, keys, ("scribbles",), DataConfig(), tmp_path / "cache"), 8)
    assert sorted(plain[:4]) == sorted(plain[4:]) == sorted(keys)


def test_batches_depend_on_seed_and_step_alone(scenes, tiny, tmp_path):
    config = choose_recipe(weights="none", settings=tiny).data
    images, others = (
        TrainingImages(scenes, scenes.keys("train"), ("scribbles",), config, tmp_path / "cache") for _ in range(2)
    )
    one, again = (TrainingBatches(which, config, 6, 0, None) for which in (images, others))
    for mine, theirs in zip(one[4], again[4], strict=True):
        assert torch.equal(mine, theirs)
    assert not torch.equal(one[4].image, TrainingBatches(images, config, 6, 1, None)[4].image)
    workers = list(loader(one, 3, 6, workers=2))
    assert torch.equal(workers[1].image, one[4].image)
    first_epoch = [one._key(position) for position in range(4)]
    assert sorted(first_epoch) == sorted(scenes.keys("train"))


def test_images_are_decoded_once_by_all_loader_processes(scenes, tiny, tmp_path, monkeypatch):
    config = choose_recipe(weights="none", settings=tiny).data
    keys = scenes.keys("train")
    images, alone = (TrainingImages(scenes, keys, ("scribbles",), config, tmp_path / "cache") for _ in range(2))
    decode(images, 0, lambda *_: None)
    assert images.missing() == list(keys)
    done = []
    decode(images, 2, lambda *counts: done.append(counts))
    assert done == [(number, len(keys)) for number in range(1, len(keys) + 1)]
    for one, other in zip(images.sample(keys[1]), alone.sample(keys[1]), strict=True):
        np.testing.assert_array_equal(one, other)
    monkeypatch.setattr(images, "_read", None)  # nothing is decoded again, neither here nor in what is forked from here
    decode(images, 2, None)
    assert list(loader(TrainingBatches(images, config, 2, 0, None), 0, 2, workers=1))
