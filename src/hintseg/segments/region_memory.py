"""RegionMemory: the last regions of every class, and a few prototypes of them [RCA, Zhou et al., CVPR 2022]."""

import torch
from torch import Tensor

from hintseg.segments.kmeans import cluster_means, spherical_kmeans


class RegionMemory:
    """First in, first out, class by class.

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
