"""Split clusters into segments, and one unit vector for each segment [SPML sec. 3.1]."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

NOBODY = 2**63 - 1


class Split(NamedTuple):
    """A partition of pixels into segments that are homogeneous in every key.

    Attributes:
        segment_of_pixel: (N,) int64, ids 0..K−1.
        keys_of_segment: (K, number of keys) int64.
    """

    segment_of_pixel: Tensor
    keys_of_segment: Tensor


def split_segments(*keys: Tensor) -> Split:
    """Pixels belong to one segment exactly when they agree in every key.

    Args:
        keys: (N,) int64 tensors, non-negative: image, cluster, weak label, superpixel, …

    Raises:
        ValueError: no key, or ids too large to combine in 63 bits.
    """
    if not keys:
        raise ValueError("split_segments needs at least one key")
    if keys[0].numel() == 0:
        return Split(keys[0].long(), keys[0].new_zeros((0, len(keys)), dtype=torch.int64))
    sizes = (torch.stack([key.max() for key in keys]) + 1).tolist()  # together: a GPU is waited for once
    numbered = number_segments(combine(keys, sizes))
    count = int(numbered.segment_of_pixel.max()) + 1
    return Split(numbered.segment_of_pixel, torch.stack(parts(numbered.key_of_segment[:count], sizes), dim=1))


def combine(keys: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """(N,) int64 that are equal exactly where all keys are, and ordered by the first, then the second, …

    Args:
        keys: (N,) int64 each, non-negative.
        sizes: more than the largest of each.

    Raises:
        ValueError: they do not fit into 63 bits.
    """
    if math.prod(sizes) >= 2**63:
        raise ValueError(f"segment keys of sizes {list(sizes)} do not fit into 63 bits")
    combined = torch.zeros_like(keys[0], dtype=torch.int64)
    for key, size in zip(keys, sizes, strict=True):
        combined = combined * size + key
    return combined


def parts(combined: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """The keys that `combine` made one of."""
    columns: list[Tensor] = []
    for size in reversed(sizes):
        columns.insert(0, combined % size)
        combined = torch.div(combined, size, rounding_mode="floor")
    return columns


class Numbered(NamedTuple):
    """Segments whose count stays on the device, so that nobody waits for it.

    Attributes:
        segment_of_pixel: (N,) int64, ids 0..K−1 in the order of keys.
        key_of_segment: (N,) int64; `NOBODY` from K on.
    """

    segment_of_pixel: Tensor
    key_of_segment: Tensor


def number_segments(combined: Tensor) -> Numbered:
    """`torch.unique` with inverse, but for how many there are.

    Args:
        combined: (N,) int64 in [0, `NOBODY`), N ≥ 1.
    """
    ordered, pixel = combined.sort()
    first = torch.ones_like(ordered)
    first[1:] = ordered[1:] != ordered[:-1]
    segment = first.cumsum(0) - 1
    return Numbered(
        torch.empty_like(pixel).scatter_(0, pixel, segment),
        torch.full_like(ordered, NOBODY).scatter_(0, segment, ordered),
    )


def segment_prototypes(embeddings: Tensor, segment_of_pixel: Tensor, num_segments: int) -> Tensor:
    """Normalized sum of each segment's embeddings, with gradient.

    The sum's length carries no information, so means and sums give the same prototype.

    Args:
        embeddings: (N, D), unit length.
        segment_of_pixel: (N,) int64 in [0, num_segments).

    Returns:
        (num_segments, D), unit length; zero for a segment without pixels.

    Raises:
        ValueError: the lengths differ.
    """
    if embeddings.shape[0] != segment_of_pixel.shape[0]:
        raise ValueError(f"{embeddings.shape[0]} embeddings but {segment_of_pixel.shape[0]} segment ids")
    sums = embeddings.new_zeros(num_segments, embeddings.shape[1]).index_add(0, segment_of_pixel, embeddings)
    return F.normalize(sums, dim=1, eps=1e-12)
