"""The exact state of training on disk: written whole or not at all, read without running anything."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from hintseg.errors import HintsegError, RunError, TrainingError
from hintseg.io.listing import require_no_pipe
from hintseg.io.writing import atomic_path
from hintseg.memory_errors import is_exhausted
from hintseg.training.loop import TrainingState

VERSION = 2


def save_checkpoint(path: Path, state: TrainingState, fingerprint: str, history: list[dict[str, float]]) -> None:
    """Write network, averages, optimizer, memory and position.

    Args:
        fingerprint: of recipe and data; a run resumes only with the same one.
        history: rows of the metrics so far.

    Raises:
        TrainingError: a weight is not finite.
        RunError: the folder cannot be written.
    """
    content = {
        "version": VERSION,
        "fingerprint": fingerprint,
        "step": state.step,
        "start": state.start,
        "network": state.network.state_dict(),
        "average": state.average.network.state_dict(),
        "average_steps": state.average.steps,
        "optimizer": state.optimizer.state_dict(),
        "memory": state.objective.memory_bank.state(),
        "regions": state.objective.regions.state(),
        "history": history,
    }
    if not all(torch.isfinite(tensor).all() for tensor in state.network.parameters()):
        raise TrainingError(
            f"Training became unstable before iteration {state.step} (weights are not finite). Train anew into another "
            "--out with a lower optimizer.lr, or with --precision 32-true."
        )
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def read_checkpoint(path: Path, fingerprint: str) -> dict[str, Any]:
    """A checkpoint's content.

    Raises:
        RunError: damaged, of another version, or of another recipe or data set.
    """
    require_no_pipe(path)
    with damage_explained(path):
        with zipfile.ZipFile(path) as archive:  # torch looks at no checksum
            if archive.testzip() is not None:
                raise ValueError("a checksum is wrong")
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        version, made_for = content["version"], content["fingerprint"]
    if version != VERSION:
        raise RunError(
            f"{path}: was written by another version of hintseg (format {version}, this is {VERSION}); delete it to "
            "start again, choose another --out, or resume with that version."
        )
    if made_for != fingerprint:
        raise RunError(
            f"{path}: belongs to another configuration or data set; resume with the same options, or change --out."
        )
    return content


@contextmanager
def damage_explained(path: Path) -> Iterator[None]:
    """What a damaged or hostile checkpoint leads to, of whatever kind, becomes one sentence, a RunError."""
    try:
        yield
    except Exception as error:  # torch raises many kinds, which all mean the same here
        if isinstance(error, HintsegError) or is_exhausted(error):
            raise
        raise RunError(
            f"{path}: the checkpoint is damaged ({type(error).__name__}); delete it to start again, or choose "
            "another --out."
        ) from error


def restore(content: dict[str, Any], state: TrainingState) -> list[dict[str, float]]:
    """Put a checkpoint's content into a state of the same stage; returns the metrics' rows.

    Entries that are missing or do not fit raise errors of many kinds, see `damage_explained`.
    """
    state.network.load_state_dict(content["network"])
    state.average.network.load_state_dict(content["average"])
    state.average.steps = content["average_steps"]
    state.optimizer.load_state_dict(content["optimizer"])
    device = state.network.mean.device
    state.objective.memory_bank.load_state(content["memory"], device)
    state.objective.regions.load_state(content["regions"], device)
    state.step = content["step"]
    for parameter, kept in state.optimizer.state.items():
        for value in kept.values():
            if torch.is_tensor(value) and value.dim() > 0 and value.shape != parameter.shape:
                raise ValueError(f"{tuple(value.shape)} for a parameter of {tuple(parameter.shape)}")
    remembered = state.objective.memory_bank.segments()
    if remembered is not None and remembered.prototypes.shape != (len(remembered.labels), state.network.dim):
        raise ValueError(f"{tuple(remembered.prototypes.shape)} for the remembered segments")
    history: list[dict[str, float]] = content["history"]
    counts = (state.step, content["start"], state.average.steps)
    if not (all(type(count) is int and count >= 0 for count in counts) and all(type(row) is dict for row in history)):
        raise ValueError("no position")
    return history
