"""Where another hint may help: the region of each image that the model doubts most.

Doubt of a pixel is one minus its largest share: the softmax's, or that of the votes of the nearest training
segments. Its sum over an over-segment is the number of pixels there that are probably wrong.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.hints.dataset import Dataset
from hintseg.hints.model import UNLABELLED
from hintseg.inference.segmenter import Segmenter
from hintseg.segments.oversegment import oversegment
from hintseg.targets.target import reduce_target

REGIONS = 200


class Suggestion(NamedTuple):
    """One click that is worth making.

    Attributes:
        key: image.
        x, y: pixel of the image, well inside the region.
        doubt: pixels of the region that are probably wrong, at the image's own size.
        classes: the two likeliest classes there, with their mean shares.
    """

    key: str
    x: int
    y: int
    doubt: float
    classes: tuple[tuple[str, float], ...]


def suggest(
    segmenter: Segmenter,
    dataset: Dataset,
    keys: Sequence[str],
    method: str = "softmax",
    progress: Callable[[int], None] | None = None,
) -> list[Suggestion]:
    """The most doubtful region of every image, most doubtful first.

    Regions that hold a hint are left out, and classes that an image's hints exclude.

    Args:
        dataset: with images, and hints where there are any.
        keys: images to look at.
        method: "softmax", or "retrieval" for the votes of the training segments.

    Raises:
        InputError: an image or its hints cannot be read.
    """
    config = segmenter.with_inference(method=method, crf=False)
    found = []
    for number, key in enumerate(keys):
        image, target = segmenter.hinted(dataset, key)
        small, target = reduce_target(image, target, segmenter.recipe.data.longest_side)
        shares = segmenter.probabilities(small, config) * target.allowed[:, None, None]
        shares /= np.maximum(shares.sum(axis=0), 1e-12)
        regions = oversegment(small, "watershed", REGIONS)
        best = most_doubtful(shares, regions, target.labels < UNLABELLED)
        if best is not None:
            x, y, doubt, mean = best
            enlarged = image.shape[0] / small.shape[0]
            likeliest = np.argsort(-mean, kind="stable")[:2]
            classes = tuple((segmenter.classes[label], round(float(mean[label]), 3)) for label in likeliest)
            column = min(int((x + 0.5) * enlarged), image.shape[1] - 1)
            row = min(int((y + 0.5) * enlarged), image.shape[0] - 1)
            found.append(Suggestion(key, column, row, round(doubt * enlarged**2, 1), classes))
        if progress is not None:
            progress(number + 1)
    return sorted(found, key=lambda suggestion: -suggestion.doubt)


def most_doubtful(
    shares: NDArray[np.floating], regions: NDArray[np.integer], hinted: NDArray[np.bool_]
) -> tuple[int, int, float, NDArray[np.floating]] | None:
    """The region without a hint whose doubt is largest.

    Args:
        shares: (C, H, W), summing to one.
        regions: (H, W) ids.
        hinted: (H, W) bool.

    Returns:
        x, y of the pixel deepest inside it, its doubt, and the mean shares (C,); None where every region
        holds a hint.
    """
    count = int(regions.max()) + 1
    doubt = np.bincount(regions.ravel(), weights=(1 - shares.max(axis=0)).ravel(), minlength=count)
    doubt[np.unique(regions[hinted])] = -1
    chosen = int(doubt.argmax())
    if doubt[chosen] < 0:
        return None
    inside = regions == chosen
    depth = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x), int(y), float(doubt[chosen]), shares[:, inside].mean(axis=1)
