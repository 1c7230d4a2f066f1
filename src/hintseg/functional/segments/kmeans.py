"""Spherical (von Mises–Fisher) k-means from a regular grid, for a batch at once.

Source: [SegSort] sec. 3.1, [SPML] sec. 3.1. Differs from the authors' code in running images together
and never tracking gradients.
"""

import logging
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

log = logging.getLogger("hintseg")
CPU_VECTORS = 8192  # of images that go through all their rounds together: what caches hold
ROUNDS = 10  # of mean and assignment [SPML, SegSort]


@torch.no_grad()
def spherical_kmeans(features: Tensor, clusters: Tensor, iterations: int, num_clusters: int | None = None) -> Tensor:
    """Assign unit vectors to the nearest mean direction, `iterations` times.

        mean_k = normalize(Σ_{i in k} f_i);   k(i) = argmax_k f_i · mean_k

    A cluster that loses all its members keeps the zero vector, whose similarity is 0.

    Args:
        features: (N, D) or (B, N, D) float, unit length.
        clusters: (N,) or (B, N) int64 initial cluster of each vector, ids from 0.
        iterations: number of mean/assign rounds.
        num_clusters: more than any id; None looks for the largest, for which a GPU has to be waited.

    Returns:
        int64 clusters of the same shape.

    Raises:
        ValueError: the shapes do not match.
    """
    if features.shape[:-1] != clusters.shape:
        raise ValueError(f"features {tuple(features.shape)} need clusters of shape {tuple(features.shape[:-1])}")
    if features.ndim == 2:
        return spherical_kmeans(features[None], clusters[None], iterations, num_clusters)[0]
    if clusters.numel() == 0:
        return clusters
    num_clusters = int(clusters.max()) + 1 if num_clusters is None else num_clusters
    if fused := _kernel(features.device, features.dtype, features.shape[2], num_clusters):
        return fused(features, clusters, iterations, num_clusters)
    images = max(CPU_VECTORS // features.shape[1], 1) if features.device.type == "cpu" else len(features)
    parts = zip(features.split(images), clusters.split(images), strict=True)
    return torch.cat([_rounds(part, start, iterations, num_clusters) for part, start in parts])


def _rounds(features: Tensor, clusters: Tensor, iterations: int, num_clusters: int) -> Tensor:
    similarity = features.new_empty(len(features), num_clusters, features.shape[1])
    for _ in range(iterations):
        means = cluster_means(features, clusters, num_clusters)
        clusters = _largest(torch.bmm(means, features.transpose(1, 2), out=similarity))
    return clusters


@cache
def _kernel(
    device: torch.device, dtype: torch.dtype, dim: int, num_clusters: int
) -> Callable[[Tensor, Tensor, int, int], Tensor] | None:
    """That of `kernels/kmeans_cuda.py` where it fits and compiles, else None."""
    if device.type != "cuda" or dtype != torch.float32 or torch.cuda.get_device_capability(device) < (8, 0):
        return None
    try:
        from hintseg.functional.kernels.kmeans_cuda import MOST, WIDEST, fused_kmeans

        if dim > WIDEST or num_clusters > MOST:
            return None
        start = torch.zeros(1, 1, dtype=torch.int64, device=device)
        fused_kmeans(torch.ones(1, 1, dim, device=device), start, 1, num_clusters)
    except Exception as problem:  # of an import, a compiler or a driver: none is worth a training
        log.warning("the fused kernel of the k-means does not work here, what does is slower: %s", problem)
        return None
    return fused_kmeans


def cluster_means(features: Tensor, clusters: Tensor, num_clusters: int) -> Tensor:
    """Mean directions.

    Args:
        features: (B, N, D).
        clusters: (B, N) int64.

    Returns:
        (B, num_clusters, D), unit length, zero for an empty cluster.
    """
    batch, _, dim = features.shape
    rows = clusters + num_clusters * torch.arange(batch, device=clusters.device)[:, None]
    sums = features.new_zeros(batch * num_clusters, dim)
    sums.index_add_(0, rows.reshape(-1), features.reshape(-1, dim))
    return F.normalize(sums.view(batch, num_clusters, dim), dim=2, eps=1e-12)


def _largest(similarity: Tensor) -> Tensor:
    """(B, K, N) → (B, N) int64 row of the largest, the first of equals.

    On a CPU a pooling layer does it sixteen times faster than `argmax`, which reduces one column at a time: pooling
    keeps neighboring columns, as its channels, in one vector register.
    """
    batch, rows, columns = similarity.shape
    if similarity.device.type != "cpu":
        return similarity.argmax(dim=1)
    channels_last = similarity.contiguous().view(batch, rows, 1, columns).permute(0, 3, 1, 2)
    return F.max_pool2d(channels_last, (rows, 1), return_indices=True)[1].view(batch, columns)


def grid_clusters(height: int, width: int, grid: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """(height, width) int64 start: cell (y, x) belongs to round(linspace(0, rows − 1)) and the same for x.

    Rounding makes border cells half as large: 6 over 128 gives 13, 26, 25, 25, 26, 13.
    """
    rows = torch.linspace(0, grid[0] - 1, height, dtype=torch.float64, device=device).round().long()
    columns = torch.linspace(0, grid[1] - 1, width, dtype=torch.float64, device=device).round().long()
    return rows[:, None] + grid[0] * columns[None, :]


def location_features(height: int, width: int, like: Tensor) -> Tensor:
    """(height, width, 2): (y, x), each from −0.5 to 0.5, in the dtype and on the device of `like`."""
    rows = torch.linspace(-0.5, 0.5, height, dtype=like.dtype, device=like.device)
    columns = torch.linspace(-0.5, 0.5, width, dtype=like.dtype, device=like.device)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)


def with_location(embedding_maps: Tensor) -> Tensor:
    """Concatenate the location and normalize again: (B, H, W, D) unit → (B, H, W, D + 2) unit."""
    batch, height, width, _ = embedding_maps.shape
    location = location_features(height, width, embedding_maps).expand(batch, -1, -1, -1)
    return F.normalize(torch.cat([embedding_maps, location], dim=-1), dim=-1, eps=1e-12)
