"""MemoryBank: segments of the last batches, without gradient [SPML sec. 3.2]."""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from hintseg.functional.segments.batch import SegmentedBatch


class RememberedSegments(NamedTuple):
    """Segments of past batches.

    Attributes:
        prototypes: (M, D) unit, no gradient.
        labels: (M,) int64.
        tags: (M, T) bool, of the segment's image.
        labeled, tagged: int64 rows of those that have a label, a tag.
    """

    prototypes: Tensor
    labels: Tensor
    tags: Tensor
    labeled: Tensor
    tagged: Tensor


class MemoryBank:
    """First in, first out; `batches` = 0 remembers nothing."""

    def __init__(self, batches: int) -> None:
        self.batches = batches
        self._queue: list[RememberedSegments] = []
        self._together: RememberedSegments | None = None

    def segments(self) -> RememberedSegments | None:
        """Everything remembered, oldest first, or None."""
        if self._together is not None or not self._queue:
            return self._together
        starts = itertools.accumulate((len(entry.labels) for entry in self._queue), initial=0)
        shifted = [
            entry._replace(labeled=entry.labeled + start, tagged=entry.tagged + start)
            for entry, start in zip(self._queue, starts, strict=False)
        ]
        self._together = RememberedSegments(*(torch.cat(column) for column in zip(*shifted, strict=True)))
        return self._together

    def push(self, batch: SegmentedBatch) -> None:
        """Remember a batch and forget the oldest beyond `batches`."""
        if self.batches == 0:
            return
        tags = batch.tags_of_image[batch.image_of_segment]
        self._queue.append(
            RememberedSegments(
                batch.prototypes.detach(), batch.label_of_segment, tags, batch.labeled_segments, batch.tagged_segments
            )
        )
        del self._queue[: -self.batches]
        self._together = None

    def state(self) -> list[tuple[Tensor, ...]]:
        """For a checkpoint."""
        return [tuple(entry) for entry in self._queue]

    def load_state(self, state: list[tuple[Tensor, ...]], device: torch.device | None = None) -> None:
        """From a checkpoint, onto a device; None: where it is."""
        self._queue = [RememberedSegments(*(tensor.to(device) for tensor in entry)) for entry in state]
        self._together = None
