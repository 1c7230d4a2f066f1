"""The training loop: losses read late, losses that are no numbers."""

import csv

import pytest
import torch

from hintseg.errors import TrainingError
from hintseg.training import loop


def losses(path):
    rows = csv.DictReader(path.read_text("utf-8").splitlines())
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


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
    with pytest.raises(TrainingError, match=r"unstable at iteration 3: the loss is not finite \(.*images scene \d ä, "):
        run("a")
    assert (tmp_path / "a" / "checkpoint.pt").exists()


def test_exhausted_memory_names_the_setting(run, monkeypatch):
    def exhaust(*arguments):
        raise MemoryError

    monkeypatch.setattr(loop, "train_step", exhaust)
    with pytest.raises(TrainingError, match=r"data\.batch"):
        run("a")
