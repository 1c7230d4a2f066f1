"""Methods that complete the mask of one hinted image and learn nothing from the others."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from skimage.filters import sobel
from skimage.segmentation import random_walker, watershed

from benchmarks.peers.task import Image, Labels
from hintseg.functional.segments.superpixels import find_superpixels
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.pseudo_labels.propagate import propagate_without_training

SUPERPIXELS = 1000


def by_random_walker(image: Image, labels: Labels, num_classes: int) -> Labels:
    """scikit-image's random walker on colors."""
    known, places = np.unique(labels[labels != IGNORE_INDEX], return_inverse=True)
    if len(known) < 2:
        return _only(known, labels)
    seeds = np.zeros(labels.shape, np.int64)
    seeds[labels != IGNORE_INDEX] = places + 1
    found = random_walker(image / 255, seeds, beta=130, mode="cg_j", tol=1e-5, channel_axis=-1)
    return known[np.maximum(found, 1) - 1].astype(np.uint8)


def by_watershed(image: Image, labels: Labels, num_classes: int) -> Labels:
    """scikit-image's watershed of the color gradient, flooded from the hints."""
    seeds = np.where(labels == IGNORE_INDEX, 0, labels.astype(np.int64) + 1)
    return np.asarray(watershed(_gradient(image), seeds) - 1, np.uint8)


def by_label_spreading(image: Image, labels: Labels, num_classes: int) -> Labels:
    """scikit-learn's label spreading over mean color and position of superpixels."""
    from sklearn.semi_supervised import LabelSpreading

    parts = find_superpixels(image, SUPERPIXELS)
    count = int(parts.max()) + 1
    sizes = np.bincount(parts.ravel(), minlength=count)
    rows, columns = np.indices(parts.shape) / max(parts.shape)
    values = [*np.moveaxis(image / 255, 2, 0), rows, columns]
    features = np.stack([np.bincount(parts.ravel(), value.ravel(), count) / sizes for value in values], axis=1)
    votes = np.zeros((count, num_classes))
    known = labels != IGNORE_INDEX
    np.add.at(votes, (parts[known], labels[known]), 1)
    seeds = np.where(votes.any(axis=1), votes.argmax(axis=1), -1)
    if len(np.unique(seeds[seeds >= 0])) < 2:
        return _only(np.unique(labels[known]), labels)
    model = LabelSpreading(kernel="knn", n_neighbors=7, alpha=0.5, max_iter=100).fit(features, seeds)
    return np.asarray(model.transduction_, np.uint8)[parts]


def by_dense_crf(image: Image, labels: Labels, num_classes: int) -> Labels:
    """pydensecrf2 from certain hints, with nothing known elsewhere."""
    import pydensecrf.densecrf as dcrf
    from pydensecrf.utils import unary_from_softmax

    known = np.unique(labels[labels != IGNORE_INDEX])
    if len(known) < 2:
        return _only(known, labels)
    probabilities = np.full((len(known), *labels.shape), 1 / len(known), np.float32)
    for place, label in enumerate(known):
        probabilities[:, labels == label] = 0.02 / len(known)
        probabilities[place, labels == label] = 0.98
    crf = dcrf.DenseCRF2D(image.shape[1], image.shape[0], len(known))
    crf.setUnaryEnergy(unary_from_softmax(probabilities / probabilities.sum(axis=0)))
    crf.addPairwiseGaussian(sxy=3, compat=3)
    crf.addPairwiseBilateral(sxy=67, srgb=8, rgbim=np.ascontiguousarray(image), compat=4)
    best = np.argmax(crf.inference(20), axis=0).reshape(labels.shape)
    return known[best].astype(np.uint8)


def by_hintseg(image: Image, labels: Labels, num_classes: int) -> Labels:
    """hintseg's harmonic propagation over superpixels, without any training (`hintseg complete --method harmonic`)."""
    import cv2

    probabilities = propagate_without_training(image, labels, num_classes, "harmonic")
    size = image.shape[1], image.shape[0]
    return np.stack([cv2.resize(share, size) for share in probabilities]).argmax(axis=0).astype(np.uint8)


def _gradient(image: Image) -> NDArray[np.float64]:
    return np.max([sobel(channel.astype(np.float64)) for channel in np.moveaxis(image, 2, 0)], axis=0)


def _only(known: NDArray[np.uint8], labels: Labels) -> Labels:
    """The one class that is hinted, everywhere."""
    return np.full(labels.shape, known[0] if len(known) else 0, np.uint8)


METHODS: dict[str, Callable[[Image, Labels, int], Labels]] = {
    "random walker (scikit-image)": by_random_walker,
    "watershed (scikit-image)": by_watershed,
    "label spreading (scikit-learn)": by_label_spreading,
    "dense CRF (pydensecrf2)": by_dense_crf,
    "hintseg complete --method harmonic": by_hintseg,
}
