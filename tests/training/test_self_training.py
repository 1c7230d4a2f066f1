"""Pseudo-labels: what a run completes, and who learns from it."""

from functools import partial

import cv2
import numpy as np
import pytest
import torch

from hintseg import Segmenter
from hintseg.api import choose_recipe
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.inference import segmenter as inference_segmenter
from hintseg.network.embedder import Embedder, PixelMaps
from hintseg.network.tta import image_maps
from hintseg.pseudo_labels.complete import complete_image, completion_maps
from hintseg.training import loop, optimizer, self_training
from hintseg.training.data import TrainingImages
from hintseg.training.distributed import make_fabric
from hintseg.training.loss_registry import TERMS, TermInputs
from hintseg.training.self_training import remembered_segments


@pytest.mark.parametrize("kind", ["none", "joint", "classifier"])
def test_stage_two_kinds_and_their_resume(run, scenes, kind, tmp_path, interrupted, same_weights, completed):
    settings = [
        *completed,
        f"self_training.mode={kind}",
        f"objective.pseudo_label_cross_entropy.weight={int(kind == 'joint')}",
    ]
    segmenter = run("a", settings=settings)
    assert (tmp_path / "a" / "pseudo_labels").exists() == (kind != "none")
    image = scenes.image(scenes.keys("val")[0])
    assert (Segmenter.open(tmp_path / "a", "cpu").predict(image) == segmenter.predict(image)).all()
    interrupted("b", 5, settings=settings)
    run("b", settings=settings, resume=True)
    assert same_weights("a", "b")


@pytest.mark.parametrize(
    ("kind", "shares"), [("joint", (1, 3 / 4, 2 / 4, 1 / 4)), ("classifier", (1, 1 / 2, 1, 1 / 2))]
)
def test_a_separate_stage_has_a_learning_rate_of_its_own(run, monkeypatch, kind, shares, completed):
    seen = []
    monkeypatch.setattr(loop, "set_learning_rate", lambda optimizer, factor: seen.append(factor))
    settings = [*completed, f"self_training.mode={kind}", "self_training.start=0.5", "optimizer.warmup=0"]
    monkeypatch.setattr(optimizer, "POWER", 1)
    run(iterations=4, settings=settings)
    assert seen == pytest.approx(shares)


def test_ignored_pixels_are_not_taught_by_completed_masks_and_its_segments_do_not_vote(
    scenes, tiny, tmp_path, monkeypatch
):
    recipe = choose_recipe(weights="none", settings=tiny)
    images = TrainingImages(scenes, scenes.keys("train"), ("scribbles",), recipe.data, tmp_path / "cache")
    network = Embedder(recipe.network, 3, "none").eval()
    first, *others = images.keys

    def remembered():
        return remembered_segments(images, recipe, lambda image: image_maps(network, image), lambda *_: None)

    before, read = remembered(), images._decoded
    upper = np.ones((72, 96), bool)
    upper[36:] = False
    monkeypatch.setattr(images, "_decoded", lambda key: read(key)._replace(**{"valid": upper} if key == first else {}))
    after = remembered()
    assert (before.images == 0).sum() > (after.images == 0).sum() > 0
    for number in range(1, 1 + len(others)):
        assert torch.equal(before.prototypes[before.images == number], after.prototypes[after.images == number])
    logits = torch.zeros(1, 3, 4, 4, requires_grad=True)
    cells = torch.full((1, 4, 4), UNLABELED, dtype=torch.uint8)
    cells[0, 0] = IGNORE_INDEX
    nothing = {name: None for name in TermInputs._fields[1:] if name not in TermInputs._field_defaults}
    inputs = TermInputs(
        PixelMaps(logits, logits),
        **nothing | {"cells": cells, "soft": torch.eye(3)[0].expand(1, 4, 4, 3).movedim(3, 1)},
    )
    TERMS["pseudo_label_cross_entropy"](inputs).backward()
    assert not logits.grad[0, :, 0].any()
    assert logits.grad[0, :, 1:].any()


@pytest.mark.parametrize("hint_types", ["tags", "boxes", "points", "scribbles,boxes", "masks"])
def test_complete_gives_exactly_the_masks_that_training_used(run, scenes, hint_types, monkeypatch, tmp_path):
    """The last completion of a run and `Segmenter.complete`, bit for bit, on images that both reduce."""
    segmenter = run(
        hints=hint_types, iterations=2, settings=["data.longest_side=64", "completion.class_prior_power=0.5"]
    )
    found = {}

    def record(name, module):
        def recorded(*given, **more):
            found.setdefault(name, []).append(complete_image(*given, **more))
            return found[name][-1]

        monkeypatch.setattr(module, "complete_image", recorded)

    record("training", self_training), record("user", inference_segmenter)
    recipe, description = segmenter.recipe, segmenter.description
    images = TrainingImages(scenes, description.keys, description.hint_types, recipe.data, tmp_path / "cache")
    maps_of = partial(completion_maps, segmenter.network, recipe.inference)
    fabric = make_fabric("cpu", "32-true", 1)
    masks = self_training.soft_pseudo_labels(images, recipe, maps_of, tmp_path / "masks", fabric, lambda *_: None)
    for key in description.keys:
        mask = segmenter.complete(scenes, key)
        coarse = masks[key].classes[masks[key].probabilities.argmax(axis=2)]
        assert (cv2.resize(coarse, mask.shape[::-1], interpolation=cv2.INTER_NEAREST) == mask).mean() > 0.9
    assert len(found["training"]) == len(found["user"]) == 4
    assert all(torch.equal(one, other) for one, other in zip(found["training"], found["user"], strict=True))
