"""What stands on the backbone: three decoders, the unit embedding and two classifiers.

A decoder maps the backbone's pyramid to one feature map; `LightDecoder` is the default for small
backbones, `DilatedSum` and `PyramidPooling` are the paper's.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hintseg.network.conv_bn_fusion import fuse


def conv_bn_relu(inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution without bias, batch normalization, ReLU; keeps the size."""
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(outputs)
    fuse(convolution, norm)
    return nn.Sequential(convolution, norm, nn.ReLU(inplace=True))


def separable(inputs: int, outputs: int) -> nn.Sequential:
    """Depthwise 3×3 then pointwise convolution, each with batch normalization and ReLU."""
    return nn.Sequential(conv_bn_relu(inputs, inputs, 3, groups=inputs), conv_bn_relu(inputs, outputs))


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear, corners not aligned, as everywhere in the method."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def coarse_size(size: Sequence[int], stride: int) -> tuple[int, int]:
    """(height, width) in cells of `stride` pixels a side, at least one each."""
    height, width = size
    return max(height // stride, 1), max(width // stride, 1)


class LightDecoder(nn.Module):
    """Top-down pyramid of 1×1 laterals and separable convolutions, with one image-wide context vector.

    The context vector (global average of the deepest map) tells every pixel what scene it is in.

    Attributes:
        width: channels of the result.
        stride: input pixels per cell of the result.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], width: int = 128) -> None:
        super().__init__()
        self.width = width
        self.stride = 4
        self.levels = [index for index, stride in enumerate(strides) if stride >= 4]
        deepest = self.levels[-1]
        self.laterals = nn.ModuleList(conv_bn_relu(channels[index], width) for index in self.levels)
        self.context = nn.Sequential(nn.Linear(channels[deepest], width), nn.ReLU(inplace=True))
        self.smooth = nn.ModuleList(separable(width, width) for _ in self.levels)

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Pyramid of an image of `size` (H, W) → (B, width, H / 4, W / 4)."""
        context: Tensor = self.context(maps[self.levels[-1]].mean(dim=(2, 3)))[:, :, None, None]
        merged: Tensor | None = None
        for position in reversed(range(len(self.levels))):
            lateral = self.laterals[position](maps[self.levels[position]])
            merged = lateral + context if merged is None else lateral + resize(merged, lateral.shape[-2:])
            merged = self.smooth[position](merged)
        if merged is None:
            raise RuntimeError("the backbone returned no feature map of stride 4 or more")
        return resize(merged, coarse_size(size, self.stride))


class DilatedSum(nn.Module):
    """Sum of four dilated 3×3 convolutions, no normalization, no ReLU, then ×2 [SPML, DeepLab v2]."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int], width: int = 64) -> None:
        super().__init__()
        self.width = width
        self.stride = max(strides[-1] // 2, 1)
        self.branches = nn.ModuleList(
            nn.Conv2d(channels[-1], width, 3, padding=rate, dilation=rate) for rate in (6, 12, 18, 24)
        )

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Pyramid of an image of `size` (H, W) → (B, width, H / stride, W / stride)."""
        total: Tensor = sum((branch(maps[-1]) for branch in self.branches), torch.zeros((), device=maps[-1].device))
        return resize(total, coarse_size(size, self.stride))


class PyramidPooling(nn.Module):
    """Pools of 1, 2, 3, 6 cells beside the deepest map, fused by a 3×3 convolution, then ×2 [SPML, PSPNet]."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int], width: int = 512) -> None:
        super().__init__()
        self.width = width
        self.stride = max(strides[-1] // 2, 1)
        inputs = channels[-1]
        self.cells = (1, 2, 3, 6)
        # No batch normalization after the 1-cell pool of a single image: its variance is undefined.
        self.pools = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs, inputs // 4, 1, bias=True), nn.GroupNorm(1, inputs // 4), nn.ReLU(inplace=True)
            )
            for _ in self.cells
        )
        self.fuse = conv_bn_relu(inputs + 4 * (inputs // 4), width, 3)

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Pyramid of an image of `size` (H, W) → (B, width, H / stride, W / stride)."""
        deepest = maps[-1]
        pooled = [
            resize(pool(F.adaptive_avg_pool2d(deepest, cells)), deepest.shape[-2:])
            for pool, cells in zip(self.pools, self.cells, strict=True)
        ]
        fused: Tensor = self.fuse(torch.cat([deepest, *pooled], dim=1))
        return resize(fused, coarse_size(size, self.stride))


class UnitPyramid(nn.Module):
    """The backbone's last maps as they are, each of unit length in every cell, joined at the finest one's stride.

    Nothing here learns: what reads it is a probe of the backbone's features.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], width: int = 0) -> None:
        super().__init__()
        finest = min(8, strides[-1])
        self.count = sum(stride >= finest for stride in strides)
        self.width = sum(channels[-self.count :])
        self.stride = strides[-self.count]

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Pyramid of an image of `size` (H, W), or its last maps → (B, width, H / stride, W / stride)."""
        used = [F.normalize(level.float(), dim=1) for level in maps[-self.count :]]
        return torch.cat([resize(level, used[0].shape[-2:]) for level in used], dim=1)


DECODERS: dict[str, type[LightDecoder] | type[DilatedSum] | type[PyramidPooling] | type[UnitPyramid]] = {
    "light": LightDecoder,
    "dilated": DilatedSum,
    "pyramid": PyramidPooling,
    "none": UnitPyramid,
}


def joint_classifier(width: int, num_classes: int, dropout: float) -> nn.Module:
    """Classifier on the decoder's features, trained end to end with everything else."""
    return nn.Sequential(nn.Dropout2d(dropout), nn.Conv2d(width, num_classes, 1))


def hidden_classifier(dim: int, num_classes: int, dropout: float) -> nn.Module:
    """The second layer of a perceptron whose first layer makes the embedding."""
    return nn.Sequential(nn.GELU(), nn.Dropout(dropout), nn.Conv2d(dim, num_classes, 1))


def embedding_classifier(dim: int, num_classes: int, dropout: float) -> nn.Module:
    """The paper's classifier on the embedding: 3×3 conv to 2D, BN, ReLU, dropout, 1×1 conv."""
    return nn.Sequential(conv_bn_relu(dim, 2 * dim, 3), nn.Dropout2d(dropout), nn.Conv2d(2 * dim, num_classes, 1))
