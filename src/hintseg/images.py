"""Read any photograph as (H, W, 3) uint8 and write label maps as palette PNGs.

EXIF orientation is applied; grey, RGBA, palette and 16-bit images are converted (`rasters.to_uint8` says how).
TIFF files with more than that are read by `rasters`.
"""

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from hintseg.errors import HintsegError, InputError, RunError
from hintseg.listing import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from hintseg.rasters import PLAIN, SUFFIXES, View, is_photograph, raster_size, read_raster, to_uint8

LITTLE = 2**20  # bytes; with less a disk counts as full
MAX_PIXELS = 400_000_000  # 20 000 × 20 000; above this a file is more likely a bomb than a photograph

# The limit above is checked from the header before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None


def read_image(path: Path, view: View = PLAIN) -> NDArray[np.uint8]:
    """Decode a photograph.

    Args:
        path: an image file in any format of `IMAGE_SUFFIXES`.
        view: how a TIFF's samples become colours.

    Returns:
        (H, W, 3) uint8, RGB, upright.

    Raises:
        InputError: the file is missing, truncated, no image, or has more than `MAX_PIXELS` pixels.
    """
    if path.suffix.lower() in SUFFIXES and (view != PLAIN or not is_photograph(path)):
        return read_raster(path, view)
    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
            return np.repeat(to_uint8(np.asarray(upright), view.limits)[..., None], 3, axis=2)
        if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
            rgba = upright.convert("RGBA")
            white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
            upright = Image.alpha_composite(white, rgba)
        return np.array(upright.convert("RGB"))


def read_image_size(path: Path) -> tuple[int, int]:
    """(height, width) of the upright image, from the header alone.

    Raises:
        InputError: as `read_image`, but truncation is not noticed here.
    """
    if path.suffix.lower() in SUFFIXES and not is_photograph(path):
        return raster_size(path)
    with _opened(path) as image:
        width, height = image.size
        return (width, height) if image.getexif().get(0x0112, 1) in (5, 6, 7, 8) else (height, width)


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Decode a label map: an index or palette PNG whose grey value or index is the class.

    Returns:
        (H, W) uint8.

    Raises:
        InputError: missing, truncated, not single-channel, several pictures, or values above 255.
    """
    with _opened(path) as image:
        if image.mode not in ("L", "P", "1", "I", "I;16", "I;16B", "I;16L"):
            raise InputError(
                f"{path}: a label map must have one channel (grey or palette) but this is {image.mode}; "
                "save class indices, not colours."
            )
        if (pages := getattr(image, "n_frames", 1)) > 1:
            raise InputError(
                f"{path}: a label map is one picture but this has {pages}; save each as a file of its own."
            )
        stretched = _stretched(image)
        labels = np.array(ImageOps.exif_transpose(image)) // stretched
    if labels.dtype != np.uint8:
        if labels.min(initial=0) < 0 or labels.max(initial=0) > 255:
            raise InputError(f"{path}: label values must lie in 0..255 but reach {labels.max()}.")
        labels = labels.astype(np.uint8)
    return labels


def _stretched(image: Image.Image) -> int:
    """By what Pillow multiplies grey values of 2 or 4 bits; call it before the pixels are loaded."""
    tiles = getattr(image, "tile", ())
    coding = tiles[0][3] if tiles else None
    bits = coding[0] if isinstance(coding, tuple) and coding else coding
    return {"L;2": 85, "L;4": 17}.get(bits, 1) if isinstance(bits, str) else 1


def write_labels(path: Path, labels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None) -> None:
    """Write a label map as a palette PNG; the file appears whole or not at all.

    Args:
        path: target file; missing folders are made.
        labels: (H, W) uint8.
        palette: (256, 3) uint8 colours; default `label_palette()`.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(encode_labels(labels, palette))


def encode_labels(labels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None) -> bytes:
    """The bytes of a palette PNG, see `write_labels`."""
    image, buffer = Image.fromarray(labels, mode="P"), io.BytesIO()
    image.putpalette((label_palette() if palette is None else palette).tobytes())
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an (H, W, 3) uint8 picture as PNG; the file appears whole or not at all."""
    with atomic_path(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")


def reduced(image: NDArray[np.uint8], longest_side: int) -> NDArray[np.uint8]:
    """(H, W, 3) with at most that longest side, each pixel the mean of what it covers; the image itself if smaller."""
    import cv2

    height, width = image.shape[:2]
    factor = longest_side / max(height, width)
    if factor >= 1:
        return image
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8).reshape(size[1], size[0], 3)


def repeated(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """(H, W) or (H, W, 3) brought to another size by repeating and leaving out pixels: labels are never mixed."""
    import cv2

    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_NEAREST), pixels.dtype)


def depth_inside(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(H, W): how many pixels each pixel of the mask lies from its border, which the image's edge is, too."""
    import cv2

    depth: NDArray[np.float32] = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    return depth


def deepest(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """x, y of the pixel that lies deepest inside the mask."""
    depth = depth_inside(mask)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x), int(y)


def label_palette() -> NDArray[np.uint8]:
    """(256, 3) uint8: the bit-interleaved PASCAL VOC colour map, which every viewer of the field knows."""
    index = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that replaces it when the block ends without error.

    Raises:
        RunError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-", suffix=path.suffix)
        os.close(handle)
        os.chmod(name, 0o666 & ~_umask())
    except OSError as error:
        raise RunError(f"{path.parent}: cannot be written ({error.strerror}); choose another folder.") from error
    temporary = Path(name)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise RunError(
            f"{path}: writing failed ({error.strerror or error}); free some space or choose another folder."
        ) from error
    except HintsegError:
        raise
    except Exception as error:
        # torch and safetensors have errors of their own for a disk that is full.
        if shutil.disk_usage(path.parent).free < LITTLE:
            raise RunError(
                f"{path}: writing failed (no space left on device); free some or choose another folder."
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise InputError(
                    f"{path}: {width}×{height} is more than the {MAX_PIXELS:,} pixels allowed; cut it into tiles."
                )
            yield image
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file.") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: not an image in a format that can be read; replace or remove it.") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be decoded ({error}); the file is truncated or damaged.") from error


def read_arrays(path: Path, *names: str) -> tuple[NDArray[Any], ...] | None:
    """Arrays of an .npz file that can be made again; None where it is absent, damaged or lacks one."""
    try:
        # Opened here: numpy leaves the file of a damaged archive open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return tuple(stored[name] for name in names)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def kept_arrays(
    path: Path, names: Sequence[str], make: Callable[[], Sequence[NDArray[Any]]]
) -> tuple[NDArray[Any], ...]:
    """Arrays of an .npz file by name; made and left there where `read_arrays` finds none."""
    if (found := read_arrays(path, *names)) is not None:
        return found
    made = tuple(make())
    named: dict[str, Any] = dict(zip(names, made, strict=True))
    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **named)
    return made


def link_or_copy(source: Path, target: Path) -> None:
    """`target` becomes a hard link to `source`, or a copy where the file system has no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
