"""Normalized cut of a soft segmentation [NCut; Tang et al., "Normalized cut loss", CVPR 2018], and kernel cut.

    Σ_k S_kᵀ W (1 − S_k) / dᵀ S_k  =  K − Σ_k S_kᵀ W S_k / dᵀ S_k

divided by K, so weights do not depend on the number of classes. Kernel cut adds the Potts energy under the
same W [Tang et al., "On regularized losses", ECCV 2018].
"""

import torch
from torch import Tensor

from hintseg.functional.affinity.gaussian import reduced_gaussian
from hintseg.functional.affinity.operator import Pairwise
from hintseg.functional.losses.potts import potts


def normalized_cut(probabilities: Tensor, affinity: Pairwise, classes: Tensor | None = None) -> Tensor:
    """Mean over images and classes of each class's normalized cut.

    Args:
        probabilities: (B, C, N).
        affinity: W over the same N pixels; receives no gradient.
        classes: (B, C) bool, classes that count; None counts all. A class without mass would pull mass
            towards itself, so give those that the image may contain.

    Returns:
        () in [0, 1]; 0 with a graph where no class counts.
    """
    association = (probabilities * affinity.apply(probabilities)).sum(dim=2)
    volume = (probabilities * affinity.degree()[:, None]).sum(dim=2)
    cut = 1 - association / volume.clamp_min(1e-12)
    if classes is None:
        classes = torch.ones_like(cut, dtype=torch.bool)
    per_image = (cut * classes).sum(dim=1) / classes.sum(dim=1).clamp_min(1)
    return per_image.mean()


def normalized_cut_loss(
    probabilities: Tensor, image: Tensor, classes: Tensor | None = None, where: Tensor | None = None
) -> Tensor:
    """Normalized cut under the dense Gaussian, exact at reduced resolution.

    Args:
        probabilities: (B, C, H, W).
        image: (B, 3, H, W) in [0, 255], same size.
        classes: (B, C) bool, or None for all.
        where: (B, H, W) bool, pixels that count; None: all.

    Returns:
        () in [0, 1].
    """
    return normalized_cut(*reduced_gaussian(probabilities, image, where), classes)


def kernel_cut_loss(
    probabilities: Tensor, image: Tensor, classes: Tensor | None = None, where: Tensor | None = None
) -> Tensor:
    """Normalized cut plus the bilinear Potts energy under the same affinity; arguments as above."""
    reduced, affinity = reduced_gaussian(probabilities, image, where)
    return normalized_cut(reduced, affinity, classes) + potts(reduced, affinity)
