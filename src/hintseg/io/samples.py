"""Samples of any depth and range → 0 … 255 by one robust rule, and which pixels hold no data.

Eight bits stay as they are. Everything else is stretched linearly between the `PERCENTILES` of the valid samples: of
the whole data set, so that all its images, and those a run segments later, are shown alike.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError

Limits = tuple[float, float]

PERCENTILES = (0.5, 99.5)
LOOKED_AT = 500_000  # pixels of an image whose samples decide its limits
STRIP = 256  # rows converted at once, so that memory stays near that of the file


class BandSelection(NamedTuple):
    """How samples are shown.

    Attributes:
        bands: one or three channels, counted from 0; empty: the first three.
        limits: samples of a TIFF that become 0 and 255, as dataset.json states them; None: not stated.
        stretch: without `limits`, the samples of more than 8 bits that become 0 and 255; "image": robust limits of
            each image by itself; "largest": the image's largest sample becomes 255 (runs that state no limits).
    """

    bands: tuple[int, ...] = ()
    limits: Limits | None = None
    stretch: Limits | Literal["image", "largest"] = "image"

    @property
    def stated(self) -> bool:
        """Whether the data set says what of a TIFF is shown."""
        return bool(self.bands) or self.limits is not None


PLAIN = BandSelection()


class DecodedImage(NamedTuple):
    """A decoded image.

    Attributes:
        pixels: (H, W, 3) uint8, RGB, upright.
        valid: (H, W) bool: pixels that hold data; None where all do.
    """

    pixels: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None = None


class Samples(NamedTuple):
    """What an image file holds before it is shown.

    Attributes:
        values: (H, W, bands).
        colors: how many of the first bands are colors; others are alpha.
        nodata: sample that means "no data".
        opaque: (H, W) bool, false where a mask or alpha says that there is nothing; None: everywhere.
        inverted: whether small samples are bright.
    """

    values: NDArray[Any]
    colors: int
    nodata: float | None = None
    opaque: NDArray[np.bool_] | None = None
    inverted: bool = False


def is_deep(kind: np.dtype[Any]) -> bool:
    """Whether samples of this type have to be stretched."""
    return kind not in (np.dtype(np.uint8), np.dtype(np.bool_))


def shown(samples: Samples, view: BandSelection) -> DecodedImage:
    """The image of samples; `view.bands` must exist."""
    bands = _bands(samples, view)
    height, width = samples.values.shape[:2]
    pixels = np.zeros((height, width, 3), np.uint8)
    valid = np.ones((height, width), np.bool_)
    mapping = _mapping(samples.values.dtype, limits_of(samples, view))
    for start in range(0, height, STRIP):
        rows = slice(start, start + STRIP)
        part = np.ascontiguousarray(samples.values[rows][..., bands])
        there = _there(part, samples.nodata)
        mapped = mapping(part)
        if samples.inverted:
            mapped = 255 - mapped
        if there is not None:
            if is_deep(part.dtype):
                mapped[~there] = 0
            valid[rows] = _whole(part, there)
        pixels[rows, :, : mapped.shape[2]] = mapped
        if mapped.shape[2] == 1:
            pixels[rows] = mapped
    if samples.opaque is not None:
        valid &= samples.opaque
    return DecodedImage(pixels, None if valid.all() else valid)


def limits_of(samples: Samples, view: BandSelection) -> Limits:
    """Samples that become 0 and 255."""
    if view.limits is not None:
        return view.limits
    if not is_deep(samples.values.dtype):
        return (0.0, 1.0) if samples.values.dtype == np.bool_ else (0.0, 255.0)
    if not isinstance(view.stretch, str):
        return view.stretch
    if view.stretch == "largest":
        return _by_the_largest(samples, view)
    return robust_limits(valid_values(samples, view))


def valid_values(samples: Samples, view: BandSelection, pixels: int = LOOKED_AT) -> NDArray[np.float64]:
    """(N,) samples of about that many evenly spaced pixels that hold data."""
    height, width = samples.values.shape[:2]
    step = max(math.ceil(math.sqrt(height * width / pixels)), 1)
    part = samples.values[::step, ::step][..., _bands(samples, view)]
    there = _there(part, samples.nodata)
    keep = np.ones(part.shape, np.bool_) if there is None else there
    if samples.opaque is not None:
        keep &= samples.opaque[::step, ::step, None]
    return part[keep].astype(np.float64)


def robust_limits(values: NDArray[np.float64]) -> Limits:
    """`PERCENTILES` of values; their extent where these coincide; (0, 1) of none."""
    if not len(values):
        return 0.0, 1.0
    low, high = (float(limit) for limit in np.percentile(values, PERCENTILES))
    return (low, high) if low < high else (float(values.min()), float(values.max()))


def as_sample(nodata: str | float | None, kind: np.dtype[Any]) -> float | None:
    """A no-data value as the samples hold it; None where it is none of theirs, or no number."""
    try:
        if kind.kind in "iu":
            exact = int(nodata) if isinstance(nodata, str) and nodata.strip("+- ").isdigit() else float(nodata or "")
            limits = np.iinfo(kind)
            return int(exact) if exact == int(exact) and limits.min <= exact <= limits.max else None
        with np.errstate(over="ignore"):
            value = kind.type(float(nodata or ""))
        return float(value) if np.isfinite(value) else None
    except (TypeError, ValueError, OverflowError):
        return None


def require_bands(path: Path, samples: Samples, view: BandSelection) -> None:
    """Raises InputError where a file lacks a channel that is to be shown."""
    count = samples.values.shape[2]
    if view.bands and max(view.bands) >= count:
        raise InputError(f"{path}: has {count} channels, so 'bands' {list(view.bands)} cannot be shown.")


def _bands(samples: Samples, view: BandSelection) -> list[int]:
    return list(view.bands) or list(range(min(samples.colors, 3)))


def _there(part: NDArray[Any], nodata: float | None) -> NDArray[np.bool_] | None:
    """Which samples are values; None where no sample can be anything else."""
    there = np.isfinite(part) if part.dtype.kind == "f" else None
    if nodata is not None:
        values = part != part.dtype.type(nodata)
        there = values if there is None else there & values
    return there


def _whole(part: NDArray[Any], there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A pixel holds data unless all its samples are "no data" (as GDAL has it), or one is no number."""
    whole: NDArray[np.bool_] = np.asarray(there.any(axis=2))
    return whole & np.asarray(np.isfinite(part).all(axis=2)) if part.dtype.kind == "f" else whole


def _mapping(kind: np.dtype[Any], limits: Limits) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
    """A function from samples to 0 … 255; a table where there are at most 65 536 of them."""
    low, high = limits
    span = high / 2 - low / 2  # halves: the difference of the largest floats is none

    def stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
        if not span > 0:
            return np.zeros(values.shape, np.uint8)
        share = (np.nan_to_num(values.astype(np.float64)) / 2 - low / 2) / span
        return np.round(np.clip(share, 0, 1) * 255).astype(np.uint8)

    if kind == np.uint8 and limits == (0.0, 255.0):
        return lambda values: values
    if kind.kind not in "iu" or kind.itemsize > 2:
        return stretched
    unsigned = np.dtype(f"u{kind.itemsize}")
    table = stretched(np.arange(2 ** (8 * kind.itemsize), dtype=np.uint32).astype(unsigned).view(kind))
    return lambda values: table[values.view(unsigned)]


def _by_the_largest(samples: Samples, view: BandSelection) -> Limits:
    values = valid_values(samples, view, samples.values[..., 0].size)
    top = float(values.max(initial=0.0))
    if samples.values.dtype.kind == "f" and top <= 1:
        return 0.0, 1.0
    return 0.0, 255.0 if top <= 255 else 65535.0 if 32767 < top <= 65535 else top
