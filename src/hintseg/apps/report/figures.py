"""Figures of images, hints, segments, masks and embeddings, as (H, W, 3) uint8 arrays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hintseg.hints.labels import UNLABELED
from hintseg.io.images import require_labels_of
from hintseg.io.palette import label_palette

RgbImage = NDArray[np.uint8]
OPACITY = 0.6


def overlay(image: RgbImage, labels: NDArray[np.uint8], colors: Sequence[str] = ()) -> RgbImage:
    """Masks in class colors over the gray image; ignored and unlabeled pixels stay gray.

    Args:
        colors: "#rrggbb" by label, where somebody chose them; so in all figures.
    """
    require_labels_of(image, labels)
    gray = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    painted = label_palette(colors)[labels].astype(np.float64)
    known = (labels < UNLABELED)[..., None]
    mixed = np.where(known, (1 - OPACITY) * gray + OPACITY * painted, gray)
    return _with_contours(mixed.astype(np.uint8), labels)


def draw_hints(image: RgbImage, labels: NDArray[np.uint8], colors: Sequence[str] = ()) -> RgbImage:
    """Hinted pixels in full class colors over the pale image, thickened so that they can be seen."""
    import cv2

    require_labels_of(image, labels)
    palette = label_palette(colors)
    pale = (0.55 * image + 0.45 * 255).astype(np.uint8)
    for label in np.unique(labels[labels < UNLABELED]).tolist():
        drawn = (labels == label).astype(np.uint8)
        thick = cv2.dilate(drawn, np.ones((5, 5), np.uint8)).astype(bool)
        pale[thick & ~drawn.astype(bool)] = 0
        thick = cv2.dilate(drawn, np.ones((3, 3), np.uint8)).astype(bool)
        pale[thick] = palette[label]
    return pale


def region_borders(image: RgbImage, regions: NDArray[np.integer]) -> RgbImage:
    """Borders of segments in yellow over the image."""
    marked = image.copy()
    marked[_border(regions)] = (255, 220, 0)
    return marked


def embedding_colors(embeddings: NDArray[np.float32]) -> RgbImage:
    """The three principal components of an (D, h, w) embedding map as red, green and blue."""
    dim, height, width = embeddings.shape
    vectors = embeddings.reshape(dim, -1).T.astype(np.float64)
    centered = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centered, full_matrices=False)
    # The sign of a principal axis is arbitrary; fix it so that images can be compared.
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    components = centered @ (axes * signs[:, None])[:3].T
    components = np.pad(components, ((0, 0), (0, 3 - components.shape[1])))  # fewer pixels than axes
    low, high = np.percentile(components, [2, 98], axis=0)
    scaled = np.clip((components - low) / np.maximum(high - low, 1e-9), 0, 1)
    return (scaled.reshape(height, width, -1) * 255).astype(np.uint8)


def _with_contours(marked: RgbImage, labels: NDArray[np.uint8]) -> RgbImage:
    marked[_border(labels)] = 255
    return marked


def _border(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    edge = np.zeros(labels.shape, dtype=np.bool_)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    return edge
