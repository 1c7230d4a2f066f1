"""The dense Gaussian over any features by permutohedral lattice: linear time and memory.

Points are splatted onto the vertices of the permutohedral lattice, blurred along its d + 1 directions and
sliced back [Adams, Baek, Davis, "Fast high-dimensional filtering using the permutohedral lattice", 2010].
Vertices are found by sorting packed integer keys, their neighbors by a hash table, and all sums are embedding bags:
tensor operations on any device. A CPU works in blocks, so that the next operation finds its input in the cache.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK_ELEMENTS = 2**19  # a block of floats fits into a core's cache
# Memory returned to the system costs page faults when it is asked for again. glibc holds back twice the largest piece
# yet freed, of 32 MiB at most: one such piece is freed first, and fields too large to be held back are kept.
HELD_BYTES = 31 * 2**20
FIELD_ELEMENTS = 3_000_000
TABLE_SLOTS = 8  # a vertex


class PermutohedralLattice:
    """An approximate W with w_pq ≈ exp(−½ ‖f_p − f_q‖²) for one image; w_pp is included. It has no gradient.

    Args:
        features: (N, d) float, already divided by the bandwidths.

    Raises:
        ValueError: the features span a range whose lattice keys do not fit into 63 bits.
    """

    @torch.no_grad()
    def __init__(self, features: Tensor) -> None:
        torch.empty(HELD_BYTES, dtype=torch.uint8)
        pixels, dim = features.shape
        strides, keys, barycentric = _corners(features)
        ordered, order = keys.view(-1).sort()
        del keys
        vertices, vertex_of_ordered, counts = ordered.unique_consecutive(return_inverse=True, return_counts=True)
        del ordered
        vertex_of_corner = torch.empty_like(order, dtype=torch.int32).scatter_(0, order, vertex_of_ordered.int())
        del vertex_of_ordered
        # Every step is a weighted sum of a few rows, which an embedding bag sums without holding the rows. Row V of a
        # field stands for missing vertices: its sums are empty.
        starts = F.pad(counts.cumsum(0), (1, 0)).int()
        self._splat = ((order // (dim + 1)).int(), barycentric.view(-1).index_select(0, order), starts)
        self._blurs = _neighbors(vertices, strides)
        self._blur_weights = barycentric.new_tensor([1, 0.5, 0.5]).repeat(len(starts), 1)
        self._slice = (vertex_of_corner.view(pixels, dim + 1), barycentric.div_(1 + 2.0**-dim))
        self._fields: list[Tensor] = []

    @torch.no_grad()
    def filter(self, values: Tensor) -> Tensor:
        """W S for S (N, C) → (N, C)."""
        return torch.cat(list(self.blocks(values)))

    def blocks(self, values: Tensor) -> Iterator[Tensor]:
        """W S in blocks of `block_rows(S)` rows; reads all of S before the first block."""
        length = block_rows(values)
        field = self._blurred(values.contiguous())
        for corners, barycentric in zip(*(part.split(length) for part in self._slice), strict=True):
            yield _sums(field, corners, barycentric)

    def normalized(self) -> "PermutohedralLattice":
        """D^−½ W D^−½ with D = diag(W 1); changes this lattice."""
        (pixel_of_corner, weights, _), (_, barycentric) = self._splat, self._slice
        scale = self.filter(barycentric.new_ones(barycentric.shape[0], 1)).add_(1e-20).rsqrt_()
        weights *= scale.index_select(0, pixel_of_corner)[:, 0]
        barycentric *= scale
        return self

    def _blurred(self, values: Tensor) -> Tensor:
        """The vertices' field, (V + 1, C)."""
        outs = self._outs(values)
        field = _sums(values, *self._splat, out=outs[0])
        for turn, neighbors in enumerate(self._blurs, 1):
            field = _sums(field, neighbors, self._blur_weights, out=outs[turn % 2])
        return field

    def _outs(self, values: Tensor) -> Sequence[Tensor | None]:
        """Two fields to write in turns, or None where a new one is as cheap."""
        size = (len(self._blur_weights), values.shape[1])
        if values.device.type != "cpu" or math.prod(size) <= FIELD_ELEMENTS:
            return (None, None)
        if not self._fields or self._fields[0].shape != size:
            self._fields = [values.new_empty(size) for _ in range(2)]
        return self._fields


def block_rows(values: Tensor) -> int:
    """Rows per block for values (N, C): on a GPU all."""
    return max(BLOCK_ELEMENTS // values.shape[1] if values.device.type == "cpu" else len(values), 1)


def _sums(
    values: Tensor, rows: Tensor, weights: Tensor, starts: Tensor | None = None, out: Tensor | None = None
) -> Tensor:
    """Weighted sums of rows (B, k), or of those from one start to the next; into `out` block by block."""
    if out is None:
        return F.embedding_bag(rows, values, starts, mode="sum", per_sample_weights=weights)
    length = block_rows(values)
    if starts is None:
        for some, block in zip(rows.split(length), out.split(length), strict=True):
            block.copy_(_sums(values, some, weights[: len(some)]))
        return out
    bounds = pairwise([*starts[::length].tolist(), len(rows)])
    for (low, high), some, block in zip(bounds, starts.split(length), out.split(length), strict=True):
        block.copy_(_sums(values, rows[low:high], weights[low:high], some - low))
    return out


def _neighbors(vertices: Tensor, strides: Sequence[int]) -> list[Tensor]:
    """Rows (V + 1, 3) of every vertex, the one before it and the one after it along each direction; V: missing."""
    corners, number = len(strides) + 1, len(vertices)
    here = torch.arange(number + 1, dtype=torch.int32, device=vertices.device)
    find = _finder(vertices, here, min(int(vertices[-1]) + 1, TABLE_SLOTS * number | 1))
    # One more on every axis is the next remainder, or remainder 0 of the next cell.
    wraps = (vertices % corners == corners - 1).to(vertices.dtype)
    ahead = vertices + 1 + wraps * (sum(strides) - corners)
    found = []
    for stride in [*strides, 0]:
        after = find(ahead - stride)
        before = torch.full_like(here, number).scatter_(0, after.long(), here)
        before[-1] = number
        found.append(torch.stack([here, before, F.pad(after, (0, 1), value=number)], dim=1))
    return found


def _finder(vertices: Tensor, here: Tensor, slots: int) -> Callable[[Tensor], Tensor]:
    """Row of each key, or V: by a hash table, and by binary search where another vertex took the slot."""
    number = len(vertices)
    table = torch.full((slots,), number, dtype=torch.int32, device=vertices.device)
    table.scatter_(0, (vertices % slots).long(), here)
    key_of_row = torch.cat([vertices, vertices.new_tensor([-1])])

    def find(keys: Tensor) -> Tensor:
        rows = table.index_select(0, keys % slots)
        is_other = key_of_row.index_select(0, rows) != keys
        doubtful = (is_other & (rows < number)).nonzero()[:, 0]
        rows.masked_fill_(is_other, number)
        again = torch.searchsorted(vertices, keys[doubtful], out_int32=True)
        return rows.index_put_((doubtful,), torch.where(key_of_row[again] == keys[doubtful], again, number))

    return find


def _corners(features: Tensor) -> tuple[list[int], Tensor, Tensor]:
    """Strides of packed keys, and keys and barycentric weights (N, d + 1) of the corners of every point's simplex."""
    pixels, dim = features.shape
    elevated = _elevate(features if features.dtype == torch.float64 else features.float())
    lowest, spans = _cells(elevated)
    strides = [math.prod(spans[axis + 1 :]) * (dim + 1) for axis in range(dim)]
    dtype = torch.int32 if spans[0] * strides[0] < 2**31 else torch.int64
    keys = torch.empty(pixels, dim + 1, dtype=dtype, device=features.device)
    barycentric = torch.empty(pixels, dim + 1, dtype=features.dtype, device=features.device)
    length = block_rows(elevated)
    for points, some_keys, weights in zip(
        elevated.split(length), keys.split(length), barycentric.split(length), strict=True
    ):
        base, rank = _enclosing_simplex(points.T)
        weights.copy_(_barycentric(points.T, base, rank).T)
        some_keys.copy_(_packed_corners(base[:dim] - lowest[:, None], rank, strides).T)
    return strides, keys, barycentric


def _elevate(features: Tensor) -> Tensor:
    """(N, d) → (N, d + 1) coordinates in the hyperplane of zero sum, scaled for unit blur; each lies in one piece."""
    pixels, dim = features.shape
    elevated = features.new_empty(dim + 1, pixels)
    # elevated[j] = Σ_{i > j} scaled_i − j · scaled_j, with scaled counted from 1.
    above: Tensor | float = 0.0
    for axis in range(dim, 0, -1):
        scaled = features[:, axis - 1] * (math.sqrt(2 / 3) * (dim + 1) / math.sqrt(axis * (axis + 1)))
        elevated[axis] = above - axis * scaled
        above = above + scaled
    elevated[0] = above
    return elevated.T


def _cells(elevated: Tensor) -> tuple[Tensor, list[int]]:
    """The lowest cell (d,) of d + 1 coordinates' length, and how many there are, along every axis but the last.

    A point's nearest remainder-0 point lies at most one cell from where it is rounded to, its simplex's corners reach
    one further, their neighbors another.
    """
    corners = elevated.shape[1]
    lowest = torch.round(elevated.amin(dim=0)[:-1] / corners).long() - 3
    spans = (torch.round(elevated.amax(dim=0)[:-1] / corners).long() + 4 - lowest).tolist()
    if math.prod(spans) * corners >= 2**63:
        raise ValueError(f"features span too large a range for the bandwidths: lattice of {spans} cells")
    return lowest, spans


def _enclosing_simplex(elevated: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest remainder-0 point, in cells, and each coordinate's rank within the simplex: (d + 1, N) int64."""
    corners = elevated.shape[0]
    base = torch.round(elevated / corners)
    excess = base.sum(dim=0).to(torch.int8)
    residual = elevated - base * corners
    # Rank 0 is the largest residual; equal ones rank by position.
    rank = torch.arange(corners, dtype=torch.int8, device=elevated.device)[:, None].repeat(1, elevated.shape[1])
    for first in range(corners):
        for second in range(first + 1, corners):
            is_less = (residual[first] < residual[second]).view(torch.int8)
            rank[first] += is_less
            rank[second] -= is_less
    rank += excess
    wraps = (rank < 0).to(torch.int8) - (rank >= corners).to(torch.int8)
    return base.long() + wraps, (rank + corners * wraps).long()


def _barycentric(elevated: Tensor, base: Tensor, rank: Tensor) -> Tensor:
    """(d + 1, N) weights of the simplex's corners, by remainder."""
    corners = elevated.shape[0]
    share = (elevated - corners * base.to(elevated.dtype)) / corners
    by_remainder = torch.empty_like(share).scatter_(0, rank, share).flip(0)
    weights = by_remainder.clone()
    weights[1:] -= by_remainder[:-1]
    weights[0] += 1 - by_remainder[-1]
    return weights


def _packed_corners(cells: Tensor, rank: Tensor, strides: Sequence[int]) -> Tensor:
    """(d + 1, N) packed keys: cell by cell and within it the remainder.

    The corner of remainder r adds r to every coordinate and takes a cell off those of the last r ranks.
    """
    corners = rank.shape[0]
    by_axis = torch.tensor([*strides, 0], device=rank.device)[:, None].expand_as(rank)
    by_rank = torch.empty_like(rank).scatter_(0, rank, by_axis)
    keys = torch.empty_like(rank)
    keys[0] = sum(cells[axis] * stride for axis, stride in enumerate(strides))
    for remainder in range(1, corners):
        keys[remainder] = keys[remainder - 1] + 1 - by_rank[corners - remainder]
    return keys
