"""Potts regularisation between neighbouring pixels [RLoss; lecture notes of Y. Boykov]."""

from torch import Tensor

from hintseg.functional.affinity.grid import GridNeighbours
from hintseg.functional.losses.potts import potts


def grid_potts_loss(
    probabilities: Tensor, image: Tensor, *, neighbours: int = 8, sigma: float | None = None, quadratic: bool = True,
    where: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Normalised Potts energy on the pixel grid.

    Args:
        probabilities: (B, C, H, W), summing to one over C.
        image: (B, 3, H, W), same size.
        neighbours: 4 or 8.
        sigma: colour bandwidth; None adapts to each image.
        where: (B, H, W) bool, pixels that count; None: all.
        quadratic: Σ w ‖σ_p − σ_q‖², else Σ w (1 − σ_p·σ_q).

    Returns:
        () in [0, 2] (quadratic) or [0, 1].
    """
    affinity = GridNeighbours(image.to(probabilities.dtype), neighbours=neighbours, sigma=sigma, where=where)
    return potts(probabilities.flatten(2), affinity, quadratic=quadratic)
