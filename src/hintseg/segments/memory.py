"""SegmentMemory: segments of the last batches, without gradient [SPML sec. 3.2]."""

from typing import NamedTuple

import torch
from torch import Tensor

from hintseg.segments.batch import SegmentedBatch


class RememberedSegments(NamedTuple):
    """Segments of past batches.

    Attributes:
        prototypes: (M, D) unit, no gradient.
        labels: (M,) int64.
        tags: (M, T) bool, of the segment's image.
    """

    prototypes: Tensor
    labels: Tensor
    tags: Tensor


class SegmentMemory:
    """First in, first out; `batches` = 0 remembers nothing."""

    def __init__(self, batches: int) -> None:
        self.batches = batches
        self._queue: list[RememberedSegments] = []

    def segments(self) -> RememberedSegments | None:
        """Everything remembered, oldest first, or None."""
        if not self._queue:
            return None
        columns = zip(*self._queue, strict=True)
        return RememberedSegments(*(torch.cat(column) for column in columns))

    def push(self, batch: SegmentedBatch) -> None:
        """Remember a batch and forget the oldest beyond `batches`."""
        if self.batches == 0:
            return
        self._queue.append(
            RememberedSegments(
                batch.prototypes.detach(), batch.label_of_segment, batch.tags_of_image[batch.image_of_segment]
            )
        )
        del self._queue[: -self.batches]

    def state(self) -> list[tuple[Tensor, Tensor, Tensor]]:
        """For a checkpoint."""
        return [(entry.prototypes, entry.labels, entry.tags) for entry in self._queue]

    def load_state(self, state: list[tuple[Tensor, Tensor, Tensor]]) -> None:
        """From a checkpoint."""
        self._queue = [RememberedSegments(*entry) for entry in state]
