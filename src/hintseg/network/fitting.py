"""Whether a file of weights fits a network, found from the file's header before anything of that size is made."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from hintseg.errors import WeightsError
from hintseg.io.listing import require_no_pipe

N = TypeVar("N", bound=nn.Module)


def load_fitting(path: Path, build: Callable[[], N]) -> N:
    """A network with the weights of a .safetensors file; it is made only where these fit.

    Raises:
        WeightsError: they do not, or are damaged or no numbers.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        require_no_pipe(path)
        require_fitting(path, build)
        network = build()
        network.load_state_dict(load_file(path))
        if not all(values.isfinite().all() for values in network.state_dict().values()):
            raise RuntimeError("weights that are no numbers")
    except (SafetensorError, RuntimeError, ValueError, OSError) as error:
        raise WeightsError(f"{path}: is damaged or belongs to another network; train again.") from error
    return network


def require_fitting(path: Path, build: Callable[[], nn.Module]) -> None:
    """Refuse a .safetensors file that holds other tensors than a network has.

    Args:
        build: makes the network; here without memory for its tensors.

    Raises:
        ValueError: it does.
        SafetensorError, OSError: it cannot be read.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        stored = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    try:
        with torch.device("meta"):
            expected = {name: tuple(values.shape) for name, values in build().state_dict().items()}
    except Exception:  # a backbone that computes with its values while it is made; or none, of which the caller learns
        return
    if stored != expected:
        raise ValueError(f"{path} holds other tensors than the network")
