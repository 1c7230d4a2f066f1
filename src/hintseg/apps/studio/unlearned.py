"""Classes that were added after a run was trained: its masks stay, and hints of new classes hold where they are."""

import numpy as np
from numpy.typing import NDArray

from hintseg.functional.segments.superpixels import find_superpixels
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import UNLABELED
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.io.images import resize_nearest
from hintseg.pseudo_labels.near import touched
from hintseg.pseudo_labels.pipeline import pseudo_labels
from hintseg.pseudo_labels.propagate import LONGEST_SIDE
from hintseg.pseudo_labels.target import reduce_labels

REGIONS = 1000


def names_unlearned(dataset: Dataset, key: str, learned: tuple[str, ...]) -> bool:
    """Whether a hint of an image names a class that the run does not know."""
    if len(dataset.classes) == len(learned):
        return False
    return bool(dataset.hints(key).present(len(dataset.classes))[len(learned) :].any())


def with_hints(predicted: NDArray[np.uint8], dataset: Dataset, key: str) -> NDArray[np.uint8]:
    """A mask in which the image's hints hold in the superpixels that they touch, near them."""
    decoded = dataset.decoded(key)
    image = decoded.pixels
    target = pseudo_labels(decoded, dataset.hints(key, tuple(HINT_TYPES)), len(dataset.classes))
    small, reduced = reduce_labels(image, target, LONGEST_SIDE)
    of_hints = touched(reduced.seeds, find_superpixels(small, REGIONS), len(dataset.classes))
    of_hints = resize_nearest(of_hints.astype(np.uint8), image.shape[:2])
    mask = np.where(of_hints < len(dataset.classes), of_hints, predicted)
    return np.where(target.labels < UNLABELED, target.labels, mask).astype(np.uint8)
