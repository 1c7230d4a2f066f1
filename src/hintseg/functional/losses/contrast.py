"""The pixel-to-segment contrastive loss, in chunks.

For pixel i in segment s(i), unit embedding v_i, prototypes μ_s, concentration κ ([SPML] eq. 3, [SegSort]):

    P_i = Σ_{s ∈ C⁺, s ≠ s(i)} exp(κ v_i·μ_s)      if such a segment exists, else exp(κ v_i·μ_{s(i)})
    L_i = −log( P_i / (P_i + Σ_{s ∈ C⁻} exp(κ v_i·μ_s)) )

The gradient needs only the two sums and the similarities. A chunk of pixels meets all segments, so that the gradient
of a mean or a sum is formed while its similarities are at hand, and no (pixels × segments) tensor is kept; on a GPU,
kernels do so and keep even a chunk on the chip. Unit vectors bound the similarities: with κ taken off, every
exponential lies in [e^(−2κ), 1], and one exponential a pair serves both sums without a search for the largest.

Differs from the authors' code in testing "does another positive exist" by the sum of the others alone
instead of by the sign of a floating-point difference.
"""

import logging
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

log = logging.getLogger("hintseg")
CHUNK_ELEMENTS = {"cpu": 500_000, "cuda": 4_000_000}  # similarities held at once: what caches hold, few launches
FLOAT32_CONCENTRATION = 32  # e^(−2κ) is a normal float32 up to here
FLOAT64_CONCENTRATION = 350

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
    sharing none repels); classes are told apart up to 2^53. A pixel meets only segments of its own group.

    Args:
        pixel_embeddings: (N, D) float, unit length.
        segment_of_pixel: (N,) int64, row of `prototypes` that the pixel belongs to.
        pixel_labels: (N,) int64 or (N, T) 0/1.
        prototypes: (K, D) float, unit length.
        prototype_labels: (K,) int64 or (K, T) 0/1.
        concentration: κ, inverse temperature, at most 350; above 32 the sums are held in float64.
        pixel_group, prototype_group: (N,) and (K,) int64, or neither.
        reduction: "mean" over pixels, "sum", or "none" for (N,).

    Returns:
        () in float32 at least, or (N,) in the pixels' dtype; 0 with a graph where there is no pixel. Differentiable
        in both embeddings.

    Raises:
        ValueError: shapes that do not belong together, one group without the other, or too large a concentration.
    """
    _check(pixel_embeddings, segment_of_pixel, pixel_labels, prototypes, prototype_labels)
    if (pixel_group is None) != (prototype_group is None):
        raise ValueError("pixel_group and prototype_group must be given together")
    if not 0 <= concentration <= FLOAT64_CONCENTRATION:
        raise ValueError(f"concentration {concentration} must be from 0 to {FLOAT64_CONCENTRATION}")
    if pixel_embeddings.shape[0] == 0 or prototypes.shape[0] == 0:
        zero = pixel_embeddings.sum() * 0 + prototypes.sum() * 0
        if reduction == "none":
            return pixel_embeddings.sum(dim=1) * 0
        return zero.to(torch.promote_types(zero.dtype, torch.float32))
    kernels = _kernels(
        pixel_embeddings.device, pixel_embeddings.dtype, prototypes.dtype, prototypes.shape[1],
        pixel_labels.shape[1] if pixel_labels.ndim == 2 else 0, pixel_group is not None,
    )  # fmt: skip
    small = max(pixel_embeddings.numel(), prototypes.numel()) < 2**31  # they count in int32
    chosen = kernels if kernels is not None and small and concentration <= FLOAT32_CONCENTRATION else _PixelToSegment
    loss: Tensor = chosen.apply(
        pixel_embeddings, prototypes, segment_of_pixel, pixel_labels, prototype_labels, pixel_group, prototype_group,
        float(concentration), reduction,
    )  # fmt: skip
    return loss


@cache
def _kernels(
    device: torch.device, dtype: torch.dtype, prototype_dtype: torch.dtype, dim: int, sets: int, grouped: bool
) -> type[torch.autograd.Function] | None:
    """Those of `kernels/contrast_cuda.py` where they fit and compile, else None.

    They are compiled where they run, which needs a C compiler there, and a Triton that takes them: without, training
    goes on, slower.

    Args:
        sets: classes that labels are sets of; 0 where labels are classes.
    """
    if device.type != "cuda" or torch.promote_types(dtype, prototype_dtype) == torch.float64:
        return None
    if torch.cuda.get_device_capability(device) < (8, 0):
        return None
    try:
        from hintseg.functional.kernels.contrast_cuda import WIDEST, FusedPixelToSegment

        if dim > WIDEST:
            return None
        pixels = torch.ones(1, dim, dtype=dtype, device=device, requires_grad=True)
        prototypes = torch.ones(1, dim, dtype=prototype_dtype, device=device)
        zero = torch.zeros(1, dtype=torch.int64, device=device)
        labels = torch.ones(1, sets, dtype=torch.bool, device=device) if sets else zero
        group = zero if grouped else None
        FusedPixelToSegment.apply(pixels, prototypes, zero, labels, labels, group, group, 1.0, "mean").backward()
    except Exception as problem:  # of an import, a compiler or a driver: none is worth a training
        log.warning("the fused kernels of the contrast do not work here, what does is slower: %s", problem)
        return None
    return FusedPixelToSegment


class _PixelToSegment(torch.autograd.Function):
    """Of a mean or a sum the gradient is formed with the loss, while a chunk's similarities are at hand."""

    @staticmethod
    def forward(
        ctx: Any, pixels: Tensor, prototypes: Tensor, own: Tensor, pixel_labels: Tensor, prototype_labels: Tensor,
        pixel_group: Tensor | None, prototype_group: Tensor | None, concentration: float, reduction: Reduction,
    ) -> Tensor:  # fmt: skip
        common = (pixels, prototypes, own, pixel_labels, prototype_labels, pixel_group, prototype_group)
        ctx.each, ctx.concentration, ctx.types = reduction == "none", concentration, (pixels.dtype, prototypes.dtype)
        ctx.share = 1 / len(pixels) if reduction == "mean" else 1.0
        at_once = any(ctx.needs_input_grad) and not ctx.each
        losses, *gradients = _walk(*common, concentration=concentration, losses_only=not at_once)
        ctx.save_for_backward(*(common if ctx.each else gradients))
        if ctx.each:
            return losses.to(pixels.dtype)
        losses = losses.to(torch.promote_types(pixels.dtype, torch.float32))
        return losses.mean() if reduction == "mean" else losses.sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.each:
            _, *both = _walk(*ctx.saved_tensors, concentration=ctx.concentration, gradient=gradients[0])
        else:
            both = [held * (gradients[0] * ctx.share) for held in ctx.saved_tensors]
        found = (held.to(dtype) for held, dtype in zip(both, ctx.types, strict=True))
        return (*found, None, None, None, None, None, None, None)


def _walk(
    pixels: Tensor, prototypes: Tensor, own: Tensor, pixel_labels: Tensor, prototype_labels: Tensor,
    pixel_group: Tensor | None, prototype_group: Tensor | None, *, concentration: float, gradient: Tensor | None = None,
    losses_only: bool = False,
) -> list[Tensor]:  # fmt: skip
    """(N,) losses and, unless they are all that is asked for, (N, D) and (K, D) gradients of their sum.

    Args:
        gradient: (N,) with which each loss is weighted in that sum; None for ones.
    """
    # Half precision holds the similarities but not their exponentials' sums, and float32 no e^(−2κ) of large κ.
    wide = torch.promote_types(pixels.dtype, torch.float32 if concentration <= FLOAT32_CONCENTRATION else torch.float64)
    keys, own = prototypes.to(wide) * concentration, own[:, None]
    losses = keys.new_empty(len(pixels))
    if not losses_only:
        pixel_gradient, prototype_gradient = keys.new_empty(pixels.shape), torch.zeros_like(keys.T)
    with torch.autocast(pixels.device.type, enabled=False):
        for rows in _chunks(pixels, keys):
            queries = pixels[rows].to(wide)
            weight = (queries @ keys.T).sub_(concentration).exp_()  # κ taken off: none overflows
            own_weight = weight.gather(1, own[rows])
            if pixel_group is not None and prototype_group is not None:
                weight.mul_(_same(pixel_group[rows], prototype_group, wide))
            attracting = _same(pixel_labels[rows], prototype_labels, wide).mul_(weight)
            repelling = weight.sub_(attracting)
            positive = attracting.scatter_(1, own[rows], 0).sum(dim=1, keepdim=True)
            lonely = own_weight.mul_(positive == 0)  # weights are never 0: this counts the other positives
            positive.add_(lonely)
            ratio = repelling.sum(dim=1, keepdim=True).div_(positive)
            losses[rows] = ratio.log1p()[:, 0]
            if losses_only:
                continue
            # dL/dw = 1 / (P + N) where s repels, −N / P times it where it attracts; dw/d(v·μ) = κ w.
            push = 1 / (positive * (1 + ratio))
            if gradient is not None:
                push.mul_(gradient[rows, None])
            attracting.scatter_(1, own[rows], lonely)
            slope = repelling.addcmul_(attracting, ratio, value=-1)
            torch.mul(slope @ keys, push, out=pixel_gradient[rows])
            prototype_gradient += (queries * push).T @ slope
    return [losses] if losses_only else [losses, pixel_gradient, prototype_gradient.T * concentration]


def _same(pixel_labels: Tensor, prototype_labels: Tensor, dtype: torch.dtype) -> Tensor:
    """(n, K) of 1 where labels are equal or share one, else 0, in the type of what it is multiplied with.

    On a CPU a product with bools takes longer than the matrix products, and int64 compare at half the speed of float64.
    """
    if pixel_labels.ndim == 1 and pixel_labels.device.type == "cpu":
        same = torch.empty(len(pixel_labels), len(prototype_labels), dtype=dtype)
        return torch.eq(pixel_labels[:, None].double(), prototype_labels.double(), out=same)
    if pixel_labels.ndim == 1:
        return (pixel_labels[:, None] == prototype_labels).to(dtype)
    # Matrix products of 0/1 count shared labels; float32 counts exactly up to 2^24.
    return (pixel_labels.to(dtype) @ prototype_labels.to(dtype).T).gt_(0.5)


def _chunks(pixels: Tensor, keys: Tensor) -> list[slice]:
    elements = CHUNK_ELEMENTS.get(pixels.device.type, CHUNK_ELEMENTS["cuda"])
    size = max(elements // max(len(keys), 1), 1)
    return [slice(start, start + size) for start in range(0, len(pixels), size)]


def _check(pixels: Tensor, own: Tensor, pixel_labels: Tensor, prototypes: Tensor, prototype_labels: Tensor) -> None:
    if pixels.ndim != 2 or prototypes.ndim != 2 or pixels.shape[1] != prototypes.shape[1]:
        raise ValueError(
            f"pixels {tuple(pixels.shape)} and prototypes {tuple(prototypes.shape)} must be (N, D), (K, D)"
        )
    if own.shape != pixels.shape[:1] or pixel_labels.shape[:1] != pixels.shape[:1]:
        raise ValueError(f"segment ids and labels must have {pixels.shape[0]} rows")
    if prototype_labels.shape[:1] != prototypes.shape[:1] or prototype_labels.ndim != pixel_labels.ndim:
        raise ValueError(f"prototype labels {tuple(prototype_labels.shape)} do not fit pixel labels")
