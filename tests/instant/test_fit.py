"""Instant runs, from hints of every type to an ordinary run folder."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hintseg.api import train
from hintseg.apps.report.run_report import report_run
from hintseg.errors import ConfigError, RunError
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.inference.evaluation import evaluate_split
from hintseg.inference.segmenter import Segmenter
from hintseg.instant import fit as fit_module
from hintseg.pseudo_labels.target import PseudoLabels
from hintseg.recipes.instant import INSTANT

QUICK = ["instant.image_side=160", "instant.steps=90", "data.num_superpixels=12", "label_propagation.superpixels=60"]


@pytest.mark.parametrize("hints", ["scribbles", "points", "boxes", "masks", "points,tags"])
def test_placed_hints_teach_a_segmenter(scenes, tmp_path, hints):
    segmenter = train(scenes, hints, tmp_path / "run", engine="instant", device="cpu", settings=QUICK)
    matrix, _ = evaluate_split(segmenter, scenes, "val", segmenter.recipe.inference)
    assert matrix.scores().mean_iou > 0.6


def test_tags_alone_are_located(scenes, tmp_path):
    stages = []
    train(
        scenes, "tags", tmp_path / "run", engine="instant", device="cpu", settings=QUICK,
        progress=lambda stage, done, total, values: stages.append(stage),
    )  # fmt: skip
    assert list(dict.fromkeys(stages)) == ["check", "features", "tags", "hints", "fit", "pseudo-labels", "memory"]


def test_a_run_folder_is_an_ordinary_one_and_a_seed_repeats_it(scenes, tmp_path):
    first = train(scenes, "scribbles", tmp_path / "a", engine="instant", device="cpu", seed=3, settings=QUICK)
    train(scenes, "scribbles", tmp_path / "b", engine="instant", device="cpu", seed=3, settings=QUICK)
    name = "weights.safetensors"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    opened = Segmenter.open(tmp_path / "a", "cpu")
    image = scenes.image(scenes.keys("val")[0])
    np.testing.assert_array_equal(opened.predict(image), first.predict(image))
    assert opened.complete(scenes, scenes.keys("train")[0]).shape == image.shape[:2]
    assert opened.retrieve(image, (5, 5))[1]


def test_resuming_makes_it_again_from_cached_features_and_nothing_else_is_overwritten(scenes, tmp_path):
    out = tmp_path / "run"
    train(scenes, "scribbles", out, engine="instant", device="cpu", settings=QUICK)
    weights = (out / "weights.safetensors").read_bytes()
    kept = {path: path.stat().st_ino for path in (out / "cache" / "features").iterdir()}
    with pytest.raises(RunError, match="--resume"):
        train(scenes, "scribbles", out, engine="instant", device="cpu", settings=QUICK)
    train(scenes, "scribbles", out, engine="instant", device="cpu", resume=True, settings=QUICK)
    assert (out / "weights.safetensors").read_bytes() == weights
    assert {path: path.stat().st_ino for path in (out / "cache" / "features").iterdir()} == kept


def test_ignored_pixels_get_no_pseudo_label(monkeypatch):
    labels = np.full((8, 8), UNLABELED, np.uint8)
    labels[:, 4:] = IGNORE_INDEX
    labels[0, 0] = 1
    everywhere = np.ones(2, bool)
    target = PseudoLabels(labels, everywhere, everywhere, labels)
    images = SimpleNamespace(target=lambda key: (None, target), dataset=SimpleNamespace(background=None))
    sure = torch.stack([torch.zeros(4, 4), torch.ones(4, 4)])
    monkeypatch.setattr(fit_module, "complete_image", lambda *rest, crf: sure)
    found = fit_module.pseudo_labels(images, SimpleNamespace(maps=lambda image: None), "a", INSTANT, True)
    assert (found[:, :2] == 1).all()
    assert (found[:, 2:] == UNLABELED).all()


def test_wrong_choices_are_refused(scenes, tmp_path):
    with pytest.raises(ConfigError, match="pretrained"):
        train(scenes, "scribbles", tmp_path / "a", engine="instant", weights="none")
    with pytest.raises(ConfigError, match="recipe fine-tuned reads a pretrained"):
        train(scenes, "scribbles", tmp_path / "a", recipe="fine-tuned", weights="none")
    with pytest.raises(ConfigError, match="Unknown engine"):
        train(scenes, "scribbles", tmp_path / "b", engine="quick")


def test_fine_tuning_locates_tags_first(scenes, tmp_path):
    stages = []
    settings = [*QUICK, "data.crop_size=96", "data.batch_size=2"]
    train(
        scenes, "tags", tmp_path / "run", recipe="fine-tuned", device="cpu", iterations=2, settings=settings,
        progress=lambda stage, done, total, values: stages.append(stage),
    )  # fmt: skip
    assert list(dict.fromkeys(stages))[:5] == ["check", "features", "tags", "hints", "fit"]


def test_the_head_of_fine_tuning_is_fitted_to_propagated_labels(scenes, tmp_path, monkeypatch):
    seen = []
    fit = fit_module.fit_head
    monkeypatch.setattr(
        fit_module,
        "fit_head",
        lambda network, pixels, *rest: seen.append(len(pixels.labels)) or fit(network, pixels, *rest),
    )
    settings = [*QUICK, "data.crop_size=96", "data.batch_size=2", "data.point_radius=1", "selection.held_out=0"]
    train(scenes, "points", tmp_path / "a", recipe="fine-tuned", device="cpu", iterations=1, settings=settings)
    train(scenes, "points", tmp_path / "b", engine="instant", device="cpu", settings=settings)
    assert seen[0] == seen[2]  # the first of two fits of either run


def test_the_first_head_knows_nothing_of_images_held_out(scenes, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("hintseg.inference.selection.FEWEST", 1)
    seen = []
    fit = fit_module.fit_from_hints
    monkeypatch.setattr(
        fit_module,
        "fit_from_hints",
        lambda network, images, *rest: seen.append(images.keys) or fit(network, images, *rest),
    )
    settings = [*QUICK, "data.crop_size=96", "data.batch_size=2", "selection.held_out=0.25"]
    train(scenes, "scribbles", tmp_path / "run", recipe="fine-tuned", device="cpu", iterations=2, settings=settings)
    assert len(seen[0]) == 3
    assert caplog.text.count("completing the training masks") == 1  # not again when all images are trained on


def test_fine_tuning_starts_from_the_head_and_resumes_to_the_bit(scenes, tmp_path):
    settings = [*QUICK, "data.crop_size=96", "data.batch_size=2", "checkpoint_every=2"]
    choices = {"recipe": "fine-tuned", "device": "cpu", "settings": settings}
    stages = []
    whole = train(
        scenes, "scribbles", tmp_path / "a", iterations=4,
        progress=lambda stage, done, total, values: stages.append(stage), **choices,
    )  # fmt: skip
    order = ["check", "features", "hints", "fit", "pseudo-labels", "complete", "train", "memory"]
    assert list(dict.fromkeys(stages)) == order
    matrix, _ = evaluate_split(whole, scenes, "val", whole.recipe.inference)
    assert matrix.scores().mean_iou > 0.6  # far more than four steps give
    report = report_run(whole).read_text("utf-8")
    assert "a head on frozen features, 90 steps, then 4 iterations of batch 2, crop 96" in report

    def stop(stage, done, total, values):
        if stage == "train" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(scenes, "scribbles", tmp_path / "b", iterations=4, progress=stop, **choices)
    stages.clear()
    train(
        scenes, "scribbles", tmp_path / "b", iterations=4, resume=True,
        progress=lambda stage, done, total, values: stages.append(stage), **choices,
    )  # fmt: skip
    assert "fit" not in stages
    name = "weights.safetensors"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
