"""The inside of regions."""

import numpy as np
from numpy.typing import NDArray


def distance_to_border(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(H, W): how many pixels each pixel of the mask lies from its border, which the image's edge is, too."""
    import cv2

    depth: NDArray[np.float32] = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    return depth


def deepest(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """x, y of the pixel that lies deepest inside the mask."""
    depth = distance_to_border(mask)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x), int(y)
