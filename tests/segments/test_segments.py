"""Splitting, prototypes, batches, memory, over-segmentation."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hintseg.errors import ConfigError
from hintseg.segments.batch import segment_batch
from hintseg.segments.memory import SegmentMemory
from hintseg.segments.oversegment import METHODS, oversegment
from hintseg.segments.prototypes import majority_labels, segment_prototypes, split_segments


def test_published_split(golden):
    arrays = golden("split_segments")
    split = split_segments(arrays["clusters"], arrays["pixel_labels"])
    pairs = set(zip(split.segment_of_pixel.tolist(), arrays["segment_of_pixel"].tolist(), strict=True))
    assert len(pairs) == len(arrays["segment_labels"]) == split.keys_of_segment.shape[0]
    for mine, theirs in pairs:
        assert int(split.keys_of_segment[mine, 1]) == int(arrays["segment_labels"][theirs])
    majority = majority_labels(arrays["clusters"], arrays["pixel_labels"], 30, 256)
    assert torch.equal(majority, arrays["majority_label_of_cluster"])


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


def make_batch(seed=0, void_column=False):
    random = torch.Generator().manual_seed(seed)
    maps = F.normalize(torch.randn(2, 5, 8, 8, generator=random), dim=1).requires_grad_()
    labels = torch.full((2, 8, 8), 254)
    labels[0, 1, 1], labels[1, 6, 6] = 0, 2
    if void_column:
        labels[:, :, 0] = 255
    regions = torch.randint(3, (2, 8, 8), generator=random)
    tags = torch.tensor([[True, False, False], [False, False, True]])
    return segment_batch(
        maps, labels, regions, torch.zeros(2, 3, 8, 8), tags, num_classes=3, void=255, grid=(2, 2), iterations=3
    )


def test_segments_never_mix_labels_regions_or_images():
    batch = make_batch(void_column=True)
    assert batch.embeddings.shape == (2 * 56, 5)
    assert torch.equal(batch.label_of_segment[batch.segment_of_pixel], batch.label_of_pixel)
    assert torch.equal(batch.image_of_segment[batch.segment_of_pixel], batch.image_of_pixel)
    torch.testing.assert_close(batch.prototypes.norm(dim=1), torch.ones(len(batch.prototypes)))
    assert batch.located.shape[1] == 7
    assert not (batch.label_of_pixel == 255).any()


def test_memory_keeps_the_last_batches_without_gradient():
    memory = SegmentMemory(2)
    assert memory.segments() is None
    batches = [make_batch(seed) for seed in range(3)]
    for batch in batches:
        memory.push(batch)
    held = memory.segments()
    assert len(held.labels) == sum(len(batch.prototypes) for batch in batches[1:])
    assert not held.prototypes.requires_grad
    assert held.tags.shape == (len(held.labels), 3)
    other = SegmentMemory(2)
    other.load_state(memory.state())
    assert torch.equal(other.segments().prototypes, held.prototypes)
    nothing = SegmentMemory(0)
    nothing.push(batches[0])
    assert nothing.segments() is None


@pytest.mark.parametrize("method", METHODS)
def test_oversegments_respect_a_strong_edge(method):
    image = np.full((40, 60, 3), 60, dtype=np.uint8)
    image[:, 30:] = (200, 180, 40)
    regions = oversegment(image, method, regions=8)
    assert regions.shape == (40, 60)
    assert regions.dtype == np.uint16
    assert regions[0, 0] == 0
    assert set(np.unique(regions)) == set(range(regions.max() + 1))
    if method != "none":
        assert regions.max() >= 1
        assert not set(np.unique(regions[:, :28])) & set(np.unique(regions[:, 32:]))


def test_oversegment_takes_a_contour_map_and_refuses_misfits():
    contours = np.zeros((30, 30))
    contours[15] = 1
    regions = oversegment(np.zeros((30, 30, 3), np.uint8), "watershed", 2, contours)
    assert regions[2, 2] != regions[28, 2]
    assert oversegment(np.zeros((1, 1, 3), np.uint8)).tolist() == [[0]]
    with pytest.raises(ValueError, match="contours have shape"):
        oversegment(np.zeros((4, 4, 3), np.uint8), contours=np.zeros((3, 3)))
    with pytest.raises(ConfigError, match="watershed"):
        oversegment(np.zeros((4, 4, 3), np.uint8), "watershedd")
