"""Interrupted runs go on as if nothing had been."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from hintseg.errors import TrainingError
from hintseg.training import loop


@pytest.mark.parametrize("after", [1, 2, 3, 5])
def test_resume_equals_the_uninterrupted_run(run, after, interrupted, same_weights, completed):
    run("whole", settings=completed)
    interrupted("parts", after, settings=completed)
    run("parts", resume=True, settings=completed)
    assert same_weights("whole", "parts")


def test_regions_and_their_prototypes_resume(run, monkeypatch, interrupted, same_weights):
    monkeypatch.setattr(loop, "RENEW_EVERY", 2)
    settings = {"objective": "rca", "hints": "tags,points", "settings": ["objective.regions.weight=1"]}
    network = run("whole", iterations=6, **settings).network
    assert network.aggregation.prototypes.shape == (3, 10, 8)
    assert bool((network.aggregation.prototypes.norm(dim=2) > 0.5).any())
    interrupted("parts", 4, iterations=6, **settings)
    run("parts", iterations=6, resume=True, **settings)
    assert same_weights("whole", "parts")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_waits_for_the_step_and_its_checkpoint(run, scenes, tmp_path, tiny, number, code, same_weights):
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
        assert same_weights("whole", "parts")


@pytest.mark.slow
def test_resume_after_kill_9(run, scenes, tmp_path, tiny, same_weights):
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
    assert same_weights("whole", "parts")


def test_weights_that_are_not_finite_are_not_kept(run, monkeypatch, tmp_path, completed):
    whole = loop.train_step

    def spoil(state, batch, recipe, fabric):
        values = whole(state, batch, recipe, fabric)
        if state.step == 3:  # the last before a checkpoint
            with torch.no_grad():
                state.network.embedding.weight[0] = float("inf")
        return values

    monkeypatch.setattr(loop, "train_step", spoil)
    with pytest.raises(TrainingError, match="unstable before iteration 4"):
        run("a", settings=completed)
    content = torch.load(tmp_path / "a" / "checkpoint.pt", weights_only=True)
    assert content["step"] == 3  # where masks were completed, the last time all was well
    monkeypatch.setattr(loop, "train_step", whole)
    run("a", resume=True, settings=completed)
