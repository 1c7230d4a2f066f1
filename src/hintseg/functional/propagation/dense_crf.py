"""Mean-field inference in the fully connected CRF [Krähenbühl & Koltun 2011].

    Q ← softmax( log P + Σ_m w_m K̃_m Q ),   K̃ = D^−½ K D^−½,  D = diag(K 1)

with two kernels: Gaussian over position, and bilateral over position and color. The Potts compatibility
is folded into the sign. Filters are permutohedral lattices; `exact` takes the O(N²) sums instead.
Differs from the common implementation in running on any device and in linear memory when exact.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hintseg.functional.affinity.gaussian import DenseGaussian, position_color_features
from hintseg.functional.affinity.lattice import PermutohedralLattice, block_rows

# (N, C) → its filtered rows in blocks of `block_rows`; reads everything before the first block.
Filter = Callable[[Tensor], Iterable[Tensor]]


@torch.no_grad()
def dense_crf(
    image: Tensor | NDArray[np.uint8],
    probabilities: Tensor | NDArray[np.floating],
    iterations: int = 10,
    gaussian_sxy: float = 1,
    gaussian_weight: float = 3,
    bilateral_sxy: float = 67,
    bilateral_srgb: float = 3,
    bilateral_weight: float = 4,
    *,
    exact: bool = False,
) -> Tensor | NDArray[np.floating]:
    """Refine class probabilities by position and color.

    Args:
        image: (H, W, 3) colors in [0, 255].
        probabilities: (C, H, W), clipped to [1e-5, 1].
        iterations: mean-field rounds.
        gaussian_sxy, bilateral_sxy: bandwidths in pixels.
        bilateral_srgb: bandwidth of color.
        gaussian_weight, bilateral_weight: w_m. Defaults are [SPML]'s.
        exact: quadratic sums instead of lattices; for small images and for checking.

    Returns:
        (C, H, W) posterior in the probabilities' type, dtype and device.

    Raises:
        ValueError: sizes that differ.
    """
    values = torch.as_tensor(probabilities)
    if tuple(image.shape[:2]) != tuple(values.shape[1:]) or image.shape[-1] != 3:
        raise ValueError(f"image {tuple(image.shape)} does not fit probabilities {tuple(values.shape)}")
    colors = torch.as_tensor(image).to(device=values.device).permute(2, 0, 1)[None].to(torch.float32)
    classes, height, width = values.shape
    unary = values.reshape(classes, -1).T.to(torch.float32).contiguous().clamp(1e-5, 1).log_()  # (N, C)
    weights = (gaussian_weight, bilateral_weight)
    filters = (
        _normalized(position_color_features(colors, gaussian_sxy, None)[0], exact),
        _normalized(position_color_features(colors, bilateral_sxy, bilateral_srgb)[0], exact),
    )
    posterior = _softmax(unary).contiguous()
    length = block_rows(unary)
    for _ in range(iterations):
        filtered = (apply(posterior) for apply in filters)
        for before, after, *parts in zip(unary.split(length), posterior.split(length), *filtered, strict=True):
            energy = before.clone()
            for weight, part in zip(weights, parts, strict=True):
                energy.add_(part, alpha=weight)
            after.copy_(_softmax(energy))
    result = posterior.T.reshape(classes, height, width).to(values.dtype)
    return result.numpy() if isinstance(probabilities, np.ndarray) else result


def coarse_crf(image: NDArray[np.uint8], probabilities: Tensor, stride: float) -> Tensor:
    """`dense_crf` of (C, h, w) probabilities on an (H, W, 3) image that is made as small, `stride` times."""
    colors = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float()
    small = F.adaptive_avg_pool2d(colors, (probabilities.shape[1], probabilities.shape[2]))
    return torch.as_tensor(dense_crf(small.permute(1, 2, 0), probabilities, bilateral_sxy=67 / stride))


def _softmax(energy: Tensor) -> Tensor:
    """Over classes. On a CPU torch vectorises rows of 16 and more, and columns of any length."""
    if energy.shape[1] < 16 and energy.device.type == "cpu":
        return energy.T.contiguous().softmax(dim=0).T
    return energy.softmax(dim=1)


def _normalized(features: Tensor, exact: bool) -> Filter:
    if not exact:
        return PermutohedralLattice(features).normalized().blocks
    gaussian = DenseGaussian(features[None])
    kernel: Callable[[Tensor], Tensor] = lambda values: gaussian.apply(values.T[None])[0].T  # noqa: E731
    scale = kernel(features.new_ones(features.shape[0], 1)).add_(1e-20).rsqrt()
    return lambda values: (scale * kernel(scale * values)).split(block_rows(values))
