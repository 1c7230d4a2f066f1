"""How far a hint reaches by itself: the superpixels that it touches, and of a large one what lies near."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.pseudo_labels.target import PseudoLabels

REACH = 0.05  # of an image's longer side


def near_hints(labels: NDArray[np.uint8], num_classes: int) -> NDArray[np.bool_]:
    """(H, W): pixels at most `REACH` from one that is labeled.

    Args:
        labels: (H, W) uint8; values ≥ num_classes are no labels.
    """
    far = (labels >= num_classes).astype(np.uint8)
    if far.all():
        return np.zeros(labels.shape, bool)
    return cv2.distanceTransform(far, cv2.DIST_L2, 5) <= REACH * max(labels.shape)


def touched(labels: NDArray[np.uint8], regions: NDArray[np.integer], num_classes: int) -> NDArray[np.int64]:
    """(H, W): the class of the superpixels that hints of one class alone touch, near them; num_classes elsewhere.

    Smooth sky may be one superpixel of half an image: a click in it says little about its far end.

    Args:
        labels: (H, W) uint8 hints.
        regions: (H, W) superpixels.
    """
    hinted = labels < num_classes
    touches = np.zeros((int(regions.max()) + 1, num_classes), bool)
    touches[regions[hinted], labels[hinted]] = True
    of_region = np.where(touches.sum(axis=1) == 1, touches.argmax(axis=1), num_classes)
    return np.where(near_hints(labels, num_classes), of_region[regions], num_classes)


def corrected(predicted: NDArray[np.uint8], completed: NDArray[np.uint8], target: PseudoLabels) -> NDArray[np.uint8]:
    """The network's mask; what the image's hints make of it near them, and where boxes exclude what it says."""
    num_classes = len(target.candidate_classes)
    replaced = near_hints(target.seeds, num_classes)
    if target.possible is not None:
        known = np.minimum(predicted, num_classes - 1)
        replaced |= ~np.take_along_axis(target.possible, known[None].astype(np.int64), axis=0)[0]
    return np.where(replaced, completed, predicted).astype(np.uint8)
