"""Where a network runs."""

import torch

from hintseg.errors import InputError


def pick_device(name: str) -> torch.device:
    """ "auto" → CUDA, then Apple's MPS, then the CPU; InputError where the device is not available."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name}: is not available here; use auto or cpu.") from error
    return device
