"""Label maps whose samples are no class numbers although they look like it, and palettes that were renumbered."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hintseg.errors import InputError
from hintseg.io.rasters import Header

LOSSY = ("JPEG", "MPO", "JPEG2000", "AVIF", "WEBP")  # Pillow's names
LOSSY_TIFF = ("jpeg", "tiff_jpeg")  # compressions of a TIFF


def sample_type(path: Path, header: Header | None) -> np.dtype[np.generic] | None:
    """What a TIFF's samples are, since Pillow takes signed bytes for unsigned ones; None of other files.

    Args:
        header: of a TIFF.

    Raises:
        InputError: they are fractions, or larger than Pillow reads.
    """
    kind = None if header is None else header.kind
    if kind is not None and kind.kind == "f":
        raise fractions(path)
    if kind is not None and kind.itemsize > 4:
        raise InputError(f"{path}: its samples have {8 * kind.itemsize} bits; save class numbers with 8 bits.")
    return kind


def fractions(path: Path) -> InputError:
    """The error of a label map of floats."""
    return InputError(f"{path}: its values are fractions, not class numbers; save it with 8-bit class indices.")


def require_numbered(path: Path, image: Image.Image) -> None:
    """Refuse formats that change values, and those whose writers renumber colors.

    Raises:
        InputError: by its content, whatever its name says, it is a GIF, JPEG, JPEG 2000, AVIF or WebP.
    """
    if image.format == "GIF":
        raise InputError(
            f"{path}: is a GIF, and programs that write GIFs renumber the colors, so its values may be other classes; "
            "save the original label map as PNG."
        )
    if image.format in LOSSY or image.info.get("compression") in LOSSY_TIFF:
        raise InputError(
            f"{path}: is compressed as {image.format or 'JPEG'}, which changes values near borders into other classes; "
            "save the original label map as PNG."
        )


def require_sure_palette(path: Path, palette: bytes, values: NDArray[np.uint8]) -> None:
    """Refuse a palette of grays in another order: the class may be the gray or its number in the palette.

    Black and white, in this order, are 0 and 1, as in an image of one bit. Where grays repeat or are missing, they
    were never meant.

    Raises:
        InputError: grays that are not their own numbers.
    """
    colors = np.frombuffer(palette[: len(palette) // 3 * 3], np.uint8).reshape(-1, 3)
    used = np.flatnonzero(np.bincount(values.ravel(), minlength=1))
    if (colors != colors[:, :1]).any() or used[-1:] >= len(colors):
        return
    grays = colors[used, 0]
    if (grays == used).all() or len(set(grays.tolist())) < len(grays) or colors[:2, 0].tolist() == [0, 255]:
        return
    number, gray = next((int(n), int(g)) for n, g in zip(used, grays, strict=True) if n != g)
    raise InputError(
        f"{path}: its palette shows the value {number} as the gray {gray}, so it is unclear which of the two is the "
        "class; save it as an 8-bit gray PNG whose gray is the class."
    )


def clear_values(image: Image.Image) -> tuple[int, ...]:
    """Values of an opened image that its palette (or a PNG's header) calls fully transparent."""
    told = image.info.get("transparency") if image.mode in ("P", "L") else None
    if isinstance(told, bytes):
        return tuple(value for value, alpha in enumerate(told) if alpha == 0)
    return (told,) if isinstance(told, int) else ()


def gray_factor(image: Image.Image) -> int:
    """By what Pillow multiplies gray values of 2 or 4 bits; call it before the pixels are loaded."""
    tiles = getattr(image, "tile", ())
    coding = tiles[0][3] if tiles else None
    bits = coding[0] if isinstance(coding, tuple) and coding else coding
    return {"L;2": 85, "L;4": 17}.get(bits, 1) if isinstance(bits, str) else 1
