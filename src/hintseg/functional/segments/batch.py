"""SegmentedBatch: the one record that every relationship reads."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hintseg.functional.segments.kmeans import ROUNDS, grid_clusters, location_features, spherical_kmeans, with_location
from hintseg.functional.segments.masked_selection import rows_in_front
from hintseg.functional.segments.prototypes import combine, number_segments, parts, segment_prototypes

REGIONS = 2**17  # more than an image has
LABELS = 256


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


class UncountedBatch(NamedTuple):
    """A batch that is clustered and split, before anybody knows into how many segments.

    Attributes:
        maps: (B, h, w, D) unit embeddings, with gradient.
        located: (B, h, w, D + 2) the same with location.
        surroundings: (B, h, w, 5) location and color.
        image, label, segment_of_pixel: (B · h · w,) int64.
        label_of_segment, region_of_segment, image_of_segment: (B · h · w,) int64, of which the first ones are meant.
        inside, labeled_pixels, tagged_pixels, labeled_segments, tagged_segments: (B · h · w + 1,) int64 rows, as
            `rows_in_front` gives them; the second and third among those inside.
        counts: (6,) int64, how many pixels are inside, labeled, tagged, and how many segments there are, labeled,
            tagged.
        tags_of_image: (B, T) bool.
        num_classes: classes that labels can name.
    """

    maps: Tensor
    located: Tensor
    surroundings: Tensor
    image: Tensor
    label: Tensor
    segment_of_pixel: Tensor
    label_of_segment: Tensor
    region_of_segment: Tensor
    image_of_segment: Tensor
    inside: Tensor
    labeled_pixels: Tensor
    tagged_pixels: Tensor
    labeled_segments: Tensor
    tagged_segments: Tensor
    counts: Tensor
    tags_of_image: Tensor
    num_classes: int

    def counted(self, counts: Sequence[int] | None = None) -> SegmentedBatch:
        """The batch as relationships read it.

        Args:
            counts: the numbers in `counts`, for which a GPU has to be waited; None asks for them here.
        """
        if counts is None:
            counts = self.counts.tolist()
        pixels, labeled, tagged, count, labeled_segments, tagged_segments = counts
        keep = self.inside[:pixels]
        # The gradient of plain indexing sorts its rows on a GPU; these are all different.
        embeddings = self.maps.reshape(-1, self.maps.shape[-1]).index_select(0, keep)
        located = self.located.reshape(-1, self.located.shape[-1]).index_select(0, keep)
        segment_of_pixel = self.segment_of_pixel[keep]
        return SegmentedBatch(
            embeddings=embeddings,
            located=located,
            surroundings=self.surroundings.reshape(-1, self.surroundings.shape[-1])[keep],
            label_of_pixel=self.label[keep],
            segment_of_pixel=segment_of_pixel,
            image_of_pixel=self.image[keep],
            prototypes=segment_prototypes(embeddings, segment_of_pixel, count),
            located_prototypes=segment_prototypes(located, segment_of_pixel, count),
            label_of_segment=self.label_of_segment[:count],
            region_of_segment=self.region_of_segment[:count],
            image_of_segment=self.image_of_segment[:count],
            labeled_pixels=self.labeled_pixels[:labeled],
            tagged_pixels=self.tagged_pixels[:tagged],
            labeled_segments=self.labeled_segments[:labeled_segments],
            tagged_segments=self.tagged_segments[:tagged_segments],
            tags_of_image=self.tags_of_image,
            num_classes=self.num_classes,
        )


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
) -> UncountedBatch:
    """Cluster each image, and split the clusters by label and region.

    Args:
        embedding_maps: (B, D, h, w) unit embeddings.
        labels: (B, h, w) int64: a class, any larger value up to 255 for unlabeled, `ignore_index` for ignored ones.
        regions: (B, h, w) int64 superpixel ids from 0, less than 2¹⁷.
        colors: (B, 3, h, w) in [−1, 1].
        tags_of_image: (B, T) bool.
    """
    maps = embedding_maps.permute(0, 2, 3, 1)  # (B, h, w, D)
    batch, height, width, _ = maps.shape
    located = with_location(maps)
    # Ignored cells are few at this point (padding); clustering them along changes no label of the others.
    clusters = _clusters(located.detach(), grid, iterations)
    image = torch.arange(batch, device=maps.device)[:, None].expand(batch, height * width).reshape(-1)
    location = location_features(height, width, maps.detach()).expand(batch, -1, -1, -1)

    # Ignored cells form segments, too, but behind all others, where they are cut off.
    label, has_tag = labels.reshape(-1), tags_of_image.any(dim=1)
    inside = label != ignore_index
    sizes = (2, batch, grid[0] * grid[1], LABELS, REGIONS)
    numbered = number_segments(combine(((~inside).long(), image, clusters, label, regions.reshape(-1)), sizes))
    _, image_of_segment, _, label_of_segment, region_of_segment = parts(numbered.key_of_segment, sizes)
    segment = numbered.key_of_segment < math.prod(sizes[1:])  # not ignored, and not `NOBODY`
    labeled, tagged = inside & (label < num_classes), inside & has_tag[image]
    labeled_segment, tagged_segment = segment & (label_of_segment < num_classes), segment & has_tag[image_of_segment]
    row = inside.cumsum(0) - 1
    masks = (inside, labeled, tagged, segment, labeled_segment, tagged_segment)
    return UncountedBatch(
        maps=maps,
        located=located,
        surroundings=torch.cat([location, colors.permute(0, 2, 3, 1).to(location.dtype)], dim=-1),
        image=image,
        label=label,
        segment_of_pixel=numbered.segment_of_pixel,
        label_of_segment=label_of_segment,
        region_of_segment=region_of_segment,
        image_of_segment=image_of_segment,
        inside=rows_in_front(inside),
        labeled_pixels=rows_in_front(labeled, row),
        tagged_pixels=rows_in_front(tagged, row),
        labeled_segments=rows_in_front(labeled_segment),
        tagged_segments=rows_in_front(tagged_segment),
        counts=torch.stack([mask.sum() for mask in masks]),
        tags_of_image=tags_of_image,
        num_classes=num_classes,
    )


def _clusters(located: Tensor, grid: tuple[int, int], iterations: int) -> Tensor:
    """(B, h, w, D + 2) → (B · h · w,) cluster of each cell, from 0 in every image."""
    batch, height, width, dim = located.shape
    start = grid_clusters(height, width, grid, located.device).reshape(1, -1).expand(batch, -1)
    vectors = located.reshape(batch, height * width, dim)
    return spherical_kmeans(vectors, start, iterations, grid[0] * grid[1]).reshape(-1)
