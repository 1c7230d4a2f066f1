"""One decoded image → one random crop, scaled, mirrored and recolored."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.config.schema import DataConfig
from hintseg.hints.labels import IGNORE_INDEX

SOFT_STRIDE = 4  # pixels per cell of soft pseudo-labels
CHANNELS = 64  # OpenCV resizes so many at once


class Sample(NamedTuple):
    """One training image, decoded.

    Attributes:
        image: (H, W, 3) uint8.
        labels: (H, W) uint8 weak labels.
        regions: (H, W) uint16 superpixels.
        candidate_classes: (C,) bool: classes that may occur.
        present_classes: (C,) bool: classes that do.
        propagated: (H, W) uint8 weak labels, propagated over superpixels.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    regions: NDArray[np.uint16]
    candidate_classes: NDArray[np.bool_]
    present_classes: NDArray[np.bool_]
    propagated: NDArray[np.uint8]


class SoftMask(NamedTuple):
    """A pseudo-label with its probabilities, at `SOFT_STRIDE`.

    Attributes:
        classes: (K,) uint8 classes that may occur.
        probabilities: (h, w, K) uint8, 255 = certain.
    """

    classes: NDArray[np.uint8]
    probabilities: NDArray[np.uint8]


class Crop(NamedTuple):
    """One augmented image: the fields of `TrainingBatch` before stacking, channels last in `image`."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    regions: NDArray[np.int32]
    candidate_classes: NDArray[np.bool_]
    present_classes: NDArray[np.bool_]
    propagated: NDArray[np.uint8]
    soft: NDArray[np.float32]


def augment(sample: Sample, soft: SoftMask | None, config: DataConfig, random: np.random.Generator) -> Crop:
    """A random window, scaled to the crop's side, mirrored and recolored.

    The window's corners are multiples of `SOFT_STRIDE`, so that soft masks stay aligned.
    """
    side = config.crop_size
    scale = random.uniform(*config.scale_range)
    window = max(round(side / scale / SOFT_STRIDE), 1) * SOFT_STRIDE
    height, width = sample.labels.shape
    # Within an image larger than the window the window stays inside; a smaller image lies anywhere in it.
    top = _offset(height, window, random)
    left = _offset(width, window, random)
    image = _resized(
        _cut(sample.image, top, left, window, fill=124), side, cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA
    )
    labels = _resized(_cut(sample.labels, top, left, window, fill=IGNORE_INDEX), side, cv2.INTER_NEAREST)
    regions = _resized(_cut(sample.regions, top, left, window, fill=0), side, cv2.INTER_NEAREST)
    propagated = _resized(_cut(sample.propagated, top, left, window, fill=IGNORE_INDEX), side, cv2.INTER_NEAREST)
    soft_side = side // SOFT_STRIDE
    target = np.zeros((len(sample.candidate_classes), soft_side, soft_side), dtype=np.float32)
    if soft is not None and soft.classes.size:
        cut = _cut(soft.probabilities, top // SOFT_STRIDE, left // SOFT_STRIDE, window // SOFT_STRIDE, fill=0)
        for start in range(0, soft.classes.size, CHANNELS):
            part = _resized(cut[..., start : start + CHANNELS], soft_side, cv2.INTER_LINEAR)
            planes = np.moveaxis(part.reshape(soft_side, soft_side, -1), 2, 0)
            target[soft.classes[start : start + CHANNELS]] = planes.astype(np.float32) / np.float32(255)
    if config.mirror and random.random() < 0.5:
        image, labels, regions, propagated, target = (
            np.ascontiguousarray(array)
            for array in (image[:, ::-1], labels[:, ::-1], regions[:, ::-1], propagated[:, ::-1], target[:, :, ::-1])
        )
    return Crop(
        recolor(image, config, random),
        labels,
        regions.astype(np.int32),
        sample.candidate_classes,
        sample.present_classes,
        propagated,
        target,
    )


def recolor(image: NDArray[np.uint8], config: DataConfig, random: np.random.Generator) -> NDArray[np.uint8]:
    """Random brightness, contrast and saturation."""
    if config.color_jitter > 0:
        brightness, contrast, saturation = 1 + config.color_jitter * random.uniform(-1, 1, 3)
        values = image.astype(np.float32)
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
        values = gray + (values - gray) * np.float32(saturation)
        mean = np.float32(gray.mean())
        values = (mean + (values - mean) * np.float32(contrast)) * np.float32(brightness)
        image = np.clip(values, 0, 255).astype(np.uint8)
    return image


def _offset(length: int, window: int, random: np.random.Generator) -> int:
    slack = length - window
    low, high = min(slack, 0), max(slack, 0)
    return int(random.integers(low // SOFT_STRIDE, high // SOFT_STRIDE + 1)) * SOFT_STRIDE


def _cut(array: NDArray[Any], top: int, left: int, side: int, fill: int) -> NDArray[Any]:
    """A square window that may reach outside; outside is `fill`."""
    height, width = array.shape[:2]
    y0, y1 = max(top, 0), min(top + side, height)
    x0, x1 = max(left, 0), min(left + side, width)
    inside = array[y0:y1, x0:x1]
    if inside.shape[:2] == (side, side):
        return inside
    window = np.full((side, side, *array.shape[2:]), fill, dtype=array.dtype)
    window[y0 - top : y1 - top, x0 - left : x1 - left] = inside
    return window


def _resized(array: NDArray[Any], side: int, interpolation: int) -> NDArray[Any]:
    if array.shape[:2] == (side, side):
        return array
    return cv2.resize(np.ascontiguousarray(array), (side, side), interpolation=interpolation)
