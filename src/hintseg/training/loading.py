"""Loader processes: training images decoded once by all of them, and batches made ahead of time."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from hintseg.errors import HintsegError
from hintseg.training.augment import Sample
from hintseg.training.batches import TrainingBatch, TrainingBatches
from hintseg.training.data import TrainingImages


def decode(images: TrainingImages, workers: int, progress: Callable[[int, int], None]) -> None:
    """Decode all training images here, by `workers` processes, so that those forked later share them.

    Without this each of them would decode every image, propagate its hints, and keep it for itself, once a checkpoint.

    Args:
        workers: 0 leaves images to be decoded when they are first drawn.
        progress: called with (done, total).

    Raises:
        HintsegError: an image or its hints cannot be read, or an image changed.
    """
    missing = images.missing()
    if workers == 0 or not missing:
        return
    samples = DataLoader(
        _Decoded(images, missing), batch_size=None, num_workers=workers, collate_fn=_as_it_is, prefetch_factor=4
    )
    for number, (key, sample) in enumerate(zip(missing, samples, strict=True), 1):
        if isinstance(sample, HintsegError):
            raise sample
        images.keep(key, sample)
        progress(number, len(missing))


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


class _Decoded(TorchDataset[Sample | HintsegError]):
    """Errors are handed over as they are; the loader would bury their sentence in a worker's traceback."""

    def __init__(self, images: TrainingImages, keys: Sequence[str]) -> None:
        self.images = images
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, number: int) -> Sample | HintsegError:
        try:
            return self.images.sample(self.keys[number])
        except HintsegError as error:
            return error


def _as_it_is(sample: Any) -> Any:
    return sample
