"""Neighbors on the pixel grid: w_pq = exp(−‖I_p − I_q‖² / 2σ²) / dist(p, q) [Boykov & Jolly 2001]."""

import torch
from torch import Tensor

# One of each pair of opposite directions, (rows, columns).
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


class GridNeighbors:
    """W between 8 neighbors; memory and time linear in the pixels. σ² is an image's mean of ‖I_p − I_q‖² over them.

    Args:
        image: (B, 3, H, W) colors; receives no gradient.
        where: (B, H, W) bool, pixels that count; the others have no neighbor. None: all.
    """

    def __init__(self, image: Tensor, where: Tensor | None = None) -> None:
        self.height, self.width = image.shape[-2:]
        image = image.detach()
        counting = image.new_ones(image[:, 0].shape) if where is None else where.to(image.dtype)
        squares, both = [], []
        for direction in DIRECTIONS:
            here, there = self._windows(direction)
            both.append(counting[..., *here] * counting[..., *there])
            squares.append((image[..., *here] - image[..., *there]).square().sum(dim=1) * both[-1])
        pairs = torch.stack([pair.sum(dim=(1, 2)) for pair in both]).sum(dim=0).clamp_min(1)
        variance = torch.stack([square.sum(dim=(1, 2)) for square in squares]).sum(dim=0) / pairs
        scale = (2 * variance).clamp_min(1e-12)[:, None, None]
        self.weights = [
            torch.exp(-square / scale) * pair / (rows * rows + columns * columns) ** 0.5
            for square, pair, (rows, columns) in zip(squares, both, DIRECTIONS, strict=True)
        ]

    def apply(self, values: Tensor) -> Tensor:
        """W S for S (B, C, H·W) → (B, C, H·W)."""
        field = values.unflatten(2, (self.height, self.width))
        result = torch.zeros_like(field)
        for direction, weight in zip(DIRECTIONS, self.weights, strict=True):
            here, there = self._windows(direction)
            result[..., *here] += weight[:, None] * field[..., *there]
            result[..., *there] += weight[:, None] * field[..., *here]
        return result.flatten(2)

    def degree(self) -> Tensor:
        """W 1, (B, H·W)."""
        ones = self.weights[0].new_ones(self.weights[0].shape[0], 1, self.height * self.width)
        return self.apply(ones)[:, 0]

    def _windows(self, direction: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The pixels that have a neighbor in this direction, and those neighbors."""
        rows, columns = direction
        upper, lower = slice(0, self.height - rows), slice(rows, self.height)
        if columns >= 0:
            return (upper, slice(0, self.width - columns)), (lower, slice(columns, self.width))
        return (upper, slice(-columns, self.width)), (lower, slice(0, self.width + columns))
