"""Cross-entropy over labeled pixels only."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hintseg.functional.losses.precision import at_least_float32

DENSE = 0.3  # a labeled pixel on its own costs three times what it costs where all are enlarged


def partial_cross_entropy(logits: Tensor, labels: Tensor, class_weight_power: float = 0.0) -> Tensor:
    """Mean of −log softmax(logits)_p[y_p] over labeled pixels p, weighed by `class_weights`.

    Logits are bilinearly enlarged to the label map's size. Where hints are few, only at the labeled pixels, and
    the enlarged tensor is never held.

    Args:
        logits: (B, C, h, w).
        labels: (B, H, W) int64; values outside [0, C) are not labeled.
        class_weight_power: p, each of a class's n pixels weighs n^−p; 0: every pixel weighs the same.

    Returns:
        (); 0 with a graph where no pixel is labeled.
    """
    num_classes, size = logits.shape[1], (labels.shape[1], labels.shape[2])
    labeled = (labels >= 0) & (labels < num_classes)
    count = int(labeled.sum())
    if count == 0:
        return logits.sum() * 0
    logits, classes = at_least_float32(logits), labels.masked_fill(~labeled, num_classes)
    weights = None
    if class_weight_power > 0:
        pixels = classes.flatten().bincount(minlength=num_classes + 1)[:num_classes]
        weights = class_weights(pixels, class_weight_power).to(logits)
    if count < DENSE * labels.numel():
        rows = labeled.flatten().nonzero()[:, 0]
        return F.cross_entropy(sample_bilinear(logits, rows, size), classes.flatten()[rows], weights)
    if logits.shape[-2:] != size:
        logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    return F.cross_entropy(logits, classes, weights, ignore_index=num_classes)


def class_weights(pixels: Tensor, class_weight_power: float) -> Tensor:
    """w_c ∝ n_c^−p, so that Σ_c w_c n_c = Σ_c n_c; 0 for a class without pixels.

    Mean intersection over union counts every class once, cross-entropy every pixel: what covers a
    hundredth of the pixels is hardly learned.

    Args:
        pixels: (C,) n_c ≥ 0, counts or sums of probabilities.
        class_weight_power: p; 0 weighs pixels alike, 1 classes.

    Returns:
        (C,).
    """
    counts = pixels.to(at_least_float32(pixels).dtype)
    weights = counts.clamp_min(1).pow(-class_weight_power) * (counts > 0)
    return weights * (counts.sum() / (weights * counts).sum().clamp_min(1e-12))


def sample_bilinear(maps: Tensor, pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Values of `maps` at pixels of a grid of `size`, as bilinear resizing (corners not aligned) gives them.

    Args:
        maps: (B, C, h, w).
        pixels: (N,) int64 numbers of pixels of the B grids in row-major order.
        size: (H, W) of a grid.

    Returns:
        (N, C).
    """
    height, width = maps.shape[-2:]
    line, column = pixels // size[1], pixels % size[1]
    image, row = line // size[0], line % size[0]
    y = ((row.to(maps.dtype) + 0.5) * (height / size[0]) - 0.5).clamp(0, height - 1)
    x = ((column.to(maps.dtype) + 0.5) * (width / size[1]) - 0.5).clamp(0, width - 1)
    top, left = y.long(), x.long()
    below, right = (top + 1).clamp_max(height - 1), (left + 1).clamp_max(width - 1)
    down, across = y - top, x - left
    upper, lower = (image * height + top) * width, (image * height + below) * width
    cells = torch.stack([upper + left, upper + right, lower + left, lower + right], dim=1)
    far = torch.stack([1 - across, across], dim=1)
    corner_weights = torch.cat([(1 - down)[:, None] * far, down[:, None] * far], dim=1)
    # The gradient of plain indexing is added up by several threads in whatever order they come, and never twice alike.
    rows = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
    return F.embedding_bag(cells, rows, mode="sum", per_sample_weights=corner_weights)
