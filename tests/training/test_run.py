"""Whole runs on a tiny data set."""

import csv
import json

import numpy as np
import pytest
import torch

from hintseg import train
from hintseg.config.schema import InferenceConfig
from hintseg.errors import ConfigError, InputError
from hintseg.hints.dataset import Dataset
from hintseg.inference.evaluation import evaluate_split


def test_same_seed_same_weights(run, same_weights):
    run("a"), run("b"), run("c", settings=["seed=1"])
    assert same_weights("a", "b")
    assert not same_weights("a", "c")


WIDE = (
    "data.crop_size=128", "data.batch_size=4", "network.decoder_channels=64", "network.embedding_dim=64",
    "segments.grid=[6,6]",
)  # fmt: skip


def test_two_threads_repeat_a_run_bit_for_bit(run, same_weights):
    torch.set_num_threads(2)
    run("a", settings=WIDE)
    held = [torch.zeros(size, dtype=torch.uint8) for size in range(1, 20_000, 37)]  # the next run lies elsewhere
    run("b", settings=WIDE)
    assert len(held) > 500
    assert same_weights("a", "b")


def test_another_number_of_threads_trains_alike(run, tmp_path):
    run("one", settings=WIDE)
    torch.set_num_threads(2)
    run("two", settings=WIDE)
    losses = [
        [float(line.split(",")[1]) for line in (tmp_path / name / "metrics.csv").read_text().splitlines()[1:]]
        for name in ("one", "two")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_validation_joins_the_metrics_and_changes_nothing(run, tmp_path, scenes, interrupted, same_weights, completed):
    settings = ["checkpoint_every=2", *completed]
    run("plain", settings=settings)
    interrupted("watched", 3, settings=settings, validate="val")
    segmenter = run("watched", settings=settings, validate="val", resume=True)
    assert same_weights("plain", "watched")
    with (tmp_path / "watched" / "metrics.csv").open(newline="") as file:
        found = {int(row["iteration"]): row["mean_iou_val"] for row in csv.DictReader(file)}
    assert [step for step, value in found.items() if value] == [1, 2, 3, 4]  # masks are completed after the third
    matrix, _ = evaluate_split(segmenter, scenes, "val", segmenter.with_inference(method="softmax", crf=False))
    assert float(found[4]) == pytest.approx(matrix.scores().mean_iou)
    for key in scenes.keys("train"):
        (scenes.root / "masks" / f"{key}.png").unlink()
    with pytest.raises(InputError, match="'train' has no masks to validate with"):
        run("other", validate="train")


def test_what_the_validation_lacks_is_said_once_a_run(run, scenes, caplog, tmp_path):
    first = scenes.keys("val")[0]
    (scenes.root / "masks" / f"{first}.png").unlink()
    for name in ("a", "b"):
        caplog.clear()
        run(name, validate="val", settings=["self_training.mode=classifier", "self_training.start=0.6"])
        assert caplog.text.count("1 of 2 images of 'val' have no mask, left out") == 1
        rows = csv.DictReader((tmp_path / name / "metrics.csv").read_text("utf-8").splitlines())
        assert sum(bool(row["mean_iou_val"]) for row in rows) > 1


def test_training_learns_the_scenes(scenes, tiny, tmp_path):
    segmenter = train(
        scenes, "points,scribbles", tmp_path / "run", weights="none", device="cpu", iterations=150,
        settings=[*tiny, "data.batch_size=4", "optimizer.lr=3e-3", "optimizer.backbone_lr=3e-3",
                  "checkpoint_every=150"],
    )  # fmt: skip
    matrix, images = evaluate_split(segmenter, scenes, "val")
    assert matrix.scores().mean_iou > 0.6
    assert len(images) == 2
    retrieval, _ = evaluate_split(segmenter, scenes, "val", segmenter.with_inference(method="knn"))
    assert retrieval.scores().mean_iou > 0.5
    completed = [segmenter.complete(scenes, key) == scenes.mask(key) for key in scenes.keys("train")]
    assert np.mean(completed) > 0.9


def test_wrong_choices_stop_before_training(run, scenes, tmp_path):
    for options, kind, message in [
        ({"hints": "scribles"}, ConfigError, "scribbles"),
        ({"on_error": "ignore"}, ConfigError, "--on-error"),
        ({"precision": "8"}, ConfigError, "precision"),
        ({"split": "test"}, InputError, "no such split"),
        ({"settings": ["objective.magic.weight=1"]}, ConfigError, "objective term 'magic'"),
    ]:
        with pytest.raises(kind, match=message):
            run("wrong", **options)
    assert not (tmp_path / "wrong" / "weights.safetensors").exists()
    with pytest.raises(InputError, match="is not available"):
        train(scenes, "scribbles", tmp_path / "wrong", weights="none", device="cuda:77")


def test_images_without_hints_and_mixtures_are_normal(scenes, run):
    first, second, *_ = scenes.keys("train")
    (scenes.root / "scribbles" / f"{first}.png").unlink()
    points = json.loads((scenes.root / "points.json").read_text("utf-8"))
    del points[first]
    (scenes.root / "points.json").write_text(json.dumps(points), "utf-8")
    mixed = Dataset.open(scenes.root)
    assert mixed.hints(first, ("points", "scribbles")).types() == ()
    segmenter = run(hints=None, iterations=3)
    assert segmenter.predict(mixed.image(second)).shape == (72, 96)


def test_inference_configuration_is_checked(run):
    segmenter = run(iterations=1)
    assert isinstance(segmenter.with_inference(flip=True), InferenceConfig)
    with pytest.raises(InputError, match=r"\(H, W, 3\) uint8"):
        segmenter.predict(np.zeros((4, 4), np.uint8))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_gpu_learns_as_a_cpu_does(scenes, tiny, tmp_path, precision):
    settings = [*tiny, "objective.affinity.weight=0.3", "objective.cooccurrence.weight=0.3"]
    last = {}
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        train(
            scenes, "scribbles", out, weights="none", device=device, iterations=8, settings=settings,
            precision=precision if device == "cuda" else "32-true",
        )  # fmt: skip
        last[device] = json.loads((out / "metrics.json").read_text("utf-8"))["last"]
    assert last["cpu"].keys() == last["cuda"].keys()
    assert last["cuda"]["total"] == pytest.approx(last["cpu"]["total"], rel=0.02 if precision == "32-true" else 0.1)
