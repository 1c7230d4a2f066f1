"""Rows chosen by a mask of which it is known how many it chooses."""

import torch
from torch import Tensor


def rows_where(mask: Tensor, count: int) -> Tensor:
    """Rows of (N,) bool `mask` that are true, in order.

    `nonzero` has to find out how many there are, for which a GPU and its host wait for each other; who already
    knows several such numbers can have asked for them together.

    Args:
        count: how many are true.

    Returns:
        (count,) int64.
    """
    return mask.nonzero()[:, 0] if mask.device.type == "cpu" else placed_rows(mask, count)


def placed_rows(mask: Tensor, count: int) -> Tensor:
    """`rows_where` without `nonzero`: each row is written to its place, those left out behind the last one."""
    place = torch.where(mask, mask.cumsum(0) - 1, count)
    rows = torch.empty(count + 1, dtype=torch.int64, device=mask.device)
    return rows.scatter_(0, place, torch.arange(len(mask), device=mask.device))[:count]
