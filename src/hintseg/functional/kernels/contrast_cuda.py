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

from hintseg.functional.kernels.contrast import gradients_kernel, sums_kernel

WIDEST = 128  # dimensions of an embedding that fit on the chip beside a block
PROGRAMS = 512  # of the segments' gradient: enough to fill a GPU
WORD = 31  # bits of a set held in one int32, the sign left alone


class FusedPixelToSegment(torch.autograd.Function):
    """As `_PixelToSegment` of `losses/contrast.py`, reduced, for float32 and half precision, κ up to 32.

    Of a mean or a sum the gradient is computed at once, while the host is still busy elsewhere; later it is scaled.
    """

    @staticmethod
    def forward(
        ctx: Any, pixels: Tensor, prototypes: Tensor, own: Tensor, pixel_labels: Tensor, prototype_labels: Tensor,
        pixel_group: Tensor | None, prototype_group: Tensor | None, concentration: float, reduction: str,
    ) -> Tensor:  # fmt: skip
        groups = (own, own)  # read where there are groups only
        if grouped := pixel_group is not None and prototype_group is not None:
            groups = (pixel_group.contiguous(), prototype_group.contiguous())
        words = (_words(pixel_labels), _words(prototype_labels))
        options = _options(pixels, prototypes, words[0], grouped)
        common = [pixels.contiguous(), prototypes.contiguous(), own.contiguous(), *words, *groups]
        sizes = (concentration * math.log2(math.e), len(pixels), len(prototypes))
        losses, rates = _losses(common, sizes, options)
        ctx.each, ctx.sizes, ctx.options = reduction == "none", sizes, options
        ctx.types = (pixels.dtype, prototypes.dtype)
        if ctx.each:
            ctx.save_for_backward(*common, rates)
            return losses.to(pixels.dtype)
        ctx.share = 1 / len(pixels) if reduction == "mean" else 1.0
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(_gradients(common, rates, None, sizes, options))
        return losses.mean() if reduction == "mean" else losses.sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.each:
            *common, rates = ctx.saved_tensors
            both = _gradients(common, rates, gradients[0].contiguous(), ctx.sizes, ctx.options)
        else:
            both = ctx.saved_tensors[0] * (gradients[0] * ctx.share)
        count = ctx.sizes[1]
        found = (both[:count].to(ctx.types[0]), both[count:].to(ctx.types[1]))
        return (*found, None, None, None, None, None, None, None)


def _losses(common: list[Tensor], sizes: tuple[float, int, int], options: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """(N,) losses and (3, N) what their gradient needs."""
    pixels, *_, pixel_group, prototype_group = common
    losses, rates = (pixels.new_empty(size, dtype=torch.float32) for size in (len(pixels), (3, len(pixels))))
    tile = _tile(options, gradients=False)
    spans = losses
    if options["GROUPED"]:
        spans = _spans(pixel_group, prototype_group, tile["ROWS"], tile["COLUMNS"])
    with _on_device_of(pixels):
        sums_kernel[(_blocks(pixels, tile["ROWS"]),)](*common, spans, losses, rates, *sizes, **options, **tile)
    return losses, rates


def _gradients(
    common: list[Tensor], rates: Tensor, gradient: Tensor | None, sizes: tuple[float, int, int], options: dict[str, Any]
) -> Tensor:
    """(N + K, D) gradients of pixels and prototypes of the losses' sum; with `gradient` (N,), weighted by it."""
    pixels, prototypes, *_, pixel_group, prototype_group = common
    tile = _tile(options, gradients=True)
    rows, columns = _blocks(pixels, tile["ROWS"]), _blocks(prototypes, tile["COLUMNS"])
    shares = max(min(PROGRAMS // columns, rows), 1)
    spans = [rates, rates]
    if options["GROUPED"]:
        spans = [
            _spans(pixel_group, prototype_group, tile["ROWS"], tile["COLUMNS"]),
            _spans(prototype_group, pixel_group, tile["COLUMNS"], tile["ROWS"]),
        ]
    held = torch.bfloat16 if options["PARTS"] == 1 else torch.float32  # float16 would not hold what is scaled later
    both = pixels.new_empty((len(pixels) + len(prototypes), pixels.shape[1]), dtype=held)
    totals = pixels.new_empty((shares, *prototypes.shape), dtype=torch.float32)
    with _on_device_of(pixels):
        gradients_kernel[(rows + columns * shares,)](
            *common, *spans, rates, rates if gradient is None else gradient, both, totals, *sizes,
            shares, rows, columns, EACH=gradient is not None, **options, **tile,
        )  # fmt: skip
    if held == totals.dtype:
        torch.sum(totals, dim=0, out=both[len(pixels) :])
    else:
        both[len(pixels) :] = totals.sum(dim=0)
    return both


def _blocks(vectors: Tensor, size: int) -> int:
    """How many blocks cover them; `triton.cdiv` takes six microseconds for it."""
    return -(-len(vectors) // size)


def _on_device_of(tensor: Tensor) -> AbstractContextManager[Any]:
    """Where kernels start is not where their arguments lie."""
    if not tensor.is_cuda or tensor.device.index == torch.cuda.current_device():
        return nullcontext()
    return torch.cuda.device_of(tensor)


def _words(labels: Tensor) -> Tensor:
    """(n,) classes → as they are; (n, T) sets → (n, ⌈T / 31⌉) int32 words with a bit a class."""
    if labels.ndim == 1:
        return labels.contiguous()
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


def _options(pixels: Tensor, prototypes: Tensor, words: Tensor, grouped: bool) -> dict[str, Any]:
    dim = pixels.shape[1]
    coarse = torch.promote_types(pixels.dtype, prototypes.dtype) == torch.bfloat16
    return {
        "DIM": dim,
        "DEPTH": max(triton.next_power_of_2(dim), 16),
        "WORDS": words.shape[1] if words.ndim == 2 else 1,
        "SETS": words.ndim == 2,
        "GROUPED": grouped,
        "PARTS": 1 if coarse else 2,
        "INTERPRETED": not pixels.is_cuda,
    }


def _tile(options: dict[str, Any], gradients: bool) -> dict[str, int]:
    """Fast blocks, measured on an H200, that fit every GPU of these generations."""
    wide = options["DEPTH"] > 64
    if not gradients:
        return {"ROWS": 64, "COLUMNS": 32 if wide else 64, "num_warps": 4, "num_stages": 3}
    if wide:
        rows, columns = 64, 64
    else:
        rows, columns = (64, 128) if options["PARTS"] == 1 else (128, 64)
    return {"ROWS": rows, "COLUMNS": columns, "num_warps": 4, "num_stages": 2}
