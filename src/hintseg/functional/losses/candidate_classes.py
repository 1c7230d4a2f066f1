"""Classes that an image does not contain get no probability anywhere in it."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from hintseg.functional.losses.precision import at_least_float32


def candidate_class_loss(logits: Tensor, candidates: Tensor, where: Tensor) -> Tensor:
    """Mean over the chosen pixels of −log Σ_{k candidate} σ_p^k.

    The likelihood of the set of classes that the image's hints name (its tags, when they are complete):
    every unlabeled pixel learns what it is not.

    Args:
        logits: (B, C, h, w).
        candidates: (B, C) bool; a row without any True allows everything.
        where: (B, h, w) bool.

    Returns:
        (); 0 where everything is a candidate.
    """
    candidates = candidates | ~candidates.any(dim=1, keepdim=True)
    log_probabilities = F.log_softmax(at_least_float32(logits), dim=1)
    forbidden = ~candidates[:, :, None, None]
    per_pixel = -torch.logsumexp(log_probabilities.masked_fill(forbidden, -math.inf), dim=1)
    return (per_pixel * where).sum() / where.sum().clamp_min(1)
