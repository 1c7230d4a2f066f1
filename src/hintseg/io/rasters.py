"""TIFF files: microscopes' and maps' channels, depths and layouts, and which pixels hold no data.

`samples.BandSelection` says which channels are shown (`bands` and `range` in dataset.json). Common images are Pillow's.
"""

import math
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from hintseg.errors import ConfigError, InputError, why
from hintseg.io import pillow
from hintseg.io.pillow import ORIENTATION
from hintseg.io.samples import PLAIN, BandSelection, DecodedImage, Samples, as_sample, is_deep, require_bands, shown
from hintseg.io.tiff_files import opened_tiff, require_bounded

GDAL_DRIVERS = ("GTiff", "JPEG", "PNG", "WEBP", "BMP", "GIF", "JP2OpenJPEG", "PNM")  # of `listing.IMAGE_SUFFIXES`
ALPHA = (1, 2)  # kinds of TIFF's extra samples that mean transparency
GRAY, COLOR, PALETTE, INKS = (0, 1), 2, 3, 5  # kinds of TIFF's photometric interpretation; white is zero in the first
MIXED = {6: "YCbCr", 8: "CIELab"}  # which Pillow converts
NODATA, INK_SET = 42113, 332  # tags
REDUCED, MASK = 1, 4  # bits of a page's subfile type
ASIDE = ("Thumbnail", "Label", "Macro", "Overview", "Map")  # series that scanners add to the image
MAX_BYTES = 6 * 2**30  # of decoded samples; above this a file is more likely a bomb than an image


class Header(NamedTuple):
    """What the header of a TIFF says.

    Attributes:
        size: (height, width) as stored.
        orientation: 1 … 8, as in EXIF.
        common: whether Pillow shows it as it is: 8 bits or fewer, in a usual color space.
        deep: whether its samples have to be stretched.
        nodata: sample that means "no data".
        photometric, alpha: see above.
        mask: number of the page that holds its mask; None where there is none.
        channels: samples of a pixel, transparency included.
        kind: what each sample is.
    """

    size: tuple[int, int]
    orientation: int
    common: bool
    deep: bool
    nodata: float | None
    photometric: int
    alpha: tuple[bool, ...]
    mask: int | None
    channels: int
    kind: np.dtype[Any]


def read_header(path: Path) -> Header:
    """What the header of a TIFF says.

    Raises:
        InputError: no readable TIFF, a stack of images, or samples that are no numbers.
    """
    with opened_tiff(path) as file:
        page, series = file.pages.first, file.series[0]
        _channels_last(path, series.axes)
        _require_one_image(path, file)
        kind = page.dtype
        _require_modest(path, *_size(series), 0)
        try:
            alpha = tuple(int(each) in ALPHA for each in page.extrasamples)
            photometric, bits, samples = int(page.photometric), int(page.bitspersample), int(page.samplesperpixel)
        except (TypeError, ValueError) as error:  # entries of the wrong type
            raise InputError(f"{path}: cannot be decoded ({why(error)}); the file is truncated or damaged.") from error
        if kind is None or kind.kind not in "iufb":
            raise InputError(f"{path}: its samples are no real numbers ({kind}); save it with 8 or 16 bits.")
        tags = {number: page.tags[number].value for number in (NODATA, ORIENTATION, INK_SET) if number in page.tags}
        shallow = bits <= 8 and series.axes in ("YX", "YXS") and not is_deep(kind)
        colors, orientation = samples - len(alpha), tags.get(ORIENTATION, 1)
        if photometric in MIXED and not shallow:
            raise InputError(f"{path}: {MIXED[photometric]} of this kind cannot be read; save it as RGB.")
        if photometric == INKS and (colors != 4 or tags.get(INK_SET, 1) != 1):
            raise InputError(f"{path}: its {colors} inks are not CMYK; save it as RGB.")
        displayable = (colors in (1, 3) and photometric in (*GRAY, COLOR)) or photometric in (PALETTE, INKS, *MIXED)
        return Header(
            size=_size(series),
            orientation=orientation if orientation in range(1, 9) else 1,
            common=shallow and displayable and all(alpha),
            deep=photometric in (*GRAY, COLOR) and is_deep(kind),
            nodata=as_sample(tags.get(NODATA), kind),
            photometric=photometric,
            alpha=alpha,
            channels=math.prod(series.shape) // math.prod(_size(series)),
            kind=kind,
            mask=next((number for number, one in enumerate(file.pages) if _subfile(one.aspage()) == MASK), None),
        )


def read_raster(path: Path, view: BandSelection = PLAIN) -> DecodedImage:
    """A TIFF as it is stored, not turned upright.

    Raises:
        InputError: not readable, a stack of images, no such band, or compressed in a way that needs another package.
    """
    samples = read_samples(path, read_header(path))
    require_bands(path, samples, view)
    return shown(samples, view)


def read_samples(path: Path, header: Header) -> Samples:
    """What a TIFF holds, as stored; palettes and inks as the colors that they mean."""
    values, colormap = _values(path)
    if header.photometric == PALETTE and colormap is not None:
        return Samples(_from_palette(path, values[..., 0], colormap), 3, opaque=_opaque(path, header, values))
    if header.photometric == INKS:
        return Samples(_from_inks(path, values), 3, opaque=_opaque(path, header, values))
    colors = max(values.shape[2] - len(header.alpha), 1)
    # Extra samples that are no transparency are channels as good as any.
    colors = values.shape[2] if not any(header.alpha) else colors
    opaque = _opaque(path, header, values)
    return Samples(values, colors, header.nodata, opaque, inverted=header.photometric == 0)


def mask_beside(path: Path) -> Path | None:
    """The file beside an image that may hold its mask; None where there is none."""
    beside = path.with_name(f"{path.name}.msk")
    return beside if beside.is_file() else None


def read_mask(path: Path, header: Header) -> NDArray[np.bool_] | None:
    """(H, W) where a TIFF's mask says that there is an image, as stored; None where it has no mask.

    GDAL keeps it within the file, or beside it as NAME.tif.msk.

    Raises:
        InputError: it cannot be decoded, or is of another size.
    """
    if header.mask is None:
        if (beside := mask_beside(path)) is None:
            return None
        values, _ = _values(beside)
        if values.shape[:2] != header.size:
            raise InputError(f"{beside}: is a mask of another size than {path.name}; remove it, or make it anew.")
        return np.asarray((values > 0).any(axis=2))
    with opened_tiff(path) as file:
        page = file.pages[header.mask].aspage()
        require_bounded(path, file, [page])
        if page.bitspersample > 8:
            raise InputError(f"{path}: its mask has {page.bitspersample} bits; save it with alpha.")
        try:
            mask = np.asarray(page.asarray()) if page.shape == header.size else None
        except Exception as error:  # tifffile raises many kinds
            raise InputError(f"{path}: its mask cannot be decoded ({why(error)}); save it with alpha.") from error
    return None if mask is None else mask > 0


def _opaque(path: Path, header: Header, values: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Where neither a mask nor an alpha channel says that there is nothing."""
    opaque = read_mask(path, header)
    for place, is_alpha in enumerate(reversed(header.alpha), start=1):
        if is_alpha and values.shape[2] > place:
            solid = values[..., -place] > 0
            opaque = solid if opaque is None else opaque & solid
    return opaque


def _from_palette(path: Path, index: NDArray[Any], colormap: NDArray[np.uint16]) -> NDArray[np.uint8]:
    # Its entries have 16 bits; some programs fill the lower eight alone.
    colors = (colormap >> 8 if colormap.max() > 255 else colormap).astype(np.uint8).T
    if index.max(initial=0) >= len(colors):
        raise InputError(f"{path}: uses colors that its palette lacks; save it as RGB.")
    return np.ascontiguousarray(colors)[index]


def _from_inks(path: Path, values: NDArray[Any]) -> NDArray[np.uint8]:
    """CMYK as the same colors give in a JPEG."""
    from PIL import Image

    if values.dtype not in (np.uint8, np.uint16) or values.shape[2] < 4:
        raise InputError(f"{path}: CMYK of this kind cannot be read; save it as RGB.")
    inks = (values[..., :4] // (257 if values.dtype == np.uint16 else 1)).astype(np.uint8)
    return np.array(Image.frombuffer("CMYK", inks.shape[1::-1], inks.tobytes(), "raw", "CMYK", 0, 1).convert("RGB"))


def _values(path: Path) -> tuple[NDArray[Any], NDArray[np.uint16] | None]:
    """(H, W, channels), whatever order the file has, and its palette."""
    with opened_tiff(path) as file:
        series = file.series[0]
        wanted = _channels_last(path, series.axes)
        height, width = _size(series)
        _require_modest(path, height, width, series.nbytes)
        _require_whole(path, series)
        require_bounded(path, file, series.pages)
        colormap = file.pages.first.colormap
        try:
            values = series.asarray().reshape(series.shape)
        except Exception as error:  # a codec may be missing, or the file damaged; tifffile raises many kinds
            return _decoded_elsewhere(path, error, series), colormap
        order = [series.axes.index(axis) for axis in wanted]
    values = values.transpose(order)
    return values if values.ndim == 3 else values[..., None], colormap


def _decoded_elsewhere(path: Path, error: Exception, series: tifffile.TiffPageSeries) -> NDArray[Any]:
    """(H, W, channels) by GDAL, which has more codecs."""
    if not isinstance(error, ImportError) and "imagecodecs" not in str(error):
        raise InputError(f"{path}: cannot be decoded ({why(error)}); the file is truncated or damaged.") from error
    try:
        rasterio = require_rasterio("compressed TIFF")
    except ConfigError as missing:
        raise InputError(f"{path}: {error}; pip install 'hintseg[geo]' reads it, too.") from missing
    try:
        pages = []
        for page in series.pages:
            if page is None:
                raise InputError(f"{path}: lacks some of the channels that it lists; export it again as one file.")
            # GDAL counts a file's pages from 1; by itself it reads the first alone.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
                with rasterio.open(f"GTIFF_DIR:{page.index + 1}:{path.absolute()}", driver="GTiff") as source:
                    pages.append(source.read())
    except (rasterio.errors.RasterioError, TypeError) as broken:  # the second: pages within pages
        raise InputError(f"{path}: cannot be decoded ({why(broken)}); the file is truncated or damaged.") from broken
    samples: NDArray[Any] = np.concatenate(pages).transpose(1, 2, 0)
    if samples.shape[:2] != _size(series) or samples.size != math.prod(series.shape):
        raise InputError(f"{path}: is compressed in a way that cannot be read; save it with Deflate, or uncompressed.")
    return samples


def _channels_last(path: Path, axes: str) -> str:
    """The order of axes to bring the file's into."""
    rest = axes.replace("Y", "", 1).replace("X", "", 1)
    if "Y" not in axes or "X" not in axes or rest not in ("", "S", "C"):
        raise InputError(f"{path}: is a stack ({axes}), not one image; save every layer or page as a file of its own.")
    return "YX" + rest


def _require_one_image(path: Path, file: tifffile.TiffFile) -> None:
    images = [one for one in file.series if not _subfile(one.keyframe) & (REDUCED | MASK) and one.name not in ASIDE]
    if len(images) > 1:
        raise InputError(f"{path}: holds {len(images)} images; save every page as a file of its own.")
    if len(file.series) > 1 and _subfile(file.series[0].keyframe) & (REDUCED | MASK):
        raise InputError(f"{path}: begins with a reduced copy or a mask of its image; save it with the image first.")


def _subfile(page: Any) -> int:
    tag = page.tags.get(254)
    return int(tag.value) if tag is not None else 0


def _size(series: tifffile.TiffPageSeries) -> tuple[int, int]:
    sizes = dict(zip(series.axes, series.shape, strict=True))
    return int(sizes["Y"]), int(sizes["X"])


def ends_early(path: Path) -> bool:
    """Whether a TIFF ends before its header or its pixels do."""
    try:
        with opened_tiff(path) as file:
            return _end(file.series[0]) > path.stat().st_size
    except InputError:
        return True


def _end(series: tifffile.TiffPageSeries) -> int:
    ends = [0 if series.dataoffset is None else series.dataoffset + series.nbytes]
    for page in series.pages:
        if page is not None:
            ends += [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    return int(max(ends))


def _require_whole(path: Path, series: tifffile.TiffPageSeries) -> None:
    """Samples beyond the end of a file would be read as zeros."""
    if _end(series) > path.stat().st_size:
        raise InputError(f"{path}: cannot be decoded (it ends too early); the file is truncated or damaged.")


def _require_modest(path: Path, height: int, width: int, size: int) -> None:
    if size > MAX_BYTES:
        raise InputError(
            f"{path}: holds {size / 2**30:.1f} GiB of samples, more than can be read; keep fewer channels."
        )
    if not height * width:
        raise InputError(f"{path}: has no pixels; replace or remove it.")
    if height * width > pillow.MAX_PIXELS:
        raise InputError(
            f"{path}: {width}×{height} is more than the {pillow.MAX_PIXELS:,} pixels allowed; cut it into tiles."
        )


def require_rasterio(purpose: str) -> Any:
    """The package rasterio; ConfigError where it is not installed."""
    try:
        import rasterio
    except ImportError as error:
        raise ConfigError(f"{purpose} needs rasterio: pip install 'hintseg[geo]'.") from error
    return rasterio


def open_with_gdal(rasterio: Any, path: Path) -> Any:
    """An image through rasterio. GDAL goes by what a file holds, and other kinds may name further files and hosts."""
    for driver in GDAL_DRIVERS:
        with suppress(rasterio.errors.RasterioIOError):
            return rasterio.open(path.absolute(), driver=driver)
    raise rasterio.errors.RasterioIOError(f"it is none of {', '.join(GDAL_DRIVERS)}")
