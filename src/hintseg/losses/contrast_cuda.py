"""The pixel-to-segment loss in three kernels: no similarity leaves the chip.

The same sums as in `losses/contrast.py`, a block of pixels against a block of segments at a time. The gradient of the
segments is added up from shares of the pixels in a fixed order, so that a seed gives the same result.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

WIDEST = 128  # dimensions of an embedding that fit on the chip beside a block
PROGRAMS = 512  # enough to fill a GPU
SIZES = ["num_rows", "num_columns", "span"]  # not worth a kernel each
WORD = 63  # bits of a set held in one int64, the sign left alone


class FusedPixelToSegment(torch.autograd.Function):
    """As `_PixelToSegment` of `losses/contrast.py`, for float32 and half precision, κ up to 32."""

    @staticmethod
    def forward(
        ctx: Any, pixels: Tensor, prototypes: Tensor, own: Tensor, pixel_labels: Tensor, prototype_labels: Tensor,
        pixel_group: Tensor | None, prototype_group: Tensor | None, concentration: float,
    ) -> Tensor:  # fmt: skip
        sets = pixel_labels.ndim == 2
        pixel_words, prototype_words = _words(pixel_labels), _words(prototype_labels)
        grouped = pixel_group is not None and prototype_group is not None
        groups = (pixel_group, prototype_group) if grouped else (own, own)  # read where there are groups only
        parts = (pixels, prototypes, own, pixel_words, prototype_words, *groups)
        common = [part.contiguous() for part in parts if part is not None]
        capability = torch.cuda.get_device_capability(pixels.device) if pixels.is_cuda else (8, 0)
        options = _options(pixels, prototypes, pixel_words.shape[1], sets, grouped, capability)
        sums = pixels.new_empty((2, pixels.shape[0]), dtype=torch.float32)
        alone = torch.empty(pixels.shape[0], dtype=torch.int8, device=pixels.device)
        with torch.cuda.device_of(pixels):  # where kernels start is not where arguments lie
            _sums[(triton.cdiv(pixels.shape[0], options["ROWS"]),)](
                *common, sums[0], sums[1], alone, concentration, pixels.shape[0], prototypes.shape[0], **options
            )
        ctx.save_for_backward(*common, sums, alone)
        ctx.concentration, ctx.options = concentration, options
        return torch.log1p(sums[1] / sums[0]).to(pixels.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *common, sums, alone = ctx.saved_tensors
        pixels, prototypes = common[:2]
        (num_pixels, _), (num_prototypes, _) = pixels.shape, prototypes.shape
        options, (positive, negative) = ctx.options, sums
        # dL/dw = 1 / (P + N) where s repels, −N / (P (P + N)) where it attracts; dw/d(v·μ) = κ w.
        push = gradients[0].float() * ctx.concentration / (positive + negative)
        common += [push, push * (negative / positive), alone]
        sizes = (ctx.concentration, num_pixels, num_prototypes)
        rows, columns = triton.cdiv(num_pixels, options["ROWS"]), triton.cdiv(num_prototypes, options["COLUMNS"])
        pixel_gradient = torch.empty_like(pixels)
        _pixel_gradient[(rows,)](*common, pixel_gradient, *sizes, **options)
        shares = max(min(PROGRAMS // columns, rows), 1)
        parts = pixels.new_empty((shares, *prototypes.shape), dtype=torch.float32)
        span = triton.cdiv(rows, shares) * options["ROWS"]
        _prototype_gradient[(columns, shares)](*common, parts, *sizes, span, **options)
        return (pixel_gradient, parts.sum(dim=0).to(prototypes.dtype), None, None, None, None, None, None)


def _words(labels: Tensor) -> Tensor:
    """(n,) classes → (n, 1); (n, T) sets → (n, ⌈T / 63⌉) words with a bit a class."""
    if labels.ndim == 1:
        return labels.long()[:, None].contiguous()
    pieces = [part.long() << torch.arange(part.shape[1], device=labels.device) for part in labels.split(WORD, dim=1)]
    return torch.stack([piece.sum(dim=1) for piece in pieces], dim=1)


def _options(
    pixels: Tensor, prototypes: Tensor, words: int, sets: bool, grouped: bool, capability: tuple[int, int]
) -> dict[str, Any]:
    dim = pixels.shape[1]
    half = torch.promote_types(pixels.dtype, prototypes.dtype) != torch.float32
    return {
        "DIM": dim,
        "DEPTH": max(triton.next_power_of_2(dim), 16),
        "WORDS": words,
        "SETS": sets,
        "GROUPED": grouped,
        # Tensor cores' tf32 holds half precision exactly; float32 takes three products of them.
        "PRECISION": "tf32" if half else "tf32x3",
        # As many as registers hold, by what the compiler reports.
        "ROWS": 64 if capability >= (9, 0) and dim <= 64 else 32,
        "COLUMNS": 32,
        "num_warps": 4,
        "num_stages": 2,
    }


@triton.jit
def _vectors(source, at, count, DIM: tl.constexpr, DEPTH: tl.constexpr):
    """(n, DEPTH) float32: rows `at` of (count, DIM), 0 beyond."""
    depth = tl.arange(0, DEPTH)
    where = at.to(tl.int64)[:, None] * DIM + depth[None, :]
    return tl.load(source + where, mask=(at < count)[:, None] & (depth < DIM)[None, :], other=0.0).to(tl.float32)


@triton.jit
def _pairs(
    vectors, keys, rows, columns, own, row_labels, column_labels, row_groups, column_groups, concentration,
    num_rows, num_columns, WORDS: tl.constexpr, SETS: tl.constexpr, GROUPED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Weights exp(κ (v·μ − 1)) of a block, and where segments attract, repel and are a pixel's own."""
    weight = tl.exp(concentration * (tl.dot(vectors, tl.trans(keys), input_precision=PRECISION) - 1.0))
    mine = tl.load(own + rows, mask=rows < num_rows, other=-1)[:, None] == columns[None, :]
    same = mine & False
    for word in tl.static_range(WORDS):
        left = tl.load(row_labels + rows * WORDS + word, mask=rows < num_rows, other=0)
        right = tl.load(column_labels + columns * WORDS + word, mask=columns < num_columns, other=0)
        shared = left[:, None] & right[None, :] if SETS else left[:, None] == right[None, :]
        same = same | (shared != 0)
    met = (columns < num_columns)[None, :] & (rows < num_rows)[:, None]
    if GROUPED:
        left = tl.load(row_groups + rows, mask=rows < num_rows, other=0)
        right = tl.load(column_groups + columns, mask=columns < num_columns, other=0)
        met = met & (left[:, None] == right[None, :])
    return weight, met & same & (mine == 0), met & (same == 0), mine


@triton.jit(do_not_specialize=SIZES)
def _sums(
    pixels, prototypes, own, row_labels, column_labels, row_groups, column_groups, positive, negative, alone,
    concentration, num_rows, num_columns,
    DIM: tl.constexpr, DEPTH: tl.constexpr, WORDS: tl.constexpr, SETS: tl.constexpr, GROUPED: tl.constexpr,
    PRECISION: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """P, N and whether no other segment attracts, for a block of pixels."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    vectors = _vectors(pixels, rows, num_rows, DIM, DEPTH)
    attracting = tl.zeros((ROWS,), dtype=tl.float32)
    repelling = tl.zeros((ROWS,), dtype=tl.float32)
    itself = tl.zeros((ROWS,), dtype=tl.float32)
    for start in range(0, num_columns, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        keys = _vectors(prototypes, columns, num_columns, DIM, DEPTH)
        weight, attract, repel, mine = _pairs(
            vectors, keys, rows, columns, own, row_labels, column_labels, row_groups, column_groups, concentration,
            num_rows, num_columns, WORDS, SETS, GROUPED, PRECISION,
        )  # fmt: skip
        attracting += tl.sum(tl.where(attract, weight, 0.0), axis=1)
        repelling += tl.sum(tl.where(repel, weight, 0.0), axis=1)
        itself += tl.sum(tl.where(mine, weight, 0.0), axis=1)
    lonely = attracting == 0.0  # weights are never 0: this counts the other positives
    tl.store(positive + rows, tl.where(lonely, itself, attracting), mask=rows < num_rows)
    tl.store(negative + rows, repelling, mask=rows < num_rows)
    tl.store(alone + rows, lonely.to(tl.int8), mask=rows < num_rows)


@triton.jit
def _slopes(
    vectors, keys, rows, columns, own, row_labels, column_labels, row_groups, column_groups, push, pull, alone,
    concentration, num_rows, num_columns,
    WORDS: tl.constexpr, SETS: tl.constexpr, GROUPED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dL / d(v·μ) of a block; 0 beyond the pixels."""
    weight, attract, repel, mine = _pairs(
        vectors, keys, rows, columns, own, row_labels, column_labels, row_groups, column_groups, concentration,
        num_rows, num_columns, WORDS, SETS, GROUPED, PRECISION,
    )  # fmt: skip
    pushes = tl.load(push + rows, mask=rows < num_rows, other=0.0)
    pulls = tl.load(pull + rows, mask=rows < num_rows, other=0.0)
    lonely = tl.load(alone + rows, mask=rows < num_rows, other=0) != 0
    attract = attract | (mine & lonely[:, None])
    return tl.where(repel, weight * pushes[:, None], 0.0) - tl.where(attract, weight * pulls[:, None], 0.0)


@triton.jit(do_not_specialize=SIZES)
def _pixel_gradient(
    pixels, prototypes, own, row_labels, column_labels, row_groups, column_groups, push, pull, alone, gradient,
    concentration, num_rows, num_columns,
    DIM: tl.constexpr, DEPTH: tl.constexpr, WORDS: tl.constexpr, SETS: tl.constexpr, GROUPED: tl.constexpr,
    PRECISION: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Σ_s slope μ_s of a block of pixels."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    vectors = _vectors(pixels, rows, num_rows, DIM, DEPTH)
    total = tl.zeros((ROWS, DEPTH), dtype=tl.float32)
    for start in range(0, num_columns, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        keys = _vectors(prototypes, columns, num_columns, DIM, DEPTH)
        slope = _slopes(
            vectors, keys, rows, columns, own, row_labels, column_labels, row_groups, column_groups, push, pull, alone,
            concentration, num_rows, num_columns, WORDS, SETS, GROUPED, PRECISION,
        )  # fmt: skip
        total += tl.dot(slope, keys, input_precision=PRECISION)
    depth = tl.arange(0, DEPTH)
    where = rows.to(tl.int64)[:, None] * DIM + depth[None, :]
    inside = (rows < num_rows)[:, None] & (depth < DIM)[None, :]
    tl.store(gradient + where, total.to(gradient.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=SIZES)
def _prototype_gradient(
    pixels, prototypes, own, row_labels, column_labels, row_groups, column_groups, push, pull, alone, parts,
    concentration, num_rows, num_columns, span,
    DIM: tl.constexpr, DEPTH: tl.constexpr, WORDS: tl.constexpr, SETS: tl.constexpr, GROUPED: tl.constexpr,
    PRECISION: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Σ_i slope v_i of a block of segments, over the pixels of one share."""
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    keys = _vectors(prototypes, columns, num_columns, DIM, DEPTH)
    total = tl.zeros((COLUMNS, DEPTH), dtype=tl.float32)
    first = tl.program_id(1) * span
    for start in range(first, tl.minimum(first + span, num_rows), ROWS):
        rows = start + tl.arange(0, ROWS)
        vectors = _vectors(pixels, rows, num_rows, DIM, DEPTH)
        slope = _slopes(
            vectors, keys, rows, columns, own, row_labels, column_labels, row_groups, column_groups, push, pull, alone,
            concentration, num_rows, num_columns, WORDS, SETS, GROUPED, PRECISION,
        )  # fmt: skip
        total += tl.dot(tl.trans(slope), vectors, input_precision=PRECISION)
    depth = tl.arange(0, DEPTH)
    where = (tl.program_id(1).to(tl.int64) * num_columns + columns)[:, None] * DIM + depth[None, :]
    tl.store(parts + where, total, mask=(columns < num_columns)[:, None] & (depth < DIM)[None, :])
