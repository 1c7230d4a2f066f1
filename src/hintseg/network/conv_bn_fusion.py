"""Batch norms that the convolution before them takes along where nothing is learned.

In evaluation mode, and without gradients, a batch norm is a factor and an offset of each channel, which the
convolution can apply itself [Jacob et al., CVPR 2018, sec. 3.2]: a sweep over the maps less. Weights keep their names
and values; what a convolution applies is made when it is used.
"""

import logging
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

log = logging.getLogger("hintseg")


def fuse(convolution: nn.Conv2d, norm: _BatchNorm) -> None:
    """Let `convolution` apply `norm`, which must be all that reads its maps. Each gets a `forward` of its own."""
    convolution.forward = partial(_convolve_and_normalize, convolution, norm)  # type: ignore[method-assign]
    norm.forward = partial(_normalize_unless_fused, norm)  # type: ignore[method-assign]


def is_fused(module: nn.Module) -> bool:
    """Whether it is a convolution or a batch norm of `fuse`."""
    return getattr(vars(module).get("forward"), "func", None) in (_convolve_and_normalize, _normalize_unless_fused)


def unfuse(network: nn.Module) -> None:
    """Give the modules of a network the `forward` again that they had before `fuse`."""
    for module in filter(is_fused, network.modules()):
        del module.forward


def _convolve_and_normalize(convolution: nn.Conv2d, norm: _BatchNorm, maps: Tensor) -> Tensor:
    if not _fuses(norm, maps):
        return type(convolution).forward(convolution, maps)
    if norm.running_mean is None or norm.running_var is None:
        raise RuntimeError("this batch norm keeps no statistics")
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    return F.conv2d(
        maps, weight, bias, convolution.stride, convolution.padding, convolution.dilation, convolution.groups
    )


def _normalize_unless_fused(norm: _BatchNorm, maps: Tensor) -> Tensor:
    if not _fuses(norm, maps):
        result: Tensor = type(norm).forward(norm, maps)
        return result
    for then in ("drop", "act"):  # timm's batch norm does these, too
        maps = getattr(norm, then)(maps) if hasattr(norm, then) else maps
    return maps


def _fuses(norm: _BatchNorm, maps: Tensor) -> bool:
    """On a GPU what it takes to fuse costs more than the sweep."""
    return not norm.training and not torch.is_grad_enabled() and maps.device.type == "cpu"


def fuse_norms(body: nn.Module, example: Tensor) -> None:
    """Fuse every batch norm of a network that alone reads what a convolution says, as it came.

    Nothing is fused where the network takes no such example, or would say anything else of it.

    Args:
        example: (1, 3, H, W).
    """
    norms = _norms(body)
    if not norms:
        return
    training, same = body.training, False
    states = [{name: value.clone() for name, value in norm.state_dict().items()} for norm in norms]
    body.eval()
    try:
        with torch.no_grad():
            for norm in norms:  # fresh ones would hide a mistake: they change next to nothing
                for number, value in enumerate((norm.running_mean, norm.running_var, norm.weight, norm.bias)):
                    if value is not None:
                        value.copy_(torch.linspace(0.5 + 0.1 * number, 1.5, len(value)))
            pairs, before = _pairs(body, example)
            for convolution, norm in pairs:
                fuse(convolution, norm)
            same = all(_alike(one, other) for one, other in zip(before, body(example), strict=True))
    except Exception:  # networks refuse an example in many ways, and do without fusing
        log.debug("batch norms of %s stay as they are", type(body).__name__, exc_info=True)
    finally:
        for norm, state in zip(norms, states, strict=True):
            norm.load_state_dict(state)
        body.train(training)
        if not same:
            unfuse(body)


def _alike(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= 1e-3 * one.abs().max())


def _pairs(body: nn.Module, example: Tensor) -> tuple[list[tuple[nn.Conv2d, _BatchNorm]], list[Tensor]]:
    """Convolutions and the batch norms that read their maps, and what the network makes of the example."""
    said: dict[int, tuple[nn.Conv2d, Tensor, int]] = {}
    found: dict[nn.Conv2d, list[_BatchNorm]] = {}

    def speak(module: nn.Conv2d, _: object, maps: Tensor) -> None:
        if type(module) is nn.Conv2d and module.padding_mode == "zeros":  # others do more to their weights or maps
            said[id(maps)] = module, maps, maps._version  # the tensor is kept, so that no other gets its id

    def listen(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        convolution, _, version = said.get(id(inputs[0]), (None, None, -1))
        if convolution is not None and isinstance(module, _BatchNorm) and inputs[0]._version == version:
            found.setdefault(convolution, []).append(module)

    hooks = [module.register_forward_hook(speak) for module in body.modules() if isinstance(module, nn.Conv2d)]
    hooks += [norm.register_forward_pre_hook(listen) for norm in _norms(body)]
    try:
        result: list[Tensor] = body(example)
    finally:
        for hook in hooks:
            hook.remove()
    return [(convolution, norms[0]) for convolution, norms in found.items() if len(norms) == 1], result


def _norms(body: nn.Module) -> list[_BatchNorm]:
    """Those that keep statistics."""
    return [module for module in body.modules() if isinstance(module, _BatchNorm) and module.running_var is not None]
