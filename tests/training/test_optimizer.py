"""Learning rates, parameter groups and averaged weights."""

import pytest
import torch

from hintseg.config.schema import NetworkConfig, OptimizerConfig
from hintseg.network.embedder import Embedder
from hintseg.training.optimizer import AveragedWeights, build_optimizer, learning_rate_factor


@pytest.mark.parametrize(("step", "expected"), [(0, 3e-4), (100, 2.99e-3), (15_000, 1.61e-3), (29_999, 2.8e-7)])
def test_learning_rate_of_the_paper(step, expected):
    assert 3e-3 * learning_rate_factor(step, 30_000, 100) == pytest.approx(expected, rel=0.01)


def test_biases_learn_faster_and_do_not_decay():
    network = Embedder(NetworkConfig(backbone="test_efficientnet", freeze_stride=4), 2)
    optimizer = build_optimizer(network, OptimizerConfig(name="sgd", lr=1.0, backbone_lr=0.1, bias_lr_mult=2))
    rates = sorted((group["lr"], group["weight_decay"]) for group in optimizer.param_groups)
    assert rates == [(0.1, 0.01), (0.2, 0.0), (1.0, 0.01), (2.0, 0.0)]
    held = sum(len(group["params"]) for group in optimizer.param_groups)
    assert held == sum(parameter.requires_grad for parameter in network.parameters())


def test_averaged_weights_move_by_the_decay():
    network = Embedder(NetworkConfig(backbone="test_efficientnet"), 2)
    average = AveragedWeights(network, 0.5)
    before = average.network.embedding.weight.clone()
    with torch.no_grad():
        network.embedding.weight += 1
    average.update(network)
    decay = 2 / 11
    torch.testing.assert_close(average.network.embedding.weight, before + 1 - decay)
