"""Batches, optimiser, checkpoints, and whole runs on a tiny data set."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hintseg import Segmenter, train
from hintseg.api import choose_recipe
from hintseg.config.schema import DataConfig, InferenceConfig, NetworkConfig, OptimizerConfig, Recipe, TagsConfig
from hintseg.errors import ConfigError, InputError, RunError, TrainingError
from hintseg.functional.relations.registry import RELATIONS
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import UNLABELLED, VOID
from hintseg.inference import segmenter as inference_segmenter
from hintseg.inference.evaluation import evaluate_split
from hintseg.io.images import write_image
from hintseg.network.embedder import Embedder, PixelMaps
from hintseg.network.tta import image_maps
from hintseg.pseudo_labels.complete import complete_image, completion_maps
from hintseg.pseudo_labels.grabcut import box_seeds
from hintseg.pseudo_labels.target import PseudoLabels, reduce_to
from hintseg.training import data, loop, optimizer, self_training, tag_classifier
from hintseg.training.augment import Sample, SoftMask, augment
from hintseg.training.batches import TrainingBatches
from hintseg.training.data import TrainingImages
from hintseg.training.distributed import make_fabric
from hintseg.training.loading import decode, loader
from hintseg.training.loss_registry import TERMS, TermInputs
from hintseg.training.objective import cell_labels
from hintseg.training.optimizer import AveragedWeights, build_optimizer, learning_rate_factor
from hintseg.training.self_training import remembered_segments
from hintseg.training.tag_classifier import image_seeds, tagged_probabilities, unplaced

COMPLETED = (
    "objective.pseudo_label_cross_entropy.weight=1",
    "self_training.mode=joint",
    "self_training.start=0.6",
)  # after the third of five


@pytest.mark.parametrize(("step", "expected"), [(0, 3e-4), (100, 2.99e-3), (15_000, 1.61e-3), (29_999, 2.8e-7)])
def test_learning_rate_of_the_paper(step, expected):
    assert 3e-3 * learning_rate_factor(step, 30_000, 100) == pytest.approx(expected, rel=0.01)


def test_biases_learn_faster_and_do_not_decay():
    network = Embedder(NetworkConfig(backbone="test_efficientnet", freeze_stride=4), 2)
    optimizer = build_optimizer(network, OptimizerConfig(name="sgd", lr=1.0, backbone_lr=0.1, bias_lr_mult=2))
    rates = sorted((group["lr"], group["weight_decay"]) for group in optimizer.param_groups)
    assert rates == [(0.1, 0.01), (0.2, 0.0), (1.0, 0.01), (2.0, 0.0)]
    held = sum(len(group["params"]) for group in optimizer.param_groups)
    assert held == sum(parameter.requires_grad for parameter in network.parameters())


def test_averaged_weights_move_by_the_decay():
    network = Embedder(NetworkConfig(backbone="test_efficientnet"), 2)
    average = AveragedWeights(network, 0.5)
    before = average.network.embedding.weight.clone()
    with torch.no_grad():
        network.embedding.weight += 1
    average.update(network)
    decay = 2 / 11
    torch.testing.assert_close(average.network.embedding.weight, before + 1 - decay)


def test_cells_take_the_label_their_pixels_agree_on():
    labels = torch.full((1, 8, 8), UNLABELLED, dtype=torch.uint8)
    labels[0, 0, 1], labels[0, 0, 4], labels[0, 1, 5], labels[0, 4:, 4:] = 3, 1, 2, VOID
    assert cell_labels(labels, 2).tolist() == [[[3, UNLABELLED], [UNLABELLED, VOID]]]


def test_rare_images_with_placed_hints_are_drawn_more_often(scenes):
    keys = scenes.keys("train")
    (scenes.root / "points.json").write_text(json.dumps({keys[2]: [[5, 6, 0]]}))
    images = TrainingImages(Dataset.open(scenes.root), keys, ("tags", "points"), DataConfig())

    def drawn(images, count):
        batches = TrainingBatches(images, DataConfig(), 9, 0, None)
        return [batches._key(position) for position in range(count)]

    half = drawn(images, 12)
    assert half[1::2] == [keys[2]] * 6
    assert sorted(half[0::2]) == sorted(2 * [keys[0], keys[1], keys[3]]), "the others come in turn"
    plain = drawn(TrainingImages(scenes, keys, ("scribbles",), DataConfig()), 8)
    assert sorted(plain[:4]) == sorted(plain[4:]) == sorted(keys)


def test_crops_keep_image_labels_regions_and_soft_masks_aligned():
    rows, columns = np.mgrid[:96, :128]
    labels = ((rows // 24 + columns // 32) % 3).astype(np.uint8)
    image = np.repeat((labels * 100)[..., None], 3, axis=2).astype(np.uint8)
    share = np.stack([(labels[2::4, 2::4] == label) * 255 for label in (0, 1, 2)], axis=2).astype(np.uint8)
    sample = Sample(image, labels, labels.astype(np.uint16), np.ones(3, np.bool_), np.ones(3, np.bool_), labels)
    config = DataConfig(crop_size=64, scale_range=(0.6, 1.6), color_jitter=0.0)
    for seed in range(20):
        pixels, cropped, regions, allowed, _, propagated, soft = augment(
            sample, SoftMask(np.arange(3, dtype=np.uint8), share), config, np.random.default_rng(seed)
        )
        inside = cropped != VOID
        assert allowed.all()
        assert (regions[inside] == cropped[inside]).all()
        assert (propagated == cropped).all()
        agree = np.abs(pixels[..., 0].astype(int) - cropped.astype(int) * 100)[inside] < 30
        assert agree.mean() > 0.9
        coarse, known = cropped[2::4, 2::4], inside[2::4, 2::4]
        assert (soft.argmax(axis=0) == coarse)[known].mean() > 0.85


def test_batches_depend_on_seed_and_step_alone(scenes, tiny):
    config = choose_recipe(weights="none", settings=tiny).data
    images = TrainingImages(scenes, scenes.keys("train"), ("scribbles",), config)
    one = TrainingBatches(images, config, 6, 0, None)
    again = TrainingBatches(TrainingImages(scenes, scenes.keys("train"), ("scribbles",), config), config, 6, 0, None)
    for mine, theirs in zip(one[4], again[4], strict=True):
        assert torch.equal(mine, theirs)
    assert not torch.equal(one[4].image, TrainingBatches(images, config, 6, 1, None)[4].image)
    workers = list(loader(one, 3, 6, workers=2))
    assert torch.equal(workers[1].image, one[4].image)
    first_epoch = [one._key(position) for position in range(4)]
    assert sorted(first_epoch) == sorted(scenes.keys("train"))


def test_images_are_decoded_once_by_all_loader_processes(scenes, tiny, monkeypatch):
    config = choose_recipe(weights="none", settings=tiny).data
    keys = scenes.keys("train")
    images, alone = (TrainingImages(scenes, keys, ("scribbles",), config) for _ in range(2))
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


def test_thin_strokes_survive_reduction():
    labels = np.full((200, 300), UNLABELLED, np.uint8)
    labels[50, 20:200] = 1
    small, reduced = reduce_to(np.zeros((200, 300, 3), np.uint8), labels, 60)
    assert small.shape == (40, 60, 3)
    assert (reduced[10, 5:39] == 1).all()
    assert (reduced == UNLABELLED).sum() > 2000


def test_oversegments_are_cached_and_a_damaged_cache_is_made_again(scenes, tmp_path, tiny):
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

    def likely(cache=tmp_path / "cache"):
        return TrainingImages(scenes, (key,), ("boxes",), config, cache).target(key)[1].seeds

    first = likely()
    (stored,) = (tmp_path / "cache").glob("*.npz")
    assert (likely() == first).all()
    assert len(calls) == 1
    stored.write_bytes(b"damaged")
    assert (likely() == first).all()
    assert (likely(cache=None) == first).all()
    assert len(calls) == 3
    TrainingImages(scenes, (key,), ("scribbles",), config, None).target(key)
    assert len(calls) == 3


def test_a_supplied_contour_map_guides_the_oversegments(scenes, tiny):
    config = choose_recipe(weights="none", settings=[*tiny, "data.num_superpixels=2"]).data
    key = scenes.keys("train")[0]
    contours = np.zeros((72, 96, 3), np.uint8)
    contours[:, 48] = 255
    write_image(scenes.root / "contours" / f"{key}.png", contours)
    regions = TrainingImages(scenes, (key,), ("scribbles",), config).sample(key).regions
    assert regions[10, 10] == regions[60, 40] != regions[10, 90] == regions[60, 60]
    write_image(scenes.root / "contours" / f"{key}.png", contours[:5])
    with pytest.raises(InputError, match=r"contours.*is 96×5"):
        scenes.contours(key)


@pytest.fixture
def run(scenes, tiny, tmp_path):
    def go(name="run", iterations=5, settings=(), **options):
        return train(
            scenes, options.pop("hints", "scribbles"), tmp_path / name, weights="none", device="cpu",
            iterations=iterations, settings=[*tiny, *settings], **options,
        )  # fmt: skip

    return go


def test_a_run_folder_holds_everything(run, tmp_path, scenes):
    segmenter = run(settings=COMPLETED)
    folder = tmp_path / "run"
    for name in (
        "run.json",
        "weights.safetensors",
        "memory.safetensors",
        "metrics.csv",
        "metrics.json",
        "checkpoint.pt",
    ):
        assert (folder / name).exists(), name
    assert len((folder / "metrics.csv").read_text().splitlines()) == 6
    log = (folder / "log.txt").read_text("utf-8")
    assert "4 images" in log
    assert "iteration 3" in log
    assert "finished" in log
    assert json.loads((folder / "metrics.json").read_text())["iterations"] == 5
    assert len(list((folder / "completed" / "000003").iterdir())) == 4
    image = scenes.image(scenes.keys("val")[0])
    again = Segmenter.open(folder, "cpu")
    assert (again.predict(image) == segmenter.predict(image)).all()


def test_same_seed_same_weights(run, tmp_path):
    run("a"), run("b"), run("c", settings=["seed=1"])
    one, other, third = (load_file(tmp_path / name / "weights.safetensors") for name in "abc")
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert not all(torch.equal(one[key], third[key]) for key in one)


WIDE = (
    "data.crop_size=128", "data.batch_size=4", "network.decoder_channels=64", "network.embedding_dim=64",
    "segments.grid=[6,6]",
)  # fmt: skip


def test_two_threads_repeat_a_run_bit_for_bit(run, tmp_path):
    torch.set_num_threads(2)
    run("a", settings=WIDE)
    held = [torch.zeros(size, dtype=torch.uint8) for size in range(1, 20_000, 37)]  # the next run lies elsewhere
    run("b", settings=WIDE)
    assert len(held) > 500
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in "ab")
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_another_number_of_threads_trains_alike(run, tmp_path):
    run("one", settings=WIDE)
    torch.set_num_threads(2)
    run("two", settings=WIDE)
    losses = [
        [float(line.split(",")[1]) for line in (tmp_path / name / "metrics.csv").read_text().splitlines()[1:]]
        for name in ("one", "two")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_validation_joins_the_metrics_and_changes_nothing(run, tmp_path, scenes):
    settings = ["checkpoint_every=2", *COMPLETED]
    run("plain", settings=settings)

    def interrupt(stage, done, total, values):
        if stage == "train" and done == 3:
            raise StopError

    with pytest.raises(StopError):
        run("watched", settings=settings, validate="val", progress=interrupt)
    segmenter = run("watched", settings=settings, validate="val", resume=True)
    plain, watched = (load_file(tmp_path / name / "weights.safetensors") for name in ("plain", "watched"))
    assert all(torch.equal(plain[key], watched[key]) for key in plain)
    with (tmp_path / "watched" / "metrics.csv").open(newline="") as file:
        found = {int(row["iteration"]): row["mean_iou_val"] for row in csv.DictReader(file)}
    assert [step for step, value in found.items() if value] == [1, 2, 3, 4]  # masks are completed after the third
    matrix, _ = evaluate_split(segmenter, scenes, "val", segmenter.with_inference(method="softmax", crf=False))
    assert float(found[4]) == pytest.approx(matrix.scores().mean_iou)
    for key in scenes.keys("train"):
        (scenes.root / "masks" / f"{key}.png").unlink()
    with pytest.raises(InputError, match="'train' has no masks to validate with"):
        run("other", validate="train")


class StopError(Exception):
    pass


@pytest.mark.parametrize("after", [1, 2, 3, 5])
def test_resume_equals_the_uninterrupted_run(run, tmp_path, after):
    run("whole", settings=COMPLETED)

    def interrupt(stage, done, total, values):
        if stage == "train" and done == after:
            raise StopError

    with pytest.raises(StopError):
        run("parts", progress=interrupt, settings=COMPLETED)
    run("parts", resume=True, settings=COMPLETED)
    whole, parts = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_regions_and_their_prototypes_resume(run, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "RENEW_EVERY", 2)
    settings = {"objective": "rca", "hints": "tags,points", "settings": ["objective.regions.weight=1"]}
    network = run("whole", iterations=6, **settings).network
    assert network.aggregation.prototypes.shape == (3, 10, 8)
    assert bool((network.aggregation.prototypes.norm(dim=2) > 0.5).any())

    def interrupt(stage, done, total, values):
        if stage == "train" and done == 4:
            raise StopError

    with pytest.raises(StopError):
        run("parts", iterations=6, progress=interrupt, **settings)
    run("parts", iterations=6, resume=True, **settings)
    whole, parts = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_waits_for_the_step_and_its_checkpoint(run, scenes, tmp_path, tiny, number, code):
    settings = ["checkpoint_every=1000"]
    command = [sys.executable, "-m", "hintseg.apps.cli.app", "train", str(scenes.root), "--hints", "scribbles"]
    command += ["--weights", "none", "--device", "cpu", "--iterations", "150", "--out", str(tmp_path / "parts")]
    command += [part for setting in (*tiny, *settings) for part in ("--set", setting)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "parts" / "log.txt"
    while not (log.exists() and "iteration 20 of" in log.read_text("utf-8")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == code, said
    assert 20 <= torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["step"] < 150
    if number == signal.SIGTERM:
        run("whole", iterations=150, settings=settings)
        run("parts", iterations=150, settings=settings, resume=True)
        whole, parts = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
        assert all(torch.equal(whole[key], parts[key]) for key in whole)


@pytest.mark.slow
def test_resume_after_kill_9(run, scenes, tmp_path, tiny):
    run("whole", iterations=12)
    command = [
        sys.executable,
        "-m",
        "hintseg.apps.cli.app",
        "train",
        str(scenes.root),
        "--hints",
        "scribbles",
        "--weights",
        "none",
    ]
    command += ["--device", "cpu", "--iterations", "12", "--out", str(tmp_path / "parts"), "--resume"]
    for setting in tiny:
        command += ["--set", setting]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "parts" / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    whole, parts = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


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


def test_folders_are_not_overwritten_shared_or_mixed(run, tmp_path):
    run("a", iterations=2)
    with pytest.raises(RunError, match="already holds a run"):
        run("a", iterations=2)
    with pytest.raises(RunError, match="cannot go on, since iterations was 2 and is 3"):
        run("a", iterations=3, resume=True)
    checkpoint = tmp_path / "a" / "checkpoint.pt"
    torch.save(torch.load(checkpoint, weights_only=True) | {"version": 0}, checkpoint)
    with pytest.raises(RunError, match=r"another version of hintseg \(format 0, .*delete it"):
        run("a", iterations=2, resume=True)
    checkpoint.write_bytes(b"cut off")
    with pytest.raises(RunError, match="checkpoint is damaged"):
        run("a", iterations=2, resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        run("file/run", iterations=2)


@pytest.mark.parametrize("name", ["log.txt", ".lock", "cache", "cache/features"])
def test_nothing_is_written_through_links_in_a_run(run, tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "a" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere" / "file")
    (tmp_path / "a" / ".made-by.json").write_text("{}")
    with pytest.raises(RunError, match="is a link"):
        run("a", iterations=1)
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_run_is_locked_while_it_trains(run):
    messages = []

    def second(stage, done, total, values):
        if stage == "train" and not messages:
            with pytest.raises(RunError) as caught:
                run("a", resume=True)
            messages.append(str(caught.value))

    run("a", iterations=1, progress=second)
    assert "another hintseg process" in messages[0]


@pytest.mark.parametrize("ahead", [1, 2, 100])
def test_losses_are_the_same_when_they_are_read_late(run, monkeypatch, tmp_path, ahead):
    run("at once")
    monkeypatch.setitem(loop.AHEAD, "cpu", ahead)
    seen = []
    run("late", progress=lambda stage, done, total, values: seen.append(done) if stage == "train" else None)
    assert seen == list(range(1, len(seen) + 1))
    at_once, late = (losses(tmp_path / name / "metrics.csv") for name in ("at once", "late"))
    assert at_once == late
    assert len(late) == len(seen)


def losses(path):
    rows = csv.DictReader(path.read_text("utf-8").splitlines())
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_loss_that_is_not_finite_stops_with_the_iteration(run, monkeypatch, tmp_path, ahead):
    monkeypatch.setitem(loop.AHEAD, "cpu", ahead)
    whole = loop.train_step

    def spoil(state, batch, recipe, fabric):
        if state.step == 3:
            with torch.no_grad():
                state.network.classifier[-1].weight.fill_(float("nan"))
        return whole(state, batch, recipe, fabric)

    monkeypatch.setattr(loop, "train_step", spoil)
    with pytest.raises(TrainingError, match=r"not finite at iteration 3 \(.*of the images scene \d ä, "):
        run("a")
    assert (tmp_path / "a" / "checkpoint.pt").exists()


def test_weights_that_are_not_finite_are_not_kept(run, monkeypatch, tmp_path):
    whole = loop.train_step

    def spoil(state, batch, recipe, fabric):
        values = whole(state, batch, recipe, fabric)
        if state.step == 3:  # the last before a checkpoint
            with torch.no_grad():
                state.network.embedding.weight[0] = float("inf")
        return values

    monkeypatch.setattr(loop, "train_step", spoil)
    with pytest.raises(TrainingError, match="not finite before iteration 4"):
        run("a", settings=COMPLETED)
    content = torch.load(tmp_path / "a" / "checkpoint.pt", weights_only=True)
    assert content["step"] == 3  # where masks were completed, the last time all was well
    monkeypatch.setattr(loop, "train_step", whole)
    run("a", resume=True, settings=COMPLETED)


def test_exhausted_memory_names_the_setting(run, monkeypatch):
    def exhaust(*arguments):
        raise MemoryError

    monkeypatch.setattr(loop, "train_step", exhaust)
    with pytest.raises(TrainingError, match=r"data\.batch"):
        run("a")


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
    assert mixed.hints(first, ("points", "scribbles")).forms() == ()
    segmenter = run(hints=None, iterations=3)
    assert segmenter.predict(mixed.image(second)).shape == (72, 96)


def test_tags_alone_train_and_resume(run, tmp_path, scenes):
    run("a", hints="tags")
    assert len(list((tmp_path / "a" / "seeds").iterdir())) == 4
    for number, stage in enumerate(("tags", "seeds", "train")):

        def interrupt(name, done, total, values, stage=stage):
            if name == stage and done == 2:
                raise StopError

        with pytest.raises(StopError):
            run(f"b{number}", hints="tags", progress=interrupt)
        run(f"b{number}", hints="tags", resume=True)
        whole, parts = (load_file(tmp_path / name / "weights.safetensors") for name in ("a", f"b{number}"))
        assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_tags_that_name_every_class_still_give_a_segment_memory(run, tmp_path, scenes):
    tags = {key: ["ground", "square", "disc"] for key in scenes.keys("train")}
    (scenes.root / "tags.json").write_text(json.dumps(tags), "utf-8")
    assert set(run(hints="tags").index.images.tolist()) == set(range(4))


def test_only_images_with_unplaced_classes_need_seeds(scenes, tiny):
    config = choose_recipe(weights="none", settings=tiny).data

    def needed(*forms):
        return unplaced(TrainingImages(Dataset.open(scenes.root), scenes.keys("train"), forms, config))

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


def test_seeds_of_tags_beside_pixels_are_balanced(scenes, tiny, monkeypatch):
    scores = torch.zeros(3, 8, 8)
    scores[0], scores[1], scores[2, :, 7:] = 6, -20, 5  # on the right a disc is almost as likely as the ground
    monkeypatch.setattr(tag_classifier, "pixel_scores", lambda network, image: scores)
    monkeypatch.setattr(tag_classifier, "dense_crf", lambda image, shares, **_: shares)
    monkeypatch.setattr(tag_classifier, "CONFIDENCE", 0.6)

    def discs(forms, balance):
        recipe = choose_recipe(weights="none", settings=[*tiny, f"completion.class_prior_power={balance}"])
        images = TrainingImages(Dataset.open(scenes.root), scenes.keys("train"), forms, recipe.data)
        found = tag_classifier._find(None, images, images.keys[0], recipe, True)
        return (found[:, found.shape[1] * 15 // 16 :] == 2).mean()

    assert discs(("tags",), 1) > 0.9
    assert discs(("tags",), 0) < 0.1
    assert discs(("scribbles", "tags"), 1) == discs(("scribbles", "tags"), 0)


@pytest.mark.parametrize("kind", ["none", "joint", "classifier", "fresh"])
def test_stage_two_kinds_and_their_resume(run, scenes, kind, tmp_path):
    settings = [
        *COMPLETED,
        f"self_training.mode={kind}",
        f"objective.pseudo_label_cross_entropy.weight={int(kind == 'joint')}",
    ]
    segmenter = run("a", settings=settings)
    assert (tmp_path / "a" / "completed").exists() == (kind != "none")
    image = scenes.image(scenes.keys("val")[0])
    assert (Segmenter.open(tmp_path / "a", "cpu").predict(image) == segmenter.predict(image)).all()

    def interrupt(stage, done, total, values):
        if stage == "train" and done == 5:
            raise StopError

    with pytest.raises(StopError):
        run("b", settings=settings, progress=interrupt)
    run("b", settings=settings, resume=True)
    whole, parts = (load_file(tmp_path / name / "weights.safetensors") for name in "ab")
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


@pytest.mark.parametrize(("kind", "shares"), [("joint", (1, 3 / 4, 2 / 4, 1 / 4)), ("fresh", (1, 1 / 2, 1, 1 / 2))])
def test_a_separate_stage_has_a_learning_rate_of_its_own(run, monkeypatch, kind, shares):
    seen = []
    monkeypatch.setattr(loop, "set_learning_rate", lambda optimizer, factor: seen.append(factor))
    settings = [*COMPLETED, f"self_training.mode={kind}", "self_training.start=0.5", "optimizer.warmup=0"]
    monkeypatch.setattr(optimizer, "POWER", 1)
    run(iterations=4, settings=settings)
    assert seen == pytest.approx(shares)


def test_inference_configuration_is_checked(run):
    segmenter = run(iterations=1)
    assert isinstance(segmenter.with_inference(flip=True), InferenceConfig)
    with pytest.raises(InputError, match=r"\(H, W, 3\) uint8"):
        segmenter.predict(np.zeros((4, 4), np.uint8))


def test_every_term_joins_one_objective(scenes, tiny, tmp_path):
    names = [*TERMS, *RELATIONS]
    settings = [*tiny, *COMPLETED, *(f"objective.{name}.weight=0.1" for name in names), "completion.random_walk=true"]
    scenes = replace(scenes, classes=(*scenes.classes, "triangle"))  # which no image holds
    train(scenes, "scribbles", tmp_path / "run", weights="none", device="cpu", iterations=4, settings=settings)
    rows = (tmp_path / "run" / "metrics.csv").read_text("utf-8").splitlines()
    columns = rows[0].split(",")
    assert set(names) <= set(columns)
    for name in names:
        values = [float(row.split(",")[columns.index(name)]) for row in rows[1:]]
        assert np.isfinite(values).all(), name
        # All scenes share their tags, so co-occurrence has nothing to repel.
        assert any(value != 0 for value in values) == (name != "cooccurrence"), name


@pytest.mark.parametrize("classes", [0, 150])
def test_soft_masks_of_no_class_and_of_many(classes):
    image = np.zeros((64, 64, 3), np.uint8)
    labels = np.full((64, 64), UNLABELLED, np.uint8)
    sample = Sample(image, labels, labels.astype(np.uint16), np.ones(200, np.bool_), np.ones(200, np.bool_), labels)
    soft = SoftMask(np.arange(classes, dtype=np.uint8) + 5, np.full((16, 16, classes), 51, np.uint8))
    config = DataConfig(crop_size=32, mirror=False, scale_range=(0.5, 0.5))
    crop = augment(sample, soft, config, np.random.default_rng(0))
    assert crop.soft.shape == (200, 8, 8)
    np.testing.assert_allclose(crop.soft[5 : 5 + classes], 0.2, atol=1e-6)
    assert crop.soft.sum() == pytest.approx(0.2 * classes * 64, rel=1e-5)


@pytest.fixture
def some_weights(tiny, tmp_path):
    """A file with a tiny backbone's weights, as good as any."""
    network = Embedder(choose_recipe(weights="none", settings=tiny).network, 3)
    path = tmp_path / "some.safetensors"
    save_file(network.backbone.body.state_dict(), path)
    return str(path)


def test_void_is_not_taught_by_completed_masks_and_its_segments_do_not_vote(scenes, tiny, monkeypatch):
    recipe = choose_recipe(weights="none", settings=tiny)
    images = TrainingImages(scenes, scenes.keys("train"), ("scribbles",), recipe.data)
    network = Embedder(recipe.network, 3, "none").eval()
    first, *others = images.keys

    def remembered():
        return remembered_segments(images, recipe, lambda image: image_maps(network, image), lambda *_: None)

    before, read = remembered(), images._picture
    upper = np.ones((72, 96), bool)
    upper[36:] = False
    monkeypatch.setattr(images, "_picture", lambda key: read(key)._replace(**{"valid": upper} if key == first else {}))
    after = remembered()
    assert (before.images == 0).sum() > (after.images == 0).sum() > 0
    for number in range(1, 1 + len(others)):
        assert torch.equal(before.prototypes[before.images == number], after.prototypes[after.images == number])
    logits = torch.zeros(1, 3, 4, 4, requires_grad=True)
    cells = torch.full((1, 4, 4), UNLABELLED, dtype=torch.uint8)
    cells[0, 0] = VOID
    nothing = {name: None for name in TermInputs._fields[1:] if name not in TermInputs._field_defaults}
    inputs = TermInputs(
        PixelMaps(logits, logits),
        **nothing | {"cells": cells, "soft": torch.eye(3)[0].expand(1, 4, 4, 3).movedim(3, 1)},
    )
    TERMS["pseudo_label_cross_entropy"](inputs).backward()
    assert not logits.grad[0, :, 0].any()
    assert logits.grad[0, :, 1:].any()


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


@pytest.mark.parametrize("forms", ["tags", "boxes", "points", "scribbles,boxes", "masks"])
def test_complete_gives_exactly_the_masks_that_training_used(run, scenes, forms, monkeypatch, tmp_path):
    """The last completion of a run and `Segmenter.complete`, bit for bit, on images that both reduce."""
    segmenter = run(hints=forms, iterations=2, settings=["data.longest_side=64", "completion.class_prior_power=0.5"])
    found = {}

    def record(name, module):
        def recorded(*given, **more):
            found.setdefault(name, []).append(complete_image(*given, **more))
            return found[name][-1]

        monkeypatch.setattr(module, "complete_image", recorded)

    record("training", self_training), record("user", inference_segmenter)
    recipe, description = segmenter.recipe, segmenter.description
    images = TrainingImages(scenes, description.keys, description.forms, recipe.data)
    maps_of = partial(completion_maps, segmenter.network, recipe.inference)
    fabric = make_fabric("cpu", "32-true", 1)
    masks = self_training.completed_masks(images, recipe, maps_of, tmp_path / "masks", fabric, lambda *_: None)
    for key in description.keys:
        mask = segmenter.complete(scenes, key)
        coarse = masks[key].classes[masks[key].probabilities.argmax(axis=2)]
        assert (cv2.resize(coarse, mask.shape[::-1], interpolation=cv2.INTER_NEAREST) == mask).mean() > 0.9
    assert len(found["training"]) == len(found["user"]) == 4
    assert all(torch.equal(one, other) for one, other in zip(found["training"], found["user"], strict=True))
