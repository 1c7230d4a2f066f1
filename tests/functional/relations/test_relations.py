"""Who attracts whom: each relationship against its definition."""

import pytest
import torch
import torch.nn.functional as F

from hintseg.functional.losses.contrast import pixel_to_segment_loss
from hintseg.functional.relations.affinity import affinity, affinity_label_sets
from hintseg.functional.relations.annotation import annotation
from hintseg.functional.relations.cooccurrence import cooccurrence
from hintseg.functional.relations.registry import RELATIONS
from hintseg.functional.relations.relation import spaced
from hintseg.functional.relations.similarity import similarity
from hintseg.functional.segments.batch import split_batch
from hintseg.functional.segments.memory_bank import MemoryBank


def build(images=2, tags=None, seed=0, extra_unlabeled=False, labeled=True):
    random = torch.Generator().manual_seed(seed)
    maps = F.normalize(torch.randn(images, 5, 8, 8, generator=random, dtype=torch.float64), dim=1).requires_grad_()
    labels = torch.full((images, 8, 8), 254)
    if labeled:
        labels[:, :2, :2] = 0
        labels[:, 5:7, 5:7] = 1
    regions = torch.randint(3, (images, 8, 8), generator=random)
    if extra_unlabeled:
        regions[labels == 254] += 3 * torch.randint(2, (int((labels == 254).sum()),), generator=random)
    tags = torch.ones(images, 3, dtype=torch.bool) if tags is None else tags
    colors = torch.rand(images, 3, 8, 8, generator=random) * 2 - 1
    return split_batch(maps, labels, regions, colors, tags, num_classes=3, ignore_index=255, grid=(2, 2), iterations=2)


def value(relation, concentration=6.0):
    return pixel_to_segment_loss(
        *relation[:5], concentration, pixel_group=relation.pixel_group, prototype_group=relation.prototype_group
    )


def test_annotation_ignores_unlabeled_segments():
    plain, more = build(), build(extra_unlabeled=True)
    assert len(more.prototypes) > len(plain.prototypes)
    # Another partition of unlabeled pixels leaves labeled segments, and so the value, as they are.
    torch.testing.assert_close(value(annotation(plain, MemoryBank(0))), value(annotation(more, MemoryBank(0))))
    relation = annotation(plain, MemoryBank(0))
    assert set(relation.pixel_labels.tolist()) == {0, 1}
    assert torch.equal(relation.prototype_labels[relation.segment_of_pixel], relation.pixel_labels)


def test_annotation_reads_labeled_segments_of_the_memory():
    memory = MemoryBank(1)
    memory.push(build(seed=1))
    with_memory, without = annotation(build(), memory), annotation(build(), MemoryBank(0))
    assert len(with_memory.prototypes) > len(without.prototypes)
    assert (with_memory.prototype_labels < 3).all()


def test_annotation_without_labels_is_zero():
    loss = value(annotation(build(labeled=False), MemoryBank(0)))
    loss.backward()
    assert float(loss) == 0.0


def test_similarity_knows_only_the_own_image():
    both = similarity(build(), MemoryBank(0))
    losses = pixel_to_segment_loss(
        *both[:5], 16.0, pixel_group=both.pixel_group, prototype_group=both.prototype_group, reduction="none"
    )
    changed = build()
    noise = torch.where(
        (changed.image_of_segment == 1)[:, None], -changed.located_prototypes, changed.located_prototypes
    )
    other = similarity(changed._replace(located_prototypes=noise), MemoryBank(0))
    altered = pixel_to_segment_loss(
        *other[:5], 16.0, pixel_group=other.pixel_group, prototype_group=other.prototype_group, reduction="none"
    )
    first = both.pixel_group == 0
    torch.testing.assert_close(losses[first], altered[first])
    assert not torch.allclose(losses[~first], altered[~first])


def test_cooccurrence_uses_unlabeled_segments_and_shared_tags():
    tags = torch.tensor([[True, False, False], [False, True, False]])
    relation = cooccurrence(build(tags=tags), MemoryBank(0))
    assert len(relation.pixel_embeddings) == 128
    shares = relation.pixel_labels.float() @ relation.prototype_labels.float().T > 0
    own_image = relation.pixel_labels[:, None, 0] == relation.prototype_labels[None, :, 0]
    assert torch.equal(shares, own_image)


def test_cooccurrence_leaves_tagless_images_alone():
    tags = torch.tensor([[True, False, False], [False, False, False]])
    batch = build(tags=tags)
    relation = cooccurrence(batch, MemoryBank(0))
    assert len(relation.pixel_embeddings) == 64
    assert float(value(relation)) == 0.0  # nobody is negative to anybody


def test_affinity_spreads_labels_to_near_segments():
    relation = affinity(build(), MemoryBank(0), threshold=-1.0)
    assert relation.prototype_labels.sum(dim=1).eq(1).all()
    nobody = affinity(build(), MemoryBank(0), threshold=2.0)
    assert nobody.prototype_labels.all()
    assert float(value(nobody)) == 0.0


def slow_label_sets(pixels, prototypes, labels, pixel_image, prototype_image, classes, top_k, threshold):
    rows = []
    for vector, image in zip(pixels, pixel_image.tolist(), strict=True):
        near = sorted(
            (
                (float(vector @ p), int(label))
                for p, label, i in zip(prototypes, labels, prototype_image.tolist(), strict=True)
                if i == image and 0 <= label < classes
            ),
            reverse=True,
        )[:top_k]
        rows.append([any(cosine >= threshold and label == c for cosine, label in near) for c in range(classes)])
    return torch.tensor(rows)


@pytest.mark.parametrize(("top_k", "threshold"), [(1, -1.0), (3, 0.1), (50, 0.3)])
def test_label_sets_equal_the_loop(top_k, threshold):
    random = torch.Generator().manual_seed(3)
    pixels = F.normalize(torch.randn(30, 4, generator=random), dim=1)
    prototypes = F.normalize(torch.randn(12, 4, generator=random), dim=1)
    labels = torch.randint(5, (12,), generator=random)
    pixel_image, prototype_image = torch.arange(30) % 3, torch.arange(12) % 3
    arguments = (pixels, prototypes, labels, pixel_image, prototype_image, 4, top_k, threshold)
    assert torch.equal(affinity_label_sets(*arguments), slow_label_sets(*arguments))


def test_published_label_sets(golden):
    arrays = golden("feature_affinity_labels")
    found = affinity_label_sets(
        arrays["pixel_embeddings"],
        arrays["prototypes"],
        arrays["prototype_labels"],
        arrays["pixel_image"],
        arrays["prototype_image"],
        int(arrays["num_classes"]),
        int(arrays["top_k"]),
        float(arrays["threshold"]),
    )
    assert torch.equal(found, arrays["pixel_label_sets"].bool())


@pytest.mark.parametrize("name", RELATIONS)
def test_every_relationship_has_a_gradient_and_can_be_sampled(name):
    random = torch.Generator().manual_seed(5)
    maps = torch.randn(2, 5, 8, 8, generator=random, requires_grad=True)
    labels = torch.full((2, 8, 8), 254)
    labels[:, 0, 0], labels[:, 7, 7] = 0, 1
    batch = split_batch(
        F.normalize(maps, dim=1),
        labels,
        torch.randint(4, (2, 8, 8), generator=random),
        torch.zeros(2, 3, 8, 8),
        torch.tensor([[True, False], [False, True]]),
        num_classes=2,
        ignore_index=255,
        grid=(2, 2),
        iterations=2,
    )
    whole, relation = RELATIONS[name](batch, MemoryBank(0), 0), RELATIONS[name](batch, MemoryBank(0), 20)
    pixels = spaced(len(whole.pixel_embeddings), 20)
    assert len(relation.pixel_embeddings) <= 20
    for part in ("pixel_embeddings", "segment_of_pixel", "pixel_labels"):
        assert torch.equal(getattr(relation, part), getattr(whole, part)[pixels])
    assert torch.equal(relation.prototypes, whole.prototypes)
    value(relation).backward()
    if name != "affinity":
        assert maps.grad.abs().sum() > 0


@pytest.mark.parametrize(("count", "limit", "left"), [(10, 0, 10), (10, 10, 10), (10, 4, 4), (11, 10, 6), (0, 5, 0)])
def test_pixels_are_evenly_spaced(count, limit, left):
    rows = list(range(count))[spaced(count, limit)]
    assert len(rows) == left
    assert len({one - other for one, other in zip(rows[1:], rows, strict=False)}) <= 1
