"""Losses are computed in float32 whatever mixed precision the network runs in, and in float64 where asked."""

import torch
from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """Half precisions and integers as float32; float32 and float64 as they are."""
    return values if values.dtype in (torch.float32, torch.float64) else values.float()
