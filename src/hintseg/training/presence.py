"""Before training: which classes a photograph shows, learned from the images whose classes are known.

Tags are enough, and every other form says as much where the classes of an image are complete.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from hintseg.inference.presence import PRESENCE_FILE, Presence, Regression, pooled_features
from hintseg.network.embedder import Embedder
from hintseg.training.data import TrainingImages
from hintseg.training.processes import shared_work
from hintseg.writing import kept_arrays

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)  # of squared weights; each class takes the one that foresees left-out images best
FOLDS = 5
STEPS = 50  # of L-BFGS
CERTAIN = 20.0  # bias of a class that nothing is known of: it may be anywhere


def learn_presence(
    out: Path, network: Embedder, images: TrainingImages, fabric: Fabric,
    progress: Callable[[str, int, int, dict[str, float]], None],
) -> None:  # fmt: skip
    """Leave OUT/presence.safetensors, unless it is there.

    Args:
        network: its backbone has learned nothing yet; moved to the device.
    """
    if (out / PRESENCE_FILE).exists():
        return
    training, backbone = network.training, network.eval().to(fabric.device).backbone

    def features(key: str, path: Path) -> NDArray[np.float32]:
        return kept_arrays(path, ["features"], lambda: [pooled_features(backbone, images.image(key)).cpu().numpy()])[0]

    paths = {key: out / "presence" / f"{number:07d}.npz" for number, key in enumerate(images.keys)}
    found = shared_work(fabric, paths, features, lambda done, total: progress("presence", done, total, {}))
    network.train(training)
    if fabric.is_global_zero:
        hints = [images.hints(key) for key in images.keys]
        present = torch.from_numpy(np.stack([hint.present(images.num_classes) for hint in hints]))
        absent = torch.from_numpy(np.stack([hint.absent(images.num_classes) for hint in hints]))
        stacked = torch.from_numpy(np.stack([found[key] for key in images.keys]))
        Presence(backbone, fit_presence(stacked, present, present | absent)).save(out / PRESENCE_FILE)
    fabric.barrier()


def fit_presence(features: Tensor, present: Tensor, known: Tensor) -> Regression:
    """Regressions from images whose classes are known.

    A class is left out, its probability 1 everywhere, unless they foresee left-out images better than its share of
    the images does, by more than the standard error; so with too few images.

    Args:
        features: (N, F).
        present: (N, C) bool: classes that an image shows.
        known: (N, C) bool: whether it is known that an image shows a class, or that it does not.

    Returns:
        float32, on the features as they are (not standardised).
    """
    mean, spread = features.double().mean(dim=0), features.double().std(dim=0, correction=0).clamp_min(1e-6)
    inputs, wanted = (features.double() - mean) / spread, present.double()
    folds = torch.arange(len(features)) % FOLDS
    by_share = _left_out(inputs, wanted, known, folds, None)
    gains = torch.stack([by_share - _left_out(inputs, wanted, known, folds, penalty) for penalty in PENALTIES])
    best = gains.sum(dim=1).argmax(dim=0)
    gain = gains.gather(0, best.expand(1, len(features), -1))[0]
    learned = gain.sum(dim=0) > gain.std(dim=0, correction=0) * len(features) ** 0.5
    weight, bias = torch.zeros(features.shape[1], present.shape[1]), torch.full((present.shape[1],), CERTAIN)
    for number, penalty in enumerate(PENALTIES):
        if (chosen := learned & (best == number)).any():
            found = _fit(inputs, wanted[:, chosen], known[:, chosen], penalty)
            weight[:, chosen] = (found.weight / spread[:, None]).float()
            bias[chosen] = (found.bias - (mean / spread) @ found.weight).float()
    return Regression(weight, bias)


def _left_out(inputs: Tensor, wanted: Tensor, known: Tensor, folds: Tensor, penalty: float | None) -> Tensor:
    """(N, C) log-loss where the regressions were fitted to other images; penalty None: of a class's share of these."""
    logits = torch.zeros_like(wanted)
    for fold in range(FOLDS):
        rest, out = folds != fold, folds == fold
        if penalty is None:
            logits[out] = (((wanted * known)[rest].sum(dim=0) + 0.5) / (known[rest].sum(dim=0) + 1)).logit()
        else:
            found = _fit(inputs[rest], wanted[rest], known[rest], penalty)
            logits[out] = inputs[out] @ found.weight + found.bias
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * known


def _fit(inputs: Tensor, wanted: Tensor, known: Tensor, penalty: float) -> Regression:
    """Minimum over weights and biases of the mean log-loss of what is known + penalty · |weight|² of every class."""
    weight = torch.zeros(inputs.shape[1], wanted.shape[1], dtype=inputs.dtype, requires_grad=True)
    bias = torch.zeros(wanted.shape[1], dtype=inputs.dtype, requires_grad=True)
    counts = known.sum(dim=0).clamp_min(1)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        each = F.binary_cross_entropy_with_logits(inputs @ weight + bias, wanted, reduction="none") * known
        total = (each.sum(dim=0) / counts).sum() + penalty * weight.square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    return Regression(weight.detach(), bias.detach())
