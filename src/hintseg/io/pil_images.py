"""Images that callers hand over: arrays, and PIL images that hold what their files do."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hintseg.errors import InputError, why
from hintseg.io.pillow import DEEP, has_deep_colors, identified, on_white
from hintseg.io.rasters import NODATA, read_header, read_mask
from hintseg.io.samples import DecodedImage

BITS, SAMPLE_FORMAT = 258, 339  # tags of a TIFF
PLAIN_FORMATS = (1, 4)  # unsigned, or not said


def decode_array(image: NDArray[np.uint8] | Image.Image) -> DecodedImage:
    """An array as it is, or a PIL image, upright, as its file is decoded; InputError where it cannot hold that."""
    if isinstance(image, np.ndarray):
        return DecodedImage(image, None)
    if not isinstance(image, Image.Image):
        raise InputError(f"an image is an array, a PIL image or a path, but this is {type(image).__name__}.")
    if image.mode.startswith(("I", "F")):
        raise InputError(f"a PIL image of mode {image.mode} has more than 8 bits; save it as a TIFF and give its path.")
    name = os.fsdecode(getattr(image, "filename", ""))
    try:
        if lost := _lost(image, Path(name) if name and os.path.isfile(name) else None):
            raise InputError(
                f"{name or 'a PIL image'}: its file holds {lost}, which a PIL image does not; give the file's path."
            )
        pixels, visible = on_white(ImageOps.exif_transpose(image))
    except (OSError, ValueError, SyntaxError) as error:  # read only now: its file is damaged, or closed
        raise InputError(f"{name or 'a PIL image'}: cannot be read ({why(error)}).") from error
    return DecodedImage(pixels, None if visible is None or visible.all() else visible)


def _lost(image: Any, path: Path | None) -> str | None:
    """What the file from which Pillow opened an image holds beyond the image; None: nothing that can be told.

    Args:
        path: of the file, where it has one; of pixels that are loaded it alone tells how deep they were.
    """
    if image.format == "TIFF":
        tags, header = image.tag_v2, None if path is None else read_header(path)  # refuses stacks
        plain = np.max(tags.get(BITS, 1)) <= 8 and np.isin(tags.get(SAMPLE_FORMAT, 1), PLAIN_FORMATS).all()
        masked = path is not None and header is not None and read_mask(path, header) is not None
        return "other samples than 0 to 255" if not plain else "a no-data mark" if NODATA in tags or masked else None
    deep = has_deep_colors(image)
    if path is not None and image.format in DEEP and not deep:
        with path.open("rb") as file:
            deep = has_deep_colors(identified(path, file))
    return "other samples than 0 to 255" if deep else None
