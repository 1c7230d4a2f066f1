import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hintseg.network.backbone import Backbone
from hintseg.network.phased_convolution import PhasedDepthwise, phase_depthwise, phased


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (5, 5), (1, 3)])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 2), (3, 4), (5, 2), (5, 3)])
@pytest.mark.parametrize("biased", [False, True])
def test_phases_give_the_dilated_convolution_and_its_gradients(
    size: tuple[int, int], kernel: int, dilation: int, biased: bool
) -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 6, *size, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(6, 1, kernel, kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(6, dtype=torch.float64, requires_grad=True) if biased else None
    inputs = [maps, weight] + ([bias] if bias is not None else [])
    found = phased(maps, weight, bias, dilation)
    expected = F.conv2d(maps, weight, bias, padding=dilation * (kernel // 2), dilation=dilation, groups=6)
    torch.testing.assert_close(found, expected)
    onto = torch.randn_like(expected)
    gradients = torch.autograd.grad(found, inputs, onto)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, inputs, onto))


def test_only_dilated_depthwise_convolutions_that_keep_the_size_change() -> None:
    fitting = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4)
    others = [
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3, padding=1, dilation=2, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, stride=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, padding_mode="reflect"),
        nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=4),
    ]
    body = nn.Sequential(fitting, *others)
    names, drawn = list(body.state_dict()), torch.get_rng_state()
    phase_depthwise(body)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert type(body[0]) is PhasedDepthwise
    assert body[0].weight is fitting.weight
    assert list(body)[1:] == others
    assert list(body.state_dict()) == names


def test_a_backbone_of_stride_16_gives_the_same_with_and_without_a_gradient() -> None:
    torch.manual_seed(0)
    backbone = Backbone("mobilenetv2_050", 16, "none").eval()
    assert any(isinstance(module, PhasedDepthwise) for module in backbone.modules())
    images = torch.rand(1, 3, 64, 96)
    learning = backbone(images)
    with torch.no_grad():
        looking = backbone(images)
    for one, other in zip(learning, looking, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
