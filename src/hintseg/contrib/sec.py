"""Expand and constrain: two of the three losses of SEC [Kolesnikov & Lampert, ECCV 2016]."""

import torch
from torch import Tensor

from hintseg.functional.losses.tags import pool
from hintseg.functional.propagation.dense_crf import dense_crf

LEAST = 1e-5
FOREGROUND_DECAY, BACKGROUND_DECAY = 0.996, 0.999  # of rank pooling


def expansion(
    probabilities: Tensor, present: Tensor, absent: Tensor, background: int | None = None, where: Tensor | None = None
) -> Tensor:
    """−1/|T| Σ_{c∈T} log G_c(d₊) − 1/|T̄| Σ_{c∉T} log(1 − G_c(0)) − log G_bg(d_bg), mean over images.

    G is global weighted rank pooling, whose decays are given for maps of 41 × 41 cells.

    Args:
        probabilities: (B, C, h, w).
        present, absent: (B, C) bool; an image of which nothing is known does not count.
        background: its class, which takes the third sum instead of the first.
        where: (B, h, w) bool, cells that count; None: all.

    Returns:
        (); 0 with a graph where no image counts.
    """
    known = (present | absent).any(dim=1)
    foreground = torch.ones(present.shape[1], dtype=torch.bool, device=present.device)
    if background is not None:
        foreground[background] = False
    here = present & foreground
    absent = absent & foreground
    log_pooled = pool(probabilities, "rank", decay=FOREGROUND_DECAY, where=where).clamp_min(LEAST).log()
    peak = (1 - pool(probabilities, "max", where=where)).clamp_min(LEAST).log()
    losses = -(log_pooled * here).sum(dim=1) / here.sum(dim=1).clamp_min(1)
    losses = losses - (peak * absent).sum(dim=1) / absent.sum(dim=1).clamp_min(1)
    if background is not None:
        there = probabilities[:, background : background + 1]
        pooled = pool(there, "rank", decay=BACKGROUND_DECAY, where=where)[:, 0]
        losses = losses - pooled.clamp_min(LEAST).log() * present[:, background]
    return (losses * known).sum() / known.sum().clamp_min(1)


def constraint(probabilities: Tensor, image: Tensor, where: Tensor | None = None) -> Tensor:
    """Mean KL(CRF(f) ‖ f): the prediction moves towards what a dense CRF makes of it.

    Args:
        probabilities: (B, C, h, w).
        image: (B, 3, h, w) colors in [0, 255], same size.
        where: (B, h, w) bool, cells that count; the CRF sees all. None: all.

    Returns:
        ().
    """
    pixel = max(image.shape[-2:]) / 321  # the paper's bandwidths are for images of 321 pixels
    with torch.no_grad():
        refined = torch.stack(
            [
                torch.as_tensor(
                    dense_crf(
                        colors.permute(1, 2, 0),
                        image_probabilities,
                        gaussian_sxy=3 * pixel,
                        bilateral_sxy=80 * pixel,
                        bilateral_srgb=13,
                        bilateral_weight=10,
                    )
                )
                for colors, image_probabilities in zip(image.float(), probabilities.detach().float(), strict=True)
            ]
        ).clamp_min(LEAST)
    divergence = (refined * (refined.log() - probabilities.clamp_min(LEAST).log())).sum(dim=1)
    return divergence.mean() if where is None else (divergence * where).sum() / where.sum().clamp_min(1)
