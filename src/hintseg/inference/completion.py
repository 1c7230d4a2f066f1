"""From a network's opinion and an image's hints to a dense mask [SPML sec. 3.4, "propagate"].

softmax (mirror-averaged) → only classes the image may contain → random walk on embedding affinity
→ times what the hints alone say (harmonic function over over-segments) → dense CRF
→ hinted pixels keep their label
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hintseg.config import CompletionConfig
from hintseg.hints.model import UNLABELLED
from hintseg.inference.views import image_maps
from hintseg.network.embedder import Embedder
from hintseg.network.heads import resize
from hintseg.propagation.dense_crf import dense_crf
from hintseg.propagation.random_walk import random_walk
from hintseg.propagation.regions import propagate
from hintseg.segments.oversegment import oversegment

LEAST_SHARE = 0.02  # what hints leave to a class they point away from, so that the network can object


@torch.no_grad()
def complete_image(
    network: Embedder,
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    allowed: NDArray[np.bool_],
    config: CompletionConfig,
    stride: int = 1,
) -> Tensor:
    """Class probabilities of a hinted image.

    Args:
        network: in evaluation mode.
        image: (H, W, 3) uint8.
        labels: (H, W) uint8 weak labels.
        allowed: (C,) bool classes that may occur.
        stride: pixels per cell of the result; above 1 the CRF runs on the reduced image.

    Returns:
        (C, H / stride, W / stride) float32 on the CPU, zero for classes not allowed.
    """
    height, width = labels.shape
    classes = np.flatnonzero(allowed)
    maps = image_maps(network, image, config.flip)
    scores = maps.logits[torch.from_numpy(classes).to(maps.logits.device)]
    if config.walk:
        scores = _walk(maps.embeddings, scores, (height, width), config)
    scores = scores / scores.sum(dim=0, keepdim=True).clamp_min(1e-12)
    size = (max(height // stride, 1), max(width // stride, 1))
    scores = resize(scores[None], size)[0].cpu()
    if config.hints > 0:
        scores = _times_hints(scores, image, labels, classes, config)
    if config.crf and len(classes) > 1:
        small = F.adaptive_avg_pool2d(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float(), size)
        refined = dense_crf(small.permute(1, 2, 0), scores, bilateral_sxy=67 / stride)
        scores = torch.as_tensor(refined)
    result = torch.zeros(len(allowed), *size)
    result[torch.from_numpy(classes)] = scores
    if config.clamp:
        _clamp(result, labels)
    return result


def _walk(embeddings: Tensor, scores: Tensor, size: tuple[int, int], config: CompletionConfig) -> Tensor:
    nodes = (max(size[0] // config.walk_stride, 1), max(size[1] // config.walk_stride, 1))
    coarse = F.normalize(F.adaptive_avg_pool2d(embeddings, nodes), dim=0).permute(1, 2, 0)
    seeds = F.adaptive_avg_pool2d(scores, nodes)
    # Each class divided by its maximum over the image, so that a timid class is not walked over.
    seeds = seeds / seeds.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    return random_walk(coarse, seeds, doublings=config.walk_doublings)


def _times_hints(
    scores: Tensor, image: NDArray[np.uint8], labels: NDArray[np.uint8], classes: NDArray[np.integer],
    config: CompletionConfig,
) -> Tensor:  # fmt: skip
    """scores · share^weight, normalised; unchanged where a class may occur that no hint points at."""
    hinted = np.unique(labels[labels < UNLABELLED])
    if hinted.size == 0 or set(classes.tolist()) - set(hinted.tolist()):
        return scores
    regions = oversegment(image, "watershed", config.hint_regions)
    shares = torch.from_numpy(propagate(image, labels, regions, int(classes.max()) + 1)[:, classes])
    by_pixel = shares[torch.from_numpy(regions.astype(np.int64))].permute(2, 0, 1)
    reduced = F.adaptive_avg_pool2d(by_pixel, (scores.shape[1], scores.shape[2]))
    product = scores * reduced.clamp_min(LEAST_SHARE) ** config.hints
    return product / product.sum(dim=0, keepdim=True).clamp_min(1e-12)


def _clamp(result: Tensor, labels: NDArray[np.uint8]) -> None:
    """Cells that hold a hinted pixel belong to it, where all hinted pixels of the cell agree."""
    rows, columns = np.nonzero(labels < UNLABELLED)
    if rows.size == 0:
        return
    height, width = result.shape[-2:]
    cell_rows = torch.from_numpy(rows * height // labels.shape[0])
    cell_columns = torch.from_numpy(columns * width // labels.shape[1])
    hinted = torch.zeros_like(result)
    hinted[torch.from_numpy(labels[rows, columns].astype(np.int64)), cell_rows, cell_columns] = 1
    agreed = hinted.sum(dim=0) == 1
    result[:, agreed] = hinted[:, agreed]
