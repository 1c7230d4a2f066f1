"""The pixel-to-segment loss in two kernels: no similarity leaves the chip.

The same sums as in `losses/contrast.py`. The gradient of the segments is added up from shares of the pixels in a fixed
order, so that a seed gives the same result. Blocks whose groups cannot meet are passed over.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import triton
from torch import Tensor

from hintseg.losses.contrast_kernels import gradients_kernel, sums_kernel

WIDEST = 128  # dimensions of an embedding that fit on the chip beside a block
PROGRAMS = 512  # of the segments' gradient: enough to fill a GPU
WORD = 31  # bits of a set held in one int32, the sign left alone


class FusedPixelToSegment(torch.autograd.Function):
    """As `_PixelToSegment` of `losses/contrast.py`, for float32 and half precision, κ up to 32."""

    @staticmethod
    def forward(
        ctx: Any, pixels: Tensor, prototypes: Tensor, own: Tensor, pixel_labels: Tensor, prototype_labels: Tensor,
        pixel_group: Tensor | None, prototype_group: Tensor | None, concentration: float,
    ) -> Tensor:  # fmt: skip
        groups = (own, own)  # read where there are groups only
        if grouped := pixel_group is not None and prototype_group is not None:
            groups = (pixel_group.contiguous(), prototype_group.contiguous())
        words = (_words(pixel_labels), _words(prototype_labels))
        options = _options(pixels, prototypes, words[0].shape[1], pixel_labels.ndim == 2, grouped)
        parts = [*_parts(pixels, options["PARTS"]), *_parts(prototypes, options["PARTS"])]
        common = [*parts, own.contiguous(), *words, *groups]
        losses, rates = (pixels.new_empty(size, dtype=torch.float32) for size in (len(pixels), (3, len(pixels))))
        sizes = (concentration * math.log2(math.e), len(pixels), len(prototypes))
        tile = _tile(options, gradients=False)
        spans = _spans(*groups, tile["ROWS"], tile["COLUMNS"]) if grouped else own
        with _on_device_of(pixels):
            sums_kernel[(triton.cdiv(len(pixels), tile["ROWS"]),)](
                *common, spans, losses, rates, concentration, *sizes, **options, **tile
            )
        ctx.save_for_backward(pixels, prototypes, *common, rates)
        ctx.sizes, ctx.options = sizes, options
        return losses.to(pixels.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        pixels, prototypes, *common, rates = ctx.saved_tensors
        options, (gradient,) = ctx.options, gradients
        tile = _tile(options, gradients=True)
        rows, columns = triton.cdiv(len(pixels), tile["ROWS"]), triton.cdiv(len(prototypes), tile["COLUMNS"])
        shares = max(min(PROGRAMS // columns, rows), 1)
        spans = [rates, rates]
        if options["GROUPED"]:
            pixel_group, prototype_group = common[-2:]
            spans = [
                _spans(pixel_group, prototype_group, tile["ROWS"], tile["COLUMNS"]),
                _spans(prototype_group, pixel_group, tile["COLUMNS"], tile["ROWS"]),
            ]
        pixel_gradient = torch.empty_like(pixels, memory_format=torch.contiguous_format)
        totals = pixels.new_empty((shares, *prototypes.shape), dtype=torch.float32)
        with _on_device_of(pixels):
            gradients_kernel[(rows + columns * shares,)](
                *common, *spans, rates, gradient, pixel_gradient, totals, *ctx.sizes, gradient.stride(0),
                shares, rows, columns, **options, **tile,
            )  # fmt: skip
        return (pixel_gradient, totals.sum(dim=0).to(prototypes.dtype), None, None, None, None, None, None)


def _on_device_of(tensor: Tensor) -> AbstractContextManager[Any]:
    """Where kernels start is not where their arguments lie."""
    if not tensor.is_cuda or tensor.device.index == torch.cuda.current_device():
        return nullcontext()
    return torch.cuda.device_of(tensor)


def _parts(vectors: Tensor, parts: int) -> tuple[Tensor, Tensor]:
    """(n, D) → h and l, bfloat16; with one part l is h and not read."""
    high = vectors.to(torch.bfloat16, memory_format=torch.contiguous_format)
    return high, torch.sub(vectors, high, out=torch.empty_like(high)) if parts == 2 else high


def _words(labels: Tensor) -> Tensor:
    """(n,) classes → (n, 1) as they are; (n, T) sets → (n, ⌈T / 31⌉) int32 words with a bit a class."""
    if labels.ndim == 1:
        return labels.contiguous()[:, None]
    pieces = [part.int() << torch.arange(part.shape[1], device=labels.device) for part in labels.split(WORD, dim=1)]
    return torch.stack([piece.sum(dim=1).int() for piece in pieces], dim=1)


def _spans(groups: Tensor, others: Tensor, block: int, other_block: int) -> Tensor:
    """(blocks, 2) int32: from where to where the `others` lie that blocks of `groups` may meet."""
    (low, high), (other_low, other_high) = _extent(groups, block), _extent(others, other_block)
    meets = (other_low <= high[:, None]) & (other_high >= low[:, None])
    count = meets.shape[1]
    position = torch.arange(count, device=groups.device)
    first = torch.where(meets, position, count).amin(dim=1)
    last = torch.where(meets, position + 1, 0).amax(dim=1)
    return torch.stack([first, last], dim=1).mul_(other_block).int()


def _extent(groups: Tensor, block: int) -> tuple[Tensor, Tensor]:
    blocks = torch.cat([groups, groups[-1:].expand(-len(groups) % block)]).view(-1, block)
    return blocks.amin(dim=1), blocks.amax(dim=1)


def _options(pixels: Tensor, prototypes: Tensor, words: int, sets: bool, grouped: bool) -> dict[str, Any]:
    dim = pixels.shape[1]
    coarse = torch.promote_types(pixels.dtype, prototypes.dtype) == torch.bfloat16
    return {
        "DIM": dim,
        "DEPTH": max(triton.next_power_of_2(dim), 16),
        "WORDS": words,
        "SETS": sets,
        "GROUPED": grouped,
        "PARTS": 1 if coarse else 2,
        "INTERPRETED": not pixels.is_cuda,
    }


def _tile(options: dict[str, Any], gradients: bool) -> dict[str, int]:
    """The fastest blocks measured on an H100."""
    if gradients:
        columns, stages = (128, 2) if options["DEPTH"] <= 64 else (64, 2)
    else:
        columns, stages = (32 if options["PARTS"] == 1 or options["DEPTH"] > 64 else 64), 3
    return {"ROWS": 64, "COLUMNS": columns, "num_warps": 4, "num_stages": stages}
