"""The dense Gaussian over any features by permutohedral lattice: linear time and memory.

Points are splatted onto the vertices of the permutohedral lattice, blurred along its d + 1 directions and
sliced back [Adams, Baek, Davis, "Fast high-dimensional filtering using the permutohedral lattice", 2010].
Vertices are found by sorting packed integer keys, so that every step is a tensor operation on any device.
"""

import math

import torch
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
        self.barycentric = _barycentric(elevated, base, rank).to(features.dtype)  # (N, d + 1)
        keys = _vertices(base, rank)  # (N, d + 1, d)
        # Two simplices of margin on each side keep neighbours' packed keys from wrapping around.
        margin = 2 * (dim + 1)
        lowest = keys.amin(dim=(0, 1)) - margin
        spans = (keys.amax(dim=(0, 1)) + margin - lowest + 1).tolist()
        if math.prod(spans) >= 2**63:
            raise ValueError(f"features span too large a range for the bandwidths: lattice of {spans} cells")
        strides = torch.tensor([math.prod(spans[axis + 1 :]) for axis in range(dim)], device=features.device)
        packed = ((keys - lowest) * strides).sum(dim=2)  # (N, d + 1)
        vertices, inverse = torch.unique(packed, return_inverse=True)
        self.vertex_of_corner = inverse.reshape(-1)
        self.num_vertices = vertices.shape[0]
        # Row num_vertices is a zero for neighbours that do not exist.
        step = strides.sum()
        offsets = [step - (dim + 1) * strides[axis] if axis < dim else step for axis in range(dim + 1)]
        self.neighbours = [
            (_find(vertices, vertices - offset), _find(vertices, vertices + offset)) for offset in offsets
        ]
        self.gain = 1 / (1 + 2.0**-dim)
        self.pixels = pixels

    def filter(self, values: Tensor) -> Tensor:
        """W S for S (N, C) → (N, C)."""
        corners = self.barycentric.shape[1]
        weighted = (values[:, None, :] * self.barycentric[:, :, None]).reshape(-1, values.shape[1])
        field = values.new_zeros(self.num_vertices + 1, values.shape[1])
        field.index_add_(0, self.vertex_of_corner, weighted)
        for before, after in self.neighbours:
            blurred = field[before].add_(field[after]).mul_(0.5)
            field[:-1] += blurred
        at_corners = field[self.vertex_of_corner].view(self.pixels, corners, -1)
        return torch.bmm(self.barycentric[:, None, :], at_corners)[:, 0] * self.gain


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


def _vertices(base: Tensor, rank: Tensor) -> Tensor:
    """(N, d + 1, d) integer keys: corner of remainder r adds r, or r − (d + 1) to the last r ranks."""
    corners = base.shape[1]
    remainder = torch.arange(corners, device=base.device)[None, :, None]
    shift = remainder - corners * (rank[:, None, :-1] > corners - 1 - remainder).long()
    return base[:, None, :-1] + shift


def _find(vertices: Tensor, wanted: Tensor) -> Tensor:
    """Row of each wanted key in the sorted vertices, or the row after the last where there is none."""
    place = torch.searchsorted(vertices, wanted).clamp_max(vertices.shape[0] - 1)
    return torch.where(vertices[place] == wanted, place, vertices.shape[0])
