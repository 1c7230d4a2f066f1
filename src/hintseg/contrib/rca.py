"""Regional contrast against remembered regions [RCA, Zhou et al., CVPR 2022]; `network.aggregation` is its other part.

Differs from the release in reading the network's unit embedding instead of a projection of its own, and in not mixing
regions of different images.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from hintseg.functional.losses.precision import at_least_float32
from hintseg.functional.losses.tags import pool
from hintseg.functional.segments.kmeans import cluster_means, spherical_kmeans

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
    regions: Tensor, labels: Tensor, bank: Tensor, bank_labels: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """Mean over regions of −mean_{m⁺} log e^{r·m⁺/τ} / (e^{r·m⁺/τ} + Σ_{m⁻} e^{r·m⁻/τ}).

    Args:
        regions: (R, D) unit, labels: (R,) int64.
        bank: (M, D) unit, bank_labels: (M,) int64.

    Returns:
        (); 0 with a graph where no region has a remembered one of its class. Such regions do not count.
    """
    regions = at_least_float32(regions)
    similar = regions @ bank.to(regions.dtype).T / temperature
    same = labels[:, None] == bank_labels[None, :]
    positives = same.sum(dim=1)
    if not bool((positives > 0).any()):
        return regions.sum() * 0
    others = torch.logsumexp(similar.masked_fill(same, -torch.inf), dim=1, keepdim=True)
    each = torch.logaddexp(similar, others) - similar
    per_region = (each * same).sum(dim=1) / positives.clamp_min(1)
    return per_region.sum() / (positives > 0).sum()


class RegionMemoryBank:
    """The last regions of every class: first in, first out.

    Args:
        classes: how many.
        size: regions kept of each.
    """

    def __init__(self, classes: int, size: int = 100) -> None:
        self.size = size
        self._kept: list[list[Tensor]] = [[] for _ in range(classes)]

    def push(self, regions: Tensor, labels: Tensor) -> None:
        """Remember (R, D) unit regions with (R,) int64 classes."""
        for region, label in zip(regions.detach(), labels.tolist(), strict=True):
            self._kept[label].append(region.float().clone())
            del self._kept[label][: -self.size]

    def regions(self) -> tuple[Tensor, Tensor] | None:
        """(M, D) unit and (M,) int64 classes of everything remembered, or None."""
        if not any(self._kept):
            return None
        labels = [label for label, regions in enumerate(self._kept) for _ in regions]
        stacked = torch.stack([region for regions in self._kept for region in regions])
        return stacked, torch.tensor(labels, device=stacked.device)

    def prototypes(self, before: Tensor, iterations: int = 5) -> Tensor:
        """Means of clusters of each class's regions.

        A prototype that was zero starts from one of P regions evenly spread over time; the others go on from where
        they were, so that each keeps meaning the same. An empty cluster keeps its prototype.

        Args:
            before: (C, P, D) unit or zero.

        Returns:
            (C, P, D) unit, zero for a class without regions.
        """
        after = before.clone()
        for label, kept in enumerate(self._kept):
            if kept:
                regions = torch.stack(kept).to(before)
                evenly = regions[torch.linspace(0, len(regions) - 1, before.shape[1]).long()]
                start = torch.where(before[label].abs().sum(dim=1, keepdim=True) > 0, before[label], evenly)
                clusters = spherical_kmeans(regions, (regions @ start.T).argmax(dim=1), iterations)
                means = cluster_means(regions[None], clusters[None], before.shape[1])[0]
                after[label] = torch.where(means.abs().sum(dim=1, keepdim=True) > 0, means, start)
        return after

    def state(self) -> list[Tensor]:
        """For a checkpoint: (m, D) of every class."""
        return [torch.stack(regions) if regions else torch.zeros(0, 0) for regions in self._kept]

    def load_state(self, state: list[Tensor], device: torch.device | None = None) -> None:
        """From a checkpoint, onto a device; None: where it is."""
        self._kept = [list(regions.to(device).unbind(0)) for regions in state]
