"""Mean intersection over union from one confusion matrix over a whole set.

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
        pixel_accuracy: share of evaluated pixels predicted right.
        mean_accuracy: mean recall over the classes that occur in the truth.
        pixels: number of evaluated (non-void) pixels.
    """

    mean_iou: float
    iou: NDArray[np.float64]
    pixel_accuracy: float
    mean_accuracy: float
    pixels: int


class ConfusionMatrix:
    """Counts (true class, predicted class) pairs over any number of images.

    Row c holds the pixels whose true class is c. The last column holds predictions outside
    [0, num_classes): they count as misses of the true class and as nobody's hit.
    """

    def __init__(self, num_classes: int, void: int = 255) -> None:
        self.num_classes = num_classes
        self.void = void
        self.counts: NDArray[np.int64] = np.zeros((num_classes, num_classes + 1), dtype=np.int64)

    def update(self, truth: NDArray[np.integer], prediction: NDArray[np.integer]) -> None:
        """Add one image.

        Args:
            truth: (H, W) integer labels; `void` and everything outside [0, num_classes) is skipped.
            prediction: (H, W) integer labels.

        Raises:
            ValueError: the shapes differ.
        """
        if truth.shape != prediction.shape:
            raise ValueError(f"truth has shape {truth.shape} but prediction has shape {prediction.shape}")
        evaluated = (truth != self.void) & (truth >= 0) & (truth < self.num_classes)
        true = truth[evaluated].astype(np.int64)
        predicted = prediction[evaluated].astype(np.int64)
        predicted[(predicted < 0) | (predicted >= self.num_classes)] = self.num_classes
        pairs = np.bincount(true * (self.num_classes + 1) + predicted, minlength=self.counts.size)
        self.counts += pairs.reshape(self.counts.shape)

    def scores(self) -> Scores:
        """Summarise everything counted so far."""
        hits = np.diag(self.counts[:, :-1]).astype(np.float64)
        in_truth = self.counts.sum(axis=1)
        union = in_truth + self.counts[:, :-1].sum(axis=0) - hits
        iou = np.divide(hits, union, out=np.full(self.num_classes, np.nan), where=union > 0)
        recall = np.divide(hits, in_truth, out=np.full(self.num_classes, np.nan), where=in_truth > 0)
        total = int(in_truth.sum())
        return Scores(
            mean_iou=float(np.nanmean(iou)) if (union > 0).any() else float("nan"),
            iou=iou,
            pixel_accuracy=float(hits.sum() / total) if total else float("nan"),
            mean_accuracy=float(np.nanmean(recall)) if total else float("nan"),
            pixels=total,
        )
