"""Pooling of pixel scores, tag loss, activation maps."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hintseg.errors import ConfigError
from hintseg.functional.losses.tags import POOLINGS, pool, tag_loss
from hintseg.pseudo_labels.cam import (
    activations,
    balanced,
    boundary_prior_odds,
    expected_fractions,
    seeds,
)


def scores(seed=0):
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_pool(values, pooling):
    ordered = sorted(values, reverse=True)
    if pooling == "average":
        return sum(values) / len(values)
    if pooling == "max":
        return ordered[0]
    if pooling == "log_sum_exp":
        return math.log(sum(math.exp(5 * value) for value in values) / len(values)) / 5
    decay = 0.996 ** (41 * 41 / len(values))
    weights = [decay**rank for rank in range(len(values))]
    return sum(weight * value for weight, value in zip(weights, ordered, strict=True)) / sum(weights)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_by_loop_and_gradient(pooling):
    maps = scores()
    pooled = pool(maps, pooling)
    for image in range(2):
        for label in range(3):
            expected = slow_pool(maps[image, label].flatten().tolist(), pooling)
            assert float(pooled[image, label]) == pytest.approx(expected, rel=1e-9)
    assert torch.autograd.gradcheck(lambda values: pool(values, pooling), (maps.requires_grad_(),))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_cells_that_do_not_count(pooling):
    maps = scores()
    where = torch.zeros(2, 4, 5, dtype=torch.bool)
    where[0, :2, 1:] = True  # nothing counts in the second image: everything does
    pooled = pool(maps, pooling, where=where)
    torch.testing.assert_close(pooled[:1], pool(maps[:1, :, :2, 1:], pooling))
    torch.testing.assert_close(pooled[1:], pool(maps[1:], pooling))
    assert torch.autograd.gradcheck(lambda values: pool(values, pooling, where=where), (maps.requires_grad_(),))
    present = torch.tensor([[True, False, True], [False, False, False]])
    torch.testing.assert_close(
        tag_loss(maps, present, present, pooling, where),
        tag_loss(maps[:1, :, :2, 1:], present[:1], present[:1], pooling),
    )


def test_rank_pooling_lies_between_average_and_maximum():
    maps = scores()
    assert (pool(maps, "rank", decay=1.0) - pool(maps, "average")).abs().max() < 1e-12
    assert (pool(maps, "rank", decay=1e-9) - pool(maps, "max")).abs().max() < 1e-6
    with pytest.raises(ConfigError, match="average"):
        pool(maps, "mean")


def test_tag_loss_counts_only_what_is_known():
    maps = scores()
    present = torch.tensor([[True, False, True], [False, True, False]])
    absent = torch.tensor([[False, True, False], [False, False, False]])
    pooled = torch.cat([maps[0].mean(dim=(1, 2)), maps[1, 1:2].mean(dim=(1, 2))])
    expected = F.binary_cross_entropy_with_logits(pooled, torch.tensor([1.0, 0.0, 1.0, 1.0]).double())
    torch.testing.assert_close(tag_loss(maps, present, absent), expected)
    nothing = tag_loss(maps.requires_grad_(), present & absent, present & absent)
    nothing.backward()
    assert float(nothing) == 0 == float(maps.grad.abs().sum())


def test_activations_by_hand():
    maps = np.array([[[2.0, 1.0, -1.0]], [[9.0, 9.0, 9.0]], [[-3.0, -2.0, -4.0]]], np.float32)
    found = activations(maps, np.array([True, False, True]), None)
    np.testing.assert_allclose(found[0], [[1, 0.5, 0]])
    assert (found[1] == 0).all()
    np.testing.assert_allclose(found[2], [[0.5, 1, 0]])
    with_background = activations(maps, np.array([True, True, False]), 1, power=2)
    np.testing.assert_allclose(with_background[1], [[0, 0.25, 1]])


def test_balanced_shares_by_loop():
    shares = scores()[0, :2].softmax(dim=0)
    means = [shares[label].sum().item() / 20 for label in (0, 1)]
    for totals in ([0.5, 0.5], [2 / 3, 1 / 3]):
        found = balanced(shares, 1.0, np.array(totals))
        for y, x in np.ndindex(4, 5):
            claims = [totals[label] * shares[label, y, x].item() / means[label] for label in (0, 1)]
            assert found[:, y, x].tolist() == pytest.approx([claims[0] / sum(claims), claims[1] / sum(claims)])


@pytest.mark.parametrize(
    ("classes", "background", "expected"),
    [
        ([0, 3, 5], 0, [2 / 3, 1 / 6, 1 / 6]),
        ([1, 4], 4, [1 / 3, 2 / 3]),
        ([1, 4], 0, [0.5, 0.5]),  # no background in this image
        ([1, 2, 3, 4], None, [0.25] * 4),
        ([0], 0, [1]),
        ([], 0, []),
    ],
)
def test_shares_expected_of_classes(classes, background, expected):
    assert expected_fractions(np.array(classes, int), background).tolist() == pytest.approx(expected)


def test_borders_are_likelier_background():
    odds = boundary_prior_odds((4, 6), 0.5)
    for y, x in np.ndindex(4, 6):
        place = ((y + 0.5) / 4, (x + 0.5) / 6)
        nearest = min(min(part, 1 - part) for part in place)
        assert odds[y, x] == pytest.approx(math.exp(0.5 * (1 - 6 * nearest)))
    assert odds[1, 2] < 1 < odds[0, 0]
    assert (boundary_prior_odds((4, 6), 0) == 1).all()
    assert np.log(boundary_prior_odds((200, 300), 1)).mean() == pytest.approx(0, abs=1e-3)


def test_every_class_gets_a_seed():
    shares = np.zeros((2, 1, 10), np.float32)
    shares[0], shares[1] = 0.95, 0.05
    shares[:, 0, 7:] = [[0.4, 0.45, 0.3], [0.6, 0.55, 0.7]]
    labels = np.full((1, 10), 254, np.uint8)
    labels[0, 0] = 1
    planted = seeds(shares, labels, 0.9)
    assert planted[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 254, 254, 1]
