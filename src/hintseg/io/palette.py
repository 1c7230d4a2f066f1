"""The colors of classes: on the page, in indexed images, in reports."""

import colorsys
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

# Okabe and Ito's colors, which color-blind people tell apart.
DISTINCT = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#56b4e9")
NO_CLASS = {254: (192, 192, 160), 255: (224, 224, 192)}  # unlabeled, and ignored as VOC shows it


def label_palette(chosen: Sequence[str] = ()) -> NDArray[np.uint8]:
    """(256, 3) uint8: `DISTINCT`, then hues a golden angle apart, light and dark; `NO_CLASS` at the end.

    Args:
        chosen: "#rrggbb" of the first labels, in place of these.
    """
    colors = np.zeros((256, 3), np.uint8)
    for label, written in enumerate(DISTINCT):
        colors[label] = parse_color(written)
    for number, label in enumerate(range(len(DISTINCT), 256)):
        parts = colorsys.hls_to_rgb(0.618034 * number % 1, (0.35, 0.65, 0.5)[number % 3], (0.9, 0.6)[number % 2])
        colors[label] = [round(255 * part) for part in parts]
    for label, written in enumerate(chosen):
        colors[label] = parse_color(written)
    for value, samples in NO_CLASS.items():
        colors[value] = samples
    return colors


def voc_palette() -> NDArray[np.uint8]:
    """(256, 3) uint8: the bit-interleaved PASCAL VOC color map."""
    index = np.arange(256)
    colors = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colors


@cache
def palette_bytes() -> bytes:
    """`label_palette()` as Pillow takes it."""
    return label_palette().tobytes()


@cache
def class_colors() -> tuple[str, ...]:
    """ "#rrggbb" of each label."""
    return tuple("#" + bytes(color.tolist()).hex() for color in label_palette())


def parse_color(color: str) -> tuple[int, int, int]:
    """ "#rrggbb" → bytes."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
