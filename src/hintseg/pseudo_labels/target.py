"""PseudoLabels: what is known, and what is probable, of the pixels of one hinted image; reduced together with it."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.hints.labels import UNLABELED
from hintseg.hints.types.boxes import Box
from hintseg.io.images import resize_longest_side, resize_nearest
from hintseg.pseudo_labels.grabcut import resized_boxes


class PseudoLabels(NamedTuple):
    """Labels of one image; `pipeline` says in which order they are made.

    Attributes:
        labels: (H, W) uint8: a class, `UNLABELED` or `IGNORE_INDEX`. Certain.
        candidate_classes: (C,) bool: classes that may occur in the image at all.
        present_classes: (C,) bool: classes that do.
        seeds: (H, W) uint8: `labels`, and what is only probable. Label propagation starts from them.
        possible: (C, H, W) bool: where each class may be; None where nothing restricts it.
        boxes: each holds something of its class.
        nothing_verified: whether no class is verified, so that the hints are not all that is there.
    """

    labels: NDArray[np.uint8]
    candidate_classes: NDArray[np.bool_]
    present_classes: NDArray[np.bool_]
    seeds: NDArray[np.uint8]
    possible: NDArray[np.bool_] | None = None
    boxes: tuple[Box, ...] = ()
    nothing_verified: bool = False

    def unhinted(self) -> bool:
        """Whether a class may be in the image without a localized hint."""
        return bool(self.candidate_classes.sum() > len(self._hinted()))

    def reaches_far(self) -> bool:
        """Whether hints may be propagated beyond what they touch.

        Propagation divides an image among the classes that are hinted there, so these would take the pixels of one
        that is there without a localized hint. A class alone would take the whole image.
        """
        hinted = self._hinted()
        missing = np.delete(self.present_classes, hinted).any()
        alone = len(hinted) == 1 and self.possible is None
        return not (self.nothing_verified or (self.unhinted() and (missing or alone)))

    def _hinted(self) -> NDArray[np.uint8]:
        """Classes with a localized hint."""
        return np.unique(self.seeds[self.seeds < len(self.candidate_classes)])

    def says_nothing(self) -> bool:
        """No hint of any type: such an image teaches nothing and is not completed."""
        named = self.present_classes.any() or not self.candidate_classes.all()
        return not named and not bool((self.seeds < UNLABELED).any())


def reduce_to(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], longest_side: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Shrink image and labels together; thin strokes survive because labeled pixels win their cell."""
    small = resize_longest_side(image, longest_side)
    if small is image:
        return image, labels
    fewer = resize_nearest(labels, small.shape[:2])
    rows, columns = np.nonzero(labels < UNLABELED)
    target = ((rows * small.shape[0]) // labels.shape[0], (columns * small.shape[1]) // labels.shape[1])
    empty = fewer[target] == UNLABELED
    fewer[target[0][empty], target[1][empty]] = labels[rows[empty], columns[empty]]
    return small, fewer


def reduce_labels(
    image: NDArray[np.uint8], labels: PseudoLabels, longest_side: int
) -> tuple[NDArray[np.uint8], PseudoLabels]:
    """`reduce_to` for all that is known of an image."""
    small, certain = reduce_to(image, labels.labels, longest_side)
    if small is image:
        return image, labels
    _, seeds = reduce_to(image, labels.seeds, longest_side)
    possible = labels.possible
    if possible is not None:
        height, width = certain.shape
        possible = np.stack([cv2.resize(plane.astype(np.uint8), (width, height)) > 0 for plane in possible])
    boxes = resized_boxes(labels.boxes, image.shape, small.shape)
    return small, labels._replace(labels=certain, seeds=seeds, possible=possible, boxes=boxes)
