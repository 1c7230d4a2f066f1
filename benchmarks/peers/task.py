"""What every tool is given, and how its masks are scored."""

import resource
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.metrics import ConfusionMatrix
from hintseg.pseudo_labels.pipeline import pseudo_labels

Image, Labels = NDArray[np.uint8], NDArray[np.uint8]
Predict = Callable[[Image], Labels]
Learner = Callable[["Task"], Predict]


class Task(NamedTuple):
    """A data set's training images with hints drawn, and the images to be segmented.

    Attributes:
        train: keys of images with hints.
        test: keys of images with masks.
        hints: annotation types in use.
        seconds: of processors, for learners that stop by time.
    """

    dataset: Dataset
    train: tuple[str, ...]
    test: tuple[str, ...]
    hints: tuple[str, ...]
    seed: int = 0
    seconds: float = 0.0

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.dataset.classes)

    def hinted(self) -> Iterator[tuple[Image, Labels]]:
        """Training images and their hints: (H, W) class indices, 255 where nothing is drawn."""
        for key in self.train:
            yield self.dataset.image(key), self.labels(key)

    def labels(self, key: str) -> Labels:
        """The drawn hints of an image; boxes by GrabCut, as hintseg has them."""
        decoded, hints = self.dataset.decoded(key), self.dataset.hints(key, self.hints)
        target = pseudo_labels(decoded, hints, self.num_classes)
        return np.where(target.seeds < UNLABELED, target.seeds, IGNORE_INDEX).astype(np.uint8)


def make_task(dataset: Dataset, hints: tuple[str, ...], seed: int, split: str = "val", seconds: float = 0.0) -> Task:
    """All images of the data set that have placed hints, and all of a split that have masks."""
    train = tuple(key for key in dataset.keys("train") if dataset.hints(key, hints).localized())
    test = tuple(key for key in dataset.keys(split) if dataset.has_mask(key))
    return Task(dataset, train, test, hints, seed, seconds)


def measured(task: Task, learner: Learner) -> dict[str, Any]:
    """Mean IoU in percent over the images to be segmented, processor seconds, and the memory that came on top."""
    before, started = _peak(), processor_seconds()
    predict = learner(task)
    learned = processor_seconds()
    matrix = ConfusionMatrix(task.num_classes, IGNORE_INDEX)
    for key in task.test:
        truth = task.dataset.mask(key)
        if truth is not None:
            matrix.update(truth, predict(task.dataset.image(key)))
    ended = processor_seconds()
    return {
        "mean_iou": round(100 * matrix.scores().mean_iou, 2),
        "train_seconds": round(learned - started, 1),
        "image_seconds": round((ended - learned) / max(len(task.test), 1), 2),
        "memory_mib": max(_peak() - before, 0),
    }


def completed(task: Task, complete: Callable[[Image, Labels, int], Labels]) -> dict[str, Any]:
    """Mean IoU in percent of completed training masks, for methods that look at one hinted image at a time."""
    matrix, started = ConfusionMatrix(task.num_classes, IGNORE_INDEX), processor_seconds()
    for key in task.train:
        truth = task.dataset.mask(key)
        if truth is not None:
            matrix.update(truth, complete(task.dataset.image(key), task.labels(key), task.num_classes))
    seconds = processor_seconds() - started
    return {
        "mean_iou": round(100 * matrix.scores().mean_iou, 2),
        "image_seconds": round(seconds / max(len(task.train), 1), 2),
    }


def processor_seconds() -> float:
    """That this process spent, and those it started and waited for."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)


def _peak() -> int:
    """MiB that this process held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
