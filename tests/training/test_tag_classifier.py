"""Seeds from tags alone."""

import json
import math
import signal

import numpy as np
import pytest
import torch

from hintseg.api import choose_recipe
from hintseg.config.schema import Recipe, TagsConfig
from hintseg.hints.dataset import Dataset
from hintseg.pseudo_labels.target import PseudoLabels
from hintseg.training import tag_classifier
from hintseg.training.data import TrainingImages
from hintseg.training.tag_classifier import image_seeds, tagged_probabilities, unlocalized


def test_tags_alone_train_and_resume(run, tmp_path, scenes, interrupted, same_weights):
    run("a", hints="tags")
    assert len(list((tmp_path / "a" / "seeds").iterdir())) == 4
    for number, stage in enumerate(("tags", "seeds", "train")):
        interrupted(f"b{number}", 2, stage, hints="tags")
        run(f"b{number}", hints="tags", resume=True)
        assert same_weights("a", f"b{number}")


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_waits_for_the_step_and_its_checkpoint(run, tmp_path, same_weights, number, error):
    def interrupt(stage, done, total, values):
        if stage == "tags" and done == 3:
            signal.raise_signal(number)

    options = {"hints": "tags", "settings": ["checkpoint_every=1000"]}
    with pytest.raises(error):
        run("parts", progress=interrupt, **options)
    assert torch.load(tmp_path / "parts" / "tags.pt", weights_only=True)["step"] == 3
    run("parts", resume=True, **options)
    run("whole", **options)
    assert same_weights("whole", "parts")


def test_tags_that_name_every_class_still_give_a_memory_bank(run, scenes):
    tags = {key: ["ground", "square", "disc"] for key in scenes.keys("train")}
    (scenes.root / "tags.json").write_text(json.dumps(tags), "utf-8")
    assert set(run(hints="tags").index.images.tolist()) == set(range(4))


def test_only_images_with_unplaced_classes_need_seeds(scenes, tiny, tmp_path):
    config = choose_recipe(weights="none", settings=tiny).data

    def needed(*hint_types):
        return unlocalized(
            TrainingImages(Dataset.open(scenes.root), scenes.keys("train"), hint_types, config, tmp_path)
        )

    assert needed("scribbles") == []
    assert needed("boxes") == []
    assert len(needed("tags")) == 4
    first = scenes.keys("train")[0]
    (scenes.root / "scribbles" / f"{first}.png").unlink()
    assert needed("tags", "scribbles") == [first]


def test_seeds_come_from_activations_or_from_a_softmax():
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, 16:] = 200
    scores = torch.full((3, 4, 8), -3.0)
    scores[0, :, :4], scores[2, :, 4:] = 4, 4
    labels = np.full((16, 32), 254, np.uint8)
    labels[0, 31] = 2
    target = PseudoLabels(labels, np.array([True, False, True]), np.array([True, False, True]), labels)
    for pixels in (False, True):
        shares = tagged_probabilities(scores, target, None, Recipe(), pixels)
        planted = image_seeds(shares, image, target)
        assert (planted[:, :14] == 0).mean() > 0.9
        assert (planted[:, 18:] == 2).mean() > 0.9


def test_a_tagged_background_has_the_border():
    """A classifier says nothing of a background, nor where the disc is."""
    allowed = np.array([True, True, False])
    labels = np.full((24, 36), 254, np.uint8)
    target = PseudoLabels(labels, allowed, allowed, labels)
    scores = torch.zeros(3, 6, 9)

    def background(border):
        recipe = Recipe(tags=TagsConfig(boundary_prior=border))
        return tagged_probabilities(scores, target, 0, recipe, pixels=False)[0]

    np.testing.assert_allclose(background(0), math.sqrt(2) / (math.sqrt(2) + 1), rtol=1e-6)
    shares = background(1)
    odds = shares / (1 - shares)
    np.testing.assert_allclose(odds[0, 0] / odds[2, 4], math.exp(6 * (5 / 12 - 1 / 18)), rtol=1e-5)
    assert shares[2, 4] < 0.5 < 0.65 < shares[0].min()


def test_seeds_of_tags_beside_pixels_are_balanced(scenes, tiny, tmp_path, monkeypatch):
    scores = torch.zeros(3, 8, 8)
    scores[0], scores[1], scores[2, :, 7:] = 6, -20, 5  # on the right a disc is almost as likely as the ground
    monkeypatch.setattr(tag_classifier, "pixel_scores", lambda network, image: scores)
    monkeypatch.setattr(tag_classifier, "coarse_crf", lambda image, shares, stride: shares)
    monkeypatch.setattr(tag_classifier, "CONFIDENCE", 0.6)

    def discs(hint_types, balance):
        recipe = choose_recipe(weights="none", settings=[*tiny, f"completion.class_prior_power={balance}"])
        images = TrainingImages(
            Dataset.open(scenes.root), scenes.keys("train"), hint_types, recipe.data, tmp_path / "cache"
        )
        found = tag_classifier._find(None, images, images.keys[0], recipe, True)
        return (found[:, found.shape[1] * 15 // 16 :] == 2).mean()

    assert discs(("tags",), 1) > 0.9
    assert discs(("tags",), 0) < 0.1
    assert discs(("scribbles", "tags"), 1) == discs(("scribbles", "tags"), 0)
