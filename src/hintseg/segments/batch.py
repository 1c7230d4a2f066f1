"""SegmentedBatch: the one record that every relationship reads."""

from typing import NamedTuple

import torch
from torch import Tensor

from hintseg.segments.kmeans import grid_clusters, location_features, spherical_kmeans, with_location
from hintseg.segments.prototypes import segment_prototypes, split_segments


class SegmentedBatch(NamedTuple):
    """Pixels of a batch (void ones left out) and the segments they form.

    Attributes:
        embeddings: (N, D) unit, with gradient.
        located: (N, D + 2) unit embeddings with location, with gradient.
        surroundings: (N, 5) location and colour of each pixel, no gradient.
        label_of_pixel: (N,) int64; values ≥ `num_classes` mean unlabelled.
        segment_of_pixel, image_of_pixel: (N,) int64.
        prototypes: (K, D) unit, with gradient.
        located_prototypes: (K, D + 2) unit, with gradient.
        label_of_segment, region_of_segment, image_of_segment: (K,) int64.
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
    tags_of_image: Tensor
    num_classes: int


def segment_batch(
    embedding_maps: Tensor,
    labels: Tensor,
    regions: Tensor,
    colours: Tensor,
    tags_of_image: Tensor,
    *,
    num_classes: int,
    void: int,
    grid: tuple[int, int] = (6, 6),
    iterations: int = 10,
) -> SegmentedBatch:
    """Cluster each image, split the clusters by label and region, and sum up prototypes.

    Args:
        embedding_maps: (B, D, h, w) unit embeddings.
        labels: (B, h, w) int64: a class, any larger value for unlabelled, `void` for void.
        regions: (B, h, w) int64 over-segment ids from 0.
        colours: (B, 3, h, w) in [−1, 1].
        tags_of_image: (B, T) bool.
    """
    maps = embedding_maps.permute(0, 2, 3, 1)  # (B, h, w, D)
    batch, height, width, dim = maps.shape
    located = with_location(maps)
    start = grid_clusters(height, width, grid, maps.device).reshape(1, -1).expand(batch, -1)
    # Void cells are few at this point (padding); clustering them along changes no label of the others.
    vectors = located.detach().reshape(batch, height * width, -1)
    clusters = spherical_kmeans(vectors, start, iterations, grid[0] * grid[1])
    image = torch.arange(batch, device=maps.device)[:, None].expand(batch, height * width)
    keep = (labels.reshape(-1) != void).nonzero()[:, 0]
    location = location_features(height, width, maps.detach()).expand(batch, -1, -1, -1)
    surroundings = torch.cat([location, colours.permute(0, 2, 3, 1).to(location.dtype)], dim=-1)

    embeddings = maps.reshape(-1, dim)[keep]
    located = located.reshape(-1, dim + 2)[keep]
    image_of_pixel = image.reshape(-1)[keep]
    label_of_pixel = labels.reshape(-1)[keep]
    split = split_segments(image_of_pixel, clusters.reshape(-1)[keep], label_of_pixel, regions.reshape(-1)[keep])
    num_segments = split.keys_of_segment.shape[0]
    return SegmentedBatch(
        embeddings=embeddings,
        located=located,
        surroundings=surroundings.reshape(-1, 5)[keep],
        label_of_pixel=label_of_pixel,
        segment_of_pixel=split.segment_of_pixel,
        image_of_pixel=image_of_pixel,
        prototypes=segment_prototypes(embeddings, split.segment_of_pixel, num_segments),
        located_prototypes=segment_prototypes(located, split.segment_of_pixel, num_segments),
        label_of_segment=split.keys_of_segment[:, 2],
        region_of_segment=split.keys_of_segment[:, 3],
        image_of_segment=split.keys_of_segment[:, 0],
        tags_of_image=tags_of_image,
        num_classes=num_classes,
    )
