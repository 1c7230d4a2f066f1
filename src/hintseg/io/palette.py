"""The colours of classes in indexed images."""

from functools import cache

import numpy as np
from numpy.typing import NDArray


def label_palette() -> NDArray[np.uint8]:
    """(256, 3) uint8: the bit-interleaved PASCAL VOC colour map, which every viewer of the field knows."""
    index = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours


@cache
def palette_bytes() -> bytes:
    """The same, as Pillow takes it."""
    return label_palette().tobytes()
