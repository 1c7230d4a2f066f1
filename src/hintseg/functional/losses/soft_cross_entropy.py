"""Cross-entropy towards soft pseudo-labels."""

import torch.nn.functional as F
from torch import Tensor

from hintseg.functional.losses.partial_cross_entropy import class_weights
from hintseg.functional.losses.precision import at_least_float32


def soft_cross_entropy(logits: Tensor, targets: Tensor, class_weight_power: float = 0.0) -> Tensor:
    """Mean over pixels that have a target of −w_p Σ_k t_p^k log σ_p^k, w_p = Σ_k w_k t_p^k by `class_weights`.

    A pixel weighs as a whole. Were each class weighed for itself, σ ∝ w t would be best, and a rare class would take
    every border that it may reach to.

    Args:
        logits: (B, C, h, w).
        targets: (B, C, h, w) in [0, 1]; a pixel whose column is zero has no target.
        class_weight_power: p, each of a class's n pixels weighs n^−p; 0: every pixel weighs the same.

    Returns:
        (); 0 with a graph where nobody has a target.
    """
    targeted = (targets.sum(dim=1) > 0).sum().clamp_min(1)
    if class_weight_power > 0:
        weights = class_weights(targets.sum(dim=(0, 2, 3)), class_weight_power)[:, None, None]
        targets = targets * (targets * weights).sum(dim=1, keepdim=True)
    return -(F.log_softmax(at_least_float32(logits), dim=1) * targets).sum() / targeted
