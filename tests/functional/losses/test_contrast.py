import math

import pytest
import torch
import torch.nn.functional as F
from tests.slow.contrast import pixel_loss

from hintseg.functional.losses import contrast
from hintseg.functional.losses.contrast import pixel_to_segment_loss


def problem(pixels=40, segments=9, dim=6, labels=3, sets=False, seed=0, dtype=torch.float64):
    random = torch.Generator().manual_seed(seed)
    embeddings = F.normalize(torch.randn(pixels, dim, generator=random, dtype=dtype), dim=1)
    prototypes = F.normalize(torch.randn(segments, dim, generator=random, dtype=dtype), dim=1)
    own = torch.randint(segments, (pixels,), generator=random)
    if sets:
        prototype_labels = torch.rand(segments, labels, generator=random) < 0.4
    else:
        prototype_labels = torch.randint(labels, (segments,), generator=random)
    return embeddings, own, prototype_labels[own], prototypes, prototype_labels


@pytest.mark.parametrize("sets", [False, True])
@pytest.mark.parametrize(("pixels", "segments", "labels"), [(40, 9, 3), (1, 1, 1), (25, 25, 25), (30, 4, 1)])
@pytest.mark.parametrize("grouped", [False, True])
def test_equals_the_formula_pixel_by_pixel(sets, pixels, segments, labels, grouped):
    embeddings, own, pixel_labels, prototypes, prototype_labels = problem(pixels, segments, 6, labels, sets)
    groups = torch.arange(segments) % 2 if grouped else None
    pixel_groups = groups[own] if grouped else None
    found = pixel_to_segment_loss(
        embeddings,
        own,
        pixel_labels,
        prototypes,
        prototype_labels,
        7.0,
        pixel_group=pixel_groups,
        prototype_group=groups,
        reduction="none",
    )
    for index in range(pixels):
        expected = pixel_loss(
            embeddings[index],
            own[index],
            pixel_labels[index],
            prototypes,
            prototype_labels,
            7.0,
            None if groups is None else pixel_groups[index],
            groups,
        )
        assert float(found[index]) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", ["single_k6", "single_k16", "multi_k8", "multi_k12"])
def test_published_values_and_gradients(golden, name):
    arrays = golden(f"contrast_{name}")
    pixels = arrays["pixel_embeddings"].requires_grad_()
    prototypes = arrays["prototypes"].requires_grad_()
    losses = pixel_to_segment_loss(
        pixels,
        arrays["segment_of_pixel"],
        arrays["pixel_labels"],
        prototypes,
        arrays["prototype_labels"],
        float(arrays["concentration"]),
        reduction="none",
    )
    losses.mean().backward()
    torch.testing.assert_close(losses, arrays["loss_per_pixel"], atol=1e-9, rtol=0)
    torch.testing.assert_close(pixels.grad, arrays["grad_pixel_embeddings"], atol=1e-9, rtol=0)
    torch.testing.assert_close(prototypes.grad, arrays["grad_prototypes"], atol=1e-9, rtol=0)


@pytest.mark.parametrize("sets", [False, True])
def test_gradient_agrees_with_finite_differences(sets):
    embeddings, own, pixel_labels, prototypes, prototype_labels = problem(12, 5, 4, 2, sets)
    assert torch.autograd.gradcheck(
        lambda v, p: pixel_to_segment_loss(v, own, pixel_labels, p, prototype_labels, 5.0),
        (embeddings.requires_grad_(), prototypes.requires_grad_()),
    )


@pytest.mark.parametrize("sets", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(("reduction", "share"), [("mean", 1 / 40), ("sum", 1.0)])
def test_gradients_formed_with_the_loss_are_those_of_each_pixel(sets, grouped, reduction, share):
    arguments = problem(sets=sets)
    groups = torch.arange(9) % 2 if grouped else None
    options = {"pixel_group": groups[arguments[1]], "prototype_group": groups} if grouped else {}
    found = []
    for way, weight in ((reduction, 3.0), ("none", 3.0 * share)):
        leaves = [tensor.clone().requires_grad_(tensor.is_floating_point()) for tensor in arguments]
        (pixel_to_segment_loss(*leaves, 9.0, reduction=way, **options) * weight).sum().backward()
        found.append((leaves[0].grad, leaves[3].grad))
    torch.testing.assert_close(found[0], found[1], atol=1e-13, rtol=0)


def test_one_side_may_learn_alone_and_no_gradient_is_formed_where_none_is_asked_for(monkeypatch):
    embeddings, own, pixel_labels, prototypes, prototype_labels = problem()
    both = [embeddings.clone().requires_grad_(), prototypes.clone().requires_grad_()]
    pixel_to_segment_loss(both[0], own, pixel_labels, both[1], prototype_labels, 9.0).backward()
    alone = embeddings.clone().requires_grad_()
    pixel_to_segment_loss(alone, own, pixel_labels, prototypes, prototype_labels, 9.0).backward()
    torch.testing.assert_close(alone.grad, both[0].grad)
    asked, walk = [], contrast._walk
    monkeypatch.setattr(contrast, "_walk", lambda *a, **k: asked.append(k["losses_only"]) or walk(*a, **k))
    loss = pixel_to_segment_loss(embeddings, own, pixel_labels, prototypes, prototype_labels, 9.0)
    assert asked == [True]
    assert not loss.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_labels_are_told_apart_however_large_they_are(dtype):
    embeddings, own, pixel_labels, prototypes, prototype_labels = problem(dtype=dtype)
    small = pixel_to_segment_loss(embeddings, own, pixel_labels, prototypes, prototype_labels, 9.0)
    far = 2**40
    large = pixel_to_segment_loss(embeddings, own, pixel_labels + far, prototypes, prototype_labels + far, 9.0)
    assert float(large) == float(small) > 0


def test_chunks_change_nothing(monkeypatch):
    arguments = problem(64, 11)
    whole = [tensor.clone().requires_grad_(tensor.is_floating_point()) for tensor in arguments]
    pixel_to_segment_loss(*whole, 9.0).backward()
    monkeypatch.setitem(contrast.CHUNK_ELEMENTS, "cpu", 30)
    pieces = [tensor.clone().requires_grad_(tensor.is_floating_point()) for tensor in arguments]
    pixel_to_segment_loss(*pieces, 9.0).backward()
    for one, other in zip(whole, pieces, strict=True):
        if one.is_floating_point():
            torch.testing.assert_close(one.grad, other.grad, atol=1e-13, rtol=0)


def test_groups_equal_image_by_image():
    embeddings, own, pixel_labels, prototypes, prototype_labels = problem(60, 12)
    groups = torch.arange(12) % 3
    together = pixel_to_segment_loss(
        embeddings,
        own,
        pixel_labels,
        prototypes,
        prototype_labels,
        8.0,
        pixel_group=groups[own],
        prototype_group=groups,
        reduction="none",
    )
    for group in range(3):
        members, rows = (groups[own] == group).nonzero()[:, 0], (groups == group).nonzero()[:, 0]
        position = torch.full((12,), -1).index_put((rows,), torch.arange(len(rows)))
        alone = pixel_to_segment_loss(
            embeddings[members],
            position[own[members]],
            pixel_labels[members],
            prototypes[rows],
            prototype_labels[rows],
            8.0,
            reduction="none",
        )
        torch.testing.assert_close(together[members], alone, atol=1e-12, rtol=0)


@pytest.mark.parametrize("concentration", [0.5, 6.0, 40.0])
def test_identical_embeddings_give_the_ratio_of_counts(concentration):
    vectors = F.normalize(torch.ones(7, 5, dtype=torch.float64), dim=1)
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    loss = pixel_to_segment_loss(vectors[:1], torch.tensor([0]), labels[:1], vectors, labels, concentration)
    assert float(loss) == pytest.approx(math.log(1 + 4 / 2))


def test_one_class_alone_costs_nothing():
    embeddings, own, _, prototypes, _ = problem(20, 2)
    zeros = torch.zeros(2, dtype=torch.int64)
    assert float(pixel_to_segment_loss(embeddings, own, zeros[own], prototypes, zeros, 6.0)) == 0.0


def test_order_of_segments_does_not_matter():
    embeddings, own, pixel_labels, prototypes, prototype_labels = problem(30, 8)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    place = torch.argsort(order)
    one = pixel_to_segment_loss(embeddings, own, pixel_labels, prototypes, prototype_labels, 6.0)
    other = pixel_to_segment_loss(embeddings, place[own], pixel_labels, prototypes[order], prototype_labels[order], 6.0)
    torch.testing.assert_close(one, other)


def test_no_pixel_gives_zero_with_a_graph():
    prototypes = torch.randn(3, 4, requires_grad=True)
    empty = torch.zeros(0, 4, requires_grad=True)
    none = torch.zeros(0, dtype=torch.int64)
    loss = pixel_to_segment_loss(empty, none, none, prototypes, torch.tensor([0, 1, 2]), 6.0)
    loss.backward()
    assert float(loss) == 0.0
    assert prototypes.grad is not None


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
def test_low_precision_stays_close(dtype, tolerance):
    embeddings, own, pixel_labels, prototypes, prototype_labels = problem(200, 20, 16)
    exact = pixel_to_segment_loss(embeddings, own, pixel_labels, prototypes, prototype_labels, 16.0)
    rough = pixel_to_segment_loss(embeddings.to(dtype), own, pixel_labels, prototypes.to(dtype), prototype_labels, 16.0)
    assert rough.dtype == torch.float32
    assert float(rough) == pytest.approx(float(exact), rel=tolerance)


def test_misfits_are_refused():
    embeddings, own, pixel_labels, prototypes, prototype_labels = problem()
    with pytest.raises(ValueError, match="must be"):
        pixel_to_segment_loss(embeddings[:, :3], own, pixel_labels, prototypes, prototype_labels, 6.0)
    with pytest.raises(ValueError, match="rows"):
        pixel_to_segment_loss(embeddings, own[:3], pixel_labels, prototypes, prototype_labels, 6.0)
    with pytest.raises(ValueError, match="do not fit"):
        pixel_to_segment_loss(embeddings, own, pixel_labels, prototypes, prototype_labels[:, None], 6.0)
    with pytest.raises(ValueError, match="together"):
        pixel_to_segment_loss(embeddings, own, pixel_labels, prototypes, prototype_labels, 6.0, pixel_group=own)
