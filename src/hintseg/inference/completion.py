"""From a network's opinion and an image's hints to a dense mask [SPML sec. 3.4, "propagate"].

softmax (mirror-averaged) → only classes the image may contain → random walk on embedding affinity
→ classes balanced where nothing is pointed at → times what the hints alone say (harmonic function over over-segments)
→ dense CRF → every box holds its class, hinted pixels keep their label
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hintseg.config import CompletionConfig
from hintseg.hints.forms.boxes import Box
from hintseg.hints.labels import UNLABELLED
from hintseg.inference.views import image_maps
from hintseg.network.embedder import Network, PixelMaps
from hintseg.network.heads import resize
from hintseg.propagation.dense_crf import dense_crf
from hintseg.propagation.random_walk import random_walk
from hintseg.propagation.regions import pixel_shares, propagate
from hintseg.segments.oversegment import oversegment
from hintseg.targets.activation import expected_shares
from hintseg.targets.boxes import box_pixels, resized_boxes
from hintseg.targets.target import WeakTarget

LEAST_SHARE = 0.005  # what hints leave to a class they point away from, so that the network can object


@torch.no_grad()
def complete_image(
    network: Network,
    image: NDArray[np.uint8],
    target: WeakTarget,
    config: CompletionConfig,
    stride: int = 1,
    regions: NDArray[np.integer] | None = None,
    shares: NDArray[np.floating] | None = None,
    maps: PixelMaps | None = None,
    background: int | None = None,
    least: NDArray[np.floating] | None = None,
) -> Tensor:
    """Class probabilities of a hinted image.

    Args:
        network: in evaluation mode.
        image: (H, W, 3) uint8.
        target: weak labels, and the classes that may occur, of the same size.
        stride: pixels per cell of the result; above 1 the CRF runs on a reduced image.
        regions: (H, W) over-segments that hints spread over; made here when not given.
        shares: (N, C) of the classes in these regions by the hints; found here when not given.
        maps: `image_maps` of the image by `config`; made here when not given.
        background: its class, where there is one.
        least: (C,) mean shares that classes have at least, where nothing is pointed at.

    Returns:
        (C, H / stride, W / stride) float32 on the CPU, zero for classes not allowed.
    """
    height, width = target.labels.shape
    classes = np.flatnonzero(target.allowed)
    maps = maps or image_maps(network, image, config.flip, config.scale)
    scores = maps.logits[torch.from_numpy(classes).to(maps.logits.device)]
    if config.walk:
        scores = _walk(maps.embeddings, scores, (height, width), config)
    scores = scores / scores.sum(dim=0, keepdim=True).clamp_min(1e-12)
    pointed = bool((target.likely < UNLABELLED).any())
    finer = stride if pointed else min(stride, config.crf_stride)
    size = (max(height // finer, 1), max(width // finer, 1))
    scores = resize(scores[None], size)[0]
    if not pointed:
        scores = _as_large_as_expected(scores, target, classes, config, background, least)
    if config.hints > 0:
        scores = _times_hints(scores, image, target, classes, config, regions, shares)
    where = None
    if target.possible is not None:
        possible = torch.from_numpy(target.possible[classes]).to(scores.device)
        where = F.adaptive_max_pool2d(possible.float()[None], size)[0]
        scores = _only(scores, where)
    if config.crf and len(classes) > 1:
        small = F.adaptive_avg_pool2d(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float(), size)
        refined = dense_crf(small.permute(1, 2, 0), scores, bilateral_sxy=67 / finer)
        scores = torch.as_tensor(refined)
        if where is not None:
            scores = _only(scores, where)
    if finer < stride:
        size = (max(height // stride, 1), max(width // stride, 1))
        scores = F.adaptive_avg_pool2d(scores, size)
    result = torch.zeros(len(target.allowed), *size)
    result[torch.from_numpy(classes)] = scores.cpu()
    if target.boxes:
        touch_boxes(result, resized_boxes(target.boxes, target.labels.shape, size))
    if config.clamp:
        _clamp(result, target.labels)
    return result


def _walk(embeddings: Tensor, scores: Tensor, size: tuple[int, int], config: CompletionConfig) -> Tensor:
    nodes = (max(size[0] // config.walk_stride, 1), max(size[1] // config.walk_stride, 1))
    coarse = F.normalize(F.adaptive_avg_pool2d(embeddings, nodes), dim=0).permute(1, 2, 0)
    seeds = F.adaptive_avg_pool2d(scores, nodes)
    # Each class divided by its maximum over the image, so that a timid class is not walked over.
    seeds = seeds / seeds.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    return random_walk(coarse, seeds, doublings=config.walk_doublings)


def _as_large_as_expected(
    scores: Tensor, target: WeakTarget, classes: NDArray[np.integer], config: CompletionConfig, background: int | None,
    least: NDArray[np.floating] | None,
) -> Tensor:  # fmt: skip
    """Classes that are surely there raised to what they may cover; one that only may be there is not."""
    there = target.present[classes] | (classes == background)
    if config.balance > 0 and there.all():
        scores = balanced(scores, config.balance, expected_shares(classes, background, config.background))
    return scores if least is None else at_least(scores, np.where(there, least[classes], 0))


def balanced(scores: Tensor, power: float, expected: NDArray[np.floating]) -> Tensor:
    """(T, h, w) shares, each class divided by its mean over the image to `power`, normalised.

    The mean counts in parts of what is `expected` of the class, (T,).

    Tags say that a class is there and not how large it is, and a network that learned from tags alone lets what covers
    much of an image take what lies in it; [EM-Adapt, Papandreou et al., ICCV 2015] raises the present classes likewise.
    """
    totals = torch.as_tensor(expected, dtype=scores.dtype, device=scores.device)[:, None, None]
    raised = scores / (scores.mean(dim=(1, 2), keepdim=True).clamp_min(1e-6) / totals) ** power
    return raised / raised.sum(dim=0, keepdim=True).clamp_min(1e-12)


def at_least(scores: Tensor, least: NDArray[np.floating], rounds: int = 20) -> Tensor:
    """(T, h, w) shares, summing to one, in which the mean of every class is its part of `least`, (T,), or more.

    Classes that fall short are raised and all are normalised, a few times over, so the bound is nearly met.
    """
    bound = torch.as_tensor(least, dtype=scores.dtype, device=scores.device)
    for _ in range(rounds):
        scores = scores * (bound / scores.mean(dim=(1, 2)).clamp_min(1e-9)).clamp_min(1)[:, None, None]
        scores = scores / scores.sum(dim=0, keepdim=True).clamp_min(1e-12)
    return scores


def _times_hints(
    scores: Tensor, image: NDArray[np.uint8], target: WeakTarget, classes: NDArray[np.integer],
    config: CompletionConfig, regions: NDArray[np.integer] | None, shares: NDArray[np.floating] | None,
) -> Tensor:  # fmt: skip
    """scores · share^weight, normalised; unchanged without any placed hint."""
    if not (target.likely < UNLABELLED).any():
        return scores
    if regions is None:
        regions = oversegment(image, "watershed", config.hint_regions)
    if shares is None:
        others = target.allowed if target.unhinted() else None
        shares = propagate(image, target.likely, regions, len(target.allowed), others=others)
    by_pixel = torch.from_numpy(pixel_shares(shares[:, classes], regions)).to(scores.device)
    reduced = F.adaptive_avg_pool2d(by_pixel, (scores.shape[1], scores.shape[2]))
    product = scores * reduced.clamp_min(LEAST_SHARE) ** config.hints
    return product / product.sum(dim=0, keepdim=True).clamp_min(1e-12)


def _only(scores: Tensor, where: Tensor) -> Tensor:
    """Scores of the classes possible at each cell, normalised."""
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
