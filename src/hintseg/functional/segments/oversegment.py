"""Superpixels of one image: regions that respect contours.

`watershed` is oriented watershed and ultrametric contours [OWT] by higra, on a colour gradient or on a
contour map the user supplies; `slic` and `felzenszwalb` are scikit-image's.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import unknown_name

METHODS = ("watershed", "slic", "felzenszwalb", "none")


def oversegment(
    image: NDArray[np.uint8],
    method: str = "watershed",
    regions: int = 100,
    contours: NDArray[np.floating] | None = None,
) -> NDArray[np.uint16]:
    """Partition an image.

    Args:
        image: (H, W, 3) uint8 RGB.
        method: one of `METHODS`; "none" is one region.
        regions: about how many.
        contours: (H, W) boundary strength for `watershed`; default is the colour gradient in CIELAB.

    Returns:
        (H, W) uint16 ids 0, 1, … in row-major order of first appearance.

    Raises:
        ConfigError: unknown method.
        ValueError: contours of another size.
    """
    return partitions(image, method, (regions,), contours)[0]


def partitions(
    image: NDArray[np.uint8], method: str, counts: Sequence[int], contours: NDArray[np.floating] | None = None
) -> list[NDArray[np.uint16]]:
    """`oversegment` for several numbers of regions at once; watershed builds its hierarchy only once."""
    height, width = image.shape[:2]
    if method not in METHODS:
        raise unknown_name("superpixel method", method, METHODS)
    if contours is not None and contours.shape != (height, width):
        raise ValueError(f"contours have shape {contours.shape} but the image is {height}×{width}")
    if method == "none" or min(height, width) < 3:
        return [np.zeros((height, width), dtype=np.uint16) for _ in counts]
    if method == "watershed":
        found = _oriented_watershed(colour_gradient(image) if contours is None else contours, counts)
    elif method == "slic":
        from skimage.segmentation import slic

        found = [slic(image, n_segments=count, compactness=10, start_label=0) for count in counts]
    else:
        from skimage.segmentation import felzenszwalb

        smallest = [max(height * width // (4 * count), 1) for count in counts]
        found = [felzenszwalb(image, scale=100, sigma=0.8, min_size=size) for size in smallest]
    return [_renumbered(labels) for labels in found]


def colour_gradient(image: NDArray[np.uint8]) -> NDArray[np.float32]:
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
