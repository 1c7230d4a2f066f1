"""Split clusters into segments, and one unit vector for each segment [SPML sec. 3.1]."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


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
    if math.prod(sizes) >= 2**63:
        raise ValueError(f"segment keys of sizes {sizes} do not fit into 63 bits")
    combined = torch.zeros_like(keys[0], dtype=torch.int64)
    for key, size in zip(keys, sizes, strict=True):
        combined = combined * size + key
    combined, segment_of_pixel = combined.unique(return_inverse=True)
    columns: list[Tensor] = []
    for size in reversed(sizes):
        columns.insert(0, combined % size)
        combined = combined.div(size, rounding_mode="floor")
    return Split(segment_of_pixel, torch.stack(columns, dim=1))


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
