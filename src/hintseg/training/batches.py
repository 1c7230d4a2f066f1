"""Images → augmented batches. Batch number t is a function of (seed, t) alone.

So any step can be made again after an interruption, whatever number of workers loads it.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from hintseg.config.schema import DataConfig
from hintseg.training.augment import SoftMask, augment
from hintseg.training.data import TrainingImages

LOCALIZED_FRACTION = 0.5  # minimum fraction of images with a localized hint among those drawn


class TrainingBatch(NamedTuple):
    """What one step reads.

    Attributes:
        image: (B, 3, S, S) uint8.
        labels: (B, S, S) uint8.
        regions: (B, S, S) int32; padding has its own region 0 (it is ignored anyway).
        candidate_classes: (B, C) bool: classes that may occur.
        present_classes: (B, C) bool: classes that do.
        propagated: (B, S, S) uint8.
        soft: (B, C, S/4, S/4) float32, zero where there is no pseudo-label.
        number: (B,) int64: of the image among all.
    """

    image: Tensor
    labels: Tensor
    regions: Tensor
    candidate_classes: Tensor
    present_classes: Tensor
    propagated: Tensor
    soft: Tensor
    number: Tensor


class TrainingBatches(TorchDataset[TrainingBatch]):
    """Batch t, for t = 0 … iterations − 1; each epoch is a fresh permutation.

    Where images that only say which classes they show (tags, or nothing) outnumber those with a place for a
    class, the latter are drawn more often: `LOCALIZED_FRACTION` of the images drawn are theirs.

    Args:
        soft: pseudo-labels by key.
        places: which images of each batch to make; None makes all of them.
    """

    def __init__(
        self,
        images: TrainingImages,
        config: DataConfig,
        iterations: int,
        seed: int,
        soft: dict[str, SoftMask] | None,
        places: range | None = None,
    ) -> None:
        self.images = images
        self.config = config
        self.iterations = iterations
        self.seed = seed
        self.soft = soft or {}
        self.places = places or range(config.batch_size)
        localized = images.localized
        rare = 0 < len(localized) < LOCALIZED_FRACTION * len(images.keys)
        self.share = LOCALIZED_FRACTION if rare else 1.0
        self.localized = localized if rare else list(images.keys)
        chosen = set(self.localized)
        self.others = [key for key in images.keys if key not in chosen]
        self.number = {key: number for number, key in enumerate(images.keys)}

    def __len__(self) -> int:
        return self.iterations

    def __getitem__(self, step: int) -> TrainingBatch:
        crops, numbers = [], []
        for place in self.places:
            position = step * self.config.batch_size + place
            key, random = self._key(position), np.random.default_rng((self.seed, 1, position))
            crops.append(augment(self.images.sample(key), self.soft.get(key), self.config, random))
            numbers.append(self.number[key])
        image, *rest = (torch.from_numpy(np.stack(column)) for column in zip(*crops, strict=True))
        return TrainingBatch(*[image.permute(0, 3, 1, 2), *rest, torch.tensor(numbers)])

    def _key(self, position: int) -> str:
        before, after = (int(self.share * count) for count in (position, position + 1))
        group, stream, position = (self.localized, 0, before) if after > before else (self.others, 2, position - before)
        epoch, place = divmod(position, len(group))
        order = np.random.default_rng((self.seed, stream, epoch)).permutation(len(group))
        return group[order[place]]
