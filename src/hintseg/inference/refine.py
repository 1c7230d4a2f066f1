"""A dense CRF on a network's opinion of an image, no finer and on no more classes than it needs."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hintseg.functional.propagation.dense_crf import dense_crf
from hintseg.network.heads import resize

LEAST = 0.1  # a class that is best nowhere and less probable than this everywhere is left out


def refined(image: NDArray[np.uint8], probabilities: Tensor, stride: int = 1) -> Tensor:
    """Class probabilities refined by position and colour [Krähenbühl & Koltun 2011; constants of SPML].

    Args:
        image: (H, W, 3) uint8.
        probabilities: (C, H, W).
        stride: the CRF runs on an image this many times smaller.

    Returns:
        (C, H, W) on the same device; zero for classes that are improbable everywhere.
    """
    height, width = probabilities.shape[1:]
    chosen = probabilities.amax(dim=(1, 2)) >= LEAST
    chosen[probabilities.argmax(dim=0).unique()] = True
    kept = torch.nonzero(chosen).flatten()
    size = (max(height // stride, 1), max(width // stride, 1))
    small = F.adaptive_avg_pool2d(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float(), size)
    coarse = F.adaptive_avg_pool2d(probabilities[kept], size)
    posterior = torch.as_tensor(dense_crf(small.permute(1, 2, 0), coarse, bilateral_sxy=67 / stride))
    result = torch.zeros_like(probabilities)
    result[kept] = resize(posterior[None], (height, width))[0]
    return result
