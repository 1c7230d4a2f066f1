"""Scores of regions from one confusion matrix over a whole set: IoU, Dice, precision, recall.

The field's mIoU counts true and false positives over all pixels of all images and divides once;
averaging per-image values gives another number.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """What a confusion matrix says.

    Attributes:
        mean_iou: mean over the classes that occur in the truth or in a prediction, in [0, 1].
        iou: (C,) float64, NaN for a class that occurs in neither.
        dice: (C,) float64, 2 TP / (2 TP + FP + FN), which is the F1 score of the pixels; NaN as in iou.
        precision: (C,) float64, fraction of the pixels predicted as a class that are of it; NaN where none is.
        recall: (C,) float64, fraction of the pixels of a class that are predicted as it; NaN where there is none.
        pixel_accuracy: fraction of evaluated pixels predicted right.
        mean_accuracy: mean recall over the classes that occur in the truth.
        pixels: number of evaluated (not ignored) pixels.
    """

    mean_iou: float
    iou: NDArray[np.float64]
    dice: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    pixel_accuracy: float
    mean_accuracy: float
    pixels: int


class ConfusionMatrix:
    """Counts (true class, predicted class) pairs over any number of images.

    Row c holds the pixels whose true class is c. The last column holds predictions outside
    [0, num_classes): they count as misses of the true class and as nobody's hit.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.counts: NDArray[np.int64] = np.zeros((num_classes, num_classes + 1), dtype=np.int64)

    def update(self, truth: NDArray[np.integer], prediction: NDArray[np.integer]) -> None:
        """Add one image.

        Args:
            truth: (H, W) integer labels; `ignore_index` and everything outside [0, num_classes) is skipped.
            prediction: (H, W) integer labels.
        """
        evaluated = evaluated_pixels(truth, prediction, self.num_classes, self.ignore_index)
        true = truth[evaluated].astype(np.int64)
        predicted = prediction[evaluated].astype(np.int64)
        predicted[(predicted < 0) | (predicted >= self.num_classes)] = self.num_classes
        pairs = np.bincount(true * (self.num_classes + 1) + predicted, minlength=self.counts.size)
        self.counts += pairs.reshape(self.counts.shape)

    def scores(self) -> Scores:
        """Summarise everything counted so far."""
        hits = np.diag(self.counts[:, :-1]).astype(np.float64)
        in_truth, predicted = self.counts.sum(axis=1), self.counts[:, :-1].sum(axis=0)
        iou, recall = _ratio(hits, in_truth + predicted - hits), _ratio(hits, in_truth)
        total = int(in_truth.sum())
        return Scores(
            mean_iou=nan_mean(iou),
            iou=iou,
            dice=_ratio(2 * hits, in_truth + predicted),
            precision=_ratio(hits, predicted),
            recall=recall,
            pixel_accuracy=float(hits.sum() / total) if total else float("nan"),
            mean_accuracy=nan_mean(recall),
            pixels=total,
        )


def evaluated_pixels(
    truth: NDArray[np.integer], prediction: NDArray[np.integer], num_classes: int, ignore_index: int
) -> NDArray[np.bool_]:  # fmt: skip
    """(H, W) bool: where the truth names a class; ValueError where the shapes differ."""
    if truth.shape != prediction.shape:
        raise ValueError(f"truth has shape {truth.shape} but prediction has shape {prediction.shape}")
    return (truth != ignore_index) & (truth >= 0) & (truth < num_classes)


def nan_mean(values: NDArray[np.float64]) -> float:
    """The mean of those that are numbers; NaN where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
