"""Potts regularization of a soft segmentation: under any affinity, the pixel grid's, and the dense Gaussian's.

    bilinear   Σ_pq w_pq (1 − σ_p·σ_q)  = 1ᵀd − Σ_k S_kᵀ W S_k
    quadratic  Σ_pq w_pq ‖σ_p − σ_q‖²   = 2 Σ_k ( dᵀ(S_k∘S_k) − S_kᵀ W S_k )

quadratic / 2 = bilinear − Σ_p d_p (1 − ‖σ_p‖²): the bilinear form also sharpens, the quadratic blurs and
wants the entropy term. Both are divided by Σ d, so weights do not depend on resolution or batch size.
Source: [RLoss] eq. 4–6.
"""

from torch import Tensor

from hintseg.functional.affinity.gaussian import reduced_gaussian
from hintseg.functional.affinity.grid import GridNeighbors
from hintseg.functional.affinity.operator import Pairwise


def potts(probabilities: Tensor, affinity: Pairwise, *, quadratic: bool = False) -> Tensor:
    """Normalized Potts energy.

    Args:
        probabilities: (B, C, N), summing to one over C.
        affinity: W over the same N pixels; receives no gradient.

    Returns:
        () in [0, 1] (bilinear) or [0, 2] (quadratic).
    """
    degree = affinity.degree()
    agreement = (probabilities * affinity.apply(probabilities)).sum()
    total = degree.sum().clamp_min(1e-12)
    if quadratic:
        return 2 * ((degree[:, None] * probabilities.square()).sum() - agreement) / total
    return 1 - agreement / total


def grid_potts_loss(probabilities: Tensor, image: Tensor, where: Tensor | None = None) -> Tensor:
    """Quadratic Potts energy between neighboring pixels [RLoss; lecture notes of Y. Boykov].

    Args:
        probabilities: (B, C, H, W), summing to one over C.
        image: (B, 3, H, W), same size.
        where: (B, H, W) bool, pixels that count; None: all.

    Returns:
        () in [0, 2].
    """
    affinity = GridNeighbors(image.to(probabilities.dtype), where)
    return potts(probabilities.flatten(2), affinity, quadratic=True)


def dense_crf_loss(probabilities: Tensor, image: Tensor, where: Tensor | None = None) -> Tensor:
    """The dense-CRF loss: bilinear Potts energy under the dense Gaussian [RLoss], exact at reduced resolution.

    Args: as of `grid_potts_loss`; the image's colors are in [0, 255].

    Returns:
        () in [0, 1].
    """
    return potts(*reduced_gaussian(probabilities, image, where))
