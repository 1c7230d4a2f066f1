"""Short runs on the scenes, whole or interrupted."""

import pytest
import torch
from safetensors.torch import load_file

from hintseg import train


class StopError(Exception):
    pass


@pytest.fixture
def completed():
    """Settings of a run that completes its masks after the third of five iterations."""
    return (
        "objective.pseudo_label_cross_entropy.weight=1",
        "self_training.mode=joint",
        "self_training.start=0.6",
    )


@pytest.fixture
def run(scenes, tiny, tmp_path):
    def go(name="run", iterations=5, settings=(), **options):
        return train(
            scenes, options.pop("hints", "scribbles"), tmp_path / name, weights="none", device="cpu",
            iterations=iterations, settings=[*tiny, *settings], **options,
        )  # fmt: skip

    return go


@pytest.fixture
def interrupted(run):
    """A run that is stopped where a stage has done so many steps."""

    def go(name, at, stage="train", **options):
        def interrupt(now, done, total, values):
            if now == stage and done == at:
                raise StopError

        with pytest.raises(StopError):
            run(name, progress=interrupt, **options)

    return go


@pytest.fixture
def same_weights(tmp_path):
    """Whether two runs have the same, bit for bit."""

    def compared(*names):
        one, other = (load_file(tmp_path / name / "weights.safetensors") for name in names)
        return all(torch.equal(one[key], other[key]) for key in one)

    return compared
