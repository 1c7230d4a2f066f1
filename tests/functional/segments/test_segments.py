"""Splitting, prototypes, batches, memory, over-segmentation."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hintseg.functional.segments.batch import split_batch
from hintseg.functional.segments.kmeans import grid_clusters, spherical_kmeans, with_location
from hintseg.functional.segments.memory_bank import MemoryBank
from hintseg.functional.segments.prototypes import (
    segment_prototypes,
    split_segments,
)
from hintseg.functional.segments.superpixels import find_superpixels


def test_published_split(golden):
    arrays = golden("split_segments")
    split = split_segments(arrays["clusters"], arrays["pixel_labels"])
    pairs = set(zip(split.segment_of_pixel.tolist(), arrays["segment_of_pixel"].tolist(), strict=True))
    assert len(pairs) == len(arrays["segment_labels"]) == split.keys_of_segment.shape[0]
    for mine, theirs in pairs:
        assert int(split.keys_of_segment[mine, 1]) == int(arrays["segment_labels"][theirs])


def test_segments_agree_in_every_key_and_differ_from_each_other():
    random = torch.Generator().manual_seed(0)
    keys = [torch.randint(size, (200,), generator=random) for size in (3, 5, 2)]
    split = split_segments(*keys)
    tuples = list(zip(*(key.tolist() for key in keys), strict=True))
    names = {}
    for pixel, segment in enumerate(split.segment_of_pixel.tolist()):
        assert names.setdefault(segment, tuples[pixel]) == tuples[pixel]
        assert tuple(split.keys_of_segment[segment].tolist()) == tuples[pixel]
    assert len(set(names.values())) == len(names) == split.keys_of_segment.shape[0]


def test_split_refuses_what_it_cannot_hold():
    with pytest.raises(ValueError, match="at least one"):
        split_segments()
    with pytest.raises(ValueError, match="63 bits"):
        split_segments(*[torch.tensor([2**31])] * 3)
    assert split_segments(torch.zeros(0, dtype=torch.int64)).keys_of_segment.shape == (0, 1)


def test_prototypes_by_loop_with_gradient():
    random = torch.Generator().manual_seed(1)
    embeddings = F.normalize(torch.randn(20, 4, generator=random, dtype=torch.float64), dim=1).requires_grad_()
    segments = torch.randint(3, (20,), generator=random)
    found = segment_prototypes(embeddings, segments, 4)
    for segment in range(3):
        total = embeddings[segments == segment].sum(dim=0)
        torch.testing.assert_close(found[segment], total / total.norm())
    assert found[3].abs().sum() == 0
    assert torch.autograd.gradcheck(lambda e: segment_prototypes(e, segments, 3), (embeddings,))
    with pytest.raises(ValueError, match="segment ids"):
        segment_prototypes(embeddings, segments[:3], 3)


def make_batch(seed=0, ignored_column=None, tags=((True, False, False), (False, False, True))):
    random = torch.Generator().manual_seed(seed)
    maps = F.normalize(torch.randn(2, 5, 8, 8, generator=random), dim=1).requires_grad_()
    labels = torch.full((2, 8, 8), 254)
    labels[0, 1, 1], labels[1, 6, 6] = 0, 2
    if ignored_column is not None:
        labels[:, :, ignored_column] = 255
    regions = torch.randint(3, (2, 8, 8), generator=random)
    return split_batch(
        maps, labels, regions, torch.zeros(2, 3, 8, 8), torch.tensor(tags),
        num_classes=3, ignore_index=255, grid=(2, 2), iterations=3,
    )  # fmt: skip


def test_segments_never_mix_labels_regions_or_images():
    batch = make_batch(ignored_column=0)
    assert batch.embeddings.shape == (2 * 56, 5)
    assert torch.equal(batch.label_of_segment[batch.segment_of_pixel], batch.label_of_pixel)
    assert torch.equal(batch.image_of_segment[batch.segment_of_pixel], batch.image_of_pixel)
    torch.testing.assert_close(batch.prototypes.norm(dim=1), torch.ones(len(batch.prototypes)))
    assert batch.located.shape[1] == 7
    assert not (batch.label_of_pixel == 255).any()


@pytest.mark.parametrize("images", [1, 2, 3, 8])
@pytest.mark.parametrize("grid", [(2, 2), (3, 3), (6, 6)])
def test_as_many_segments_as_differ_in_image_cluster_label_or_region(images, grid):
    random = torch.Generator().manual_seed(0)
    maps = F.normalize(torch.randn(images, 4, 12, 12, generator=random), dim=1)
    labels = torch.tensor([0, 1, 254, 255])[torch.randint(4, (images, 12, 12), generator=random)]
    regions = torch.randint(3, (images, 12, 12), generator=random)
    tags, colors = torch.ones(images, 2, dtype=torch.bool), torch.zeros(images, 3, 12, 12)
    batch = split_batch(maps, labels, regions, colors, tags, num_classes=2, ignore_index=255, grid=grid, iterations=2)
    start = grid_clusters(12, 12, grid).reshape(1, -1).expand(images, -1)
    located = with_location(maps.permute(0, 2, 3, 1)).flatten(1, 2)
    clusters = spherical_kmeans(located, start, 2).reshape(labels.shape)
    expected = sorted(
        (image, int(clusters[image, y, x]), int(labels[image, y, x]), int(regions[image, y, x]))
        for image, y, x in (labels != 255).nonzero().tolist()
    )
    distinct = sorted(set(expected))
    assert batch.image_of_segment.tolist() == [key[0] for key in distinct]
    assert batch.label_of_segment.tolist() == [key[2] for key in distinct]
    assert batch.region_of_segment.tolist() == [key[3] for key in distinct]
    counts = [expected.count(key) for key in distinct]
    assert batch.segment_of_pixel.bincount().tolist() == counts


def test_rows_of_what_is_labeled_and_of_what_has_a_tag():
    batch = make_batch(ignored_column=0, tags=[[False, False, False], [False, False, True]])

    def rows(mask):
        return [row for row, chosen in enumerate(mask.tolist()) if chosen]

    assert batch.labeled_pixels.tolist() == rows(batch.label_of_pixel < 3)
    assert batch.labeled_segments.tolist() == rows(batch.label_of_segment < 3)
    assert batch.tagged_pixels.tolist() == rows(batch.image_of_pixel == 1)
    assert batch.tagged_segments.tolist() == rows(batch.image_of_segment == 1)
    assert len(batch.labeled_pixels) == 2
    memory = MemoryBank(3)
    for each in (batch, make_batch(1), batch):
        memory.push(each)
    held = memory.segments()
    assert held.labeled.tolist() == rows(held.labels < 3)
    assert held.tagged.tolist() == rows(held.tags.any(dim=1))


def test_a_batch_of_ignored_pixels_alone_has_no_segments():
    batch = make_batch(ignored_column=slice(None))
    assert batch.embeddings.shape == (0, 5)
    assert batch.prototypes.shape == (0, 5)


def test_memory_keeps_the_last_batches_without_gradient():
    memory = MemoryBank(2)
    assert memory.segments() is None
    batches = [make_batch(seed) for seed in range(3)]
    for batch in batches:
        memory.push(batch)
    held = memory.segments()
    assert len(held.labels) == sum(len(batch.prototypes) for batch in batches[1:])
    assert not held.prototypes.requires_grad
    assert held.tags.shape == (len(held.labels), 3)
    other = MemoryBank(2)
    other.load_state(memory.state())
    assert torch.equal(other.segments().prototypes, held.prototypes)
    other.load_state(memory.state(), torch.device("meta"))  # a checkpoint is read on the CPU
    assert {tensor.device.type for tensor in other.segments()} == {"meta"}
    nothing = MemoryBank(0)
    nothing.push(batches[0])
    assert nothing.segments() is None


def test_superpixels_respect_a_strong_edge():
    image = np.full((40, 60, 3), 60, dtype=np.uint8)
    image[:, 30:] = (200, 180, 40)
    regions = find_superpixels(image, regions=8)
    assert regions.shape == (40, 60)
    assert regions.dtype == np.uint16
    assert regions[0, 0] == 0
    assert set(np.unique(regions)) == set(range(regions.max() + 1))
    assert regions.max() >= 1
    assert not set(np.unique(regions[:, :28])) & set(np.unique(regions[:, 32:]))


def test_superpixels_take_a_contour_map_and_refuses_misfits():
    contours = np.zeros((30, 30))
    contours[15] = 1
    regions = find_superpixels(np.zeros((30, 30, 3), np.uint8), 2, contours)
    assert regions[2, 2] != regions[28, 2]
    assert find_superpixels(np.zeros((1, 1, 3), np.uint8)).tolist() == [[0]]
    with pytest.raises(ValueError, match="contours have shape"):
        find_superpixels(np.zeros((4, 4, 3), np.uint8), contours=np.zeros((3, 3)))
