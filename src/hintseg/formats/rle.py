"""COCO's mask encodings: run lengths as a compressed string or a list, and polygons."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintseg.formats.polygons import filled

MOST_CELLS = 400_000_000


def decode_rle(rle: dict[str, Any], *sizes: tuple[int, ...]) -> NDArray[np.bool_]:
    """{"size": [H, W], "counts": …} → (H, W) bool; runs go down columns and start with zeros.

    Args:
        sizes: such as it may have; none: any.

    Raises:
        ValueError: it has another size, or the runs do not fill the mask.
    """
    height, width = _size(rle, sizes)
    runs = _lengths(rle, height, width)
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return values.reshape(width, height).T


def covered(rle: dict[str, Any]) -> int:
    """How many pixels `decode_rle` gives; ValueError: as there."""
    return int(_lengths(rle, *_size(rle, ()))[1::2].sum())


def sample_rle(
    rle: dict[str, Any], size: tuple[int, int], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """`decode_rle(rle, size)[rows, columns]`, in a time that depends on the places, not on the size."""
    height, width = _size(rle, (size,))
    ends = np.cumsum(_lengths(rle, height, width))
    return np.asarray(np.searchsorted(ends, columns * height + rows, side="right") % 2 == 1)


def _size(rle: dict[str, Any], sizes: Sequence[tuple[int, ...]]) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in rle["size"])
    except OverflowError as error:
        raise ValueError("a mask of endless size") from error
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError("a mask without a height and a width") from error
    if not (height >= 0 and width >= 0 and height * width <= MOST_CELLS) or (sizes and (height, width) not in sizes):
        wanted = f", not of {sizes[0][0]} × {sizes[0][1]}" if sizes else ""
        raise ValueError(f"a mask of {height} × {width} cells{wanted}")
    return height, width


def _lengths(rle: dict[str, Any], height: int, width: int) -> NDArray[np.int64]:
    counts = rle.get("counts")
    try:
        runs = np.array(_runs(counts) if isinstance(counts, str | bytes) else counts, dtype=np.int64)
    except OverflowError as error:
        raise ValueError("a run longer than any mask") from error
    except TypeError as error:
        raise ValueError("runs that are no numbers") from error
    if runs.ndim != 1:
        raise ValueError("runs that are no list")
    # Each alone first: the sum of huge ones may come round to the right number.
    if (runs < 0).any() or (runs > MOST_CELLS).any() or int(runs.sum()) != height * width:
        raise ValueError(f"runs that do not fill a mask of {height} × {width}")
    return runs


def encode_rle(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """(H, W) bool → {"size": [H, W], "counts": compressed string}."""
    return {"size": list(mask.shape), "counts": _compressed(run_lengths(mask.T.ravel()))}


def run_lengths(flat: NDArray[np.bool_]) -> list[int]:
    """How many of (N,) bool are alike one after the other, false ones first."""
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0, *runs] if flat.size and flat[0] else runs


def decode_polygons(segmentation: object, size: Sequence[int]) -> NDArray[np.bool_]:
    """COCO's `segmentation` of any kind → (H, W) bool; ValueError where it has none of them."""
    if isinstance(segmentation, dict):
        return decode_rle(segmentation, (size[0], size[1]))
    if not isinstance(segmentation, list):
        raise ValueError(f"{segmentation!r} is no segmentation")
    mask = np.zeros((size[0], size[1]), np.bool_)
    for polygon in segmentation:
        vertices = np.array(polygon, dtype=np.float64).reshape(-1, 2)
        if not np.isfinite(vertices).all():
            raise ValueError("a corner that is no place")
        if len(vertices):
            window, inside = filled(mask.shape, vertices)
            mask[window] |= inside
    return mask


def _runs(text: str | bytes) -> list[int]:
    """Five bits a character from the lowest, a flag for more; from the third run on, the difference to two before."""
    characters = text.encode("ascii") if isinstance(text, str) else text
    runs: list[int] = []
    place = 0
    while place < len(characters):
        value = shift = 0
        while True:
            bits = characters[place] - 48
            if not 0 <= bits < 64:
                raise ValueError("a character that encodes no run")
            place += 1
            value |= (bits & 31) << shift
            shift += 5
            if not bits & 32:
                break
            if place == len(characters) or shift > 60:
                raise ValueError("a run that does not end")
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs


def _compressed(runs: list[int]) -> str:
    characters = []
    for index, run in enumerate(runs):
        value = run - runs[index - 2] if index > 2 else run
        while True:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            characters.append(chr(48 + bits + (32 if more else 0)))
            if not more:
                break
    return "".join(characters)
