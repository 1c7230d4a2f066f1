"""Batch norm over the images of all processes.

PyTorch's own works on accelerators alone; elsewhere the same arithmetic is done here, plainly.
"""

from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hintseg.network.conv_bn_fusion import unfold


def synchronise_statistics(network: nn.Module, fabric: Fabric) -> None:
    """Let batch norm that learns see the whole batch; names of weights stay as they are."""
    if fabric.world_size == 1:
        return
    if fabric.device.type == "cuda":
        _convert(network)
        return
    for module in network.modules():
        if isinstance(module, _BatchNorm) and not isinstance(module, _Synchronised):
            kind = type(module)
            module.__class__ = type(f"Synchronised{kind.__name__}", (_Synchronised, kind), {})


def _convert(network: nn.Module) -> None:
    """PyTorch's own, one by one: timm would take the activation from those that are converted already."""
    from timm.layers import convert_sync_batchnorm

    unfold(network)  # other modules come into the place of those that convolutions know
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm) and not isinstance(child, nn.SyncBatchNorm):
                setattr(parent, name, convert_sync_batchnorm(child))


class _Mean(torch.autograd.Function):
    """Mean over processes; so is the gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total / dist.get_world_size()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Mean.forward(ctx, gradient)


class _Synchronised(_BatchNorm):
    """While training: statistics of all processes' images. Every process has equally many."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            result: Tensor = super().forward(input)
            return result
        everywhere = (0, *range(2, input.ndim))
        mean = _Mean.apply(input.mean(everywhere, keepdim=True))
        centred = input - mean
        variance = _Mean.apply(centred.square().mean(everywhere, keepdim=True))
        self._remember(mean.detach().flatten(), variance.detach().flatten(), input.numel() // input.shape[1])
        result = centred * (variance + self.eps).rsqrt()
        if self.affine:
            result = result * _broadcast(self.weight, input.ndim) + _broadcast(self.bias, input.ndim)
        for then in ("drop", "act"):  # timm's batch norm does these, too
            result = getattr(self, then, _same)(result)
        return result

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        weight = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        total = count * dist.get_world_size()
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance * (total / max(total - 1, 1)), weight)


def _same(values: Tensor) -> Tensor:
    return values


def _broadcast(values: Tensor, dimensions: int) -> Tensor:
    return values.view(1, -1, *[1] * (dimensions - 2))
