"""Where another hint may help: the region of each image that the model is most uncertain of.

Uncertainty of a pixel is one minus its highest probability: the softmax's, or that of the votes of the nearest training
segments. Its sum over a superpixel is the number of pixels there that are probably wrong. Regions are
ranked by these pixels, each divided by how many training segments its class has: mean IoU counts classes
alike, and a thousand uncertain pixels are a small fraction of a frequent class and much of a scarce one.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hintseg.functional.segments.superpixels import find_superpixels
from hintseg.functional.shapes import deepest
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import UNLABELED
from hintseg.inference.segmenter import Segmenter
from hintseg.pseudo_labels.target import reduce_labels

REGIONS = 200
MOST_SCARCE = 10.0  # a class without segments does not drown all others


class Suggestion(NamedTuple):
    """One click that is worth making.

    Attributes:
        key: image.
        x, y: pixel of the image, well inside the region.
        uncertainty: pixels of the region that are probably wrong, at the image's own size.
        worth: these pixels weighted by how scarce their classes are, a class with the mean number of training
            segments counting once.
        classes: the two likeliest classes there, with their mean probabilities.
    """

    key: str
    x: int
    y: int
    uncertainty: float
    worth: float
    classes: tuple[tuple[str, float], ...]


def suggest(
    segmenter: Segmenter,
    dataset: Dataset,
    keys: Sequence[str],
    method: str = "softmax",
    progress: Callable[[int], None] | None = None,
) -> list[Suggestion]:
    """The region of every image where a hint is worth most, worthiest image first.

    Regions that hold a hint are left out, and classes that an image's tags exclude. Placed hints exclude none,
    whatever `tags_exhaustive` says: whoever asks where to click has not named everything yet.

    Args:
        dataset: with images, and hints where there are any.
        keys: images to search.
        method: "softmax", or "knn" for the votes of the training segments.

    Raises:
        InputError: an image or its hints cannot be read, or the classes do not match the run's.
    """
    config = segmenter.with_inference(method=method, crf=False)
    scarcity = class_scarcity(segmenter.index.labels, len(segmenter.classes))
    found = []
    for number, key in enumerate(keys):
        (image, _), target = segmenter.hinted(dataset, key)
        tags = segmenter.hints(dataset, key, ("tags",))
        small, target = reduce_labels(image, target, segmenter.recipe.data.longest_side)
        probabilities = segmenter.probabilities(small, config) * ~tags.absent(len(segmenter.classes))[:, None, None]
        probabilities /= np.maximum(probabilities.sum(axis=0), 1e-12)
        regions = find_superpixels(small, REGIONS)
        best = worthiest_region(probabilities, regions, target.labels < UNLABELED, scarcity)
        if best is not None:
            x, y, uncertainty, worth, mean = best
            enlarged = image.shape[0] / small.shape[0]
            likeliest = np.argsort(-mean, kind="stable")[:2]
            classes = tuple((segmenter.classes[label], round(float(mean[label]), 3)) for label in likeliest)
            column = min(int((x + 0.5) * enlarged), image.shape[1] - 1)
            row = min(int((y + 0.5) * enlarged), image.shape[0] - 1)
            pixels, weighted = (round(value * enlarged**2, 1) for value in (uncertainty, worth))
            found.append(Suggestion(key, column, row, pixels, weighted, classes))
        if progress is not None:
            progress(number + 1)
    return sorted(found, key=lambda suggestion: -suggestion.worth)


def class_scarcity(labels: Tensor, classes: int) -> NDArray[np.float64]:
    """(C,) how many times fewer training segments a class has than classes have on the average, ten at most.

    Args:
        labels: (M,) int64 of the memory bank.
    """
    counts = torch.bincount(labels, minlength=classes).double().numpy()
    return counts.mean() / np.maximum(counts, counts.mean() / MOST_SCARCE)


def worthiest_region(
    probabilities: NDArray[np.floating],
    regions: NDArray[np.integer],
    hinted: NDArray[np.bool_],
    scarcity: NDArray[np.floating],
) -> tuple[int, int, float, float, NDArray[np.floating]] | None:
    """The region without a hint whose probably wrong pixels weigh most.

    A pixel is wrong with one minus its highest probability. Half of that is a pixel too many for the likeliest class;
    the other half is pixels too few for the others.

    Args:
        probabilities: (C, H, W), summing to one.
        regions: (H, W) ids.
        hinted: (H, W) bool.
        scarcity: (C,) weights of the classes; all one: the most uncertain region.

    Returns:
        x, y of the pixel deepest inside it, its uncertainty, its weighted uncertainty, and the mean probabilities (C,);
        None where every region holds a hint.
    """
    count = int(regions.max()) + 1
    uncertainty, worth = np.zeros(count), np.zeros(count)
    likeliest = probabilities.argmax(axis=0)
    for label, weight in enumerate(scarcity):
        wrong = np.abs((likeliest == label) - probabilities[label]) / 2
        sums = np.bincount(regions.ravel(), weights=wrong.ravel(), minlength=count)
        uncertainty += sums
        worth += weight * sums
    worth[np.unique(regions[hinted])] = -1
    chosen = int(worth.argmax())
    if worth[chosen] < 0:
        return None
    inside = regions == chosen
    return *deepest(inside), float(uncertainty[chosen]), float(worth[chosen]), probabilities[:, inside].mean(axis=1)
