import copy

import pytest
import torch
from torch import nn

from hintseg.network.backbone import Backbone
from hintseg.network.conv_bn_fusion import fuse, fuse_norms, is_fused, unfuse
from hintseg.network.heads import conv_bn_relu


def shaken(network, seed=0):
    """The same network with statistics and weights of batch norms that are anything but fresh."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.running_mean, module.bias.data):
                value.normal_(0, 0.3)
            for value in (module.running_var, module.weight.data):
                value.uniform_(0.5, 1.5)
    return network


NETWORKS = [
    "test_efficientnet",
    "test_resnet",
    "mobilenetv2_100",
    "resnet18",
    "densenet121",
    "tf_mobilenetv3_small_100",
]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_say_the_same_and_learn_the_same(name):
    backbone = shaken(Backbone(name)).double()  # rectifiers that round-off switches have other gradients
    plain = copy.deepcopy(backbone)
    unfuse(plain)
    assert not any(map(is_fused, plain.modules()))
    assert sum(map(is_fused, backbone.modules())) > 6
    assert list(backbone.state_dict()) == list(plain.state_dict())
    images = torch.randn(2, 3, 64, 96, dtype=torch.float64).requires_grad_()
    with torch.no_grad():
        for one, other in zip(backbone.eval()(images), plain.eval()(images), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9 * float(other.abs().max()))
    for training in (False, True):
        gradients = []
        for network in (backbone, plain):
            torch.manual_seed(1)  # of what is dropped
            maps = network.train(training)(images)
            gradients.append((*maps, *torch.autograd.grad(sum(one.square().mean() for one in maps), images)))
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9 * float(other.detach().abs().max()))
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(backbone.state_dict()[key], value)


def test_learned_statistics_count_at_once_and_copies_keep_their_own():
    block = conv_bn_relu(3, 4)
    twin = copy.deepcopy(block)
    block.train()(torch.randn(8, 3, 5, 5) * 3 + 2)
    maps = torch.randn(2, 3, 5, 5)
    for network in (block, twin):
        convolution, norm, _ = network.eval()
        normalized = nn.functional.batch_norm(
            nn.functional.conv2d(maps, convolution.weight), norm.running_mean, norm.running_var, norm.weight, norm.bias
        )
        with torch.no_grad():
            torch.testing.assert_close(network(maps), normalized.relu())
    with torch.no_grad():
        assert not torch.allclose(block(maps), twin(maps))


class Body(nn.Module):
    """Two convolutions with batch norms; `between` may do something to the first one's maps."""

    def __init__(self, between):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
        self.norm_one, self.norm_two = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.between = between

    def forward(self, images):
        first = self.one(images)
        second = self.norm_one(self.between(first))
        return [second, self.norm_two(self.two(second)) + self.also(first)]

    def also(self, first):
        return 0


class Elsewhere(Body):
    """The first convolution's maps are read twice."""

    def also(self, first):
        return first


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (Body(nn.Identity()), 2),
        (Body(nn.ReLU(inplace=True)), 1),
        (Body(nn.ReLU()), 1),
        (Elsewhere(nn.Identity()), 0),
    ],
)
def test_only_what_the_norm_alone_reads_is_folded(body, count):
    before = {name: value.clone() for name, value in body.state_dict().items()}
    images = torch.randn(1, 3, 8, 8)
    plain = shaken(copy.deepcopy(body)).eval()(images)
    fuse_norms(body, images)
    assert body.training
    assert sum(map(is_fused, body.modules())) == 2 * count
    for name, value in body.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    with torch.no_grad():
        again = shaken(body).eval()(images)
    for one, other in zip(again, plain, strict=True):
        torch.testing.assert_close(one, other)


def test_a_network_that_refuses_the_example_stays_as_it_is():
    body = Body(nn.Identity())
    fuse_norms(body, torch.zeros(1, 3, 1, 1))  # smaller than its filter
    assert not is_fused(body.one)
    fuse(body.one, body.norm_one)
    assert is_fused(body.one)
    assert is_fused(body.norm_one)
    unfuse(body)
    assert not any(map(is_fused, body.modules()))
