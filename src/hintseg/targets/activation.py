"""Class activation maps of a tagged image → probable labels to spread from.

a_c = max(s_c, 0) / max_p s_c(p)   for tagged classes;   background = (1 − max_c a_c)^α
"""

import numpy as np
from numpy.typing import NDArray

from hintseg.hints.model import UNLABELLED


def activations(
    scores: NDArray[np.floating], allowed: NDArray[np.bool_], background: int | None, power: float = 4.0
) -> NDArray[np.float32]:
    """Pixel scores → how much each allowed class claims each cell.

    Args:
        scores: (C, h, w) pixel scores of a tag classifier.
        allowed: (C,) bool, the image's tags, and the background where there is one.
        background: its class, scored by what no other class claims; None where every pixel has a tagged class.
        power: α.

    Returns:
        (C, h, w) in [0, 1]; zero for classes not allowed.
    """
    claims = np.zeros(scores.shape, np.float32)
    for label in np.flatnonzero(allowed):
        if label == background:
            continue
        positive = np.maximum(scores[label], 0)
        if positive.max() <= 0:  # a tag the classifier does not see at all: its least unlikely place
            positive = scores[label] - scores[label].min()
        claims[label] = positive / max(float(positive.max()), 1e-6)
    if background is not None and allowed[background]:
        claims[background] = (1 - claims.max(axis=0)) ** power
    return claims


def seeds(
    shares: NDArray[np.floating], labels: NDArray[np.uint8], confidence: float, least: float = 0.02
) -> NDArray[np.uint8]:
    """Labels where one class is sure.

    Args:
        shares: (C, H, W), summing to one.
        labels: (H, W) uint8 of other hints, which stay.
        confidence: least share of a seed.
        least: every class with any share gets at least this part of the pixels that it claims most.

    Returns:
        (H, W) uint8.
    """
    best = shares.argmax(axis=0)
    chosen = shares.max(axis=0) >= confidence
    for label in np.flatnonzero(shares.any(axis=(1, 2))):
        mine = best == label
        if mine.any() and not (mine & chosen).any():
            chosen |= mine & (shares[label] >= np.quantile(shares[label][mine], 1 - least))
    return np.where((labels == UNLABELLED) & chosen, best, labels).astype(np.uint8)
