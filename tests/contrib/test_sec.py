"""Expansion and constraint against plain loops."""

import math

import pytest
import torch

from hintseg.contrib.sec import constraint, expansion


def slow_rank(values, decay):
    ordered = sorted(values, reverse=True)
    decay **= 1681 / len(values)
    return sum(decay**j * value for j, value in enumerate(ordered)) / sum(decay**j for j in range(len(ordered)))


@pytest.mark.parametrize("background", [None, 0])
def test_expansion_by_loop_and_gradient(background):
    generator = torch.Generator().manual_seed(0)
    shares = torch.randn(3, 4, 5, 6, generator=generator, dtype=torch.float64).softmax(dim=1)
    present = torch.tensor([[True, False, True, True], [True, True, False, False], [True, True, True, True]])
    losses = []
    for image in range(2):
        here = [label for label in range(4) if present[image, label] and label != background]
        absent = [label for label in range(4) if not present[image, label]]
        values = [shares[image, label].flatten().tolist() for label in range(4)]
        loss = -sum(math.log(slow_rank(values[label], 0.996)) for label in here) / len(here)
        loss -= sum(math.log(1 - max(values[label])) for label in absent) / len(absent)
        if background is not None:
            loss -= math.log(slow_rank(values[background], 0.999))
        losses.append(loss)
    absent = ~present
    present[2] = absent[2] = False
    assert float(expansion(shares, present, absent, background)) == pytest.approx(sum(losses) / 2, rel=1e-9)
    leaf = shares.detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: expansion(s, present, absent, background), (leaf,))
    where = torch.zeros(3, 5, 6, dtype=torch.bool)
    where[:, 1:, :4] = True
    alone = expansion(shares[:, :, 1:, :4], present, absent, background)
    torch.testing.assert_close(expansion(shares, present, absent, background, where=where), alone)


def test_expansion_without_tags_is_zero_with_a_graph():
    shares = torch.full((1, 2, 3, 3), 0.5, requires_grad=True)
    nothing = torch.zeros(1, 2, dtype=torch.bool)
    loss = expansion(shares, nothing, nothing)
    loss.backward()
    assert float(loss) == 0 == float(shares.grad.abs().sum())


def test_constraint_is_zero_at_certainty_and_pulls_towards_colors():
    image = torch.zeros(1, 3, 12, 16)
    image[..., 8:] = 220
    certain = torch.zeros(1, 2, 12, 16)
    certain[:, 0, :, :8], certain[:, 1, :, 8:] = 1, 1
    assert float(constraint(certain, image)) == pytest.approx(0, abs=1e-3)
    doubtful = (0.8 * certain + 0.1).requires_grad_()
    with torch.no_grad():
        doubtful[0, :, 5, 3] = torch.tensor([0.4, 0.6])  # one pixel against all of its color
    loss = constraint(doubtful, image)
    loss.backward()
    assert float(loss) > 0
    assert doubtful.grad[0, 0, 5, 3] < 0  # more of class 0 there would cost less
    where = torch.zeros(1, 12, 16, dtype=torch.bool)
    where[0, 5, 3] = True
    one = constraint(doubtful, image, where)
    assert float(one) > float(loss)
    (gradient,) = torch.autograd.grad(one, doubtful)
    assert set(gradient.abs().sum(dim=1).nonzero()[:, 1:].flatten().tolist()) == {3, 5}, "that one pixel alone"
