"""Label maps as runs of pixels, which a page can list, take parts of, and send back."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.hints.labels import UNLABELED


def connected_runs(labels: NDArray[np.uint8], most: int) -> list[tuple[int, list[int]]] | None:
    """(class, runs) of every connected area of one class, corners connect; None where there are too many runs.

    Args:
        labels: (H, W) uint8, `UNLABELED` where nothing is.
        most: runs of all areas.
    """
    height, width = labels.shape
    changes = np.ones((height, width + 1), np.bool_)  # (row, column): whether another value begins there
    changes[:, 1:-1] = labels[:, 1:] != labels[:, :-1]
    rows, starts = np.nonzero(changes[:, :-1])
    ends = np.nonzero(changes[:, 1:])[1] + 1
    values = labels[rows, starts]
    kept = values < UNLABELED
    if int(kept.sum()) > most:
        return None
    runs = np.stack([rows, starts, ends], axis=1)[kept]
    values, area = values[kept], np.zeros(len(runs), np.int64)
    for label in np.unique(values).tolist():
        mine, areas = values == label, cv2.connectedComponents((labels == label).astype(np.uint8), connectivity=8)[1]
        area[mine] = areas[runs[mine, 0], runs[mine, 1]]
    order = np.lexsort((area, values))
    cuts = np.flatnonzero((np.diff(values[order]) != 0) | (np.diff(area[order]) != 0)) + 1
    parts = np.split(order, cuts) if len(order) else []
    return [(int(values[part[0]]), runs[part].ravel().tolist()) for part in parts]


def painted(regions: Sequence[tuple[int, Sequence[int]]], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) uint8: the class of each pixel of the runs, `UNLABELED` elsewhere; later regions lie over earlier ones.

    Args:
        regions: (class, runs).
        size: (height, width).
    """
    labels = np.full(size, UNLABELED, np.uint8)
    flat = labels.ravel()
    for label, runs in regions:
        rows, starts, ends = np.array(runs, np.int64).reshape(-1, 3).T
        before = rows * size[1]
        for start, end in zip((before + starts).tolist(), (before + ends).tolist(), strict=True):
            flat[start:end] = label
    return labels


def require_runs(runs: Sequence[int], width: int, height: int) -> None:
    """Refuse runs that are none, or leave an image of that size.

    Raises:
        InputError: they do.
    """
    if len(runs) % 3:
        raise InputError("the runs of a region are threes of numbers: row, first column, end.")
    rows, starts, ends = np.array(runs, np.int64).reshape(-1, 3).T
    if not ((rows < height) & (starts < ends) & (ends <= width)).all():
        raise InputError(f"a region is empty or leaves the {width}×{height} image.")
    if int((ends - starts).sum()) > 2 * width * height:
        raise InputError("the runs of a region lie over each other; reload the page.")
