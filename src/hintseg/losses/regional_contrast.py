"""Regional contrast against remembered regions, one of the two parts of RCA [Zhou et al., CVPR 2022].

Differs from the release in reading the network's unit embedding instead of a projection of its own, and in not
mixing regions of different images.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from hintseg.losses.precision import at_least_float32
from hintseg.losses.tags import pool

TEMPERATURE = 0.07


def class_regions(embeddings: Tensor, logits: Tensor, chosen: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    """Mean embedding of the pixels where a class is more probable than on average over its image.

    Args:
        embeddings: (B, D, h, w).
        logits: (B, C, h, w).
        chosen: (B, C) bool: classes to take from each image.
        where: (B, h, w) bool, pixels that count.

    Returns:
        (R, D) unit regions, images in order, and their (R,) int64 classes.
    """
    probabilities = at_least_float32(logits.detach()).softmax(dim=1)
    average = pool(probabilities, "average", where=where)[..., None, None]
    inside = ((probabilities > average) & where[:, None]).to(embeddings.dtype)
    image, label = chosen.nonzero(as_tuple=True)
    sums = torch.einsum("rp,rdp->rd", inside.flatten(2)[image, label], embeddings.flatten(2)[image])
    return F.normalize(sums, dim=1, eps=1e-12), label


def regional_contrast(
    regions: Tensor, labels: Tensor, memory: Tensor, memory_labels: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """Mean over regions of −mean_{m⁺} log e^{r·m⁺/τ} / (e^{r·m⁺/τ} + Σ_{m⁻} e^{r·m⁻/τ}).

    Args:
        regions: (R, D) unit, labels: (R,) int64.
        memory: (M, D) unit, memory_labels: (M,) int64.

    Returns:
        (); 0 with a graph where no region has a remembered one of its class. Such regions do not count.
    """
    regions = at_least_float32(regions)
    similar = regions @ memory.to(regions.dtype).T / temperature
    same = labels[:, None] == memory_labels[None, :]
    positives = same.sum(dim=1)
    if not bool((positives > 0).any()):
        return regions.sum() * 0
    others = torch.logsumexp(similar.masked_fill(same, -torch.inf), dim=1, keepdim=True)
    each = torch.logaddexp(similar, others) - similar
    per_region = (each * same).sum(dim=1) / positives.clamp_min(1)
    return per_region.sum() / (positives > 0).sum()
