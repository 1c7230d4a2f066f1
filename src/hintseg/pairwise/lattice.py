"""The dense Gaussian over any features by permutohedral lattice: linear time and memory.

Points are splatted onto the vertices of the permutohedral lattice, blurred along its d + 1 directions and
sliced back [Adams, Baek, Davis, "Fast high-dimensional filtering using the permutohedral lattice", 2010].
Vertices are found by sorting packed integer keys, and all sums are embedding bags: tensor operations on any device.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


class PermutohedralLattice:
    """An approximate W with w_pq ≈ exp(−½ ‖f_p − f_q‖²) for one image; w_pp is included.

    Args:
        features: (N, d) float, already divided by the bandwidths.

    Raises:
        ValueError: the features span a range whose lattice keys do not fit into 63 bits.
    """

    def __init__(self, features: Tensor) -> None:
        pixels, dim = features.shape
        elevated = _elevate(features.to(torch.float64 if features.dtype == torch.float64 else torch.float32))
        base, rank = _enclosing_simplex(elevated)
        barycentric = _barycentric(elevated, base, rank).to(features.dtype)  # (N, d + 1)
        # A simplex's corners reach one simplex from its base, neighbours one further: packed keys must not wrap around.
        margin = 2 * (dim + 1)
        lowest = base[:, :dim].amin(dim=0) - margin
        spans = (base[:, :dim].amax(dim=0) + margin - lowest + 1).tolist()
        if math.prod(spans) >= 2**63:
            raise ValueError(f"features span too large a range for the bandwidths: lattice of {spans} cells")
        strides = torch.tensor([math.prod(spans[axis + 1 :]) for axis in range(dim)], device=features.device)
        packed = _packed_corners(((base[:, :dim] - lowest) * strides).sum(dim=1), rank, strides)
        ordered, order = packed.reshape(-1).sort()
        vertices, vertex_of_ordered, counts = ordered.unique_consecutive(return_inverse=True, return_counts=True)
        vertex_of_corner = torch.empty_like(order).scatter_(0, order, vertex_of_ordered)
        # Every step is a weighted sum of a few rows, which an embedding bag forms without holding the rows.
        self._splat = (
            (order // (dim + 1)).int(), (counts.cumsum(0) - counts).int(), barycentric.reshape(-1)[order],
        )  # fmt: skip
        step = strides.sum()
        offsets = [step - (dim + 1) * strides[axis] if axis < dim else step for axis in range(dim + 1)]
        self._blurs = [_blur(vertices, offset, barycentric.dtype) for offset in offsets]
        self._slice = (vertex_of_corner.view(pixels, dim + 1).int(), barycentric / (1 + 2.0**-dim))

    def filter(self, values: Tensor) -> Tensor:
        """W S for S (N, C) → (N, C)."""
        pixel_of_corner, starts, weights = self._splat
        field = F.embedding_bag(pixel_of_corner, values.contiguous(), starts, mode="sum", per_sample_weights=weights)
        for rows, shares in self._blurs:
            field = F.embedding_bag(rows, field, mode="sum", per_sample_weights=shares)
        corners, shares = self._slice
        return F.embedding_bag(corners, field, mode="sum", per_sample_weights=shares)

    def normalised(self) -> "PermutohedralLattice":
        """D^−½ W D^−½ with D = diag(W 1); changes this lattice."""
        (pixel_of_corner, starts, weights), (corners, shares) = self._splat, self._slice
        scale = self.filter(shares.new_ones(shares.shape[0], 1)).add_(1e-20).rsqrt_()
        self._splat = (pixel_of_corner, starts, weights * scale[pixel_of_corner, 0])
        self._slice = (corners, shares * scale)
        return self


def _blur(vertices: Tensor, offset: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Rows (V, 3) and weights (V, 3) of [½, 1, ½] along one direction; a missing neighbour weighs nothing."""
    here = torch.arange(vertices.shape[0], device=vertices.device)
    after = torch.searchsorted(vertices, vertices + offset).clamp_max_(vertices.shape[0] - 1)
    found = vertices[after] == vertices + offset
    rows, weights = here[:, None].repeat(1, 3), torch.zeros(vertices.shape[0], 3, dtype=dtype, device=here.device)
    weights[:, 0] = 1
    before, after = here[found], after[found]
    rows[before, 2], weights[before, 2] = after, 0.5
    rows[after, 1], weights[after, 1] = before, 0.5
    return rows.int(), weights


def _elevate(features: Tensor) -> Tensor:
    """(N, d) → (N, d + 1) coordinates in the hyperplane of zero sum, scaled for unit blur."""
    dim = features.shape[1]
    order = torch.arange(1, dim + 1, dtype=features.dtype, device=features.device)
    scaled = features * (math.sqrt(2 / 3) * (dim + 1) / torch.sqrt(order * (order + 1)))
    # elevated[j] = Σ_{i > j} scaled_i − j · scaled_j, with scaled counted from 1.
    suffix = scaled.flip(1).cumsum(1).flip(1)
    after = torch.cat([suffix[:, 1:], torch.zeros_like(suffix[:, :1])], dim=1)
    return torch.cat([suffix[:, :1], after - order * scaled], dim=1)


def _enclosing_simplex(elevated: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest remainder-0 point (N, d + 1) and each coordinate's rank within the simplex, int64."""
    corners = elevated.shape[1]
    base = torch.round(elevated / corners) * corners
    excess = (base.sum(dim=1) / corners).round().long()
    residual = elevated - base
    # Rank 0 is the largest residual; equal ones rank by position.
    rank = residual.argsort(dim=1, descending=True, stable=True).argsort(dim=1, stable=True)
    rank = rank + excess[:, None]
    base = base.long()
    low, high = rank < 0, rank >= corners
    base = base + corners * low.long() - corners * high.long()
    rank = rank + corners * low.long() - corners * high.long()
    return base, rank


def _barycentric(elevated: Tensor, base: Tensor, rank: Tensor) -> Tensor:
    """(N, d + 1) weights of the simplex's corners, by remainder."""
    corners = elevated.shape[1]
    share = (elevated - base.to(elevated.dtype)) / corners
    weights = elevated.new_zeros(elevated.shape[0], corners + 1)
    weights.scatter_add_(1, corners - 1 - rank, share)
    weights.scatter_add_(1, corners - rank, -share)
    weights[:, 0] += 1 + weights[:, corners]
    return weights[:, :corners]


def _packed_corners(base: Tensor, rank: Tensor, strides: Tensor) -> Tensor:
    """(N, d + 1) packed keys: the corner of remainder r adds r to every axis, and −(d + 1) to the last r ranks."""
    corners = rank.shape[1]
    by_axis = torch.cat([strides, strides.new_zeros(1)]).expand_as(rank)
    by_rank = torch.empty_like(by_axis.contiguous()).scatter_(1, rank, by_axis)
    last = torch.cat([torch.zeros_like(rank[:, :1]), by_rank.flip(1).cumsum(1)[:, :-1]], dim=1)
    return base[:, None] + torch.arange(corners, device=rank.device) * strides.sum() - corners * last
