"""Hints propagated over one image with no network: superpixels are nodes, hints are seeds.

Two superpixels are alike where their colors (mean and deviation in CIELAB) and places are, and where
they touch without a contour between them. A harmonic function [Zhu et al. 2003] then gives every
superpixel a probability of each hinted class, and its highest probability is a measure of confidence.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hintseg.errors import unknown_name
from hintseg.functional.propagation.graph import harmonic, local_global_consistency, markov_walk
from hintseg.functional.propagation.normalized_cut import kernel_kmeans
from hintseg.functional.segments.superpixels import color_gradient

METHODS = ("harmonic", "lgc", "random_walk", "ncut")
LEAK = 2e-4  # where classes may be in the image without a localized hint


def region_affinity(
    image: NDArray[np.uint8], regions: NDArray[np.integer], *, color: float = 2.0, texture: float = 3.0,
    place: float = 0.1, contour: float = 0.05,
) -> Tensor:  # fmt: skip
    """W between the superpixels of an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        regions: (H, W) ids 0 … N − 1, none missing.
        color: bandwidth of the mean color, CIELAB units.
        texture: bandwidth of the colors' standard deviation, CIELAB units.
        place: bandwidth of the centroid, as a fraction of the longer side.
        contour: bandwidth of the mean gradient (0 … 1) along a common border.

    Returns:
        (N, N) float64: exp(−½ ‖f_p − f_q‖²), plus exp(−gradient / contour) where p and q touch.
    """
    import cv2

    if image.shape[:2] != regions.shape:
        raise ValueError(f"the image is {image.shape[:2]} but its regions are {regions.shape}")
    ids = regions.ravel().astype(np.int64)
    count = int(ids.max()) + 1
    pixels = np.bincount(ids, minlength=count)

    def mean(values: NDArray[np.floating]) -> NDArray[np.floating]:
        columns = values.reshape(len(ids), -1).T
        totals: NDArray[np.floating] = np.array([np.bincount(ids, column, minlength=count) for column in columns])
        return (totals / pixels).T

    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    average = mean(lab)
    deviation = np.sqrt(np.maximum(mean(lab.astype(np.float64) ** 2) - average**2, 0))
    centroid = mean(np.moveaxis(np.indices(regions.shape), 0, -1) / max(regions.shape))
    features = torch.from_numpy(np.concatenate([average / color, deviation / texture, centroid / place], axis=1))
    weights = torch.exp(-0.5 * torch.cdist(features, features).square())
    borders = np.exp(-_border_strength(color_gradient(image), regions, count) / contour)
    return weights + torch.from_numpy(borders)


def _border_strength(gradient: NDArray[np.floating], regions: NDArray[np.integer], count: int) -> NDArray[np.floating]:
    """(N, N) mean gradient along common borders, infinite where two regions do not touch."""
    pairs, strengths = [], []
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        one, other = regions[here].astype(np.int64), regions[there].astype(np.int64)
        crossing = one != other
        pairs.append((np.minimum(one, other) * count + np.maximum(one, other))[crossing])
        strengths.append(np.maximum(gradient[here], gradient[there])[crossing])
    touching, place = np.unique(np.concatenate(pairs), return_inverse=True)
    average = np.bincount(place, np.concatenate(strengths)) / np.bincount(place)
    result = np.full((count, count), np.inf)
    result[touching // count, touching % count] = result[touching % count, touching // count] = average
    return result


def propagate(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], regions: NDArray[np.integer], num_classes: int,
    method: str = "harmonic", others: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """Probabilities of the hinted classes in every superpixel.

    Where further classes may be in the image, what is far from all hints is not shared out among the hinted ones alone:
    a walk from there leaks, and what leaks is shared by all classes.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) uint8 hints; values ≥ num_classes are no labels.
        regions: (H, W) ids 0 … N − 1.
        num_classes: C.
        method: one of `METHODS`.
        others: (C,) bool, classes that may be in the image, hinted or not; None: those that are hinted. Harmonic alone.

    Returns:
        (N, C), rows sum to one, or to zero where nothing is known (no hint at all).

    Raises:
        ConfigError: unknown method.
        ValueError: `others` with another method than the harmonic one.
    """
    if method not in METHODS:
        raise unknown_name("propagation method", method, METHODS)
    if others is not None and method != "harmonic":
        raise ValueError(f"method {method} knows of no other classes")
    count = int(regions.max()) + 1
    counts = np.zeros((count, num_classes))
    known = labels < num_classes
    np.add.at(counts, (regions[known], labels[known]), 1)
    labeled = counts.sum(axis=1) > 0
    if not labeled.any():
        return np.zeros((count, num_classes), np.float32)
    classes = np.flatnonzero(counts.any(axis=0))
    probabilities = counts[:, classes] / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    weights = region_affinity(image, regions)
    seeds, fixed = torch.from_numpy(probabilities), torch.from_numpy(labeled)
    if method == "lgc":
        scores = local_global_consistency(weights, seeds)
        scores = scores / scores.sum(dim=0)
    elif method == "random_walk":
        scores = markov_walk(weights, seeds / seeds.sum(dim=0))
    else:
        scores = harmonic(weights, seeds, fixed, 0.0 if others is None else LEAK)
        if method == "ncut":
            start = scores.argmax(dim=1)
            scores = torch.nn.functional.one_hot(
                kernel_kmeans(weights, start, len(classes), fixed), len(classes)
            ).double()
    if others is None:
        scores = scores / scores.sum(dim=1, keepdim=True).clamp_min(1e-300)
    result = np.zeros((count, num_classes), np.float32)
    result[:, classes] = scores.numpy()
    if others is not None:
        result += (1 - result.sum(axis=1, keepdims=True)) * others / others.sum()
    return result


def propagated_labels(
    labels: NDArray[np.uint8], regions: NDArray[np.integer], probabilities: NDArray[np.floating], confidence: float,
    possible: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:  # fmt: skip
    """Fill unlabeled pixels whose class is confident.

    Args:
        labels: (H, W) uint8; values ≥ C are not labels.
        regions: (H, W) ids from 0.
        probabilities: (N, C) of `propagate`.
        confidence: minimum probability that counts.
        possible: (C, H, W) bool, where each class may be; probabilities are taken among those.

    Returns:
        (H, W) uint8: `labels` with pixels filled. Labeled pixels keep their label, ignored ones (255) stay so.
    """
    if labels.shape != regions.shape:
        raise ValueError(f"labels have shape {labels.shape} but regions {regions.shape}")
    known = (labels < probabilities.shape[1]) | (labels == 255)
    if possible is None:
        filling = np.where(probabilities.max(axis=1) >= confidence, probabilities.argmax(axis=1), 255)[regions]
    else:
        by_pixel = pixel_probabilities(probabilities, regions, possible)
        filling = np.where(by_pixel.max(axis=0) >= confidence, by_pixel.argmax(axis=0), 255)
    return np.where(known | (filling == 255), labels, filling).astype(np.uint8)


def pixel_probabilities(
    probabilities: NDArray[np.floating], regions: NDArray[np.integer], possible: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """(N, C) probabilities of regions → (C, H, W) of pixels, among the classes possible there."""
    by_pixel = np.ascontiguousarray(np.moveaxis(probabilities[regions], 2, 0), dtype=np.float32)
    if possible is not None:
        by_pixel = np.where(possible, by_pixel + 1e-6, 0)
        by_pixel /= np.maximum(by_pixel.sum(axis=0), 1e-12)
    return by_pixel
