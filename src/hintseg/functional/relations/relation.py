"""Relation: exactly the tensors that `losses.contrast.pixel_to_segment_loss` takes.

A relation says who attracts and repels whom; the loss says how strongly.
"""

from typing import NamedTuple

from torch import Tensor


class Relation(NamedTuple):
    """Pixels, segments and labels whose equality (or overlap) means attraction.

    Attributes:
        pixel_embeddings: (N, D).
        segment_of_pixel: (N,) int64.
        pixel_labels: (N,) int64 or (N, T) bool.
        prototypes: (K, D).
        prototype_labels: (K,) int64 or (K, T) bool.
        pixel_group, prototype_group: (N,), (K,) int64 or None.
    """

    pixel_embeddings: Tensor
    segment_of_pixel: Tensor
    pixel_labels: Tensor
    prototypes: Tensor
    prototype_labels: Tensor
    pixel_group: Tensor | None = None
    prototype_group: Tensor | None = None


def spaced(count: int, limit: int) -> slice:
    """Every so many of `count` pixels that at most `limit` are left; 0 keeps all.

    Evenly spaced rows of a row-major image are a regular lattice: no randomness, no clumps.
    """
    return slice(0, count, max(-(-count // limit), 1) if limit > 0 else 1)
