"""Labels spread over the over-segments they touch.

An over-segment follows contours, so a stroke that enters it usually means all of it. One that strokes of
two classes enter stays as it was drawn.
"""

import numpy as np
from numpy.typing import NDArray


def spread_labels(labels: NDArray[np.uint8], regions: NDArray[np.integer], num_classes: int) -> NDArray[np.uint8]:
    """Fill every region that labels of exactly one class touch.

    Args:
        labels: (H, W) uint8; values ≥ num_classes are not labels and stay where they are.
        regions: (H, W) ids from 0.
        num_classes: C.

    Returns:
        (H, W) uint8: `labels`, with unlabelled pixels of such regions filled. Void pixels (255) stay void.

    Raises:
        ValueError: the shapes differ.
    """
    if labels.shape != regions.shape:
        raise ValueError(f"labels have shape {labels.shape} but regions {regions.shape}")
    known = labels < num_classes
    touched = np.zeros((int(regions.max(initial=0)) + 1, num_classes), dtype=np.bool_)
    touched[regions[known], labels[known]] = True
    label_of_region = np.where(touched.sum(axis=1) == 1, touched.argmax(axis=1), 255)
    filling = label_of_region[regions]
    return np.where(known | (labels == 255) | (filling == 255), labels, filling).astype(np.uint8)
