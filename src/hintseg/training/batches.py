"""Images → augmented batches. Batch number t is a function of (seed, t) alone.

So any step can be made again after an interruption, whatever number of workers loads it.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from hintseg.config import DataConfig
from hintseg.hints.labels import UNLABELLED
from hintseg.training.augment import Sample, SoftMask, augment
from hintseg.training.data import TrainingImages


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
        view: (B, 2) int64: number of the image, and of its fixed crop or −1.
        hinted: (B,) bool: whether hinted pixels show every class that the whole image is known to contain.
    """

    image: Tensor
    labels: Tensor
    regions: Tensor
    allowed: Tensor
    present: Tensor
    spread: Tensor
    soft: Tensor
    view: Tensor
    hinted: Tensor


class TrainingBatches(TorchDataset[TrainingBatch]):
    """Batch t, for t = 0 … iterations − 1; each epoch is a fresh permutation.

    Where images that only say which classes they show (tags, or nothing) outnumber those with a place for a
    class, the latter are drawn more often: `config.strong` of the images drawn are theirs. With `config.wait` the
    former are not drawn at all while neither seeds nor completed masks say where their classes are.

    Args:
        soft: completed masks by key.
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
        self.places = places or range(config.batch)
        placed = images.placed
        drawn = list(images.keys)
        if config.wait and placed:
            ready = {*placed, *images.planted, *self.soft}
            drawn = [key for key in drawn if key in ready]
        rare = 0 < len(placed) < config.strong * len(drawn)
        self.share = config.strong if rare else 1.0
        self.strong = placed if rare else drawn
        chosen = set(self.strong)
        self.weak = [key for key in drawn if key not in chosen]
        self.number = {key: number for number, key in enumerate(images.keys)}

    def __len__(self) -> int:
        return self.iterations

    def __getitem__(self, step: int) -> TrainingBatch:
        crops, views, hinted = [], [], []
        for place in self.places:
            position = step * self.config.batch + place
            key, epoch = self._key(position)
            view = epoch % self.config.views if self.config.views else -1
            source = (3, self.number[key], view) if self.config.views else (1, position)
            random = np.random.default_rng((self.seed, *source))
            sample = self.images.sample(key)
            crops.append(augment(sample, self.soft.get(key), self.config, random))
            views.append((self.number[key], view))
            hinted.append(bool(_shown(sample)))
        image, *rest = (torch.from_numpy(np.stack(column)) for column in zip(*crops, strict=True))
        return TrainingBatch(*[image.permute(0, 3, 1, 2), *rest, torch.tensor(views), torch.tensor(hinted)])

    def _key(self, position: int) -> tuple[str, int]:
        """Image and epoch."""
        before, after = (int(self.share * count) for count in (position, position + 1))
        group, stream, position = (self.strong, 0, before) if after > before else (self.weak, 2, position - before)
        epoch, place = divmod(position, len(group))
        order = np.random.default_rng((self.seed, stream, epoch)).permutation(len(group))
        return group[order[place]], epoch


def _shown(sample: Sample) -> bool:
    shown = np.unique(sample.labels)
    return len(shown) > 0 and bool(np.isin(np.flatnonzero(sample.present), shown).all()) and shown[0] < UNLABELLED
