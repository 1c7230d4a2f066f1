"""Whether a dense CRF is used is told by hints that the network has not seen."""

import numpy as np
import pytest

from hintseg.api import train
from hintseg.config.schema import Recipe
from hintseg.hints.labels import UNLABELED
from hintseg.inference.run_config import RunConfig
from hintseg.inference.selection import choose_crf, crf_without_hints, held_out
from hintseg.io.images import read_image, write_image
from hintseg.recipes.instant import INSTANT

TRUTH = np.zeros((24, 32), np.uint8)
TRUTH[:, 10:12] = 1  # thin
HINTS = np.full(TRUTH.shape, UNLABELED, np.uint8)
HINTS[4:20:4, 2:30:3] = TRUTH[4:20:4, 2:30:3]
HINTS[12, 10] = 1
COLORED, GRAY = np.zeros((2, *TRUTH.shape, 3), np.uint8)
COLORED[0, 0] = 1, 2, 3


class Says:
    """What `choose_crf` asks of a segmenter, with masks that are given."""

    recipe, classes = INSTANT, ("ground", "vein")

    def __init__(self, refined, plain):
        self.masks = {True: refined, False: plain}

    def with_inference(self, crf, scales):
        assert len(scales) == 1
        return self.recipe.inference.model_copy(update={"crf": crf})

    def predict_configs(self, image, ways):
        return [self.masks[way.crf] for way in ways]


@pytest.mark.parametrize(
    ("refined", "plain", "expected"),
    [
        (np.zeros_like(TRUTH), TRUTH, False),  # it wiped out the vein
        (TRUTH, np.roll(TRUTH, 3, axis=1), True),
        (TRUTH, TRUTH, True),  # nothing speaks against it
        (np.where(np.arange(24)[:, None] < 5, 1 - TRUTH, TRUTH).astype(np.uint8), TRUTH, False),
    ],
)
def test_held_out_hints_decide(refined, plain, expected):
    chosen = choose_crf(Says(refined, plain), [(COLORED, HINTS), (GRAY, HINTS)])
    assert chosen.masks == chosen.pseudo_labels == expected


@pytest.mark.parametrize(
    ("refined", "plain", "taught"),
    [(TRUTH, np.roll(TRUTH, 3, axis=1), True), (np.zeros_like(TRUTH), TRUTH, False)],
)
def test_images_without_color_get_none_but_may_teach_with_it(refined, plain, taught, caplog):
    caplog.set_level("INFO", "hintseg")
    assert choose_crf(Says(refined, plain), [(GRAY, HINTS)] * 2) == (False, taught)
    assert caplog.messages[-1].endswith("without it, as the images have no color") == taught


def test_images_without_a_hint_decide_nothing():
    nothing = np.full_like(HINTS, UNLABELED)
    assert choose_crf(Says(TRUTH, 1 - TRUTH), [(COLORED, nothing)]) == (True, True)
    assert choose_crf(Says(TRUTH, 1 - TRUTH), []) == (True, True)


@pytest.mark.parametrize(("images", "expected"), [([GRAY, GRAY], (False, True)), ([GRAY, COLORED], (True, True))])
def test_too_few_images_are_judged_by_their_color(images, expected, caplog):
    with caplog.at_level("INFO", "hintseg"):
        assert crf_without_hints(INSTANT, images) == expected
    assert "too few images have localized hints" in caplog.text
    assert crf_without_hints(Recipe(), images) == (False, False)  # a recipe without a CRF, or that holds nothing out


@pytest.mark.parametrize("recipe", ["instant", "fine-tuned"])
def test_few_gray_images_get_no_crf(scenes, tmp_path, recipe):
    for path in (scenes.root / "images").iterdir():
        write_image(path, np.repeat(read_image(path)[..., :1], 3, axis=2))
    settings = ["instant.image_side=160", "instant.steps=9", "label_propagation.superpixels=60"]
    settings += ["data.crop_size=64", "data.batch_size=2"]
    run = train(
        scenes.root, "scribbles", tmp_path / "run", recipe=recipe, iterations=2, device="cpu", settings=settings,
        engine="instant" if recipe == "instant" else "train",
    )  # fmt: skip
    assert RunConfig.load(run.run / "run.json").recipe.inference.crf is False


def test_how_many_are_held_out():
    keys = [str(number) for number in range(300)]
    found = held_out(keys, 0.1, 0)
    assert len(found) == 30
    assert found == held_out(keys, 0.1, 0) != held_out(keys, 0.1, 1)
    assert len(held_out(keys, 0.5, 0)) == 40
    assert held_out(keys[:10], 0.2, 0) == held_out(keys, 0.0, 0) == frozenset()


@pytest.mark.parametrize("recipe", ["instant", "fine-tuned"])
def test_a_run_says_what_was_chosen(scenes, tmp_path, recipe, monkeypatch, caplog):
    monkeypatch.setattr("hintseg.inference.selection.FEWEST", 1)
    settings = [
        "instant.image_side=160",
        "instant.steps=9",
        "label_propagation.superpixels=60",
        "selection.held_out=0.3",
    ]
    with caplog.at_level("INFO", "hintseg"):
        segmenter = train(
            scenes, "scribbles", tmp_path / "run", recipe=recipe, device="cpu",
            settings=[*settings, "iterations=4", "data.crop_size=96", "data.batch_size=2"],
        )  # fmt: skip
    (said,) = [one.message for one in caplog.records if "held-out hints" in one.message]
    written = RunConfig.load(tmp_path / "run" / "run.json").recipe
    assert written == segmenter.recipe
    assert bool(written.inference.crf) == said.endswith("with it")
