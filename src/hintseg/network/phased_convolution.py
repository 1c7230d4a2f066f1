"""Dilated depthwise convolutions that train fast on a CPU.

An output of stride 16 makes the last depthwise convolutions of a small backbone dilated, and the gradient of those is
ten times slower on a CPU than that of plain ones. A convolution dilated by d is d² plain ones, each on every d-th row
and column [à trous, Holschneider et al. 1989].
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PhasedDepthwise(nn.Conv2d):
    """A depthwise convolution dilated by d that keeps the size: d² plain ones while it learns on a CPU."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H, W)."""
        if maps.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(maps)
        return phased(maps, self.weight, self.bias, self.dilation[0])


def phased(maps: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """The depthwise convolution of maps padded by zeros, phase by phase.

    Args:
        maps: (B, C, H, W).
        weight: (C, 1, k, k), k odd.
        dilation: d.

    Returns:
        (B, C, H, W), channels last in memory.
    """
    batch, channels, height, width = maps.shape
    padded = F.pad(maps, (0, -width % dilation, 0, -height % dilation)).permute(0, 2, 3, 1)
    rows, columns = padded.shape[1] // dilation, padded.shape[2] // dilation
    phases = padded.reshape(batch, rows, dilation, columns, dilation, channels).permute(2, 4, 0, 1, 3, 5)
    phases = phases.reshape(dilation**2 * batch, rows, columns, channels).permute(0, 3, 1, 2)
    phases = F.conv2d(phases, weight, bias, padding=weight.shape[-1] // 2, groups=channels).permute(0, 2, 3, 1)
    joined = phases.reshape(dilation, dilation, batch, rows, columns, channels).permute(2, 3, 0, 4, 1, 5)
    joined = joined.reshape(batch, rows * dilation, columns * dilation, channels)
    return joined[:, :height, :width].permute(0, 3, 1, 2)


def phase_depthwise(body: nn.Module) -> None:
    """Put a `PhasedDepthwise` in the place of every dilated depthwise convolution that keeps the size.

    Weights keep their names.
    """
    for parent in list(body.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Conv2d and _is_dilated_depthwise(child):
                setattr(parent, name, _phased_module(child))


def _phased_module(convolution: nn.Conv2d) -> PhasedDepthwise:
    """With the same parameters."""
    channels, kernel, dilation = convolution.in_channels, convolution.kernel_size[0], convolution.dilation[0]
    new = PhasedDepthwise(
        channels, channels, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=channels,
        bias=convolution.bias is not None,
        device="meta",  # elsewhere weights would be drawn, and every later draw would differ
    )  # fmt: skip
    new.weight, new.bias = convolution.weight, convolution.bias
    return new.train(convolution.training)


def _is_dilated_depthwise(module: nn.Conv2d) -> bool:
    (kernel, _), (dilation, _) = module.kernel_size, module.dilation
    return (
        module.groups == module.in_channels == module.out_channels
        and module.kernel_size == (kernel, kernel)
        and kernel % 2 == 1
        and module.stride == (1, 1)
        and module.dilation == (dilation, dilation)
        and dilation > 1
        and module.padding == (dilation * (kernel // 2),) * 2
        and module.padding_mode == "zeros"
    )
