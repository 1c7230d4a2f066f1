"""Hints kept in memory as they were read; label maps, which shrink to a hundredth, compressed."""

import zlib
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from hintseg.hints.model import ImageHints


class _Packed(NamedTuple):
    content: bytes
    shape: tuple[int, ...]


def pack(hints: ImageHints) -> ImageHints:
    """The same hints, of use to `unpack` alone."""
    return _each(hints, _pack)


def unpack(hints: ImageHints) -> ImageHints:
    """What `pack` was given."""
    return _each(hints, _unpack)


def _each(hints: ImageHints, change: Any) -> ImageHints:
    return replace(hints, by_type={name: tuple(map(change, found)) for name, found in hints.by_type.items()})


def _pack(hint: Any) -> Any:
    labels = getattr(hint, "labels", None)
    if not isinstance(labels, np.ndarray):
        return hint
    return replace(hint, labels=_Packed(zlib.compress(labels.tobytes(), 1), labels.shape))


def _unpack(hint: Any) -> Any:
    labels = getattr(hint, "labels", None)
    if not isinstance(labels, _Packed):
        return hint
    return replace(hint, labels=np.frombuffer(zlib.decompress(labels.content), np.uint8).reshape(labels.shape))
