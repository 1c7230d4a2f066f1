"""The dense Gaussian over position and color, exact: w_pq = exp(−½ ‖f_p − f_q‖²).

Every pixel meets every other, in blocks of rows: memory is linear in the pixels, time quadratic.
Small images (reduced resolution) may keep the matrix for repeated products.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK_ELEMENTS = 16_000_000
# Bandwidths of regularization losses: of position, as a fraction of the longer side, and of color [RLoss: 100 px of
# 513, and 15]; and the longer side, in cells, of the grid where their O(cells⁴) sums are taken.
SXY, SRGB, CELLS = 0.2, 15.0, 32


def position_color_features(image: Tensor, sxy: float, srgb: float | None) -> Tensor:
    """(B, 3, H, W) colors → (B, H·W, 5) features (x / sxy, y / sxy, rgb / srgb); srgb None leaves color out."""
    batch, channels, height, width = image.shape
    rows = torch.arange(height, dtype=image.dtype, device=image.device) / sxy
    columns = torch.arange(width, dtype=image.dtype, device=image.device) / sxy
    place = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], dim=-1).expand(batch, -1, -1, -1)
    if srgb is None:
        return place.reshape(batch, height * width, 2)
    color = image.permute(0, 2, 3, 1) / srgb
    return torch.cat([place, color], dim=-1).reshape(batch, height * width, 2 + channels)


class DenseGaussian:
    """W of given features, exact.

    Args:
        features: (B, N, F), already divided by the bandwidths.
        keep: hold the (B, N, N) matrix, for repeated products at reduced resolution.
        include_self: w_pp = 1 (as lattice filters have it) or 0.
        where: (B, N) bool, pixels that count; the others have no neighbor. None: all.
    """

    def __init__(
        self, features: Tensor, *, keep: bool = False, include_self: bool = True, where: Tensor | None = None
    ) -> None:
        self.features = features - features.mean(dim=1, keepdim=True)
        self.include_self = include_self
        self._where = None if where is None else where.to(features.dtype)
        self._half_squares = 0.5 * self.features.square().sum(dim=2)
        self._matrix = self._rows(slice(0, features.shape[1])) if keep else None

    def apply(self, values: Tensor) -> Tensor:
        """W S for S (B, C, N) → (B, C, N)."""
        if self._matrix is not None:
            return torch.matmul(values, self._matrix)
        pixels = self.features.shape[1]
        size = max(BLOCK_ELEMENTS // (pixels * self.features.shape[0]), 1)
        blocks = [
            torch.matmul(values, self._rows(slice(start, min(start + size, pixels))).transpose(1, 2))
            for start in range(0, pixels, size)
        ]
        return torch.cat(blocks, dim=2)

    def degree(self) -> Tensor:
        """W 1, (B, N)."""
        return self.apply(self.features.new_ones(self.features.shape[0], 1, self.features.shape[1]))[:, 0]

    def _rows(self, rows: slice) -> Tensor:
        exponent = torch.bmm(self.features[:, rows], self.features.transpose(1, 2))
        exponent -= self._half_squares[:, rows, None]
        exponent -= self._half_squares[:, None, :]
        weights = exponent.clamp_max_(0).exp_()
        if not self.include_self:
            start, stop, _ = rows.indices(self.features.shape[1])
            here = torch.arange(start, stop, device=weights.device)
            weights[:, here - start, here] = 0
        if self._where is not None:
            weights *= self._where[:, rows, None] * self._where[:, None, :]
        return weights


def reduced_gaussian(
    probabilities: Tensor, image: Tensor, where: Tensor | None = None
) -> tuple[Tensor, DenseGaussian]:  # fmt: skip
    """Soft masks and their dense Gaussian over position and color, at a size where O(N²) is cheap.

    Args:
        probabilities: (B, C, H, W).
        image: (B, 3, H, W) in [0, 255], same size; inputs of at most `CELLS` keep their size.
        where: (B, H, W) bool, pixels that count; a cell does where all of its pixels do. None: all.

    Returns:
        (B, C, N) masks averaged over cells, and W over the N cells with w_pp = 0.
    """
    longer = max(probabilities.shape[-2:])
    if longer > CELLS:
        height, width = probabilities.shape[-2:]
        size = (max(round(height * CELLS / longer), 1), max(round(width * CELLS / longer), 1))
        probabilities = F.adaptive_avg_pool2d(probabilities, size)
        image = F.adaptive_avg_pool2d(image, size)
        if where is not None:
            where = F.adaptive_avg_pool2d(where[:, None].float(), size)[:, 0] > 1 - 1e-6
        longer = max(size)
    if probabilities.dtype in (torch.float16, torch.bfloat16):
        probabilities = probabilities.float()
    features = position_color_features(image.detach().to(probabilities.dtype), SXY * longer, SRGB)
    where = None if where is None else where.flatten(1)
    return probabilities.flatten(2), DenseGaussian(features, keep=True, include_self=False, where=where)
