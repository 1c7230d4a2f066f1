"""What tags say of a whole image: multiple-instance pooling of pixel scores, and its loss.

Average pooling makes the pixel scores class activation maps [CAM, Zhou et al. 2016]; maximum and
log-sum-exp are [MIL, Pinheiro & Collobert 2015]; global weighted rank pooling is [SEC, Kolesnikov &
Lampert 2016].
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from hintseg.errors import unknown_name
from hintseg.functional.losses.precision import at_least_float32

POOLINGS = ("average", "max", "log_sum_exp", "rank")


def pool(
    scores: Tensor, pooling: str, *, sharpness: float = 5.0, decay: float = 0.996, where: Tensor | None = None
) -> Tensor:
    """Pixel scores → one score an image and class.

    Args:
        scores: (B, C, h, w).
        pooling: "average"; "max"; "log_sum_exp", (1/r) log mean exp(r s); or "rank", Σ d^j s_(j) / Σ d^j over
            scores in decreasing order.
        sharpness: r.
        decay: d on a map of 41 × 41 cells [SEC]; d^(1681 / N) is taken on one of N cells.
        where: (B, h, w) bool, cells that count, N of them; None, or none in an image: all.

    Returns:
        (B, C).

    Raises:
        ConfigError: unknown pooling.
    """
    flat = scores.flatten(2)
    outside = ~_counting(scores, where)
    cells = (~outside).sum(dim=2).to(flat.dtype)
    if pooling == "average":
        return flat.masked_fill(outside, 0).sum(dim=2) / cells
    flat = flat.masked_fill(outside, -torch.inf)
    if pooling == "max":
        return flat.amax(dim=2)
    if pooling == "log_sum_exp":
        return (torch.logsumexp(sharpness * flat, dim=2) - cells.log()) / sharpness
    if pooling != "rank":
        raise unknown_name("pooling", pooling, POOLINGS)
    rank = torch.arange(flat.shape[2], dtype=flat.dtype, device=flat.device)
    weights = torch.exp(math.log(decay) * (1681 / cells[..., None]) * rank) * (rank < cells[..., None])
    ordered = flat.sort(dim=2, descending=True).values.masked_fill(weights == 0, 0)
    return (ordered * weights).sum(dim=2) / weights.sum(dim=2)


def _counting(scores: Tensor, where: Tensor | None) -> Tensor:
    """(B, 1, h·w) bool: cells that count."""
    if where is None:
        return torch.ones_like(scores[:, :1], dtype=torch.bool).flatten(2)
    inside = where.flatten(1)[:, None]
    return inside | ~inside.any(dim=2, keepdim=True)


def tag_loss(
    scores: Tensor, present: Tensor, absent: Tensor, pooling: str = "average", where: Tensor | None = None
) -> Tensor:
    """Mean binary cross-entropy of pooled scores over what is known.

    Args:
        scores: (B, C, h, w) logits.
        present, absent: (B, C) bool; a class that is neither does not count in its image.
        where: (B, h, w) bool, cells that count; None: all.

    Returns:
        (); 0 with a graph where nothing is known.
    """
    pooled = pool(at_least_float32(scores), pooling, where=where)
    known = present | absent
    losses = F.binary_cross_entropy_with_logits(pooled, present.to(pooled.dtype), reduction="none")
    return (losses * known).sum() / known.sum().clamp_min(1)
