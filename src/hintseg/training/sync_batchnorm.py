"""Batch norm over the images of all processes.

PyTorch's own works on accelerators alone; elsewhere the same arithmetic is done here, plainly.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hintseg.network.conv_bn_fusion import unfuse


def synchronize_batchnorm(network: nn.Module, fabric: Fabric) -> None:
    """Let batch norm that learns see the whole batch; names of weights stay as they are."""
    if fabric.world_size == 1:
        return
    if fabric.device.type == "cuda":
        _convert(network)
        return
    for module in network.modules():
        if isinstance(module, _BatchNorm) and getattr(module.forward, "func", None) is not _normalized:
            module.forward = partial(_normalized, module, module.forward)  # type: ignore[method-assign]


def _convert(network: nn.Module) -> None:
    """PyTorch's own, one by one: timm would take the activation from those that are converted already."""
    from timm.layers import convert_sync_batchnorm

    unfuse(network)  # other modules come into the place of those that convolutions know
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


def _normalized(norm: _BatchNorm, plain: Callable[[Tensor], Tensor], maps: Tensor) -> Tensor:
    """While training by statistics of all processes' images, of which each has equally many; else as `plain` does."""
    if not norm.training:
        return plain(maps)
    everywhere = (0, *range(2, maps.ndim))
    mean = _Mean.apply(maps.mean(everywhere, keepdim=True))
    centered = maps - mean
    variance = _Mean.apply(centered.square().mean(everywhere, keepdim=True))
    _update(norm, mean.detach().flatten(), variance.detach().flatten(), maps.numel() // maps.shape[1])
    result: Tensor = centered * (variance + norm.eps).rsqrt()
    if norm.affine:
        result = result * _broadcast(norm.weight, maps.ndim) + _broadcast(norm.bias, maps.ndim)
    for then in ("drop", "act"):  # timm's batch norm does these, too
        result = getattr(norm, then, _same)(result)
    return result


@torch.no_grad()
def _update(norm: _BatchNorm, mean: Tensor, variance: Tensor, count: int) -> None:
    """Running statistics."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked += 1
    weight = norm.momentum if norm.momentum is not None else 1 / float(norm.num_batches_tracked)
    total = count * dist.get_world_size()
    norm.running_mean.lerp_(mean, weight)
    norm.running_var.lerp_(variance * (total / max(total - 1, 1)), weight)


def _same(values: Tensor) -> Tensor:
    return values


def _broadcast(values: Tensor, dimensions: int) -> Tensor:
    return values.view(1, -1, *[1] * (dimensions - 2))
