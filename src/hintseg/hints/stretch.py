"""The samples that become black and white in all deep images of a data set, found once from its images.

Images of another scale than the rest come out all black or white: these are told.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from hintseg.errors import InputError
from hintseg.io.images import decode_image, valid_samples
from hintseg.io.pillow import has_deep_colors, is_tiff, opened_image
from hintseg.io.rasters import read_header
from hintseg.io.samples import BandSelection, DecodedImage, Limits, robust_limits
from hintseg.io.storage.files import mark_of

MOST_HEADERS = 256  # images looked at for their depth
MOST_IMAGES = 32  # decoded for their samples
LEAST_LEVELS = 8  # different values that an image needs to show anything
LOOKED_AT = 100_000  # of its pixels
ALWAYS_SHALLOW = (".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".webp", ".avif")


def with_stretch(view: BandSelection, files: Sequence[Path]) -> BandSelection:
    """The view, with the limits that the deep ones among these images share.

    A view whose limits are stated or known, and one of a data set without deep images, stays as it is.
    """
    if view.limits is not None or view.stretch != "image":
        return view
    marked = []
    for file in _looked_at(files):
        try:
            marked.append((file, mark_of(file)))
        except OSError:  # `check` names it
            continue
    limits = _limits(tuple(marked), view.bands)
    return view if limits is None else view._replace(stretch=limits)


def lost_contrast(path: Path, view: BandSelection, decoded: DecodedImage | None = None) -> bool:
    """Whether limits that come from elsewhere leave an image almost no contrast, although its samples have some.

    Args:
        path: the image.
        view: how it is shown.
        decoded: it, where it was decoded already.
    """
    if limits_of_all(view) is None:
        return False
    try:
        pixels, valid = decode_image(path, view) if decoded is None else decoded
        step = max(int((pixels.shape[0] * pixels.shape[1] / LOOKED_AT) ** 0.5), 1)
        part = pixels[::step, ::step]
        part = part if valid is None else part[valid[::step, ::step]]
        if np.count_nonzero(np.bincount(part.ravel(), minlength=256)) >= LEAST_LEVELS:
            return False
        samples = valid_samples(path, BandSelection(view.bands))
    except InputError:  # whoever reads it names it
        return False
    return samples is not None and len(np.unique(samples)) >= LEAST_LEVELS


def limits_of_all(view: BandSelection) -> Limits | None:
    """The samples that become black and white in every image that is shown in one way; None: each has its own."""
    if view.limits is not None or isinstance(view.stretch, str):
        return view.limits
    return view.stretch


def contrast_warnings(view: BandSelection, files: Sequence[Path], flat: Sequence[str], images: int) -> list[str]:
    """Sentences about images of a data set that do not suit the stretch which all share.

    Args:
        view: how they are shown.
        files: all images of the data set.
        flat: those of `lost_contrast`.
        images: how many were looked at.
    """
    found, limits = [], limits_of_all(view)
    shared = limits is not None and view.limits is None
    types = Counter(filter(None, map(_deep_type, _looked_at(files)))) if shared else Counter()
    if len(types) > 1:
        kinds = ", ".join(f"{count} {name}" for name, count in types.most_common())
        found.append(
            f"The images have samples of several types ({kinds}), but all are stretched alike; convert them to one "
            'type and scale, or write "range" into dataset.json.'
        )
    if flat and limits is not None:
        found.append(
            f"{len(flat)} of {images} images have almost no contrast (e.g. {flat[0]}: fewer than {LEAST_LEVELS} gray "
            f"levels) after the stretch that all images of the data set share ({limits[0]:g} becomes black, "
            f"{limits[1]:g} white). Unless they are empty, convert them to the scale of the others, or write a "
            '"range" that suits all into dataset.json.'
        )
    return found


def _deep_type(file: Path) -> str | None:
    """What the samples of an image are, from its header; None where its 8 bits are shown as they are."""
    try:
        if is_tiff(file):
            header = read_header(file)
            return str(header.kind) if header.deep else None
        with opened_image(file) as image:
            if image.mode == "F":
                return "float32"
            return "uint16" if image.mode.startswith("I") or has_deep_colors(image) else None
    except InputError:  # `check` names it
        return None


def _looked_at(files: Sequence[Path]) -> list[Path]:
    """Files that may be deep, or evenly spaced ones among many."""
    return _spread(sorted(file for file in files if file.suffix.lower() not in ALWAYS_SHALLOW), MOST_HEADERS)


@lru_cache(maxsize=16)
def _limits(marked: tuple[tuple[Path, str], ...], bands: tuple[int, ...]) -> Limits | None:
    """Robust limits over the images' samples together; None where none is deep."""
    found = []
    for file, _ in marked:
        try:
            values = valid_samples(file, BandSelection(bands))
        except (InputError, IndexError):  # `check` names it
            continue
        if values is not None and len(values):
            found.append(values)
            if len(found) == MOST_IMAGES:
                break
    return robust_limits(np.concatenate(found)) if found else None


def _spread(files: list[Path], most: int) -> list[Path]:
    """At most that many, evenly spaced, and those first that tell most of the whole: every other one, and so on."""
    if len(files) > most:
        files = [files[place * len(files) // most] for place in range(most)]
    order = sorted(range(len(files)), key=lambda place: _reversed_bits(place))
    return [files[place] for place in order]


def _reversed_bits(number: int) -> int:
    return int(f"{number:016b}"[::-1], 2)
