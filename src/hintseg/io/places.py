"""Where a GeoTIFF lies, by its own tags."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.io.pillow import is_tiff
from hintseg.io.tiff_files import opened_tiff

SCALE, TIE, TRANSFORM = 33550, 33922, 34264  # tags


def require_same_place(path: Path, image: Path) -> None:
    """Refuse a label map of an image's size that lies elsewhere, or upside down, where both TIFFs say where they lie.

    Raises:
        InputError: a corner is more than a pixel away.
    """
    if not (is_tiff(path) and is_tiff(image)):
        return
    own, other = _corners(path), _corners(image)
    if own is None or other is None:
        return
    (corners, _), (wanted, pixel) = own, other
    if np.abs(corners - wanted).max() > max(pixel, 1e-12):
        raise InputError(
            f"{path}: lies elsewhere on Earth than its image, or is turned or mirrored; save it where "
            f"{image.name} lies, or without any place."
        )


def _corners(path: Path) -> tuple[NDArray[np.float64], float] | None:
    """(3, 2) places of three corners in the file's own coordinates, and a pixel's side; None where it has no place."""
    with opened_tiff(path) as file:
        page = file.pages.first
        tags = {number: page.tags[number].value for number in (SCALE, TIE, TRANSFORM) if number in page.tags}
        height, width = page.imagelength, page.imagewidth
    try:
        if TRANSFORM in tags:
            a, b, _, x, c, d, _, y = map(float, tags[TRANSFORM][:8])
        elif SCALE in tags and len(tags[TIE]) == 6:
            (a, step), (column, row, _, x, y) = map(float, tags[SCALE][:2]), map(float, tags[TIE][:5])
            b, c, d, x, y = 0.0, 0.0, -step, x - column * a, y + row * step
        else:
            return None
    except (KeyError, TypeError, ValueError):
        return None
    if (x, y) == (0, 0) and {abs(a), abs(d)} == {1}:  # pixels, and no place on Earth
        return None
    at = np.array([(0, 0), (width, 0), (0, height)], float)
    places = np.stack([a * at[:, 0] + b * at[:, 1] + x, c * at[:, 0] + d * at[:, 1] + y], axis=1)
    return places, max(abs(a) + abs(b), abs(c) + abs(d))
