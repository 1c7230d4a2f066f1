"""The training loop: losses that are no numbers, memory that is exhausted."""

import pytest
import torch

from hintseg.errors import TrainingError
from hintseg.training import loop


def test_a_loss_that_is_not_finite_stops_with_the_iteration(run, monkeypatch, tmp_path):
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
