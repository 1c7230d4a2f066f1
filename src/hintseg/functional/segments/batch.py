"""SegmentedBatch: the one record that every relationship reads."""

from typing import NamedTuple

import torch
from torch import Tensor

from hintseg.functional.segments.kmeans import ROUNDS, grid_clusters, location_features, spherical_kmeans, with_location
from hintseg.functional.segments.prototypes import segment_prototypes, split_segments


class SegmentedBatch(NamedTuple):
    """Pixels of a batch (ignored ones left out) and the segments they form.

    Attributes:
        embeddings: (N, D) unit, with gradient.
        located: (N, D + 2) unit embeddings with location, with gradient.
        surroundings: (N, 5) location and color of each pixel, no gradient.
        label_of_pixel: (N,) int64; values ≥ `num_classes` mean unlabeled.
        segment_of_pixel, image_of_pixel: (N,) int64.
        prototypes: (K, D) unit, with gradient.
        located_prototypes: (K, D + 2) unit, with gradient.
        label_of_segment, region_of_segment, image_of_segment: (K,) int64.
        labeled_pixels, labeled_segments: int64 rows of those that have a label.
        tagged_pixels, tagged_segments: int64 rows of those whose image has a tag.
        tags_of_image: (B, T) bool foreground tags.
        num_classes: classes that labels can name.
    """

    embeddings: Tensor
    located: Tensor
    surroundings: Tensor
    label_of_pixel: Tensor
    segment_of_pixel: Tensor
    image_of_pixel: Tensor
    prototypes: Tensor
    located_prototypes: Tensor
    label_of_segment: Tensor
    region_of_segment: Tensor
    image_of_segment: Tensor
    labeled_pixels: Tensor
    labeled_segments: Tensor
    tagged_pixels: Tensor
    tagged_segments: Tensor
    tags_of_image: Tensor
    num_classes: int


def split_batch(
    embedding_maps: Tensor,
    labels: Tensor,
    regions: Tensor,
    colors: Tensor,
    tags_of_image: Tensor,
    *,
    num_classes: int,
    ignore_index: int,
    grid: tuple[int, int] = (6, 6),
    iterations: int = ROUNDS,
) -> SegmentedBatch:
    """Cluster each image, and split the clusters by label and region.

    Args:
        embedding_maps: (B, D, h, w) unit embeddings.
        labels: (B, h, w) int64: a class, any larger value for unlabeled, `ignore_index` for ignored ones.
        regions: (B, h, w) int64 superpixel ids from 0.
        colors: (B, 3, h, w) in [−1, 1].
        tags_of_image: (B, T) bool.
    """
    maps = embedding_maps.permute(0, 2, 3, 1)  # (B, h, w, D)
    batch, height, width, _ = maps.shape
    located = with_location(maps)
    # Ignored cells are few at this point (padding); clustering them along changes no label of the others.
    clusters = _clusters(located.detach(), grid, iterations)
    location = location_features(height, width, maps.detach()).expand(batch, -1, -1, -1)
    surroundings = torch.cat([location, colors.permute(0, 2, 3, 1).to(location.dtype)], dim=-1)

    # The gradient of plain indexing sorts its rows on a GPU; these are all different.
    (keep,) = (labels.reshape(-1) != ignore_index).nonzero(as_tuple=True)
    embeddings, located = (one.reshape(-1, one.shape[-1]).index_select(0, keep) for one in (maps, located))
    image = torch.arange(batch, device=maps.device).repeat_interleave(height * width)[keep]
    label = labels.reshape(-1)[keep]
    split = split_segments(image, clusters[keep], label, regions.reshape(-1)[keep])
    image_of_segment, _, label_of_segment, region_of_segment = split.keys_of_segment.unbind(1)
    segment, count, has_tag = split.segment_of_pixel, len(split.keys_of_segment), tags_of_image.any(dim=1)
    return SegmentedBatch(
        embeddings=embeddings,
        located=located,
        surroundings=surroundings.reshape(-1, surroundings.shape[-1])[keep],
        label_of_pixel=label,
        segment_of_pixel=segment,
        image_of_pixel=image,
        prototypes=segment_prototypes(embeddings, segment, count),
        located_prototypes=segment_prototypes(located, segment, count),
        label_of_segment=label_of_segment,
        region_of_segment=region_of_segment,
        image_of_segment=image_of_segment,
        labeled_pixels=_rows(label < num_classes),
        labeled_segments=_rows(label_of_segment < num_classes),
        tagged_pixels=_rows(has_tag[image]),
        tagged_segments=_rows(has_tag[image_of_segment]),
        tags_of_image=tags_of_image,
        num_classes=num_classes,
    )


def _rows(mask: Tensor) -> Tensor:
    """(N,) bool → int64 numbers of the rows that are true."""
    return mask.nonzero()[:, 0]


def _clusters(located: Tensor, grid: tuple[int, int], iterations: int) -> Tensor:
    """(B, h, w, D + 2) → (B · h · w,) cluster of each cell, from 0 in every image."""
    batch, height, width, dim = located.shape
    start = grid_clusters(height, width, grid, located.device).reshape(1, -1).expand(batch, -1)
    vectors = located.reshape(batch, height * width, dim)
    return spherical_kmeans(vectors, start, iterations, grid[0] * grid[1]).reshape(-1)
