"""The dense-CRF loss: bilinear Potts under the dense Gaussian [RLoss], exact at reduced resolution."""

import torch.nn.functional as F
from torch import Tensor

from hintseg.losses.potts import potts
from hintseg.pairwise.gaussian import DenseGaussian, position_colour_features


def dense_crf_loss(
    probabilities: Tensor, image: Tensor, *, sxy: float = 0.2, srgb: float = 15.0, cells: int = 32
) -> Tensor:
    """Normalised bilinear Potts energy, in [0, 1].

    Args:
        probabilities: (B, C, H, W).
        image: (B, 3, H, W) in [0, 255], same size.
        sxy: bandwidth of position, as a share of the longer side [RLoss: 100 px of 513].
        srgb: bandwidth of colour [RLoss: 15].
        cells: longer side of the reduced grid where the O(cells⁴) sum is taken.

    Returns:
        ().
    """
    longer = max(probabilities.shape[-2:])
    factor = longer / cells
    if factor > 1:
        height, width = probabilities.shape[-2:]
        size = (max(round(height / factor), 1), max(round(width / factor), 1))
        probabilities = F.adaptive_avg_pool2d(probabilities, size)
        image = F.adaptive_avg_pool2d(image, size)
        longer = max(size)
    affinity = DenseGaussian(position_colour_features(image.float(), sxy * longer, srgb), keep=True, include_self=False)
    return potts(probabilities.float().flatten(2), affinity)
