"""The samples that become black and white in all deep images of a data set, found once from its images."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from hintseg.errors import InputError
from hintseg.io.images import valid_samples
from hintseg.io.samples import Limits, View, robust_limits
from hintseg.io.storage.files import mark_of

MOST_HEADERS = 256  # images looked at for their depth
MOST_IMAGES = 32  # decoded for their samples
ALWAYS_SHALLOW = (".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".webp", ".avif")


def with_stretch(view: View, files: Sequence[Path]) -> View:
    """The view, with the limits that the deep ones among these images share.

    A view whose limits are stated or known, and one of a data set without deep images, stays as it is.
    """
    if view.limits is not None or view.stretch != "image":
        return view
    looked_at = _spread(sorted(file for file in files if file.suffix.lower() not in ALWAYS_SHALLOW), MOST_HEADERS)
    marked = []
    for file in looked_at:
        try:
            marked.append((file, mark_of(file)))
        except OSError:  # `check` names it
            continue
    limits = _limits(tuple(marked), view.bands)
    return view if limits is None else view._replace(stretch=limits)


@lru_cache(maxsize=16)
def _limits(marked: tuple[tuple[Path, str], ...], bands: tuple[int, ...]) -> Limits | None:
    """Robust limits over the images' samples together; None where none is deep."""
    found = []
    for file, _ in marked:
        try:
            values = valid_samples(file, View(bands))
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
