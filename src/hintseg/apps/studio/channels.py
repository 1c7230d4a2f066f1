"""One channel of an image by itself, to be looked at: of a TIFF as its file has it, else red, green or blue."""

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.io.images import decode_image
from hintseg.io.pillow import is_tiff
from hintseg.io.rasters import COLOR, read_header, read_samples
from hintseg.io.samples import BandSelection


def count_channels(dataset: Dataset, key: str) -> int:
    """How many channels can be shown one by one; alpha is none.

    Raises:
        InputError: no such image, or it cannot be read.
    """
    path = dataset.path(key)
    if _has_channels(dataset, key):
        return read_samples(path, read_header(path)).colors
    shown = dataset.image(key)
    return 1 if (shown == shown[..., :1]).all() else 3


def channel_image(dataset: Dataset, key: str, channel: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 gray: a channel, from 0; one of more than 8 bits is stretched by itself.

    Raises:
        InputError: no such image or channel, or it cannot be read.
    """
    if channel >= (count := count_channels(dataset, key)):
        raise InputError(f"{key}: has {count} channels; choose one of them.")
    if _has_channels(dataset, key):
        return decode_image(dataset.path(key), BandSelection((channel,))).pixels
    return np.repeat(dataset.image(key)[..., channel : channel + 1], 3, axis=2)


def _has_channels(dataset: Dataset, key: str) -> bool:
    """Whether the file's samples are channels, and no palette or inks."""
    path = dataset.path(key)
    return is_tiff(path) and read_header(path).photometric <= COLOR
