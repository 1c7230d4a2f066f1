"""Spherical k-means in one kernel a round: vectors are read once, to be assigned and to be added up.

As `spherical_kmeans` of `segments/kmeans.py`. Sums are added up in a fixed order, so that a seed gives the same result.
"""

import torch
import triton
from torch import Tensor

from hintseg.functional.kernels.kmeans import kmeans_kernel

WIDEST = 128  # dimensions, and
MOST = 64  # clusters, that fit on the chip
SHARES = 16  # of an image's vectors, a program each: with a batch enough to fill a GPU
TILE = {"ROWS": 64, "num_warps": 4, "num_stages": 1}


def fused_kmeans(features: Tensor, clusters: Tensor, iterations: int, num_clusters: int) -> Tensor:
    """(B, N, D) float32 unit vectors and their (B, N) int64 clusters → the clusters after `iterations` rounds."""
    batch, count, dim = features.shape
    features, clusters = features.contiguous(), clusters.contiguous()
    # A round reads the sums that the last one wrote.
    sums = features.new_empty((2, batch, SHARES, num_clusters, dim))
    found = torch.empty_like(clusters)
    options = {
        "DIM": dim,
        "DEPTH": max(triton.next_power_of_2(dim), 16),
        "CLUSTERS": max(triton.next_power_of_2(num_clusters), 64),
        "SHARES": SHARES,
        "INTERPRETED": not features.is_cuda,
        **TILE,
    }
    with torch.cuda.device_of(features):
        for step in range(iterations + 1):
            before, after = sums[step % 2], sums[1 - step % 2]
            kmeans_kernel[(batch, SHARES)](
                features, clusters, before, after, found, count, num_clusters, START=step == 0, **options
            )
    return found if iterations else clusters
