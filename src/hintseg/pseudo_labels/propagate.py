"""Hints propagated over one image: to train on, or as far as a dense mask without a network."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hintseg.errors import InputError, unknown_name
from hintseg.functional.propagation import regions as superpixels
from hintseg.functional.propagation.dense_crf import dense_crf
from hintseg.functional.segments.superpixels import find_superpixels, resized_contours
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.io.images import require_labels_of
from hintseg.io.samples import DecodedImage
from hintseg.network.tta import enlarged_argmax
from hintseg.pseudo_labels.near import touched
from hintseg.pseudo_labels.pipeline import pseudo_labels
from hintseg.pseudo_labels.target import PseudoLabels, reduce_labels, reduce_to

METHODS = (*superpixels.METHODS, "crf")
LONGEST_SIDE = 640
CONFIDENCE = 0.9  # minimum probability of a propagated label


def propagated(
    image: NDArray[np.uint8], labels: PseudoLabels, regions: NDArray[np.integer],
    tag_seeds: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:  # fmt: skip
    """Labels of an image, propagated over superpixels as far as they are confident.

    Where the image may hold classes without a localized hint, they are propagated less far, or only over the
    superpixels that they touch (`PseudoLabels.reaches_far`).

    Args:
        image: (H, W, 3) uint8.
        regions: (H, W) superpixels.
        tag_seeds: (H, W) uint8 of `cam.seeds`, to propagate from in place of `labels.seeds`.

    Returns:
        (H, W) uint8.
    """
    num_classes = len(labels.candidate_classes)
    if tag_seeds is None and not labels.reaches_far():
        return _over_touched(labels, regions)
    if tag_seeds is not None:
        probabilities = superpixels.propagate(image, tag_seeds, regions, num_classes)
    else:
        others = labels.candidate_classes if labels.unhinted() else None
        probabilities = superpixels.propagate(image, labels.seeds, regions, num_classes, others=others)
    return superpixels.propagated_labels(labels.labels, regions, probabilities, CONFIDENCE, labels.possible)


def _over_touched(labels: PseudoLabels, regions: NDArray[np.integer]) -> NDArray[np.uint8]:
    num_classes = len(labels.candidate_classes)
    reached = touched(labels.seeds, regions, num_classes)
    fills = (labels.labels == UNLABELED) & (reached < num_classes)
    if labels.possible is not None:
        known = np.minimum(reached, num_classes - 1)
        fills &= np.take_along_axis(labels.possible, known[None], axis=0)[0]
    return np.where(fills, reached, labels.labels).astype(np.uint8)


def propagate_without_training(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], num_classes: int, method: str = "harmonic", *,
    regions: int = 1000, contours: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """Class probabilities of every pixel, among the hinted classes.

    Args:
        image: (H, W, 3) uint8; larger ones are reduced to 640 pixels first.
        labels: (H, W) uint8 hints; values ≥ num_classes are no labels.
        num_classes: C.
        method: "harmonic", "lgc", "random_walk", "ncut" (superpixels as nodes) or "crf" (pixels).
        regions: about how many superpixels.
        contours: (h, w) boundary strength of the reduced image for the superpixels; default its gradient.

    Returns:
        (C, h, w) float32 of the reduced image; hinted pixels hold their label.

    Raises:
        ConfigError: unknown method.
        InputError: no pixel is labeled, or image and labels do not fit each other.
    """
    if method not in METHODS:
        raise unknown_name("completion method", method, METHODS)
    require_labels_of(image, labels)
    small, hints = reduce_to(image, labels, LONGEST_SIDE)
    known = hints < num_classes
    if not known.any():
        raise InputError(
            "no pixel is hinted: without a network there is nothing to propagate; draw a point or a stroke."
        )
    if method == "crf":
        probabilities = _by_crf(small, hints, num_classes)
    else:
        partition = find_superpixels(small, regions, contours)
        by_region = superpixels.propagate(small, hints, partition, num_classes, method)
        probabilities = superpixels.pixel_probabilities(by_region, partition)
    rows, columns = np.nonzero(known)
    probabilities[:, rows, columns] = 0
    probabilities[hints[rows, columns], rows, columns] = 1
    return probabilities


def complete_key(
    dataset: Dataset, key: str, hint_types: Sequence[str], method: str = "harmonic", point_radius: int = 3,
    decoded: DecodedImage | None = None,
) -> NDArray[np.uint8]:  # fmt: skip
    """The dense mask of one image of a data set, (H, W) uint8.

    Args:
        decoded: the image, where it was decoded already.

    Raises:
        ConfigError: unknown method.
        InputError: the image or its hints cannot be read, or it has no point, scribble or mask.
    """
    image, valid = decoded = decoded or dataset.decoded(key)
    labels = pseudo_labels(decoded, dataset.hints(key, hint_types), len(dataset.classes), point_radius)
    small, target = reduce_labels(image, labels, LONGEST_SIDE)
    try:
        contours = resized_contours(dataset.contours(key), small.shape[:2])
        probabilities = propagate_without_training(small, target.seeds, len(dataset.classes), method, contours=contours)
    except InputError as error:
        raise InputError(f"{dataset.path(key)}: {error}") from error
    if target.possible is not None:
        probabilities = np.where(target.possible, probabilities + 1e-6, 0)
    mask = enlarged_argmax(torch.from_numpy(probabilities), image.shape[:2])
    if valid is not None:
        mask[~valid] = IGNORE_INDEX
    return mask


def _by_crf(image: NDArray[np.uint8], hints: NDArray[np.uint8], num_classes: int) -> NDArray[np.float32]:
    """Mean field from certain hints, uniform elsewhere."""
    classes = np.unique(hints[hints < num_classes])
    unary = np.full((len(classes), *hints.shape), 1 / len(classes), np.float32)
    for place, label in enumerate(classes):
        unary[:, hints == label] = 0
        unary[place, hints == label] = 1
    refined = dense_crf(torch.from_numpy(image), torch.from_numpy(unary), iterations=20, bilateral_srgb=8)
    probabilities = np.zeros((num_classes, *hints.shape), np.float32)
    probabilities[classes] = torch.as_tensor(refined).numpy()
    return probabilities
