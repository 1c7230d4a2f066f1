"""Segments of a photograph's colors: k-means, kernel k-means and normalized cut, from one start.

Figure of the lecture "Weakly-supervised segmentation". All three see colors alone; the last two through one Gaussian
kernel. Normalized cut is weighted kernel k-means [Dhillon, Guan & Kulis 2004].
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from docs.figures.drawing import Panel, panels
from numpy.typing import NDArray
from torch import Tensor

from hintseg.functional.affinity.gaussian import DenseGaussian
from hintseg.functional.propagation.normalized_cut import kernel_kmeans

SIDE = 64  # pixels of the longer side: all pairs of them are compared
CLUSTERS = 3
SRGB = 20.0  # bandwidth of the kernel


def kmeans(colors: Tensor, count: int, rounds: int = 100) -> Tensor:
    """Lloyd's algorithm on (N, 3) colors, begun at quantiles of brightness: (N,) int64."""
    order = colors.sum(dim=1).argsort()
    centers = colors[order[torch.linspace(0, len(order) - 1, 2 * count + 1).long()[1::2]]]
    for _ in range(rounds):
        nearest = torch.cdist(colors, centers).argmin(dim=1)
        members = torch.nn.functional.one_hot(nearest, count).to(colors.dtype)
        centers = members.T @ colors / members.sum(dim=0).clamp_min(1)[:, None]
    return nearest


def clusterings(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.int64]]]:
    """The reduced image, and the cluster of each pixel by method."""
    scale = SIDE / max(image.shape[:2])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    colors = torch.from_numpy(small.reshape(-1, 3)).double()
    start = kmeans(colors, CLUSTERS)
    affinity = DenseGaussian(colors[None] / SRGB, keep=True).apply(torch.eye(len(colors), dtype=torch.float64)[None])[0]
    found = {
        "k-means": start,
        "kernel k-means": kernel_kmeans(affinity, start, CLUSTERS, normalized=False),
        "normalized cut": kernel_kmeans(affinity, start, CLUSTERS),
    }
    return small, {name: labels.reshape(small.shape[:2]).numpy() for name, labels in found.items()}


def averaged(image: NDArray[np.uint8], clusters: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Every pixel in its cluster's mean color."""
    picture = np.zeros_like(image)
    for cluster in np.unique(clusters):
        picture[clusters == cluster] = image[clusters == cluster].mean(axis=0)
    return picture


def draw_clusters(path: Path, image: NDArray[np.uint8]) -> None:
    """The image and the three segmentations, each cluster in its mean color."""
    small, found = clusterings(image)
    panels(path, [[Panel("image", image), *(Panel(name, averaged(small, one)) for name, one in found.items())]])
