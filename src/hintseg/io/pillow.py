"""Images that Pillow opens: of the formats named here alone, their size looked at before anything is decoded."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from hintseg.errors import InputError, why
from hintseg.io.listing import require_file
from hintseg.io.samples import BandSelection, DecodedImage, Samples, require_bands, shown

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "AVIF", "JPEG2000", "PPM")
MAX_PIXELS = 400_000_000  # 20 000 × 20 000; above this a file is more likely a bomb than an image
DEEP = ("PNG", "PPM", "JPEG2000")  # which Pillow reduces to 8 bits
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")  # a JPEG of several images (MPO) shows its first
ORIENTATION = 0x0112  # tag of EXIF, and of TIFF
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_tiff(path: Path) -> bool:
    """Whether a file begins as a TIFF, whatever its name; InputError where it is no file or cannot be read."""
    require_file(path)
    try:
        with path.open("rb") as file:
            return file.read(4) in TIFF_STARTS
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error


@contextmanager
def opened_image(path: Path) -> Iterator[Image.Image]:
    """An image whose pixels are still to be decoded; errors while they are name the file.

    Raises:
        InputError: no file, no image of `FORMATS`, an animation, damaged, or of more than `MAX_PIXELS`.
    """
    require_file(path)
    try:
        with path.open("rb") as file:
            image = identified(path, file)
            with image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise InputError(
                        f"{path}: {width}×{height} is more than the {MAX_PIXELS:,} pixels allowed; cut it into tiles."
                    )
                if image.format == "TIFF":
                    _read_plainly(image)
                if image.format in ANIMATED and getattr(image, "is_animated", False):
                    raise InputError(f"{path}: is an animation, not one image; save its frames as files of their own.")
                yield image
    except InputError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{path}: cannot be decoded ({reason}); the file is truncated or damaged.") from error
    # TypeError: sizes and offsets of a damaged TIFF that are no integers.
    except (ValueError, TypeError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be decoded ({why(error)}); the file is truncated or damaged.") from error


def _read_plainly(image: Any) -> None:
    """Keep Pillow from what it does to TIFFs alone: mapping, XMP, and a limit of its own when they are loaded."""
    image.filename = ""  # where a file is mapped into memory, the rows of turned images are mixed up
    for place in ("xmp", "XML:com.adobe.xmp"):  # whose orientation other programs do not follow
        image.info.pop(place, None)

    def load_prepare() -> None:
        if getattr(image, "_im", None) is None:
            image.im = Image.new(image.mode, getattr(image, "_tile_size", image.size)).im
        ImageFile.ImageFile.load_prepare(image)

    image.load_prepare = load_prepare


def decoded(
    path: Path,
    image: Image.Image,
    view: BandSelection,
    nodata: float | None = None,
    opaque: NDArray[np.bool_] | None = None,
) -> DecodedImage:
    """The image of an opened image.

    Args:
        nodata: sample of 8 bits that means "no data" where all bands have it.
        opaque: (H, W), upright; false where there is nothing.
    """
    colored = has_deep_colors(image)
    orientation = image.getexif().get(ORIENTATION, 1)  # loads the pixels of a PNG
    if (deep := deep_samples(path, image, colored)) is not None:
        require_bands(path, deep, view)
        pixels, valid = shown(deep, view)
        return DecodedImage(oriented(pixels, orientation), None if valid is None else oriented(valid, orientation))
    image.load()
    upright = ImageOps.exif_transpose(image) if orientation in range(2, 9) else image
    valid = np.ones(upright.size[::-1], np.bool_) if opaque is None else opaque.copy()
    if nodata is not None and upright.mode in ("L", "RGB", "P", "RGBA", "LA"):
        values = np.asarray(upright).reshape(*valid.shape, -1)
        colors = 3 if values.shape[2] >= 3 else 1
        valid &= (values[..., :colors] != nodata).any(axis=2)
    pixels, visible = on_white(upright)
    if visible is not None:
        valid &= visible
    return DecodedImage(pixels, None if valid.all() else valid)


def on_white(image: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """(H, W, 3) uint8 RGB of an image of 8 bits, what is transparent laid on white, and (H, W) where it is visible."""
    if image.mode not in ("RGBA", "LA", "PA", "La", "RGBa") and "transparency" not in image.info:
        return np.array(_rgb(image)), None
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return np.array(_rgb(Image.alpha_composite(white, rgba))), np.asarray(rgba.getchannel("A")) > 0


def has_deep_colors(image: Image.Image) -> bool:
    """Whether colors have more than 8 bits; to be asked before the pixels are loaded, when Pillow forgets it."""
    if image.format not in DEEP or image.mode not in ("RGB", "RGBA", "LA"):
        return False
    if image.format != "JPEG2000":
        tile = getattr(image, "tile", None)
        arguments = tile[0].args if tile else None
        if image.format == "PNG":
            return isinstance(arguments, str) and ";16" in arguments
        return isinstance(arguments, tuple) and isinstance(arguments[-1], int) and arguments[-1] > 255
    file = getattr(image, "fp", None)
    if file is None:
        return False
    place = file.tell()
    file.seek(0)
    start = file.read(4096)
    file.seek(place)
    box = start.find(b"ihdr")
    return box >= 0 and len(start) > box + 14 and start[box + 14] & 0x7F > 7


def has_bands(path: Path) -> bool:
    """Whether the entry 'bands' chooses among an image's channels; True where it cannot be read: others say so."""
    try:
        if is_tiff(path):
            return True
        with opened_image(path) as image:
            return has_deep_colors(image)
    except InputError:
        return True


def deep_samples(path: Path, image: Image.Image, colored: bool) -> Samples | None:
    """The samples of an opened image that has more than 8 bits, as stored; None for others.

    Args:
        colored: see `has_deep_colors`.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        gray = np.asarray(image)
        key = image.info.get("transparency")
        return Samples(gray[..., None], 1, nodata=key if isinstance(key, int) else None)
    if not colored:
        return None
    import cv2

    # Pillow would leave the upper eight bits alone.
    values: NDArray[Any] | None = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.shape[:2] != image.size[::-1]:
        raise InputError(f"{path}: cannot be decoded; the file is truncated or damaged.")
    if values.ndim == 2:
        return Samples(values[..., None], 1)
    colors, opaque = values[..., 2::-1], values[..., 3] > 0 if values.shape[2] == 4 else None
    return Samples(colors, 3, opaque=opaque)


def oriented(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """(H, W, …) as an EXIF orientation says."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)  # 5
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(pixels[::rows, ::columns])


def identified(path: Path, file: IO[bytes]) -> Image.Image:
    """As `Image.open` of `FORMATS`, which warns of sizes that are allowed here unless a global of Pillow is changed."""
    start = file.read(16)
    tried = set[str]()
    for load in (Image.preinit, Image.init):  # the second imports forty modules
        load()
        for name in FORMATS:
            if name in tried or name not in Image.OPEN:
                continue
            tried.add(name)
            factory, accept = Image.OPEN[name]
            if accept is not None and accept(start) is not True:
                continue
            file.seek(0)
            try:
                return factory(file, str(path))
            except (SyntaxError, IndexError, TypeError, struct.error):  # what `Image.open` takes for another format
                continue
    raise InputError(f"{path}: not an image in a format that can be read; replace or remove it.")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode != "LAB":
        return image.convert("RGB")
    from PIL import ImageCms

    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    assert converted is not None  # only when done in place
    return converted
