"""Two processes on the CPU train as one does."""

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tests.training.two_processes import TERMS

from hintseg import train
from hintseg.errors import ConfigError, RunError, TrainingError
from hintseg.hints.labels import UNLABELED
from hintseg.training.distributed import first_process_decides, interrupted
from hintseg.training.interrupt import Interruption
from hintseg.training.run_folder import locked

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Dropout is drawn by each process for itself; AdamW makes differences of 1e-7 in a gradient as large as its step.
PLAIN = ["network.dropout=0", 'optimizer.name="sgd"', "optimizer.lr=0.01", "optimizer.backbone_lr=0.01"]
# Clusters of nearly equal embeddings change as a whole when the last digit does.
CONTINUOUS = [*PLAIN, "objective.similarity.weight=0", "objective.annotation.weight=0"]


def command(scenes, out: Path, settings, devices: int, iterations: int, *more: str) -> list[str]:
    assignments = (part for setting in settings for part in ("--set", setting))
    return [
        sys.executable, "-m", "hintseg.apps.cli.app", "train", str(scenes.root), "--weights", "none", "--device", "cpu",
        "--devices", str(devices), "--iterations", str(iterations), "--out", str(out), *assignments, *more,
    ]  # fmt: skip


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=1e-4, rtol=1e-4, msg=name)


@pytest.mark.slow
def test_losses_and_gradients_are_those_of_one_process(tmp_path):
    random = torch.Generator().manual_seed(0)
    side = 32
    labels = torch.randint(0, 3, (4, side, side), generator=random)
    labels[torch.rand(labels.shape, generator=random) < 0.9] = UNLABELED
    labels[2:] = UNLABELED  # the second process has no label at all, and fewer segments
    regions = torch.randint(0, 9, (4, side // 8, side // 8), generator=random).int()
    regions[2:] = 0
    soft = torch.rand(4, 3, side // 4, side // 4, generator=random, dtype=torch.float64)
    present = torch.tensor([[True, True, False], [True, False, True], [False, True, True], [True, False, False]])
    torch.save(
        {
            "embeddings": F.normalize(torch.randn(4, 8, side, side, generator=random, dtype=torch.float64), dim=1),
            "logits": torch.randn(4, 3, side, side, generator=random, dtype=torch.float64),
            "image": torch.randint(0, 256, (4, 3, side, side), generator=random, dtype=torch.uint8),
            "labels": labels.to(torch.uint8),
            "regions": regions.repeat_interleave(8, 1).repeat_interleave(8, 2),
            "candidate_classes": present,
            "present_classes": present,
            "propagated": labels.to(torch.uint8),
            "soft": soft / soft.sum(dim=1, keepdim=True),
            "number": torch.zeros(4, dtype=torch.int64),
        },
        tmp_path / "batch.pt",
    )
    for count in (1, 2):
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        subprocess.run(
            [*torchrun, "-m", "tests.training.two_processes", str(tmp_path)],
            env=ENVIRONMENT, check=True, capture_output=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    alone, first, second = (
        torch.load(tmp_path / f"left-{name}.pt", weights_only=True) for name in ("1-0", "2-0", "2-1")
    )
    assert set(alone["values"]) == set(TERMS)
    for part in (first, second):
        torch.testing.assert_close(part["total"], alone["total"], atol=1e-9, rtol=0)
        torch.testing.assert_close(part["values"], alone["values"], atol=1e-9, rtol=0)
    for whole, *parts in zip(alone["gradients"], first["gradients"], second["gradients"], strict=True):
        assert all(float(part.abs().max()) > 0 for part in parts)
        torch.testing.assert_close(torch.cat(parts), whole, atol=1e-9, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("hints", ["scribbles", "tags"])
def test_a_run_of_two_processes_equals_that_of_one(scenes, tiny, tmp_path, hints):
    settings = [
        *tiny,
        *CONTINUOUS,
        "data.batch_size=4",
        "objective.pseudo_label_cross_entropy.weight=1",
        "self_training.mode=joint",
    ]
    for count in (1, 2):
        options = command(scenes, tmp_path / str(count), settings, count, 5, "--hints", hints)
        done = subprocess.run(options, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    if hints == "tags":  # the weights after the first stage; rounding grows through the second
        assert_close(*(torch.load(tmp_path / count / "tags.pt", weights_only=True)["network"] for count in "12"))
        for path in (tmp_path / "1" / "seeds").iterdir():
            found = [np.load(tmp_path / count / "seeds" / path.name)["labels"] for count in "12"]
            assert (found[0] == found[1]).mean() > 0.99
    else:
        assert_close(*(load_file(tmp_path / count / "weights.safetensors") for count in "12"))
    log = (tmp_path / "2" / "log.txt").read_text("utf-8")
    assert log.count("finished") == 1
    assert len((tmp_path / "2" / "metrics.csv").read_text("utf-8").splitlines()) == 6


@pytest.mark.slow
def test_a_signal_stops_both_and_one_process_goes_on(scenes, tiny, tmp_path):
    settings = [*tiny, *CONTINUOUS, "data.batch_size=4", "checkpoint_every=1000"]
    process = subprocess.Popen(
        command(scenes, tmp_path / "parts", settings, 2, 60, "--hints", "scribbles"),
        env=ENVIRONMENT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    log = tmp_path / "parts" / "log.txt"
    while not (log.exists() and "iteration 20 of" in log.read_text("utf-8")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 143, said
    assert 20 <= torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["step"] < 60
    options = {"weights": "none", "device": "cpu", "iterations": 60, "settings": settings}
    train(scenes, "scribbles", tmp_path / "parts", resume=True, **options)
    rows = (tmp_path / "parts" / "metrics.csv").read_text("utf-8").splitlines()
    assert [row.split(",")[0] for row in rows] == ["iteration", *map(str, range(60))]


def test_a_signal_that_comes_while_processes_agree_is_not_lost():
    interruption = Interruption()

    class Meanwhile:
        world_size, device = 2, torch.device("cpu")

        def all_reduce(self, number, reduce_op):
            assert reduce_op == "max"
            interruption.signal = signal.SIGTERM
            return number

    fabric = Meanwhile()
    assert not interrupted(fabric, interruption)  # the other process does not know yet
    assert interruption.signal == signal.SIGTERM
    assert interrupted(fabric, interruption)


@pytest.mark.parametrize("error", [TrainingError("unstable"), MemoryError()])
def test_what_the_first_process_cannot_do_ends_all(error):
    sent = []

    class Process:
        def __init__(self, first):
            self.is_global_zero = first

        def broadcast(self, told):
            sent.append(told)
            return sent[0]

    def fail():
        raise error

    with pytest.raises(type(error)):
        first_process_decides(Process(first=True), fail)
    with pytest.raises(RunError, match=str(error) or "MemoryError"):
        first_process_decides(Process(first=False), fail)
    sent.clear()
    assert [first_process_decides(Process(first), lambda: 7) for first in (True, False)] == [7, 7]


@pytest.mark.slow
@pytest.mark.parametrize("hints", ["scribbles", "tags"])
def test_a_checkpoint_that_cannot_be_written_ends_all(scenes, tiny, tmp_path, hints):
    for name in ("checkpoint.pt", "tags.pt"):
        (tmp_path / "run" / name).mkdir(parents=True)
    (tmp_path / "run" / ".made-by.json").write_text("{}")
    options = command(scenes, tmp_path / "run", [*tiny, "data.batch_size=4"], 2, 3, "--hints", hints)
    done = subprocess.run(options, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert ".pt: writing failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_numbers_of_devices_stop_before_training(scenes, tiny, tmp_path):
    options = {"weights": "none", "settings": [*tiny, "data.batch_size=4"]}
    with pytest.raises(ConfigError, match=r"data.batch_size is 4, which 3 processes cannot share evenly"):
        train(scenes, "scribbles", tmp_path / "run", device="cpu", devices=3, **options)
    with pytest.raises(ConfigError, match="cpu:0 is one device, but --devices asks for 2"):
        train(scenes, "scribbles", tmp_path / "run", device="cpu:0", devices=2, **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("why", ["already holds a run", "another hintseg process is writing"])
def test_a_folder_in_use_is_refused_by_all(scenes, tiny, tmp_path, why):
    (tmp_path / "run").mkdir()
    if why.startswith("already"):
        (tmp_path / "run" / "run.json").write_text("{}")
    options = command(scenes, tmp_path / "run", [*tiny, "data.batch_size=4"], 2, 3, "--hints", "scribbles")
    with locked(tmp_path / "run") if why.startswith("another") else nullcontext():
        done = subprocess.run(options, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert why in done.stderr
