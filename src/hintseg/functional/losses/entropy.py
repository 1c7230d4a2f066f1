"""Entropy of the prediction where no label is [Grandvalet & Bengio 2005]."""

import torch.nn.functional as F
from torch import Tensor

from hintseg.functional.losses.precision import at_least_float32


def entropy(logits: Tensor, where: Tensor) -> Tensor:
    """Mean over the chosen pixels of −Σ_k σ_p^k log σ_p^k.

    Args:
        logits: (B, C, h, w).
        where: (B, h, w) bool.

    Returns:
        () in nats; 0 with a graph where nothing is chosen.
    """
    log_probabilities = F.log_softmax(at_least_float32(logits), dim=1)
    per_pixel = -(log_probabilities.exp() * log_probabilities).sum(dim=1)
    return (per_pixel * where).sum() / where.sum().clamp_min(1)
