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
    return mask.nonzero()[:, 0] if mask.device.type == "cpu" else rows_in_front(mask)[:count]


def rows_in_front(mask: Tensor, rows: Tensor | None = None) -> Tensor:
    """Rows of (N,) bool `mask` that are true, in order, before anybody knows how many.

    Args:
        rows: (N,) int64, what stands for each row; None: its number.

    Returns:
        (N + 1,) int64, of which as many mean something as are true.
    """
    place = torch.where(mask, mask.cumsum(0) - 1, len(mask))
    if rows is None:
        rows = torch.arange(len(mask), device=mask.device)
    return rows.new_empty(len(mask) + 1).scatter_(0, place, rows)
