"""Visual words: cells of all images grouped by their looks; what looks alike is of one class throughout a data set.

A tag classifier finds what tells that a class is in an image, and where a car always stands on a road, the road tells.
Other images have roads without a car. Counting over all images how often each word belongs to each tagged class, in
turns with what that says of every image, is a labelled topic model [Ramage et al., EMNLP 2009; for image regions
Verbeek and Triggs, CVPR 2007] that starts from the classifier's opinion in place of chance.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SMOOTHING = 0.1  # cells of every word that each class has without being seen


class Vocabulary(NamedTuple):
    """How features become words.

    Attributes:
        mean: (D,) of the features.
        projection: (D, d) onto principal components, each divided by the square root of its standard deviation.
        centres: (W, d), unit length.
    """

    mean: NDArray[np.float32]
    projection: NDArray[np.float32]
    centres: NDArray[np.float32]

    def words(self, features: NDArray[np.float32]) -> NDArray[np.int64]:
        """(N, D) → (N,) the nearest centre by cosine."""
        return np.asarray(_projected(features, self.mean, self.projection) @ self.centres.T).argmax(axis=1)


class TaggedCells(NamedTuple):
    """One image as cells with words.

    Attributes:
        classes: (T,) the classes that may be there.
        claims: (T, h, w) how much each claims each cell; sums to one over classes.
        words: (h, w).
    """

    classes: NDArray[np.integer]
    claims: NDArray[np.floating]
    words: NDArray[np.integer]


def learn_vocabulary(features: NDArray[np.float32], words: int, dimensions: int = 64, seed: int = 0) -> Vocabulary:
    """Half-whitened principal components and spherical k-means.

    Args:
        features: (N, D) of a sample of cells.
        words: W, at most a quarter of the cells.
        dimensions: d, at most D.
    """
    import faiss

    mean = features.mean(axis=0)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(features, rowvar=False, bias=True)))
    first = np.argsort(-values)[:dimensions]
    projection = (vectors[:, first] / np.maximum(values[first], 1e-8) ** 0.25).astype(np.float32)
    projected = _projected(features, mean, projection)
    kmeans = faiss.Kmeans(
        projected.shape[1], max(min(words, len(features) // 4), 1), niter=15, seed=seed, spherical=True,
        min_points_per_centroid=1,
    )  # fmt: skip
    kmeans.train(projected)
    return Vocabulary(mean, projection, np.asarray(kmeans.centroids, np.float32))


def agree(images: Sequence[TaggedCells], words: int, num_classes: int, rounds: int = 8) -> list[NDArray[np.float32]]:
    """Claims of every image made to agree on what each word is.

    In turns: p(word | class) over all images, and in each image claim · p(word | class), first normalised over
    classes, then every class divided by its mean over the image, and normalised again.

    Args:
        words: size of the vocabulary.

    Returns:
        (T, h, w) of each image, summing to one over classes.
    """
    shares = [cells.claims.reshape(len(cells.classes), -1).astype(np.float64) for cells in images]
    for _ in range(rounds):
        table = np.full((num_classes, words), SMOOTHING)
        for cells, share in zip(images, shares, strict=True):
            for label, own in zip(cells.classes, share, strict=True):
                table[label] += np.bincount(cells.words.ravel(), weights=own, minlength=words)
        table /= table.sum(axis=1, keepdims=True)
        for number, cells in enumerate(images):
            product = (
                cells.claims.reshape(len(cells.classes), -1) * table[cells.classes][:, cells.words.ravel()] + 1e-30
            )
            product /= product.sum(axis=0)
            product /= np.maximum(product.mean(axis=1, keepdims=True), 1e-6)
            shares[number] = product / product.sum(axis=0)
    return [share.reshape(cells.claims.shape).astype(np.float32) for cells, share in zip(images, shares, strict=True)]


def _projected(
    features: NDArray[np.float32], mean: NDArray[np.float32], projection: NDArray[np.float32]
) -> NDArray[np.float32]:
    found = ((features - mean) @ projection).astype(np.float32)
    return np.ascontiguousarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9))
