"""Cross-entropy towards soft completed masks."""

import torch.nn.functional as F
from torch import Tensor

from hintseg.losses.precision import at_least_float32


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over pixels that have a target of −Σ_k t_p^k log σ_p^k.

    Args:
        logits: (B, C, h, w).
        targets: (B, C, h, w) in [0, 1]; a pixel whose column is zero has no target.

    Returns:
        (); 0 with a graph where nobody has a target.
    """
    per_pixel = -(F.log_softmax(at_least_float32(logits), dim=1) * targets).sum(dim=1)
    return per_pixel.sum() / (targets.sum(dim=1) > 0).sum().clamp_min(1)
