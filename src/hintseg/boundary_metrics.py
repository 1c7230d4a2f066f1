"""Scores of borders: boundary IoU [Cheng et al., CVPR 2021] and the 95th percentile of the Hausdorff distance.

Both look at one class at a time. Pixels that are ignored in the truth count for nothing: the prediction is taken to be
right there, and a border that lies on them alone is in both masks.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.errors import ConfigError
from hintseg.metrics import evaluated_pixels

Mask = NDArray[np.bool_]
BAND = 0.02  # of an image's diagonal: the width of the band inside of a border [Cheng et al., sec. 4]
PERCENTILE = 95


@dataclass(frozen=True)
class BorderScores:
    """What `BoundaryMetrics` has counted.

    Attributes:
        boundary_iou: (C,) float64; NaN for a class that occurs in neither.
        hd95: (C,) float64, mean over the images in which the class is in both masks; NaN where there is none.
        compared: (C,) int64, the number of these images.
        one_sided: (C,) int64, images in which the class is in one of the two masks alone: they have no distance.
    """

    boundary_iou: NDArray[np.float64]
    hd95: NDArray[np.float64]
    compared: NDArray[np.int64]
    one_sided: NDArray[np.int64]


class BoundaryMetrics:
    """Borders of any number of images, class by class."""

    def __init__(self, num_classes: int, ignore_index: int = 255, spacing: float = 1.0) -> None:
        """
        Args:
            ignore_index: value of the truth that is ignored.
            spacing: side of a pixel; distances are in its unit.

        Raises:
            ConfigError: the spacing is no positive number.
        """
        if not 0 < spacing < math.inf:
            raise ConfigError(f"spacing: {spacing} is no size of a pixel; give its side, e.g. in mm.")
        self.num_classes, self.ignore_index, self.spacing = num_classes, ignore_index, spacing
        self._overlap = np.zeros((2, num_classes), dtype=np.int64)  # intersection, union
        self._distance = np.zeros(num_classes)
        self._compared, self._one_sided = np.zeros((2, num_classes), dtype=np.int64)

    def update(self, truth: NDArray[np.integer], prediction: NDArray[np.integer]) -> None:
        """Add one image.

        Args:
            truth: (H, W) integer labels; `ignore_index` and everything outside [0, num_classes) is ignored.
            prediction: (H, W) integer labels.
        """
        valid = evaluated_pixels(truth, prediction, self.num_classes, self.ignore_index)
        predicted = np.where(valid, prediction, truth)
        width = max(round(BAND * float(np.hypot(*truth.shape))), 1)
        for label in np.union1d(truth[valid], prediction[valid]).tolist():
            if not 0 <= label < self.num_classes:
                continue
            masks = truth == label, predicted == label
            true, found = (_band(mask, width) & valid for mask in masks)
            self._overlap[:, label] += (int((true & found).sum()), int((true | found).sum()))
            if all((mask & valid).any() for mask in masks):
                self._compared[label] += 1
                self._distance[label] += self.spacing * hausdorff_distance(*masks)
            else:
                self._one_sided[label] += 1

    def scores(self) -> BorderScores:
        """Summarise everything counted so far."""
        nothing = np.full(self.num_classes, np.nan)
        (overlap, union), compared = self._overlap, self._compared
        return BorderScores(
            boundary_iou=np.divide(overlap, union, out=nothing.copy(), where=union > 0),
            hd95=np.divide(self._distance, compared, out=nothing.copy(), where=compared > 0),
            compared=compared.copy(),
            one_sided=self._one_sided.copy(),
        )


def hausdorff_distance(one: Mask, other: Mask, percentile: float = PERCENTILE) -> float:
    """The percentile of the distances from border to border, the larger of both directions.

    Args:
        one: (H, W) bool, not empty.
        other: (H, W) bool, not empty.

    Returns:
        Pixels between the centers of border pixels; a border pixel has one of its four neighbors outside the mask, or
        lies at the border of the image.
    """
    borders = [_band(mask, 1, cv2.MORPH_CROSS) for mask in (one, other)]
    away = [cv2.distanceTransform((~border).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for border in borders]
    return float(max(np.percentile(away[1 - side][borders[side]], percentile) for side in (0, 1)))


def _band(mask: Mask, width: int, shape: int = cv2.MORPH_RECT) -> Mask:
    """Pixels of a mask at most `width` inside of its border; outside of the image nothing belongs to it."""
    kernel = cv2.getStructuringElement(shape, (2 * width + 1, 2 * width + 1))
    inner = cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return mask & (inner == 0)
