"""Whether a file of weights fits a network, found from the file's header before anything of that size is made."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn


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
