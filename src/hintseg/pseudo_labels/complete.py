"""From a network's probabilities and an image's hints to a dense mask [SPML sec. 3.4, "propagate"].

softmax (mirror-averaged) → only classes the image may contain → random walk on embedding affinity
→ classes balanced where no hint is localized → dense CRF → every box holds its class, hinted pixels keep their label
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hintseg.config.schema import CompletionConfig, InferenceConfig
from hintseg.functional.propagation.dense_crf import coarse_crf
from hintseg.functional.propagation.random_walk import random_walk
from hintseg.hints.labels import UNLABELED
from hintseg.hints.types.boxes import Box
from hintseg.network.embedder import Network, PixelMaps
from hintseg.network.heads import coarse_size, resize
from hintseg.network.tta import image_maps, middle_scale
from hintseg.pseudo_labels.cam import balanced, expected_fractions
from hintseg.pseudo_labels.grabcut import box_pixels, resized_boxes
from hintseg.pseudo_labels.target import PseudoLabels

STRIDE = 2  # pixels per cell of a completed mask, and per node of its CRF
WALK_STRIDE, WALK_DOUBLINGS = 8, 6  # input pixels per node, and 2^n steps of the random walk [SPML]


@torch.no_grad()
def completion_maps(network: Network, config: InferenceConfig, image: NDArray[np.uint8]) -> PixelMaps:
    """What `complete_image` starts from: maps at the middle inference scale, averaged with the mirror image's.

    Args:
        network: in evaluation mode.
        image: (H, W, 3) uint8.
    """
    return image_maps(network, image, config.flip, middle_scale(config.scales))


@torch.no_grad()
def complete_image(
    maps: PixelMaps,
    image: NDArray[np.uint8],
    target: PseudoLabels,
    config: CompletionConfig,
    background: int | None = None,
    *,
    crf: bool,
) -> Tensor:
    """Class probabilities of a hinted image.

    Args:
        maps: `image_maps` of the image.
        image: (H, W, 3) uint8.
        target: weak labels, and the classes that may occur, of the same size.
        background: its class, where there is one.
        crf: refine by a dense CRF.

    Returns:
        (C, H / STRIDE, W / STRIDE) float32 on the CPU, zero for classes that are no candidates.
    """
    height, width = target.labels.shape
    classes = np.flatnonzero(target.candidate_classes)
    scores = maps.logits[torch.from_numpy(classes).to(maps.logits.device)]
    if config.random_walk:
        scores = _walk(maps.embeddings, scores, (height, width))
    scores = scores / scores.sum(dim=0, keepdim=True).clamp_min(1e-12)
    size = coarse_size((height, width), STRIDE)
    scores = resize(scores[None], size)[0]
    if config.class_prior_power > 0 and not (target.seeds < UNLABELED).any():
        scores = _as_large_as_expected(scores, target, classes, config.class_prior_power, background)
    where = None
    if target.possible is not None:
        possible = torch.from_numpy(target.possible[classes]).to(scores.device)
        where = F.adaptive_max_pool2d(possible.float()[None], size)[0]
        scores = _only(scores, where)
    if crf and len(classes) > 1:
        scores = coarse_crf(image, scores, STRIDE)
        if where is not None:
            scores = _only(scores, where)
    result = torch.zeros(len(target.candidate_classes), *size)
    result[torch.from_numpy(classes)] = scores.cpu()
    if target.boxes:
        touch_boxes(result, resized_boxes(target.boxes, target.labels.shape, size))
    _clamp(result, target.labels)
    return result


def _walk(embeddings: Tensor, scores: Tensor, size: tuple[int, int]) -> Tensor:
    nodes = coarse_size(size, WALK_STRIDE)
    coarse = F.normalize(F.adaptive_avg_pool2d(embeddings, nodes), dim=0).permute(1, 2, 0)
    seeds = F.adaptive_avg_pool2d(scores, nodes)
    # Each class divided by its maximum over the image, so that a timid class is not walked over.
    seeds = seeds / seeds.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    return random_walk(coarse, seeds, doublings=WALK_DOUBLINGS)


def _as_large_as_expected(
    scores: Tensor, target: PseudoLabels, classes: NDArray[np.integer], power: float, background: int | None
) -> Tensor:
    """Classes that are certainly there raised to what they may cover; one that only may be there is not."""
    there = target.present_classes[classes] | (classes == background)
    return balanced(scores, power, expected_fractions(classes, background)) if there.all() else scores


def _only(scores: Tensor, where: Tensor) -> Tensor:
    """Scores of the classes possible at each cell, normalized."""
    kept = (scores + 1e-6) * where
    return kept / kept.sum(dim=0, keepdim=True).clamp_min(1e-12)


def touch_boxes(result: Tensor, boxes: tuple[Box, ...]) -> None:
    """A box in which its class is nowhere best gets it on the tenth of its cells where it is most probable."""
    for box in boxes:
        inside = result[:, *box_pixels(box, tuple(result.shape[1:]), 1.0)]
        own = inside[box.label]
        if not bool((inside.argmax(dim=0) == box.label).any()):
            most = own >= own.flatten().kthvalue(own.numel() - max(own.numel() // 10, 1) + 1).values
            inside.masked_fill_(most, 0)
            own[most] = 1


def _clamp(result: Tensor, labels: NDArray[np.uint8]) -> None:
    """Cells that hold a hinted pixel belong to it, where all hinted pixels of the cell agree."""
    rows, columns = np.nonzero(labels < UNLABELED)
    if rows.size == 0:
        return
    height, width = result.shape[-2:]
    cell_rows = torch.from_numpy(rows * height // labels.shape[0])
    cell_columns = torch.from_numpy(columns * width // labels.shape[1])
    hinted = torch.zeros_like(result)
    hinted[torch.from_numpy(labels[rows, columns].astype(np.int64)), cell_rows, cell_columns] = 1
    is_single = hinted.sum(dim=0) == 1
    result[:, is_single] = hinted[:, is_single]
