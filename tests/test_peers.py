"""The harness in which other tools are measured beside hintseg."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from benchmarks.peers import __main__ as peers
from benchmarks.peers import hintseg_rows, nnunet, soft_self_labels
from benchmarks.peers.one_image import by_hintseg, by_random_walker, by_watershed
from benchmarks.peers.task import completed, make_task, measured, processor_seconds
from benchmarks.subset import some
from PIL import Image

from hintseg import hint_labels
from hintseg.hints.labels import IGNORE_INDEX


@pytest.fixture
def task(scenes):
    return make_task(scenes, ("scribbles",), seed=0)


def test_a_learner_sees_hints_alone_and_is_scored_on_masks(task):
    truth = {task.dataset.image(key).tobytes(): task.dataset.mask(key) for key in task.test}

    def learn(given):
        drawn = [labels for _, labels in given.hinted()]
        assert len(drawn) == len(task.train)
        assert all((labels == IGNORE_INDEX).mean() > 0.5 for labels in drawn)
        return lambda image: truth[image.tobytes()]

    found = measured(task, learn)
    assert found["mean_iou"] == 100
    assert set(found) == {"mean_iou", "train_seconds", "image_seconds", "memory_mib"}
    assert measured(task, lambda given: lambda image: np.zeros(image.shape[:2], np.uint8))["mean_iou"] < 50


@pytest.mark.parametrize("method", [by_random_walker, by_watershed, by_hintseg])
def test_methods_of_one_image_keep_its_hints(task, method):
    for image, labels in list(task.hinted())[:2]:
        mask = method(image, labels, task.num_classes)
        assert mask.shape == labels.shape
        np.testing.assert_array_equal(mask[labels != IGNORE_INDEX], labels[labels != IGNORE_INDEX])
        assert set(np.unique(mask)) <= set(np.unique(labels[labels != IGNORE_INDEX]))


def test_completed_masks_are_scored_on_training_images(task):
    assert completed(task, by_hintseg)["mean_iou"] > completed(task, lambda image, labels, _: 0 * labels)["mean_iou"]


def test_one_class_alone_fills_the_image(task):
    image = task.dataset.image(task.train[0])
    labels = np.full(image.shape[:2], IGNORE_INDEX, np.uint8)
    labels[2, 2] = 1
    for method in (by_random_walker, by_watershed):
        assert (method(image, labels, 3) == 1).all()


def test_some_images_of_each_split_are_drawn_by_the_seed(scenes, tmp_path):
    few = some(scenes, 1, 0, tmp_path / "few")
    assert (len(few.keys("train")), len(few.keys("val"))) == (1, 1)
    key = few.keys("train")[0]
    np.testing.assert_array_equal(hint_labels(few, key), hint_labels(scenes, key))


def test_nnunet_ignores_what_is_not_drawn(task, tmp_path):
    description = nnunet._written(task, tmp_path)
    assert description["labels"] == {"background": 0, "class 1": 1, "class 2": 2, "ignore": 3}
    assert description["numTraining"] == len(list((tmp_path / "imagesTr").iterdir())) == len(task.train)
    for number, (_, labels) in enumerate(task.hinted()):
        written = np.asarray(Image.open(tmp_path / "labelsTr" / f"{number:05d}.png"))
        np.testing.assert_array_equal(written, np.where(labels == IGNORE_INDEX, 3, labels))


def test_nnunet_trains_until_its_time_is_spent(monkeypatch):
    clock, rates = iter([10, 30, 60, 110]), []
    group = {"lr": 0.0}
    trainer = SimpleNamespace(
        network=SimpleNamespace(train=lambda: None), optimizer=SimpleNamespace(param_groups=[group]), initial_lr=1.0,
        batch_size=2, dataloader_train=iter(range(9)), train_step=lambda batch: rates.append(group["lr"]),
    )  # fmt: skip
    monkeypatch.setattr(nnunet, "processor_seconds", lambda: next(clock))
    nnunet._trained(trainer, begun=0, seconds=100)
    assert rates == [pytest.approx(0.9**0.9), pytest.approx(0.7**0.9), pytest.approx(0.4**0.9)]


def test_an_objective_is_trained_for_the_given_time(task, monkeypatch):
    clock, trained = iter([0, 15, 50]), []
    monkeypatch.setattr(hintseg_rows, "processor_seconds", lambda: next(clock))
    monkeypatch.setattr(hintseg_rows, "train", lambda *_, iterations, **__: trained.append(iterations))
    hintseg_rows.objective_row("dense_crf")(task._replace(seconds=100))
    assert trained == [10, 30, 45]  # 5 s and one second an iteration; both short ones leave 50 s


def test_timed_rows_get_the_seconds_of_the_default(scenes, tmp_path, monkeypatch):
    commands = []

    def run(command, **_):
        commands.append(command)
        return SimpleNamespace(stdout='said before\n{"train_seconds": 61.5}\n')

    monkeypatch.setattr(peers, "subprocess", SimpleNamespace(run=run, PIPE=None))
    monkeypatch.setattr(peers, "write", lambda name, rows: rows)
    rows = ["peers", str(scenes.root), "--work", str(tmp_path), "--rows"]
    monkeypatch.setattr(sys, "argv", [*rows, peers.TIMED[0]])
    with pytest.raises(SystemExit, match="come after it"):
        peers.main()
    monkeypatch.setattr(sys, "argv", [*rows, f"{peers.DEFAULT}; {peers.TIMED[0]}"])
    peers.main()
    assert ["--seconds" in command for command in commands] == [False, True]
    assert commands[1][-1] == "61.5"


def test_seconds_of_processes_that_ended_are_counted():
    before = processor_seconds()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"], check=True)
    assert processor_seconds() - before >= 0.5


def test_soft_self_labels_spread_from_hints_to_edges_of_the_image():
    image = torch.zeros(1, 3, 6, 12)
    image[..., 6:] = 200
    hinted = torch.full((1, 6, 12), 255)
    hinted[0, 2:4, 1], hinted[0, 2:4, 10] = 0, 2
    probabilities = torch.full((1, 3, 6, 12), 1 / 3)
    soft = soft_self_labels.solved(probabilities, hinted, image, torch.tensor([[True, False, True]]))
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(1, 6, 12))
    assert float(soft[:, 1].max()) < 1e-6  # no candidate
    assert torch.equal(soft[0, :, 2, 1], torch.tensor([1.0, 0, 0]))
    assert (soft[0, :, 2:4, 2:5].argmax(dim=0) == 0).all()
    assert (soft[0, :, 2:4, 7:10].argmax(dim=0) == 2).all()


def test_the_term_of_soft_self_labels_waits_for_a_third_of_the_iterations():
    term = soft_self_labels.SoftSelfLabels()
    term.begin(6)
    logits = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    cells = torch.full((1, 4, 4), 254)
    cells[0, 0, 0] = 1
    inputs = SimpleNamespace(
        maps=SimpleNamespace(logits=logits), cells=cells, inside=cells != 255, image=torch.zeros(1, 3, 4, 4),
        candidate_classes=torch.ones(1, 2, dtype=torch.bool),
    )  # fmt: skip
    values = [float(term(inputs)) for _ in range(3)]
    assert values[:2] == [0, 0]
    assert values[2] > 0
    (gradient,) = torch.autograd.grad(term(inputs), logits)
    assert gradient.abs().sum() > 0
    assert not gradient[0, :, 0, 0].any()  # hinted: partial cross-entropy has it
