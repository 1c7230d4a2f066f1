"""Frozen backbone: its feature maps are computed once for every view of an image and kept."""

import torch
from torch import Tensor

from hintseg.network.embedder import Embedder, PixelMaps

LARGEST = torch.finfo(torch.float16).max


class FeatureCache:
    """Feature maps by image and view, in half precision.

    What is computed afresh is rounded alike, and a resumed run, whose cache is empty, repeats the uninterrupted.

    Args:
        limit: bytes to keep; views beyond it are computed each time.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._kept: dict[tuple[int, int], list[Tensor]] = {}

    def maps(self, network: Embedder, images: Tensor, views: Tensor) -> PixelMaps:
        """The network's maps of a batch, from kept features where there are any.

        Args:
            network: with a frozen backbone.
            images: (B, 3, H, W).
            views: (B, 2) int64, image and view; equal ones have equal pixels.
        """
        names = [(image, view) for image, view in views.tolist()]
        missing = [row for row, name in enumerate(names) if name not in self._kept]
        found = {name: self._kept[name] for name in names if name in self._kept}
        if missing:
            with torch.no_grad():
                pyramid = [
                    level.clamp(-LARGEST, LARGEST).to(torch.float16) for level in network.pyramid(images[missing])
                ]
            for position, row in enumerate(missing):
                found[names[row]] = entry = [level[position].clone() for level in pyramid]
                size = sum(level.nbytes for level in entry)
                if names[row] not in self._kept and self.held + size <= self.limit:
                    self._kept[names[row]] = [level.cpu() for level in entry]
                    self.held += size
        levels = zip(*(found[name] for name in names), strict=True)
        stacked = (torch.stack([level.to(images.device) for level in column]) for column in levels)
        wide = [level.to(network.mean.dtype, memory_format=torch.channels_last) for level in stacked]
        return network.read(wide, images.shape[-2:])
