"""Masks: dense label maps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hintseg.hints.labels import UNLABELED
from hintseg.hints.types.hint_type import HintType, label_map_classes


@dataclass(frozen=True)
class Mask:
    """A label map (H, W) uint8; `UNLABELED` where nothing was drawn, `IGNORE_INDEX` where pixels are ignored."""

    labels: NDArray[np.uint8]

    def named(self) -> frozenset[int]:
        """The classes drawn."""
        return label_map_classes(self.labels)


def draw(masks: Sequence[Mask], labels: NDArray[np.uint8], radius: int) -> None:
    """A dense mask overrides everything where it says something."""
    for mask in masks:
        np.copyto(labels, mask.labels, where=mask.labels != UNLABELED)


MASKS = HintType(label_map=Mask, dense=True, draw=draw)
