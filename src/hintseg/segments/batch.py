"""SegmentedBatch: the one record that every relationship reads."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from hintseg.segments.kmeans import grid_clusters, location_features, spherical_kmeans, with_location
from hintseg.segments.prototypes import combine, number_segments, parts, segment_prototypes
from hintseg.segments.rows import rows_where

REGIONS = 2**17  # more than an image has
LABELS = 256


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
        labelled_pixels, labelled_segments: int64 rows of those that have a label.
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
    labelled_pixels: Tensor
    labelled_segments: Tensor
    tagged_pixels: Tensor
    tagged_segments: Tensor
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

    How many pixels and segments there are of each kind is asked for once, together: a GPU has to be waited for then.

    Args:
        embedding_maps: (B, D, h, w) unit embeddings.
        labels: (B, h, w) int64: a class, any larger value up to 255 for unlabelled, `void` for void.
        regions: (B, h, w) int64 over-segment ids from 0, less than 2¹⁷.
        colours: (B, 3, h, w) in [−1, 1].
        tags_of_image: (B, T) bool.
    """
    maps = embedding_maps.permute(0, 2, 3, 1)  # (B, h, w, D)
    batch, height, width, dim = maps.shape
    located = with_location(maps)
    # Void cells are few at this point (padding); clustering them along changes no label of the others.
    clusters = _clusters(located.detach(), grid, iterations)
    image = torch.arange(batch, device=maps.device)[:, None].expand(batch, height * width).reshape(-1)
    location = location_features(height, width, maps.detach()).expand(batch, -1, -1, -1)
    surroundings = torch.cat([location, colours.permute(0, 2, 3, 1).to(location.dtype)], dim=-1)

    # Void cells form segments, too, but behind all others, where they are cut off.
    label, has_tag = labels.reshape(-1), tags_of_image.any(dim=1)
    inside = label != void
    sizes = (2, batch, grid[0] * grid[1], LABELS, REGIONS)
    keys = ((~inside).long(), image, clusters, label, regions.reshape(-1))
    numbered = number_segments(combine(keys, sizes))
    _, image_of_segment, _, label_of_segment, region_of_segment = parts(numbered.key_of_segment, sizes)
    segment = numbered.key_of_segment < math.prod(sizes[1:])  # not void, and not `NOBODY`
    labelled, labelled_segment = inside & (label < num_classes), segment & (label_of_segment < num_classes)
    tagged, tagged_segment = inside & has_tag[image], segment & has_tag[image_of_segment]
    masks = (inside, labelled, tagged, segment, labelled_segment, tagged_segment)
    counts = torch.stack([mask.sum() for mask in masks]).tolist()
    keep, count = rows_where(inside, counts[0]), counts[3]

    embeddings = maps.reshape(-1, dim)[keep]
    located = located.reshape(-1, dim + 2)[keep]
    segment_of_pixel = numbered.segment_of_pixel[keep]
    return SegmentedBatch(
        embeddings=embeddings,
        located=located,
        surroundings=surroundings.reshape(-1, 5)[keep],
        label_of_pixel=label[keep],
        segment_of_pixel=segment_of_pixel,
        image_of_pixel=image[keep],
        prototypes=segment_prototypes(embeddings, segment_of_pixel, count),
        located_prototypes=segment_prototypes(located, segment_of_pixel, count),
        label_of_segment=label_of_segment[:count],
        region_of_segment=region_of_segment[:count],
        image_of_segment=image_of_segment[:count],
        labelled_pixels=rows_where(labelled[keep], counts[1]),
        tagged_pixels=rows_where(tagged[keep], counts[2]),
        labelled_segments=rows_where(labelled_segment[:count], counts[4]),
        tagged_segments=rows_where(tagged_segment[:count], counts[5]),
        tags_of_image=tags_of_image,
        num_classes=num_classes,
    )


def _clusters(located: Tensor, grid: tuple[int, int], iterations: int) -> Tensor:
    """(B, h, w, D + 2) → (B · h · w,) cluster of each cell, from 0 in every image."""
    batch, height, width, dim = located.shape
    start = grid_clusters(height, width, grid, located.device).reshape(1, -1).expand(batch, -1)
    vectors = located.reshape(batch, height * width, dim)
    return spherical_kmeans(vectors, start, iterations, grid[0] * grid[1]).reshape(-1)
