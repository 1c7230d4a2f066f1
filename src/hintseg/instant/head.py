"""A perceptron on the features of labeled pixels: drawn from all images, fitted in seconds, put into the network."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from hintseg.errors import TrainingError
from hintseg.network.embedder import Embedder

MOST_PIXELS = 200_000  # held in memory, about 400 MB of EfficientNet-Lite0's features
BATCH_SIZE, LR, WEIGHT_DECAY = 2048, 2e-3, 1e-2


class LabeledPixels(NamedTuple):
    """Features of pixels with a known class.

    Attributes:
        features: (N, D) float32.
        labels: (N,) int64.
        weights: (N,) float32: how often a pixel is drawn; every class of an image counts alike.
    """

    features: Tensor
    labels: Tensor
    weights: Tensor


def joined_features(levels: Sequence[Tensor], places: Tensor) -> Tensor:
    """Features at places between the cells, every level of unit length in every cell [as `UnitPyramid`].

    Args:
        levels: (C, h, w) each.
        places: (N, 2) x, y in [0, 1] of the extent that the levels cover.

    Returns:
        (N, sum of C) float32.
    """
    grid = (2 * places - 1).view(1, 1, -1, 2)
    found = [
        F.grid_sample(
            F.normalize(level.float(), dim=0)[None], grid, mode="bilinear", padding_mode="border", align_corners=False
        )[0, :, 0].T
        for level in levels
    ]
    return torch.cat(found, dim=1)


def draw_pixels(
    levels: Sequence[Tensor], labels: NDArray[np.uint8], num_classes: int, count: int,
    extent: tuple[float, float], random: np.random.Generator,
) -> LabeledPixels:  # fmt: skip
    """Pixels of one image, as many of every class that is labeled there.

    Args:
        levels: (C, h, w) each, of the image.
        labels: (H, W) uint8, of any size; values ≥ num_classes are no labels.
        count: pixels at most.
        extent: fraction of the levels' height and width that the image covers; the rest is padding.
    """
    rows, columns = np.nonzero(labels < num_classes)
    found = labels[rows, columns]
    present = np.unique(found)
    chosen = []
    for label in present:
        among = np.flatnonzero(found == label)
        chosen.append(random.choice(among, min(max(count // len(present), 1), len(among)), replace=False))
    picked = np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
    places = np.stack(
        [(columns[picked] + 0.5) / labels.shape[1] * extent[1], (rows[picked] + 0.5) / labels.shape[0] * extent[0]], 1
    )
    classes = torch.from_numpy(found[picked].astype(np.int64))
    weights = 1 / torch.bincount(classes, minlength=num_classes)[classes].float()
    return LabeledPixels(joined_features(levels, torch.from_numpy(places.astype(np.float32))), classes, weights)


def fit_head(network: Embedder, pixels: LabeledPixels, steps: int, seed: int, batch_size: int = BATCH_SIZE) -> None:
    """Fit the network's embedding and classifier to labeled pixels, from a fresh start.

    Cross-entropy, AdamW, a learning rate that falls linearly to zero. Features are standardized while the head is
    fitted; the first layer takes that along afterwards.

    Args:
        network: with decoder "none" and classifier "hidden"; its head is replaced.
        steps: of `batch_size` pixels.

    Raises:
        TrainingError: there is no pixel.
    """
    if not len(pixels.labels):
        raise TrainingError("no labeled pixel is left to fit the head to; add points, strokes or masks.")
    torch.manual_seed(seed)
    mean, scale = pixels.features.mean(dim=0), pixels.features.std(dim=0, correction=0) + 1e-5
    embedding, classifier = _layers(network)
    first, second = nn.Linear(network.decoder.width, network.dim), nn.Linear(network.dim, network.num_classes)
    head = nn.Sequential(first, nn.GELU(), second)
    edges = pixels.weights.double().cumsum(0)
    edges /= edges[-1].clone()

    def loss() -> Tensor:
        drawn = torch.searchsorted(edges, torch.rand(batch_size, dtype=torch.float64))
        drawn.clamp_(max=len(edges) - 1)
        return F.cross_entropy(head((pixels.features[drawn] - mean) / scale), pixels.labels[drawn])

    descend(head, steps, LR, loss)
    with torch.no_grad():
        weight = first.weight / scale
        embedding.load_state_dict({"weight": weight[:, :, None, None], "bias": first.bias - weight @ mean})
        classifier.load_state_dict({"weight": second.weight[:, :, None, None], "bias": second.bias})


def descend(module: nn.Module, steps: int, lr: float, loss: Callable[[], Tensor]) -> None:
    """Minimise what `loss` gives at every step, by AdamW with a learning rate that falls linearly to zero."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=WEIGHT_DECAY)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / steps)
        value = loss()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()


def _layers(network: Embedder) -> tuple[nn.Conv2d, nn.Conv2d]:
    """The network's two layers; the dropout between them serves whoever trains on."""
    classifier = network.classifier
    last = classifier[-1] if isinstance(classifier, nn.Sequential) else None
    if isinstance(network.embedding, nn.Conv2d) and isinstance(last, nn.Conv2d):
        return network.embedding, last
    raise ValueError("the network's head is no perceptron: it needs decoder 'none' and classifier 'hidden'")


def gathered(parts: Sequence[LabeledPixels]) -> LabeledPixels:
    """The pixels of all images."""
    return LabeledPixels(*(torch.cat(column) for column in zip(*parts, strict=True)))
