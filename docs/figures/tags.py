"""What tags alone say of places: class activation maps, what each pooling looks at, and the cues of SEC.

The classifier is the packaged backbone's own, which learned image labels alone [CAM, Zhou et al. 2016; MIL,
Pinheiro & Collobert 2015; SEC, Kolesnikov & Lampert 2016].
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from docs.figures.drawing import Panel, panels
from numpy.typing import NDArray
from torch import Tensor

from hintseg.apps.report.figures import overlay
from hintseg.functional.losses.tags import pool
from hintseg.hints.labels import UNLABELED
from hintseg.network.weights import packaged_file, read_packaged

BACKBONE = "tf_efficientnet_lite0"
SIDE = 448
CUE = 0.2  # of the highest activation, above which a pixel is a cue [SEC]
FAR = 0.02  # of it, below which a pixel is a cue for the background
POOLINGS = {"average": "average", "log_sum_exp": "log-sum-exp", "rank": "weighted rank", "max": "maximum"}


def class_scores(image: NDArray[np.uint8], classes: list[int]) -> Tensor:
    """(h, w) score of some ImageNet classes together, at the last features' size: the classifier's, before pooling."""
    import timm

    path = packaged_file(BACKBONE)
    if path is None:
        raise SystemExit(f"{BACKBONE}: its weights are not installed.")
    network = timm.create_model(BACKBONE).eval()
    network.load_state_dict(read_packaged(BACKBONE, path))
    scale = SIDE / max(image.shape[:2])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    pixels = torch.from_numpy(cv2.resize(image, size)).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        features = network.forward_features((pixels / 255 - 0.5) / 0.5)[0]
        return torch.einsum("dhw,kd->khw", features, network.classifier.weight[classes]).amax(dim=0)


def activation(scores: Tensor, size: tuple[int, int]) -> NDArray[np.float32]:
    """Scores → activation map: negative ones cut off, the highest one, enlarged to (height, width)."""
    positive = scores.clamp_min(0)
    found = (positive / positive.max().clamp_min(1e-12)).numpy()
    return np.clip(cv2.resize(found, size[::-1], interpolation=cv2.INTER_CUBIC), 0, 1)


def looked_at(scores: Tensor, pooling: str) -> Tensor:
    """(h, w) how much each cell weighs in the pooled score, the largest weight one."""
    scores = (scores / scores.max())[None, None].requires_grad_()
    (gradient,) = torch.autograd.grad(pool(scores, pooling).sum(), scores)
    return gradient[0, 0] / gradient.max()


def cues(activations: NDArray[np.float32], label: int) -> NDArray[np.uint8]:
    """(H, W) class, background where little is active, 254 between."""
    return np.where(activations >= CUE, label, np.where(activations <= FAR, 0, UNLABELED)).astype(np.uint8)


def draw_tags(path: Path, images: dict[int, tuple[NDArray[np.uint8], list[int]]]) -> None:
    """A row an image, by its class: image, activation map and cues."""
    rows = []
    for label, (image, classes) in images.items():
        scores = class_scores(image, classes)
        found = activation(scores, image.shape[:2])
        rows.append([
            Panel("image, tagged", image),
            Panel("class activation map", found, (0, 1), "activation"),
            Panel("cues of SEC", overlay(image, cues(found, label))),
        ])  # fmt: skip
    panels(path, rows)


def draw_poolings(path: Path, image: NDArray[np.uint8], classes: list[int]) -> None:
    """Which cells each pooling of multiple-instance learning looks at."""
    scores = class_scores(image, classes)
    shown = [
        Panel(name, looked_at(scores, pooling).numpy(), (0, 1), "weight of a cell")
        for pooling, name in POOLINGS.items()
    ]
    panels(path, [shown])
