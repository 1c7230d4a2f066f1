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

OTHERS = 4  # images that show what a class looks like
PRIOR = 4000  # cells that each class has before any is seen, of all words as often as they occur


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


def word_table(
    images: Sequence[TaggedCells], words: int, num_classes: int, *, power: float = 1.0,
    expected: Sequence[NDArray[np.floating]] | None = None, rounds: int = 8,
) -> NDArray[np.float64]:  # fmt: skip
    """p(word | class) over all images, in turns with what it makes of every image (`explained`).

    A class seen in few images is near to p(word), so that it does not take what a varied background leaves to it.

    Args:
        words: W, size of the vocabulary.
        power: as for `explained`.
        expected: for every image as for `explained`.

    Returns:
        (C, W), rows sum to one.
    """
    occur = np.full(words, 1e-3)
    for cells in images:
        occur += np.bincount(cells.words.ravel(), minlength=words)
    shares = [cells.claims for cells in images]
    totals: Sequence[NDArray[np.floating] | None] = [None] * len(images) if expected is None else expected
    for turn in range(rounds + 1):
        table = np.tile(PRIOR * occur / occur.sum(), (num_classes, 1))
        for cells, share in zip(images, shares, strict=True):
            table[cells.classes] += _counted(cells.words, share, words)
        table /= table.sum(axis=1, keepdims=True)
        if turn < rounds:
            shares = [
                explained(cells, table, power=power, expected=total)
                for cells, total in zip(images, totals, strict=True)
            ]
    return table


def explained(
    cells: TaggedCells, table: NDArray[np.floating], *, power: float = 1.0,
    expected: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """Claim · p(word | class)^power, normalised over classes.

    Args:
        table: (C, W).
        expected: (T,) part of the image that each class should have; then each is multiplied by that over its mean,
            and all are normalised again.

    Returns:
        (T, h, w), summing to one over classes.
    """
    product = cells.claims.astype(np.float64) * table[cells.classes][:, cells.words] ** power + 1e-30
    product /= product.sum(axis=0)
    if expected is not None:
        product *= (expected / np.maximum(product.mean(axis=(1, 2)), 1e-6))[:, None, None]
        product /= product.sum(axis=0)
    return product.astype(np.float32)


def foreign(images: Sequence[TaggedCells], words: int, num_classes: int, least: float) -> list[NDArray[np.bool_]]:
    """Where an image looks like what other images hold of classes that it does not have.

    Nowhere in an image with a class that fewer than `OTHERS` other images have: they do not tell what it looks like.

    Args:
        images: their claims say of what class each cell is.
        words: W, size of the vocabulary.
        least: a cell is foreign if less than this part of the other images' cells with its word is of the image's
            classes.

    Returns:
        (h, w) for every image.
    """
    totals, having = np.zeros((num_classes, words)), np.zeros(num_classes, np.int64)
    for cells in images:
        totals[cells.classes] += _counted(cells.words, cells.claims, words)
        having[cells.classes] += 1
    found = []
    for cells in images:
        own = _counted(cells.words, cells.claims, words).sum(axis=0)
        mine = totals[cells.classes].sum(axis=0) - own
        known = having[cells.classes].min() > OTHERS
        found.append((known & (mine < least * (totals.sum(axis=0) - own)))[cells.words])
    return found


def _counted(seen: NDArray[np.integer], shares: NDArray[np.floating], words: int) -> NDArray[np.float64]:
    """(T, words): how many of the cells with each word, (h, w), each class has by its (T, h, w) shares."""
    each = [np.bincount(seen.ravel(), weights=own.ravel(), minlength=words) for own in shares]
    return np.stack(each).astype(np.float64)


def _projected(
    features: NDArray[np.float32], mean: NDArray[np.float32], projection: NDArray[np.float32]
) -> NDArray[np.float32]:
    found = ((features - mean) @ projection).astype(np.float32)
    return np.ascontiguousarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9))
