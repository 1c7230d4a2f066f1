"""Where a model is uncertain: as a map over an image, and the one place of it that is worth a look first."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.pseudo_labels.near import near_hints

SMOOTH = 0.02  # of the longer side: a single pixel is no place to click


class Place(NamedTuple):
    """The most uncertain place of an image.

    Attributes:
        uncertainty: mean over the image, from 0 to 1.
        x, y: pixel of the image.
    """

    uncertainty: float
    x: int
    y: int


def uncertainty_of(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """(H, W) from 0 to 1: one minus the largest of (C, H, W) probabilities, as a fraction of what it can be at most."""
    most = 1 - 1 / max(len(probabilities), 2)
    return np.clip((1 - probabilities.max(axis=0)) / most, 0, 1).astype(np.float32)


def most_uncertain(
    uncertainty: NDArray[np.floating], labels: NDArray[np.uint8], num_classes: int, size: tuple[int, int]
) -> Place:
    """The peak of the smoothed map away from hints.

    Args:
        uncertainty: (h, w).
        labels: (h, w) uint8 hints; values ≥ num_classes are none.
        size: (height, width) of the image.
    """
    height, width = uncertainty.shape
    smooth = cv2.GaussianBlur(uncertainty.astype(np.float32), (0, 0), max(SMOOTH * max(height, width), 0.5))
    hinted = near_hints(labels, num_classes)
    if not hinted.all():
        smooth[hinted] = -1
    y, x = np.unravel_index(int(smooth.argmax()), smooth.shape)
    column = min(int((x + 0.5) * size[1] / width), size[1] - 1)
    row = min(int((y + 0.5) * size[0] / height), size[0] - 1)
    return Place(round(float(uncertainty.mean()), 5), column, row)


def heat(uncertainty: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(h, w, 4): transparent where the model is certain, then purple, red and yellow."""
    values = np.clip(uncertainty * 255, 0, 255).astype(np.uint8)
    colors = cv2.cvtColor(cv2.applyColorMap(values, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    return np.dstack([colors, np.clip(values.astype(int) * 2, 0, 230).astype(np.uint8)])
