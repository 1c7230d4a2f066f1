"""Pseudo-labels of hints on a blank image."""

import numpy as np

from hintseg.hints.model import ImageHints
from hintseg.io.samples import DecodedImage
from hintseg.pseudo_labels.pipeline import middles, pseudo_labels
from hintseg.pseudo_labels.target import PseudoLabels


def on_blank(hints: ImageHints, size: tuple[int, int], num_classes: int, point_radius: int = 3) -> PseudoLabels:
    """What `pseudo_labels` makes of hints where the image shows nothing; boxes hold their middle."""
    return pseudo_labels(DecodedImage(np.zeros((*size, 3), np.uint8)), hints, num_classes, point_radius, middles)
