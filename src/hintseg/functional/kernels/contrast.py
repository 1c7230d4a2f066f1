"""Kernels of the pixel-to-segment loss, a block of pixels against a block of segments at a time.

Arguments alike in all kernels: pixels (N, D), prototypes (K, D), own (N,), labels (n, WORDS), groups (n,), spans
(blocks, 2) where GROUPED, scale κ / log 2.
"""

import math

import triton
import triton.language as tl

from hintseg.functional.kernels.tensor_cores import parted, product

SIZES = ["num_rows", "num_columns", "shares", "row_blocks", "column_blocks"]  # not worth a kernel each
LOG_2 = tl.constexpr(math.log(2))


@triton.jit
def _vectors(source, at, count, DIM: tl.constexpr, DEPTH: tl.constexpr):
    """(n, DEPTH): rows `at` of (count, DIM), 0 beyond."""
    depth = tl.arange(0, DEPTH)
    mask = (at < count)[:, None]
    if DIM < DEPTH:
        mask = mask & (depth < DIM)[None, :]
    return tl.load(source + (at * DIM)[:, None] + depth[None, :], mask=mask, other=0.0)


@triton.jit
def _same(
    row_word, column_word, rows, columns, row_labels, column_labels, num_rows, num_columns,
    WORDS: tl.constexpr, SETS: tl.constexpr,
):  # fmt: skip
    """Whether labels are equal or sets share one; rows and columns shaped to broadcast, their first words given."""
    same = ((row_word & column_word) != 0) if SETS else (row_word == column_word)
    for word in tl.static_range(1, WORDS):
        row_word = tl.load(row_labels + rows * WORDS + word, mask=rows < num_rows, other=0)
        column_word = tl.load(column_labels + columns * WORDS + word, mask=columns < num_columns, other=0)
        same = same | ((row_word & column_word) != 0)
    return same


@triton.jit
def _rates(rates, gradient, rows, num_rows, EACH: tl.constexpr):
    """dL / d(v·μ) over w of a pixel's segments that attract, that repel, and of its own; 0 beyond the pixels."""
    inside = rows < num_rows
    weight = tl.load(gradient + rows, mask=inside, other=0.0).to(tl.float32) if EACH else 1.0
    attracted = tl.load(rates + rows, mask=inside, other=0.0)
    repelled = tl.load(rates + num_rows + rows, mask=inside, other=0.0)
    by_itself = tl.load(rates + 2 * num_rows + rows, mask=inside, other=0.0)
    return weight * attracted, weight * repelled, weight * by_itself


@triton.jit
def _integers(source, at, mask, other: tl.constexpr):
    return tl.load(source + at, mask=mask, other=other).to(tl.int32)


@triton.jit
def _taken(
    start, vectors, labels, groups, count,
    DIM: tl.constexpr, DEPTH: tl.constexpr, WORDS: tl.constexpr, GROUPED: tl.constexpr, PARTS: tl.constexpr,
    SIZE: tl.constexpr,
):  # fmt: skip
    """A block of pixels or segments from `start`: their numbers, vectors in parts, first words and groups."""
    at = start + tl.arange(0, SIZE)
    inside = at < count
    high, low = parted(_vectors(vectors, at, count, DIM, DEPTH), PARTS)
    word = _integers(labels, at * WORDS, inside, 0)
    return at, high, low, word, _integers(groups, at, inside, 0) if GROUPED else word


@triton.jit
def _met(spans, block, count, GROUPED: tl.constexpr):
    """From where to where lies what a block may meet."""
    first = 0
    last = count
    if GROUPED:
        first = tl.load(spans + 2 * block)
        last = tl.load(spans + 2 * block + 1)
    return first, last


@triton.jit
def _compared(
    left, left_low, right, right_low, row_word, column_word, row_group, column_group, rows, columns, row_labels,
    column_labels, num_rows, num_columns, scale,
    WORDS: tl.constexpr, SETS: tl.constexpr, GROUPED: tl.constexpr, PARTS: tl.constexpr, INTERPRETED: tl.constexpr,
):  # fmt: skip
    """exp(κ (v·μ − 1)) of left and right, 0 where they do not meet, and whether labels agree.

    What belongs to pixels (rows) and to segments (columns) is shaped to broadcast.
    """
    similarity = tl.zeros((left.shape[0], right.shape[0]), dtype=tl.float32)
    similarity = product(left, left_low, tl.trans(right), tl.trans(right_low), similarity, PARTS, INTERPRETED)
    weight = tl.exp2(similarity * scale + tl.where(columns < num_columns, -scale, float("-inf")))
    if GROUPED:
        weight = tl.where(row_group == column_group, weight, 0.0)
    same = _same(
        row_word, column_word, rows, columns, row_labels, column_labels, num_rows, num_columns, WORDS, SETS
    )  # fmt: skip
    return weight, same


@triton.jit(do_not_specialize=SIZES)
def sums_kernel(
    pixels, prototypes, own, row_labels, column_labels, row_groups, column_groups, spans,
    losses, rates, scale, num_rows, num_columns,
    DIM: tl.constexpr, DEPTH: tl.constexpr, WORDS: tl.constexpr, SETS: tl.constexpr, GROUPED: tl.constexpr,
    PARTS: tl.constexpr, INTERPRETED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """L of a block of pixels, and what its gradient needs: rates (3, N).

    dL/dw = 1 / (P + N) where s repels, −N / (P (P + N)) where it attracts; dw/d(v·μ) = κ w. The own segment attracts
    where no other does, and repels where its label is another.
    """
    block = tl.program_id(0)
    rows, high, low, row_word, row_group = _taken(
        block * ROWS, pixels, row_labels, row_groups, num_rows, DIM, DEPTH, WORDS, GROUPED, PARTS, ROWS
    )  # fmt: skip
    inside = rows < num_rows
    mine = _integers(own, rows, inside, 0)
    attracting = tl.zeros((ROWS,), dtype=tl.float32)
    repelling = tl.zeros((ROWS,), dtype=tl.float32)
    first, last = _met(spans, block, num_columns, GROUPED)
    for start in range(first, last, COLUMNS):
        columns, key, key_low, column_word, column_group = _taken(
            start, prototypes, column_labels, column_groups, num_columns,
            DIM, DEPTH, WORDS, GROUPED, PARTS, COLUMNS,
        )  # fmt: skip
        weight, same = _compared(
            high, low, key, key_low, row_word[:, None], column_word[None, :], row_group[:, None],
            column_group[None, :], rows[:, None], columns[None, :], row_labels, column_labels, num_rows, num_columns,
            scale, WORDS, SETS, GROUPED, PARTS, INTERPRETED,
        )  # fmt: skip
        attracting += tl.sum(tl.where(same & (mine[:, None] != columns[None, :]), weight, 0.0), axis=1)
        repelling += tl.sum(tl.where(same, 0.0, weight), axis=1)
    vector = _vectors(pixels, rows, num_rows, DIM, DEPTH).to(tl.float32)
    mean = _vectors(prototypes, mine, num_columns, DIM, DEPTH).to(tl.float32)
    itself = tl.exp2((tl.sum(vector * mean, axis=1) - 1.0) * scale)
    agrees = _same(
        row_word, _integers(column_labels, mine * WORDS, inside, 0), rows, mine, row_labels, column_labels, num_rows,
        num_columns, WORDS, SETS,
    )  # fmt: skip
    lonely = attracting == 0.0  # weights are never 0: this counts the other positives
    positive = tl.where(lonely, itself, attracting)
    share = repelling / positive
    # log(1 + x) for small x, which float32 would lose in 1 + x
    tl.store(losses + rows, tl.where(share < 1e-4, share - 0.5 * share * share, tl.log(1.0 + share)), mask=inside)
    push = scale * LOG_2 / (positive + repelling)
    pull = push * share
    by_itself = tl.where(agrees, 0.0, push) - tl.where(lonely, pull, 0.0)
    tl.store(rates + rows, -pull, mask=inside)
    tl.store(rates + num_rows + rows, push, mask=inside)
    tl.store(rates + 2 * num_rows + rows, by_itself, mask=inside)


@triton.jit
def _pixel_gradient(
    block, pixels, prototypes, own, row_labels, column_labels, row_groups, column_groups,
    spans, rates, gradient, result, scale, num_rows, num_columns,
    DIM: tl.constexpr, DEPTH: tl.constexpr, WORDS: tl.constexpr, SETS: tl.constexpr, GROUPED: tl.constexpr,
    PARTS: tl.constexpr, INTERPRETED: tl.constexpr, EACH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Σ_s dL/d(v·μ_s) μ_s of a block of pixels."""
    rows, high, low, row_word, row_group = _taken(
        block * ROWS, pixels, row_labels, row_groups, num_rows, DIM, DEPTH, WORDS, GROUPED, PARTS, ROWS
    )  # fmt: skip
    inside = rows < num_rows
    mine = _integers(own, rows, inside, 0)
    attracted, repelled, by_itself = _rates(rates, gradient, rows, num_rows, EACH)
    total = tl.zeros((ROWS, DEPTH), dtype=tl.float32)
    first, last = _met(spans, block, num_columns, GROUPED)
    for start in range(first, last, COLUMNS):
        columns, key, key_low, column_word, column_group = _taken(
            start, prototypes, column_labels, column_groups, num_columns,
            DIM, DEPTH, WORDS, GROUPED, PARTS, COLUMNS,
        )  # fmt: skip
        weight, same = _compared(
            high, low, key, key_low, row_word[:, None], column_word[None, :], row_group[:, None],
            column_group[None, :], rows[:, None], columns[None, :], row_labels, column_labels, num_rows, num_columns,
            scale, WORDS, SETS, GROUPED, PARTS, INTERPRETED,
        )  # fmt: skip
        rate = tl.where(same, attracted[:, None], repelled[:, None])
        slope = weight * tl.where(mine[:, None] == columns[None, :], by_itself[:, None], rate)
        slope_high, slope_low = parted(slope, PARTS)
        total = product(slope_high, slope_low, key, key_low, total, PARTS, INTERPRETED)
    depth = tl.arange(0, DEPTH)
    where = (rows * DIM)[:, None] + depth[None, :]
    tl.store(result + where, total.to(result.dtype.element_ty), mask=inside[:, None] & (depth < DIM)[None, :])


@triton.jit
def _prototype_gradient(
    block, share, pixels, prototypes, own, row_labels, column_labels, row_groups,
    column_groups, spans, rates, gradient, totals, scale, num_rows, num_columns, shares,
    DIM: tl.constexpr, DEPTH: tl.constexpr, WORDS: tl.constexpr, SETS: tl.constexpr, GROUPED: tl.constexpr,
    PARTS: tl.constexpr, INTERPRETED: tl.constexpr, EACH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Σ_i dL_i/d(v_i·μ) v_i of a block of segments, over one share of the pixels that it may meet.

    Segments lie along the first axis.
    """
    columns, key, key_low, column_word, column_group = _taken(
        block * COLUMNS, prototypes, column_labels, column_groups, num_columns,
        DIM, DEPTH, WORDS, GROUPED, PARTS, COLUMNS,
    )  # fmt: skip
    total = tl.zeros((COLUMNS, DEPTH), dtype=tl.float32)
    first, last = _met(spans, block, num_rows, GROUPED)
    span = tl.cdiv(tl.cdiv(tl.maximum(last - first, 0), ROWS), shares) * ROWS
    first += share * span
    last = tl.minimum(first + span, last)
    for start in range(first, last, ROWS):
        rows, high, low, row_word, row_group = _taken(
            start, pixels, row_labels, row_groups, num_rows, DIM, DEPTH, WORDS, GROUPED, PARTS, ROWS
        )  # fmt: skip
        weight, same = _compared(
            key, key_low, high, low, row_word[None, :], column_word[:, None], row_group[None, :],
            column_group[:, None], rows[None, :], columns[:, None], row_labels, column_labels, num_rows, num_columns,
            scale, WORDS, SETS, GROUPED, PARTS, INTERPRETED,
        )  # fmt: skip
        mine = _integers(own, rows, rows < num_rows, 0)
        attracted, repelled, by_itself = _rates(rates, gradient, rows, num_rows, EACH)
        rate = tl.where(same, attracted[None, :], repelled[None, :])
        slope = weight * tl.where(mine[None, :] == columns[:, None], by_itself[None, :], rate)
        slope_high, slope_low = parted(slope, PARTS)
        total = product(slope_high, slope_low, high, low, total, PARTS, INTERPRETED)
    depth = tl.arange(0, DEPTH)
    where = (share.to(tl.int64) * num_columns + columns)[:, None] * DIM + depth[None, :]
    tl.store(totals + where, total, mask=(columns < num_columns)[:, None] & (depth < DIM)[None, :])


@triton.jit(do_not_specialize=SIZES)
def gradients_kernel(
    pixels, prototypes, own, row_labels, column_labels, row_groups, column_groups,
    row_spans, column_spans, rates, gradient, result, totals, scale, num_rows, num_columns, shares, row_blocks,
    column_blocks,
    DIM: tl.constexpr, DEPTH: tl.constexpr, WORDS: tl.constexpr, SETS: tl.constexpr, GROUPED: tl.constexpr,
    PARTS: tl.constexpr, INTERPRETED: tl.constexpr, EACH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Gradients of pixels and of shares of segments, in one launch: small problems are all launches.

    Of the sum over pixels, or, with EACH, of pixels weighted by `gradient` (N,).
    """
    block = tl.program_id(0)
    if block < row_blocks:
        _pixel_gradient(
            block, pixels, prototypes, own, row_labels, column_labels, row_groups,
            column_groups, row_spans, rates, gradient, result, scale, num_rows, num_columns,
            DIM, DEPTH, WORDS, SETS, GROUPED, PARTS, INTERPRETED, EACH, ROWS, COLUMNS,
        )  # fmt: skip
    else:
        block = block - row_blocks
        _prototype_gradient(
            block % column_blocks, block // column_blocks, pixels, prototypes, own,
            row_labels, column_labels, row_groups, column_groups, column_spans, rates, gradient, totals, scale,
            num_rows, num_columns, shares,
            DIM, DEPTH, WORDS, SETS, GROUPED, PARTS, INTERPRETED, EACH, ROWS, COLUMNS,
        )  # fmt: skip
