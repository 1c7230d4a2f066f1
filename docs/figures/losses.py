"""The regularization losses on a photograph: where they push a prediction, and what they make of one without a network.

Figures of the lecture "Weakly-supervised segmentation": the gradient of the regularization loss, and peakedness.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from docs.figures.drawing import DIVERGING, Histogram, Panel, panels
from numpy.typing import NDArray
from torch import Tensor

from hintseg.functional.affinity.gaussian import SRGB, SXY, DenseGaussian, position_color_features
from hintseg.functional.affinity.grid import GridNeighbors
from hintseg.functional.affinity.operator import Pairwise
from hintseg.functional.losses.entropy import entropy
from hintseg.functional.losses.normalized_cut import normalized_cut
from hintseg.functional.losses.partial_cross_entropy import partial_cross_entropy
from hintseg.functional.losses.potts import potts
from hintseg.hints.labels import UNLABELED

SIDE = 112  # pixels of the longer side, of which all pairs are compared
Regulariser = Callable[[Tensor, Tensor], Tensor]  # of (1, 2, N) probabilities and the (1, 3, h, w) image

LOSSES: dict[str, Regulariser] = {
    "Potts, 8 neighbors": lambda probabilities, image: potts(probabilities, GridNeighbors(image), quadratic=True),
    "dense CRF": lambda probabilities, image: potts(probabilities, all_pairs(image)),
    "normalized cut": lambda probabilities, image: normalized_cut(probabilities, all_pairs(image)),
}


def all_pairs(image: Tensor) -> Pairwise:
    """The dense Gaussian over the pixels of a (1, 3, h, w) image."""
    return DenseGaussian(position_color_features(image, SXY * max(image.shape[2:]), SRGB), include_self=False)


def reduced(image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """(1, 3, h, w) colors and (1, h, w) labels of two classes, of `SIDE` pixels."""
    scale = SIDE / max(image.shape[:2])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    hints = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    hints = np.where(hints < UNLABELED, hints > 0, UNLABELED)
    return torch.from_numpy(small).permute(2, 0, 1)[None].float(), torch.from_numpy(hints).long()[None]


def descent(logits: Tensor, image: Tensor, loss: Regulariser) -> Tensor:
    """(h, w) minus the gradient by the logit of class 1, its largest absolute value one."""
    logits = logits.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(logits.softmax(dim=1).flatten(2), image), logits)
    return -gradient[0, 1] / gradient[0, 1].abs().max().clamp_min(1e-12)


def minimized(image: Tensor, labels: Tensor, potts_weight: float, entropy_weight: float, *, quadratic: bool = True,
              steps: int = 400) -> Tensor:  # fmt: skip
    """(h, w) probabilities of class 1 that minimize partial cross-entropy, Potts and entropy, pixel by pixel."""
    logits, affinity = torch.zeros(1, 2, *labels.shape[1:], requires_grad=True), GridNeighbors(image)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for step in range(steps):
        loss = partial_cross_entropy(logits, labels)
        loss = loss + potts_weight * potts(logits.softmax(dim=1).flatten(2), affinity, quadratic=quadratic)
        if step >= steps // 2:  # after a warm-up: it would lock early errors in
            loss = loss + entropy_weight * entropy(logits, labels == UNLABELED)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return logits.detach().softmax(dim=1)[0, 1]


def draw_gradient(path: Path, image: NDArray[np.uint8], labels: NDArray[np.uint8], center: tuple[float, float]) -> None:
    """A blurred ellipse as the prediction, and the direction in which each loss changes it."""
    colors, _ = reduced(image, labels)
    logits = ellipse(colors.shape[2], colors.shape[3], center)
    shown = [
        Panel("image", colors[0].permute(1, 2, 0).byte().numpy(), None),
        Panel("prediction", logits.softmax(dim=1)[0, 1].numpy(), (0, 1), "probability of the object"),
    ]
    for name, loss in LOSSES.items():
        pushed = descent(logits, colors, loss).numpy()
        shown.append(
            Panel(name, np.sign(pushed) * np.abs(pushed) ** 0.5, (-1, 1), "√ step: background ← → object", DIVERGING)
        )
    panels(path, [shown])


def ellipse(height: int, width: int, center: tuple[float, float]) -> Tensor:
    """(1, 2, h, w) logits of a soft ellipse around (x, y), in fractions of the sides."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    inside = 1 - ((columns - center[0]) / 0.33).square() - ((rows - center[1]) / 0.36).square()
    return torch.stack([torch.zeros_like(inside), 3 * inside.clamp_min(-1)])[None]


def draw_peakedness(path: Path, image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """What hints and Potts make, quadratic, with entropy and bilinear; and how their probabilities are distributed."""
    colors, hints = reduced(image, labels)
    found = {
        "quadratic Potts": minimized(colors, hints, 5.0, 0.0),
        "quadratic Potts + entropy": minimized(colors, hints, 5.0, 0.3),
        "bilinear Potts": minimized(colors, hints, 5.0, 0.0, quadratic=False),
    }
    maps = [Panel(name, values.numpy(), (0, 1), "probability of the object") for name, values in found.items()]
    counts = [Histogram("probability of the object", "fraction of pixels", values.numpy()) for values in found.values()]
    panels(path, [maps, counts])
