"""The dense-CRF loss: bilinear Potts under the dense Gaussian [RLoss], exact at reduced resolution."""

from torch import Tensor

from hintseg.functional.affinity.gaussian import reduced_gaussian
from hintseg.functional.losses.potts import potts


def dense_crf_loss(
    probabilities: Tensor, image: Tensor, *, sxy: float = 0.2, srgb: float = 15.0, cells: int = 32,
    where: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Normalised bilinear Potts energy, in [0, 1].

    Args:
        probabilities: (B, C, H, W).
        image: (B, 3, H, W) in [0, 255], same size.
        sxy: bandwidth of position, as a fraction of the longer side [RLoss: 100 px of 513].
        srgb: bandwidth of colour [RLoss: 15].
        cells: longer side of the reduced grid where the O(cells⁴) sum is taken.
        where: (B, H, W) bool, pixels that count, as the region of interest in [RLoss]; None: all.

    Returns:
        ().
    """
    return potts(*reduced_gaussian(probabilities, image, sxy, srgb, cells, where))
