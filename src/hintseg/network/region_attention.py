"""Pixels read prototypes of remembered regions: the other part of RCA [Zhou et al., CVPR 2022].

The attention is normalized as in the paper (the release leaves the softmax out).
"""

import math

import torch
from torch import Tensor, nn

from hintseg.network.heads import conv_bn_relu


class RegionAttention(nn.Module):
    """Decoder features and what they attend to among the classes' prototypes, fused.

    Attributes:
        prototypes: (C, P, D) unit; a zero one, of a class not yet seen, is not attended to.
    """

    prototypes: Tensor

    def __init__(self, width: int, dim: int, num_classes: int, count: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(width, dim, 1)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.fuse = conv_bn_relu(width + dim, width)
        self.register_buffer("prototypes", torch.zeros(num_classes, count, dim))

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, h, w) → the same shape."""
        prototypes = self.prototypes.flatten(0, 1)
        known = prototypes.abs().sum(dim=1) > 0
        queries = self.query(features).flatten(2).transpose(1, 2)
        similar = queries @ self.key(prototypes).T / math.sqrt(queries.shape[2])
        # Where nothing is known yet, every weight is zero instead of undefined.
        weights = similar.masked_fill(~known, -1e4).softmax(dim=2) * known
        read = (weights @ self.value(prototypes)).transpose(1, 2).reshape(-1, queries.shape[2], *features.shape[2:])
        fused: Tensor = self.fuse(torch.cat([features, read], dim=1))
        return fused
