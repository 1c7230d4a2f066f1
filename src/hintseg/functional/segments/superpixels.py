"""Superpixels of one image: regions that respect contours.

Oriented watershed and ultrametric contours [OWT] by higra, on a color gradient or on a contour map the user supplies.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def find_superpixels(
    image: NDArray[np.uint8], regions: int = 100, contours: NDArray[np.floating] | None = None
) -> NDArray[np.uint16]:
    """Partition an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        regions: about how many.
        contours: (H, W) boundary strength; default is the color gradient in CIELAB.

    Returns:
        (H, W) uint16 ids 0, 1, … in row-major order of first appearance.
    """
    return partitions(image, (regions,), contours)[0]


def partitions(
    image: NDArray[np.uint8], counts: Sequence[int], contours: NDArray[np.floating] | None = None
) -> list[NDArray[np.uint16]]:
    """`find_superpixels` for several numbers of regions at once, from one hierarchy."""
    height, width = image.shape[:2]
    if contours is not None and contours.shape != (height, width):
        raise ValueError(f"contours have shape {contours.shape} but the image is {height}×{width}")
    if min(height, width) < 3:
        return [np.zeros((height, width), dtype=np.uint16) for _ in counts]
    found = _oriented_watershed(color_gradient(image) if contours is None else contours, counts)
    return [_renumbered(labels) for labels in found]


def color_gradient(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W) gradient magnitude of the smoothed image in CIELAB, from 0 to 1."""
    import cv2

    smooth = cv2.GaussianBlur(image.astype(np.float32) / 255.0, (0, 0), 1.5)
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB)
    horizontal, vertical = cv2.Sobel(lab, cv2.CV_32F, 1, 0), cv2.Sobel(lab, cv2.CV_32F, 0, 1)
    magnitude: NDArray[np.float32] = np.sqrt((horizontal**2 + vertical**2).sum(axis=2))
    return magnitude / max(float(magnitude.max()), 1e-6)


def _oriented_watershed(contours: NDArray[np.floating], counts: Sequence[int]) -> list[NDArray[np.integer]]:
    import higra

    graph = higra.get_4_adjacency_graph(contours.shape)
    edges = higra.weight_graph(graph, contours.astype(np.float64), higra.WeightFunction.mean)
    tree, altitudes = higra.mean_pb_hierarchy(graph, edges, contours.shape)
    return [higra.labelisation_horizontal_cut_from_num_regions(tree, altitudes, count, "at_least") for count in counts]


def _renumbered(labels: NDArray[np.integer]) -> NDArray[np.uint16]:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    return order[inverse].reshape(labels.shape).astype(np.uint16)


def resized_contours(contours: NDArray[np.float32] | None, size: tuple[int, int]) -> NDArray[np.float32] | None:
    """Boundary strength at the (height, width) of a reduced image; None stays None."""
    import cv2

    if contours is None or contours.shape == size:
        return contours
    resized: NDArray[np.float32] = cv2.resize(contours, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    return resized
