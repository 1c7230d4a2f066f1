"""Short digests of what an image and its hints say, whatever files they came from."""

import dataclasses
import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintseg.hints.model import ImageHints
from hintseg.io.samples import DecodedImage

DIGITS = 16


def pixel_digest(image: DecodedImage, contours: NDArray[np.floating] | None = None) -> str:
    """Of a decoded image, of which of its pixels hold data, and of the contours that come with it."""
    return "+".join(_of_array(part) for part in (image.pixels, image.valid, contours) if part is not None)


def hint_digest(hints: ImageHints) -> str:
    """Of all hints of one image in their order, and of the verified classes and those outside."""
    digest = hashlib.sha256(repr(None if hints.verified_classes is None else sorted(hints.verified_classes)).encode())
    if hints.outside:
        digest.update(repr(sorted(hints.outside)).encode())
    for name, found in hints.by_type.items():
        for hint in found:
            values = [getattr(hint, field.name) for field in dataclasses.fields(hint)]  # type: ignore[arg-type]
            digest.update(f"{name} {type(hint).__name__} {[_written(value) for value in values]}".encode())
    return digest.hexdigest()[:DIGITS]


def _written(value: Any) -> str:
    return _of_array(value) if isinstance(value, np.ndarray) else repr(value)


def _of_array(values: NDArray[Any]) -> str:
    digest = hashlib.sha256(f"{values.shape}{values.dtype}".encode())
    digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()[:DIGITS]
