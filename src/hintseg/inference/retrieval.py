"""The index of training segments: build it, find the nearest, segment by their votes [SPML sec. 3.4]."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from torch import Tensor

from hintseg.errors import InputError, RunError
from hintseg.functional.propagation.vote import label_fractions, nearest_segments
from hintseg.functional.segments.kmeans import ROUNDS, grid_clusters, spherical_kmeans, with_location
from hintseg.functional.segments.prototypes import segment_prototypes, split_segments
from hintseg.inference import large_index
from hintseg.inference.large_index import LargeIndex
from hintseg.io.listing import require_no_pipe
from hintseg.io.storage.mirror import cache_folder
from hintseg.io.writing import atomic_path
from hintseg.network.heads import coarse_size, resize

MEMORY_BANK, EARLIER_MEMORY_BANK = "memory_bank.safetensors", "memory.safetensors"
FIELDS = ("prototypes", "labels", "images", "boxes")


@dataclass(frozen=True)
class SegmentIndex:
    """Segments of the training images.

    Attributes:
        prototypes: (M, D) float32 unit.
        labels: (M,) int64.
        images: (M,) int64, position in the list of training keys.
        boxes: (M, 4) float32 x0, y0, x1, y1 as fractions of the image's width and height.
        large: finds the nearest of very many; None compares all.
    """

    prototypes: Tensor
    labels: Tensor
    images: Tensor
    boxes: Tensor
    large: LargeIndex | None = None

    def nearest(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Cosines (Q, k') and rows (Q, k') int64 of the nearest segments to (Q, D) unit, nearest first.

        Raises:
            InputError: there is none.
        """
        return nearest_segments(queries, self.prototypes, k) if self.large is None else self.large.nearest(queries, k)


class Neighbor(NamedTuple):
    """A training segment near a query."""

    key: str
    label: int
    similarity: float
    box: tuple[float, float, float, float]


def image_segments(embeddings: Tensor, grid: tuple[int, int]) -> Tensor:
    """Cluster one image: (D, h, w) unit → (h, w) int64 ids 0 … K − 1."""
    maps = embeddings.permute(1, 2, 0)
    height, width, _ = maps.shape
    start = grid_clusters(height, width, grid, maps.device)
    located = with_location(maps[None])[0]
    clusters = spherical_kmeans(located.reshape(height * width, -1), start.reshape(-1), ROUNDS)
    return split_segments(clusters).segment_of_pixel.reshape(height, width)


def index_image(
    embeddings: Tensor, labels: Tensor, image: int, grid: tuple[int, int], num_classes: int
) -> SegmentIndex:
    """Segments of one image, split by label; unlabeled ones are left out.

    Args:
        embeddings: (D, h, w) unit.
        labels: (h, w) int64 of the same grid.
        image: position of the image among the training keys.
    """
    height, width = labels.shape
    clusters = image_segments(embeddings, grid)
    split = split_segments(clusters.reshape(-1), labels.reshape(-1))
    count = split.keys_of_segment.shape[0]
    vectors = embeddings.permute(1, 2, 0).reshape(height * width, -1)
    prototypes = segment_prototypes(vectors, split.segment_of_pixel, count)
    spans = find_objects(split.segment_of_pixel.reshape(height, width).numpy() + 1)
    edges = [(across.start, down.start, across.stop, down.stop) for down, across in spans]
    boxes = torch.tensor(edges).float() / torch.tensor([width, height, width, height])
    label_of_segment = split.keys_of_segment[:, 1]
    known = label_of_segment < num_classes
    images = torch.full((int(known.sum()),), image, dtype=torch.int64)
    return SegmentIndex(prototypes[known].float(), label_of_segment[known], images, boxes[known])


def merge(parts: list[SegmentIndex]) -> SegmentIndex:
    """One index from many."""

    def joined(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in parts])

    return SegmentIndex(joined("prototypes"), joined("labels"), joined("images"), joined("boxes"))


def bank_path(run: Path) -> Path:
    """The memory bank of a run folder, by its earlier name where it has that alone."""
    earlier = run / EARLIER_MEMORY_BANK
    return earlier if earlier.exists() and not (run / MEMORY_BANK).exists() else run / MEMORY_BANK


def save_index(index: SegmentIndex, path: Path) -> None:
    """Write an index as safetensors."""
    from safetensors.torch import save_file

    with atomic_path(path) as temporary:
        save_file({name: getattr(index, name).contiguous() for name in FIELDS}, temporary)


def load_index(path: Path, classes: int, images: int) -> SegmentIndex:
    """Read an index.

    Args:
        classes, images: of the run, to which its labels and images must belong.

    Raises:
        RunError: absent or damaged, or the approximate index of a large memory bank cannot be written to the cache.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        require_no_pipe(path)
        stored = load_file(path)
        index = SegmentIndex(stored["prototypes"], stored["labels"], stored["images"], stored["boxes"])
        count, _ = index.prototypes.shape
        if (index.labels.shape, index.images.shape, index.boxes.shape) != ((count,), (count,), (count, 4)):
            raise ValueError("tensors that do not belong together")
        for places in (index.prototypes, index.boxes):
            if places.dtype != torch.float32 or not places.isfinite().all():
                raise ValueError("segments that lie nowhere")
        for values, limit in ((index.labels, classes), (index.images, images)):
            if values.dtype != torch.int64 or (count and not 0 <= int(values.min()) <= int(values.max()) < limit):
                raise ValueError("segments of other classes or images")
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RunError(f"{path}: the memory bank is missing or damaged; run training again with --resume.") from error
    if count <= large_index.LARGE:
        return index
    return replace(index, large=LargeIndex(cache_folder() / "segments", index.prototypes))


def retrieval_probabilities(
    embeddings: Tensor, index: SegmentIndex, size: tuple[int, int], grid: tuple[int, int], neighbors: int,
    num_classes: int,
) -> Tensor:  # fmt: skip
    """Fractions of the votes of each segment's nearest training segments: (C, H, W).

    Embeddings are enlarged to half the image's size before they are clustered, so that borders are finer
    than the network's cells.
    """
    embeddings = F.normalize(resize(embeddings[None], coarse_size(size, 2))[0], dim=0, eps=1e-12)
    clusters = image_segments(embeddings, grid)
    count = int(clusters.max()) + 1
    vectors = embeddings.permute(1, 2, 0).reshape(clusters.numel(), -1)
    queries = segment_prototypes(vectors, clusters.reshape(-1), count).float().cpu()
    probabilities = label_fractions(index.labels[index.nearest(queries, neighbors)[1]], num_classes)
    maps = probabilities.to(clusters.device)[clusters].permute(2, 0, 1)
    return F.interpolate(maps[None], size=size, mode="nearest")[0]


def require_click(at: tuple[float, float], neighbors: int, width: int, height: int) -> tuple[float, float]:
    """(x, y) of a pixel of an image; InputError where that is none of it, or where so many neighbors cannot be."""
    try:
        x, y = map(float, at)
    except (TypeError, ValueError):
        raise InputError(f"a pixel is two numbers, such as (120, 80), but this is {at!r:.80}.") from None
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"--at {x:g},{y:g} lies outside the {width}×{height} image.")
    if not hasattr(neighbors, "__index__") or neighbors < 0:
        raise InputError(f"the number of neighbors must be a whole number from 0 but is {neighbors!r:.80}.")
    return x, y


def nearest_to_click(
    embeddings: Tensor, index: SegmentIndex, keys: tuple[str, ...], at: tuple[float, float], grid: tuple[int, int],
    neighbors: int,
) -> tuple[NDArray[np.bool_], list[Neighbor]]:  # fmt: skip
    """The clicked segment's mask (h, w) and its nearest training segments.

    Args:
        at: (x, y) as fractions of the image's width and height.
    """
    clusters = image_segments(embeddings, grid)
    height, width = clusters.shape
    row, column = min(int(at[1] * height), height - 1), min(int(at[0] * width), width - 1)
    clicked = clusters == clusters[row, column]
    query = F.normalize(embeddings[:, clicked].sum(dim=1), dim=0)[None].float().cpu()
    similarity, rows = index.nearest(query, neighbors)
    found = [
        Neighbor(keys[int(index.images[row])], int(index.labels[row]), float(cosine), tuple(index.boxes[row].tolist()))
        for cosine, row in zip(similarity[0], rows[0].tolist(), strict=True)
    ]
    return clicked.cpu().numpy(), found
