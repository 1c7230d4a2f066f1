"""The pixel-to-segment contrastive loss, in log-space and in chunks.

For pixel i in segment s(i), unit embedding v_i, prototypes μ_s, concentration κ ([SPML] eq. 3, [SegSort]):

    P_i = Σ_{s ∈ C⁺, s ≠ s(i)} exp(κ v_i·μ_s)      if such a segment exists, else exp(κ v_i·μ_{s(i)})
    L_i = −log( P_i / (P_i + Σ_{s ∈ C⁻} exp(κ v_i·μ_s)) )

With p = log P_i and n = log Σ_{C⁻}, L_i = softplus(n − p), whose gradient needs only p, n and the
similarities again: they are recomputed chunk by chunk, so no (pixels × segments) tensor is kept.

Differs from the authors' code in testing "does another positive exist" by counting instead of by the sign
of a floating-point difference.
"""

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_ELEMENTS = 4_000_000  # similarities held at once

Reduction = Literal["mean", "sum", "none"]


def pixel_to_segment_loss(
    pixel_embeddings: Tensor,
    segment_of_pixel: Tensor,
    pixel_labels: Tensor,
    prototypes: Tensor,
    prototype_labels: Tensor,
    concentration: float,
    *,
    pixel_group: Tensor | None = None,
    prototype_group: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Attract each pixel to segments of its label, repel it from all others.

    Labels are int64 classes (equal attracts, different repels) or multi-hot sets (sharing one attracts,
    sharing none repels). A pixel meets only segments of its own group.

    Args:
        pixel_embeddings: (N, D) float, unit length.
        segment_of_pixel: (N,) int64, row of `prototypes` that the pixel belongs to.
        pixel_labels: (N,) int64 or (N, T) 0/1.
        prototypes: (K, D) float, unit length.
        prototype_labels: (K,) int64 or (K, T) 0/1.
        concentration: κ, inverse temperature.
        pixel_group, prototype_group: (N,) and (K,) int64, or neither.
        reduction: "mean" over pixels, "sum", or "none" for (N,).

    Returns:
        () or (N,); 0 with a graph where there is no pixel. Differentiable in both embeddings.

    Raises:
        ValueError: shapes that do not belong together, or one group without the other.
    """
    _check(pixel_embeddings, segment_of_pixel, pixel_labels, prototypes, prototype_labels)
    if (pixel_group is None) != (prototype_group is None):
        raise ValueError("pixel_group and prototype_group must be given together")
    if pixel_embeddings.shape[0] == 0 or prototypes.shape[0] == 0:
        zero = pixel_embeddings.sum() * 0 + prototypes.sum() * 0
        return pixel_embeddings.sum(dim=1) * 0 if reduction == "none" else zero
    losses: Tensor = _PixelToSegment.apply(
        pixel_embeddings,
        prototypes,
        segment_of_pixel,
        pixel_labels,
        prototype_labels,
        pixel_group,
        prototype_group,
        float(concentration),
    )
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


class _PixelToSegment(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        pixels: Tensor,
        prototypes: Tensor,
        own: Tensor,
        pixel_labels: Tensor,
        prototype_labels: Tensor,
        pixel_group: Tensor | None,
        prototype_group: Tensor | None,
        concentration: float,
    ) -> Tensor:
        # Half precision holds the similarities but not their exponentials' sums: a float32 island.
        accumulate = torch.promote_types(pixels.dtype, torch.float32)
        with torch.autocast(pixels.device.type, enabled=False):
            log_positive = pixels.new_empty(pixels.shape[0], dtype=accumulate)
            log_negative = torch.empty_like(log_positive)
            wide = prototypes.to(accumulate)
            for rows in _chunks(pixels.shape[0], prototypes.shape[0]):
                similarity, positive, negative = _relate(
                    pixels[rows].to(accumulate), wide, own[rows], pixel_labels[rows], prototype_labels,
                    None if pixel_group is None else pixel_group[rows], prototype_group, concentration,
                )  # fmt: skip
                log_positive[rows] = similarity.masked_fill(~positive, -math.inf).logsumexp(dim=1)
                log_negative[rows] = similarity.masked_fill_(~negative, -math.inf).logsumexp(dim=1)
        ctx.save_for_backward(
            pixels, prototypes, own, pixel_labels, prototype_labels, pixel_group, prototype_group, log_positive,
            log_negative,
        )  # fmt: skip
        ctx.concentration = concentration
        return F.softplus(log_negative - log_positive).to(pixels.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (pixels, prototypes, own, pixel_labels, prototype_labels, pixel_group, prototype_group, log_positive,
         log_negative) = ctx.saved_tensors  # fmt: skip
        accumulate = log_positive.dtype
        wide = prototypes.to(accumulate)
        pixel_gradient = torch.empty_like(pixels)
        prototype_gradient = torch.zeros_like(wide)
        with torch.autocast(pixels.device.type, enabled=False):
            # dL/dn = −dL/dp = sigmoid(n − p)
            strength = torch.sigmoid(log_negative - log_positive) * gradients[0].to(accumulate) * ctx.concentration
            for rows in _chunks(pixels.shape[0], prototypes.shape[0]):
                chunk = pixels[rows].to(accumulate)
                similarity, positive, negative = _relate(
                    chunk, wide, own[rows], pixel_labels[rows], prototype_labels,
                    None if pixel_group is None else pixel_group[rows], prototype_group, ctx.concentration,
                )  # fmt: skip
                pull = (similarity - log_positive[rows, None]).exp_().mul_(positive)
                # Where there is no negative, log_negative is −inf and nothing is selected below.
                floor = log_negative[rows, None].clamp_min(torch.finfo(accumulate).min)
                push = similarity.sub_(floor).masked_fill_(~negative, -math.inf).exp_()
                slope = push.sub_(pull).mul_(strength[rows, None])
                pixel_gradient[rows] = (slope @ wide).to(pixels.dtype)
                prototype_gradient += slope.T @ chunk
        return (pixel_gradient, prototype_gradient.to(prototypes.dtype), None, None, None, None, None, None)


def _relate(
    pixels: Tensor,
    prototypes: Tensor,
    own: Tensor,
    pixel_labels: Tensor,
    prototype_labels: Tensor,
    pixel_group: Tensor | None,
    prototype_group: Tensor | None,
    concentration: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Scaled similarities (n, K) and who is positive and negative for whom, (n, K) bool."""
    similarity = (pixels @ prototypes.T).mul_(concentration)
    if pixel_labels.ndim == 1:
        same = pixel_labels[:, None] == prototype_labels[None, :]
    else:
        # Matrix products of 0/1 count shared labels; float32 counts exactly up to 2^24.
        same = (pixel_labels.to(torch.float32) @ prototype_labels.to(torch.float32).T) > 0.5
    if pixel_group is not None and prototype_group is not None:
        together = pixel_group[:, None] == prototype_group[None, :]
        negative = ~same & together
        same = same & together
    else:
        negative = ~same
    same.scatter_(1, own[:, None], False)
    alone = ~same.any(dim=1)
    # With no other positive, the own segment is the positive.
    same.scatter_(1, own[:, None], alone[:, None])
    return similarity, same, negative


def _chunks(rows: int, columns: int) -> list[slice]:
    size = max(CHUNK_ELEMENTS // max(columns, 1), 1)
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def _check(pixels: Tensor, own: Tensor, pixel_labels: Tensor, prototypes: Tensor, prototype_labels: Tensor) -> None:
    if pixels.ndim != 2 or prototypes.ndim != 2 or pixels.shape[1] != prototypes.shape[1]:
        raise ValueError(
            f"pixels {tuple(pixels.shape)} and prototypes {tuple(prototypes.shape)} must be (N, D), (K, D)"
        )
    if own.shape != pixels.shape[:1] or pixel_labels.shape[:1] != pixels.shape[:1]:
        raise ValueError(f"segment ids and labels must have {pixels.shape[0]} rows")
    if prototype_labels.shape[:1] != prototypes.shape[:1] or prototype_labels.ndim != pixel_labels.ndim:
        raise ValueError(f"prototype labels {tuple(prototype_labels.shape)} do not fit pixel labels")
