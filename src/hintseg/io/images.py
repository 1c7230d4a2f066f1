"""Read any image as (H, W, 3) uint8 and write label maps as palette PNGs.

EXIF orientation is applied; gray, RGBA, palette and deep images are converted (`samples` says how). TIFF files that
are no common images are read by `rasters`.
"""

import io
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from hintseg.errors import InputError
from hintseg.io.class_list import KEY, as_text, parse_classes
from hintseg.io.label_samples import (
    clear_values,
    fractions,
    gray_factor,
    require_numbered,
    require_sure_palette,
    sample_type,
)
from hintseg.io.listing import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from hintseg.io.palette import palette_bytes
from hintseg.io.pillow import ORIENTATION, decoded, deep_samples, has_deep_colors, is_tiff, opened_image, oriented
from hintseg.io.rasters import COLOR, NODATA, Header, read_header, read_mask, read_raster, read_samples
from hintseg.io.samples import PLAIN, BandSelection, DecodedImage, as_sample, require_bands
from hintseg.io.samples import valid_values as sampled_values
from hintseg.io.writing import atomic_path

PHOTOMETRIC = 262  # the tag of a TIFF that says what its values mean; 0: white is zero
NO_LABEL = 255  # `hints.labels.IGNORE_INDEX`
UNSET = "where they are of that class, remove the mark (gdal_edit.py -unsetnodata FILE)"
ZERO = ', or say that 0 is no class ("ignore_index": 0 in dataset.json; --unlabeled 0 at import)'
SAMPLED = 50_000  # pixels of each image that decide the limits of a data set
ImageLike = NDArray[np.uint8] | Image.Image | str | Path  # what functions for users take


def read_image(path: Path, view: BandSelection = PLAIN) -> NDArray[np.uint8]:
    """Decode an image.

    Args:
        path: an image file in any format of `IMAGE_SUFFIXES`.
        view: how samples of more than 8 bits, and a TIFF's channels, become colors.

    Returns:
        (H, W, 3) uint8, RGB, upright.

    Raises:
        InputError: the file is missing, truncated, no image, several, or has more than `pillow.MAX_PIXELS` pixels.
    """
    return decode_image(path, view).pixels


def decode_image(path: Path, view: BandSelection = PLAIN) -> DecodedImage:
    """Decode an image, and say which of its pixels hold data: see `read_image`.

    None is where alpha is 0, where all bands are the file's no-data value, or where a sample is no number.
    """
    if not is_tiff(path):
        with opened_image(path) as image:
            return decoded(path, image, view)
    header = read_header(path)
    if not header.common or (view.stated and header.photometric <= COLOR):
        raster = read_raster(path, view)
        valid = None if raster.valid is None else oriented(raster.valid, header.orientation)
        return DecodedImage(oriented(raster.pixels, header.orientation), valid)
    mask = upright_mask(path, header)
    with opened_image(path) as image:
        nodata = 255 - header.nodata if header.nodata is not None and header.photometric == 0 else header.nodata
        return decoded(path, image, view, nodata, mask)


def upright_mask(path: Path, header: Header) -> NDArray[np.bool_] | None:
    """(H, W) where the mask of a TIFF, in or beside it, says that there is an image; None where there is no mask."""
    mask = read_mask(path, header)
    return None if mask is None else oriented(mask, header.orientation)


def read_image_size(path: Path) -> tuple[int, int]:
    """(height, width) of the upright image, from the header alone: truncation is not noticed."""
    if is_tiff(path):
        header = read_header(path)
        return header.size if header.orientation < 5 else header.size[::-1]
    with opened_image(path) as image:
        width, height = image.size
        return (width, height) if image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8) else (height, width)


def read_orientation(path: Path) -> int:
    """How an image has to be turned to be upright, 1 … 8 as in EXIF."""
    if is_tiff(path):
        return read_header(path).orientation
    with opened_image(path) as image:
        found = image.getexif().get(ORIENTATION, 1)
        return found if found in range(1, 9) else 1


def valid_samples(path: Path, view: BandSelection) -> NDArray[np.float64] | None:
    """Some samples that hold data, for the limits of a data set; None where the file's 8 bits are shown as they are."""
    if is_tiff(path):
        header = read_header(path)
        samples = read_samples(path, header) if header.deep else None
    else:
        with opened_image(path) as image:
            samples = deep_samples(path, image, has_deep_colors(image))
    if samples is not None:
        require_bands(path, samples, view)
    return None if samples is None else sampled_values(samples, view, SAMPLED)


class LabelMap(NamedTuple):
    """A label map as its file has it.

    Attributes:
        values: (H, W) uint8.
        nodata: the value that the file marks as no data, where a pixel has it; None: no pixel has one.
        clear: values that are transparent, and that pixels have.
        classes: names by value, where hintseg wrote the file and said so.
    """

    values: NDArray[np.uint8]
    nodata: int | None = None
    classes: tuple[str, ...] | None = None
    clear: tuple[int, ...] = ()

    def labels(self, path: Path, class_values: Collection[int]) -> NDArray[np.uint8]:
        """255 where there is no data, or all is transparent; InputError where a class's value means no data."""
        values = np.where(np.isin(self.values, self.clear), np.uint8(NO_LABEL), self.values)
        if self.nodata is None:
            return values
        nowhere = self.values == self.nodata
        if self.nodata in class_values:
            raise InputError(
                f"{path}: the value {self.nodata} is marked as no data (GDAL_NODATA), but is a class, too, and "
                f"{np.count_nonzero(nowhere)} pixels have it; {UNSET}, else give them {NO_LABEL}"
                f"{ZERO if self.nodata == 0 else ''}."
            )
        return np.where(nowhere, np.uint8(NO_LABEL), values)


def read_labels(path: Path, class_values: Collection[int] = ()) -> NDArray[np.uint8]:
    """Decode a label map: an index or palette PNG whose gray value or index is the class.

    Args:
        path: the file.
        class_values: values that mean a class, so that none of them can mean no data.

    Returns:
        (H, W) uint8; 255 where a TIFF says that there is no data, or a PNG that all is transparent.

    Raises:
        InputError: as `read_label_map`, or a class's value means no data.
    """
    return read_label_map(path).labels(path, class_values)


def read_label_map(path: Path) -> LabelMap:
    """Decode a label map, and say which of its values means no data.

    Raises:
        InputError: missing, truncated, not single-channel, several images, white is zero, a palette that may have
            been renumbered, or values that are fractions or not in 0 … 255.
    """
    header = read_header(path) if is_tiff(path) else None
    kind, mask = sample_type(path, header), None if header is None else upright_mask(path, header)
    with opened_image(path) as image:
        require_numbered(path, image)
        if image.mode == "F":
            raise fractions(path)
        if image.mode not in ("L", "P", "1", "I", "I;16", "I;16B", "I;16L"):
            raise InputError(
                f"{path}: a label map must have one channel (gray or palette) but this is {image.mode}; "
                "save class indices, not colors."
            )
        if header is not None and header.channels > 1:
            raise InputError(
                f"{path}: a label map has one channel, but this has {header.channels}; save the class numbers alone."
            )
        if header is None and (pages := getattr(image, "n_frames", 1)) > 1:
            raise InputError(f"{path}: a label map is one image but this has {pages}; save each as a file of its own.")
        stretched, tags = gray_factor(image), getattr(image, "tag_v2", {})
        if tags.get(PHOTOMETRIC) == 0:
            raise InputError(
                f"{path}: is stored inverted (white is 0), which some programs undo and others do not; save it as PNG."
            )
        clear = clear_values(image)
        image.load()  # which turns TIFF files upright
        labels = np.array(ImageOps.exif_transpose(image)) // stretched
        classes = parse_classes(image.info, tags)
        palette = image.getpalette() if image.mode == "P" else None
    if palette:
        require_sure_palette(path, bytes(palette), labels)
    if kind == np.int8 or kind == np.uint32:
        labels = labels.view(kind).astype(np.int64)
    nodata = as_sample(tags.get(NODATA), labels.dtype)
    if nodata is not None and not 0 <= nodata <= 255:
        labels[labels == nodata] = NO_LABEL
    if labels.dtype != np.uint8:
        if labels.min(initial=0) < 0 or labels.max(initial=0) > 255:
            raise InputError(
                f"{path}: label values must lie in 0..255 but go from {labels.min()} to {labels.max()}; save what is "
                "no class as 255, or mark it as no data (GDAL_NODATA)."
            )
        labels = labels.astype(np.uint8)
    if mask is not None:
        labels[~mask] = NO_LABEL
    used = tuple(value for value in clear if (labels == value).any())
    return LabelMap(labels, int(nodata) if nodata is not None and (labels == nodata).any() else None, classes, used)


def write_labels(
    path: Path, labels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None, quickly: bool = False,
    classes: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write a label map as a palette PNG; the file appears whole or not at all.

    Args:
        path: target file; missing folders are made.
        labels: (H, W) uint8.
        palette: (256, 3) uint8 colors; default `label_palette()`.
        quickly: in a third of the time, the file being a sixth larger, for what can be made again after a power cut.
        classes: names by label, which the file then says; for masks that leave their data set.
    """
    with atomic_path(path, durable=not quickly) as temporary:
        temporary.write_bytes(encode_labels(labels, palette, quickly=quickly, classes=classes))


def encode_labels(
    labels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None, software: str = "", quickly: bool = False,
    classes: Sequence[str] = (),
) -> bytes:  # fmt: skip
    """The bytes of a palette PNG, see `write_labels`.

    Args:
        software: what the file says made it.
    """
    image, buffer = Image.fromarray(labels, mode="P"), io.BytesIO()
    image.putpalette(palette_bytes() if palette is None else palette.tobytes())
    image.save(buffer, format="PNG", pnginfo=_told(software, classes), compress_type=zlib.Z_RLE if quickly else 0)
    return buffer.getvalue()


def write_image(path: Path, image: NDArray[np.uint8], software: str = "") -> None:
    """Write an (H, W, 3) uint8 image as PNG, which says what made it; it appears whole or not at all."""
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG", pnginfo=_told(software))


def _told(software: str, classes: Sequence[str] = ()) -> PngInfo | None:
    if not software and not classes:
        return None
    told = PngInfo()
    if software:  # first: it is looked for near the file's start
        told.add_text("Software", software)
    if classes:
        told.add_text(KEY, as_text(classes))
    return told


def resize_longest_side(image: NDArray[np.uint8], longest_side: int) -> NDArray[np.uint8]:
    """(H, W, 3) with at most that longest side, each pixel the mean of what it covers; the image itself if smaller."""
    import cv2

    height, width = image.shape[:2]
    factor = longest_side / max(height, width)
    if factor >= 1:
        return image
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8).reshape(size[1], size[0], 3)


def resize_nearest(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """(H, W) or (H, W, 3) brought to another size by repeating and leaving out pixels: labels are never mixed."""
    import cv2

    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST), pixels.dtype)


def classes_of_label_map(path: Path) -> tuple[str, ...]:
    """What a label map says of its classes, by value; empty where it says nothing, or cannot be read."""
    try:
        with opened_image(path) as image:
            tags = getattr(image, "tag_v2", {})
            if (found := parse_classes(image.info, tags)) is None:
                image.load()  # a PNG's text may stand behind its pixels
                found = parse_classes(image.info, tags)
            return found or ()
    except InputError:
        return ()


def require_labels_of(image: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
    """Raises InputError unless these are (H, W, 3) uint8 and (H, W) whole numbers of the same size."""
    if (
        not (isinstance(image, np.ndarray) and isinstance(labels, np.ndarray))
        or image.dtype != np.uint8
        or (labels.ndim, image.shape) != (2, (*labels.shape, 3))
        or labels.dtype.kind not in "iu"
    ):
        said = [f"{getattr(one, 'shape', '')} {getattr(one, 'dtype', type(one).__name__)}" for one in (image, labels)]
        raise InputError(
            f"an image must be (H, W, 3) uint8 and its labels (H, W) whole numbers, but they are {said[0]} and "
            f"{said[1]}; use images.read_image."
        )
