"""TIFF files that are no plain photographs: many channels, 16 bits, floats; and the place on Earth they carry.

Three channels become red, green and blue, and their samples 0 … 255, in a way that is stated and the same for every
image of a data set (`bands` and `range` in dataset.json), or, where nothing is stated, by a rule that looks at one
image.
"""

import logging
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from hintseg.errors import ConfigError, InputError

ALPHA = (1, 2)  # kinds of TIFF's extra samples that mean transparency
SUFFIXES = (".tif", ".tiff")
MAX_BYTES = 6 * 2**30  # of decoded samples; above this a file is more likely a bomb than a picture
MOST_PAGES = 1000  # of one file, and reduced copies of one page


class View(NamedTuple):
    """How samples are shown.

    Attributes:
        bands: one or three channels, counted from 0; empty: the first three.
        limits: samples that become 0 and 255; None: as `to_uint8` finds for each image.
    """

    bands: tuple[int, ...] = ()
    limits: tuple[float, float] | None = None


PLAIN = View()


def is_photograph(path: Path) -> bool:
    """Whether a TIFF is a common grey, palette, RGB or RGBA picture of 8 bits.

    Raises:
        InputError: no readable TIFF.
    """
    with _opened(path) as file:
        page, series = file.pages.first, file.series[0]
        extra = tuple(int(kind) for kind in page.extrasamples)
        plain = series.axes in ("YX", "YXS") and series.dtype in (np.dtype(np.uint8), np.dtype(np.bool_))
        return plain and page.samplesperpixel - len(extra) in (1, 3) and all(kind in ALPHA for kind in extra)


def read_raster(path: Path, view: View = PLAIN) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of a TIFF.

    Raises:
        InputError: not readable, a stack of images, no such band, or compressed in a way that needs another package.
    """
    samples = _samples(path)
    count = samples.shape[2]
    bands = view.bands or tuple(range(min(count, 3)))
    if max(bands) >= count:
        raise InputError(f"{path}: has {count} channels, so 'bands' {list(bands)} cannot be shown.")
    chosen = to_uint8(samples[..., list(bands)], view.limits)
    if len(bands) == 1:
        return np.repeat(chosen, 3, axis=2)
    missing = np.zeros((*chosen.shape[:2], 3 - chosen.shape[2]), np.uint8)
    return np.concatenate([chosen, missing], axis=2)


def raster_size(path: Path) -> tuple[int, int]:
    """(height, width) from the header.

    Raises:
        InputError: no readable TIFF, or a stack of images.
    """
    with _opened(path) as file:
        series = file.series[0]
        _channels_last(path, series.axes)
        return _size(series)


def to_uint8(samples: NDArray[Any], limits: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Samples as 0 … 255.

    With limits, linearly between them. Without: as they are up to 255 (floats up to 1: times 255); divided by 257
    where 16 bits are used up to the upper half; else stretched so that the image's largest sample becomes 255.
    Samples that are no number become 0.
    """
    values = np.nan_to_num(samples.astype(np.float32), posinf=0.0, neginf=0.0)
    if limits is not None:
        values = (values - limits[0]) * (255.0 / (limits[1] - limits[0]))
    elif samples.dtype.kind == "f" and values.max(initial=0.0) <= 1:
        values = values * 255.0
    else:
        top = float(values.max(initial=0.0))
        if top > 255:
            values = values / (257.0 if 32767 < top <= 65535 else top / 255.0)
    rounded: NDArray[np.uint8] = np.clip(np.round(values), 0, 255).astype(np.uint8)
    return rounded


def write_georeferenced(path: Path, labels: NDArray[np.uint8], like: Path) -> None:
    """Write a label map as a compressed GeoTIFF where `like` lies; its palette is that of the PNGs.

    Raises:
        ConfigError: rasterio is not installed.
        InputError: `like` has no place on Earth.
    """
    rasterio = require_rasterio("GeoTIFF")
    from hintseg.images import label_palette

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(like) as source:
            crs, (points, points_crs) = source.crs, source.gcps
            placed = {"gcps": points, "crs": points_crs} if points else {"crs": crs, "transform": source.transform}
    if crs is None and not points:
        raise InputError(f"{like}: carries no georeference, so its mask cannot; export it in another format.")
    profile = {
        "driver": "GTiff", "height": labels.shape[0], "width": labels.shape[1], "count": 1, "dtype": "uint8",
        "compress": "deflate", "tiled": True, **placed,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(labels, 1)
        target.update_tags(TIFFTAG_SOFTWARE="made by hintseg")  # `storage.outputs.MARK`
        target.write_colormap(1, {index: (*colour, 255) for index, colour in enumerate(label_palette().tolist())})


def require_rasterio(purpose: str) -> Any:
    """The package rasterio.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import rasterio
    except ImportError as error:
        raise ConfigError(f"{purpose} needs rasterio: pip install 'hintseg[geo]'.") from error
    return rasterio


def _samples(path: Path) -> NDArray[Any]:
    """(H, W, channels), whatever order the file has."""
    with _opened(path) as file:
        series = file.series[0]
        wanted = _channels_last(path, series.axes)
        height, width = _size(series)
        _require_modest(path, height, width, series.nbytes)
        _require_whole(path, series)
        try:
            samples = series.asarray().reshape(series.shape)
        except Exception as error:  # a codec may be missing, or the file damaged; tifffile raises many kinds
            return _decoded_elsewhere(path, error)
        order = [series.axes.index(axis) for axis in wanted]
    samples = samples.transpose(order)
    return samples if samples.ndim == 3 else samples[..., None]


def _decoded_elsewhere(path: Path, error: Exception) -> NDArray[Any]:
    if "imagecodecs" not in str(error):
        raise InputError(f"{path}: cannot be decoded ({error}); the file is truncated or damaged.") from error
    try:
        rasterio = require_rasterio("compressed TIFF")
    except ConfigError as missing:
        raise InputError(f"{path}: {error}; pip install 'hintseg[geo]' reads it, too.") from missing
    try:
        with rasterio.open(path) as source:
            samples: NDArray[Any] = source.read()
    except rasterio.errors.RasterioError as broken:
        raise InputError(f"{path}: cannot be decoded ({broken}); the file is truncated or damaged.") from broken
    return samples.transpose(1, 2, 0)


def _channels_last(path: Path, axes: str) -> str:
    """The order of axes to bring the file's into."""
    rest = axes.replace("Y", "", 1).replace("X", "", 1)
    if "Y" not in axes or "X" not in axes or len(rest) > 1 or rest not in ("", "S", "C", "Q", "I"):
        raise InputError(f"{path}: is a stack ({axes}), not one image; save every layer as a file of its own.")
    return "YX" + rest


def _size(series: tifffile.TiffPageSeries) -> tuple[int, int]:
    sizes = dict(zip(series.axes, series.shape, strict=True))
    return int(sizes["Y"]), int(sizes["X"])


def _require_whole(path: Path, series: tifffile.TiffPageSeries) -> None:
    """Samples beyond the end of a file would be read as zeros."""
    ends = [0 if series.dataoffset is None else series.dataoffset + series.nbytes]
    for page in series.pages:
        if page is not None:
            ends += [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if max(ends) > path.stat().st_size:
        raise InputError(f"{path}: cannot be decoded (it ends too early); the file is truncated or damaged.")


def _require_modest(path: Path, height: int, width: int, size: int) -> None:
    from hintseg.images import MAX_PIXELS

    if size > MAX_BYTES:
        raise InputError(
            f"{path}: holds {size / 2**30:.1f} GiB of samples, more than can be read; keep fewer channels."
        )
    if height * width > MAX_PIXELS:
        raise InputError(f"{path}: {width}×{height} is more than the {MAX_PIXELS:,} pixels allowed; cut it into tiles.")


def _opened(path: Path) -> tifffile.TiffFile:
    complaints, file = _Complaints(), None
    try:
        with complaints:
            file = tifffile.TiffFile(path)
            # The reader would follow them all, for minutes in a file made or damaged to that end.
            if len(file.pages) > MOST_PAGES or any(len(page.subifds or ()) > MOST_PAGES for page in file.pages):
                raise ValueError(f"it has more than {MOST_PAGES} pages")
            found = len(file.series)
        if not found or complaints.said:
            raise ValueError("; ".join(complaints.said) or "it holds no image")
        return file
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file.") from error
    except Exception as error:  # a damaged header raises anything
        if file is not None:
            file.close()
        raise InputError(f"{path}: cannot be decoded ({error}); the file is truncated or damaged.") from error


class _Complaints(logging.Handler):
    """What tifffile finds wrong with a file and only logs, while entered."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def __enter__(self) -> None:
        logger = logging.getLogger("tifffile")
        logger.addHandler(self)
        logger.propagate = False

    def __exit__(self, *error: object) -> None:
        logger = logging.getLogger("tifffile")
        logger.removeHandler(self)
        logger.propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
