"""Pixel scores of a tagged image → class activation maps → probable labels to propagate from.

Two ways. Peaks [CAM, SPML]: a_c = max(s_c, 0) / max_p s_c(p) for tagged classes, and (1 − max_c a_c)^α for the
background. Balanced: the softmax over the tagged classes, each divided by its mean over the image, so that
what covers much of an image (grass, sky) does not take what lies in it (cow, aeroplane). Of a background more is known:
about how much of an image it has, and that images are taken of what is not background.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hintseg.hints.labels import UNLABELED

BACKGROUND = 2 / 3  # part of an image that is background, where no hint is localized
LEVEL = 2.0  # score of the background everywhere; tags say nothing of where it is


def activations(
    scores: NDArray[np.floating], candidates: NDArray[np.bool_], background: int | None, power: float = 4.0
) -> NDArray[np.float32]:
    """Pixel scores → a class activation map of each candidate class.

    Args:
        scores: (C, h, w) pixel scores of a tag classifier.
        candidates: (C,) bool, the image's tags, and the background where there is one.
        background: its class, scored by one minus the highest activation; None where every pixel has a tagged class.
        power: α.

    Returns:
        (C, h, w) in [0, 1]; zero for other classes.
    """
    activation_maps = np.zeros(scores.shape, np.float32)
    for label in np.flatnonzero(candidates):
        if label == background:
            continue
        positive = np.maximum(scores[label], 0)
        if positive.max() <= 0:  # a tag the classifier does not see at all: its least unlikely place
            positive = scores[label] - scores[label].min()
        activation_maps[label] = positive / max(float(positive.max()), 1e-6)
    if background is not None and candidates[background]:
        activation_maps[background] = (1 - activation_maps.max(axis=0)) ** power
    return activation_maps


def balanced(scores: Tensor, power: float, expected: NDArray[np.floating]) -> Tensor:
    """(T, h, w) probabilities, each class divided by its mean over the image to `power`, normalized.

    The mean counts in parts of what is `expected` of the class, (T,).

    Tags say that a class is there and not how large it is, and a network that learned from tags alone lets what covers
    much of an image take what lies in it; [EM-Adapt, Papandreou et al., ICCV 2015] raises the present classes likewise.
    """
    totals = torch.as_tensor(expected, dtype=scores.dtype, device=scores.device)[:, None, None]
    raised = scores / (scores.mean(dim=(1, 2), keepdim=True).clamp_min(1e-6) / totals) ** power
    return raised / raised.sum(dim=0, keepdim=True).clamp_min(1e-12)


def expected_fractions(classes: NDArray[np.integer], background: int | None) -> NDArray[np.float64]:
    """The part of an image that each of its classes is expected to have before it is looked at.

    Args:
        classes: (T,) that the image may contain.
        background: its class, or None; it has `BACKGROUND`, the others have the rest in equal parts.

    Returns:
        (T,), summing to one.
    """
    own = classes == background
    if not own.any() or own.all():
        return np.full(len(classes), 1 / max(len(classes), 1))
    return np.where(own, BACKGROUND, (1 - BACKGROUND) / (len(classes) - 1))


def boundary_prior_odds(size: tuple[int, int], strength: float) -> NDArray[np.float64]:
    """How much likelier a cell is background for being near the border of an image [Wei et al., ECCV 2012].

    exp(strength · (1 − 6 d)), d the distance to the nearest border in parts of that side, a sixth on average.

    Returns:
        (h, w).
    """
    down, across = ((np.arange(side) + 0.5) / side for side in size)
    nearest = np.minimum(np.minimum(down, 1 - down)[:, None], np.minimum(across, 1 - across))
    return np.exp(strength * (1 - 6 * nearest))


def seeds(
    probabilities: NDArray[np.floating], labels: NDArray[np.uint8], confidence: float, least: float = 0.02
) -> NDArray[np.uint8]:
    """Labels where one class is confident.

    Args:
        probabilities: (C, H, W), summing to one.
        labels: (H, W) uint8 of other hints, which stay.
        confidence: minimum probability of a seed.
        least: every class with any probability gets at least this part of the pixels where its activation is highest.

    Returns:
        (H, W) uint8.
    """
    best = probabilities.argmax(axis=0)
    chosen = probabilities.max(axis=0) >= confidence
    for label in np.flatnonzero(probabilities.any(axis=(1, 2))):
        mine = best == label
        if mine.any() and not (mine & chosen).any():
            chosen |= mine & (probabilities[label] >= np.quantile(probabilities[label][mine], 1 - least))
    return np.where((labels == UNLABELED) & chosen, best, labels).astype(np.uint8)
