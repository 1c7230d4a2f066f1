"""Dataset → augmented batches. Batch number t is a function of (seed, t) alone.

So any step can be made again after an interruption, whatever number of workers loads it. Decoded images,
targets and over-segments stay in memory (compactly), over-segments also on disk.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from hintseg.config import DataConfig
from hintseg.hints.dataset import Dataset
from hintseg.hints.model import VOID, Form
from hintseg.images import atomic_path, read_arrays
from hintseg.propagation.regions import propagate, spread_labels
from hintseg.segments.oversegment import partitions
from hintseg.targets.target import WeakTarget, reduce_target, weak_target

SOFT_STRIDE = 4  # pixels per cell of soft completed masks
CHANNELS = 64  # OpenCV resizes so many at once


class Sample(NamedTuple):
    """One training image, decoded.

    Attributes:
        image: (H, W, 3) uint8.
        labels: (H, W) uint8 weak labels.
        regions: (H, W) uint16 over-segments.
        allowed: (C,) bool: classes that may occur.
        present: (C,) bool: classes that do.
        spread: (H, W) uint8 weak labels and what they spread to.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    regions: NDArray[np.uint16]
    allowed: NDArray[np.bool_]
    present: NDArray[np.bool_]
    spread: NDArray[np.uint8]


class SoftMask(NamedTuple):
    """A completed mask with its doubts, at `SOFT_STRIDE`.

    Attributes:
        classes: (K,) uint8 classes that may occur.
        probabilities: (h, w, K) uint8, 255 = certain.
    """

    classes: NDArray[np.uint8]
    probabilities: NDArray[np.uint8]


class TrainingBatch(NamedTuple):
    """What one step reads.

    Attributes:
        image: (B, 3, S, S) uint8.
        labels: (B, S, S) uint8.
        regions: (B, S, S) int32; padding has its own region 0 (it is void anyway).
        allowed: (B, C) bool: classes that may occur.
        present: (B, C) bool: classes that do.
        spread: (B, S, S) uint8.
        soft: (B, C, S/4, S/4) float32, zero where there is no completed mask.
    """

    image: Tensor
    labels: Tensor
    regions: Tensor
    allowed: Tensor
    present: Tensor
    spread: Tensor
    soft: Tensor


class Crop(NamedTuple):
    """One augmented image: the fields of `TrainingBatch` before stacking, channels last in `image`."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    regions: NDArray[np.int32]
    allowed: NDArray[np.bool_]
    present: NDArray[np.bool_]
    spread: NDArray[np.uint8]
    soft: NDArray[np.float32]


class TrainingImages:
    """Decoded training images with their targets.

    Args:
        dataset, keys, forms: which images and which of their hints.
        config: data section of the recipe.
        cache: folder for over-segments, or None.
    """

    def __init__(
        self,
        dataset: Dataset,
        keys: Sequence[str],
        forms: Sequence[Form],
        config: DataConfig,
        cache: Path | None = None,
    ) -> None:
        self.dataset = dataset
        self.keys = tuple(keys)
        self.forms = tuple(forms)
        self.config = config
        self.cache = cache
        self.num_classes = len(dataset.classes)
        self._samples: dict[str, Sample] = {}
        self._seeds: dict[str, NDArray[np.uint8]] = {}

    def plant(self, seeds: dict[str, NDArray[np.uint8]]) -> None:
        """Probable labels to spread from, by key, at the reduced size; in place of what hints alone give."""
        self._seeds = seeds
        self._samples = {key: sample for key, sample in self._samples.items() if key not in seeds}

    def sample(self, key: str) -> Sample:
        """Decode an image, or take it from memory."""
        if key not in self._samples:
            self._samples[key] = self._read(key)
        return self._samples[key]

    def target(self, key: str) -> tuple[NDArray[np.uint8], WeakTarget]:
        """Image and whole weak target, reduced alike; made anew, since what is possible where takes much memory."""
        image = self.dataset.image(key)
        target = weak_target(
            self.dataset.hints(key, self.forms), image.shape[:2], self.num_classes, self.config.point_radius
        )
        return reduce_target(image, target, self.config.longest_side)

    def _read(self, key: str) -> Sample:
        image, target = self.target(key)
        regions, fine = self._partitions(key, image)
        spread = self._spread(key, image, target, fine)
        return Sample(image, target.labels, regions, target.allowed, target.present, spread)

    def _spread(
        self, key: str, image: NDArray[np.uint8], target: WeakTarget, regions: NDArray[np.uint16]
    ) -> NDArray[np.uint8]:
        """Hints spread where that is safe: not in an image that may hold classes which nobody pointed at."""
        config = self.config
        if config.spread_regions == 0 or config.oversegmentation == "none":
            return target.labels
        if target.unhinted() and key not in self._seeds:
            return target.labels
        shares = propagate(image, self._seeds.get(key, target.likely), regions, self.num_classes)
        return spread_labels(target.labels, regions, shares, config.spread_confidence, target.possible)

    def _partitions(self, key: str, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Over-segments for segments and for spreading, from disk where they lie there."""
        method, counts = self.config.oversegmentation, (self.config.regions, max(self.config.spread_regions, 2))
        contours = self.dataset.contours(key) if method == "watershed" else None
        if contours is not None and contours.shape != image.shape[:2]:
            contours = cv2.resize(contours, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_AREA)
        if self.cache is None or method == "none":
            coarse, fine = partitions(image, method, counts, contours)
            return coarse, fine
        drawn = b"" if contours is None else contours.tobytes()
        content = f"{image.shape}{method}{counts}".encode() + image.tobytes() + drawn
        path = self.cache / f"{hashlib.sha256(content).hexdigest()[:24]}.npz"
        if (found := read_arrays(path, "coarse", "fine")) is not None:
            return found[0], found[1]
        coarse, fine = partitions(image, method, counts, contours)
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, coarse=coarse, fine=fine)
        return coarse, fine


class TrainingBatches(TorchDataset[TrainingBatch]):
    """Batch t, for t = 0 … iterations − 1; each epoch is a fresh permutation."""

    def __init__(
        self, images: TrainingImages, config: DataConfig, iterations: int, seed: int, soft: dict[str, SoftMask] | None
    ) -> None:
        self.images = images
        self.config = config
        self.iterations = iterations
        self.seed = seed
        self.soft = soft or {}

    def __len__(self) -> int:
        return self.iterations

    def __getitem__(self, step: int) -> TrainingBatch:
        crops = []
        for place in range(self.config.batch):
            position = step * self.config.batch + place
            key = self._key(position)
            random = np.random.default_rng((self.seed, 1, position))
            crops.append(augment(self.images.sample(key), self.soft.get(key), self.config, random))
        columns = zip(*crops, strict=True)
        image, *rest = (torch.from_numpy(np.stack(column)) for column in columns)
        return TrainingBatch(image.permute(0, 3, 1, 2), *rest)

    def _key(self, position: int) -> str:
        epoch, place = divmod(position, len(self.images.keys))
        order = np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.images.keys))
        return self.images.keys[order[place]]


def loader(batches: TrainingBatches, start: int, stop: int, workers: int) -> Iterator[TrainingBatch]:
    """Batches `start` … `stop` − 1 in order."""
    if workers == 0:
        return (batches[step] for step in range(start, stop))
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            sampler=range(start, stop),
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            prefetch_factor=4,
        )
    )


def augment(sample: Sample, soft: SoftMask | None, config: DataConfig, random: np.random.Generator) -> Crop:
    """A random window, scaled to the crop's side, mirrored and recoloured.

    The window's corners are multiples of `SOFT_STRIDE`, so that soft masks stay aligned.
    """
    side = config.crop
    scale = random.uniform(*config.scale)
    window = max(round(side / scale / SOFT_STRIDE), 1) * SOFT_STRIDE
    height, width = sample.labels.shape
    # Within an image larger than the window the window stays inside; a smaller image lies anywhere in it.
    top = _offset(height, window, random)
    left = _offset(width, window, random)
    image = _resized(
        _cut(sample.image, top, left, window, fill=124), side, cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA
    )
    labels = _resized(_cut(sample.labels, top, left, window, fill=VOID), side, cv2.INTER_NEAREST)
    regions = _resized(_cut(sample.regions, top, left, window, fill=0), side, cv2.INTER_NEAREST)
    spread = _resized(_cut(sample.spread, top, left, window, fill=VOID), side, cv2.INTER_NEAREST)
    soft_side = side // SOFT_STRIDE
    target = np.zeros((len(sample.allowed), soft_side, soft_side), dtype=np.float32)
    if soft is not None and soft.classes.size:
        cut = _cut(soft.probabilities, top // SOFT_STRIDE, left // SOFT_STRIDE, window // SOFT_STRIDE, fill=0)
        for start in range(0, soft.classes.size, CHANNELS):
            part = _resized(cut[..., start : start + CHANNELS], soft_side, cv2.INTER_LINEAR)
            planes = np.moveaxis(part.reshape(soft_side, soft_side, -1), 2, 0)
            target[soft.classes[start : start + CHANNELS]] = planes.astype(np.float32) / np.float32(255)
    if config.mirror and random.random() < 0.5:
        image, labels, regions, spread, target = (
            np.ascontiguousarray(array)
            for array in (image[:, ::-1], labels[:, ::-1], regions[:, ::-1], spread[:, ::-1], target[:, :, ::-1])
        )
    return Crop(
        recolour(image, config, random),
        labels,
        regions.astype(np.int32),
        sample.allowed,
        sample.present,
        spread,
        target,
    )


def recolour(image: NDArray[np.uint8], config: DataConfig, random: np.random.Generator) -> NDArray[np.uint8]:
    """Random brightness, contrast, saturation; now and then grey or blurred [SPML: grey 0.3, blur 0.5 in stage 2]."""
    if config.colour > 0:
        brightness, contrast, saturation = 1 + config.colour * random.uniform(-1, 1, 3)
        values = image.astype(np.float32)
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
        values = grey + (values - grey) * np.float32(saturation)
        mean = np.float32(grey.mean())
        values = (mean + (values - mean) * np.float32(contrast)) * np.float32(brightness)
        image = np.clip(values, 0, 255).astype(np.uint8)
    if config.grey > 0 and random.random() < config.grey:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if config.blur > 0 and random.random() < config.blur:
        image = cv2.GaussianBlur(image, (5, 5), float(random.uniform(0.1, 2.5)))
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
