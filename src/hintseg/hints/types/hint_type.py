"""What a type of hint consists of: its rows in a table, its images, and how it is drawn on a label map."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.hints.labels import UNLABELED

KINDS = frozenset({int, float})
LARGEST = 1e9  # pixels; infinite, NaN and hundred-digit numbers are not below it either


class Hint(Protocol):
    """One thing that somebody said about an image."""

    def named(self) -> frozenset[int]:
        """Indices of the classes it names; none: it says nothing."""


H = TypeVar("H", bound=Hint)


@dataclass(frozen=True)
class Row:
    """One entry of NAME.json, with what is needed to understand it.

    Attributes:
        values: as they stand in the file.
        where: file and image, for errors.
        label: class index of an index or a name; raises InputError.
        size: (height, width) of the image.
        correct: takes what was done to a hint that does not fit the image ("boxes clipped to the image").
    """

    values: Any
    where: str
    label: Callable[[object], int]
    size: Callable[[], tuple[int, int]]
    correct: Callable[[str], None] = lambda what: None

    def require(self, *lengths: int) -> None:
        """Raises InputError unless the entry is a list of one of these lengths."""
        if not isinstance(self.values, list) or len(self.values) not in lengths:
            count = " or ".join(map(str, lengths))
            raise InputError(f"{self.where}: {self.values!r:.80} must be a list of {count} values.")

    def numbers(self, values: object, count: int | None = None) -> list[float]:
        """A list of numbers that coordinates can be, `count` of them; raises InputError."""
        return numbers(values, count, self.where)


@dataclass(frozen=True)
class HintType(Generic[H]):
    """A hint type: where its hints stand in a data set's folder, and which pixels they label.

    Attributes:
        parse: a row of NAME.json → hint, or None where it lies outside the image; None: the type has no table.
        label_of: the class in a row as it stands there; raises LookupError or TypeError where there is none.
        label_map: a label map (H, W) uint8, from NAME/KEY.png → hint; None: the type has no label maps.
        dense: whether 255 in an image means `IGNORE_INDEX`, as does `ignore_index` of dataset.json, not `UNLABELED`.
        draw: (hints of one image, labels (H, W) uint8 to draw on, radius of a point in pixels) → nothing.
        conflict: hints of one image's table → what is said where they contradict each other, or None.
    """

    parse: Callable[[Row], H | None] | None = None
    label_of: Callable[[Any], object] = lambda row: row
    label_map: Callable[[NDArray[np.uint8]], H] | None = None
    dense: bool = False
    draw: Callable[[Sequence[H], NDArray[np.uint8], int], None] = lambda hints, labels, radius: None
    conflict: Callable[[Sequence[H]], str | None] = lambda hints: None


def label_map_classes(labels: NDArray[np.uint8]) -> frozenset[int]:
    """Classes of a label map."""
    return frozenset(np.flatnonzero(np.bincount(labels.ravel(), minlength=256)[:UNLABELED]).tolist())


def numbers(values: object, count: int | None, where: str) -> list[float]:
    """A list of numbers that coordinates can be, `count` of them; InputError where it is none."""
    if not isinstance(values, list) or (count is not None and len(values) != count):
        raise InputError(f"{where}: {values!r:.80} is no list of {'' if count is None else f'{count} '}numbers.")
    # A bool is an int to isinstance. All at once: a polygon has many numbers.
    if not KINDS.issuperset(map(type, values)) or not all(map(LARGEST.__gt__, map(abs, values))):
        wrong = next(value for value in values if type(value) not in KINDS or not abs(value) < LARGEST)
        raise InputError(f"{where}: {wrong!r:.80} is no number that a coordinate can be.")
    return list(map(float, values))


def as_coordinate(text: str) -> float:
    """A number that a coordinate can be; ValueError where it is none."""
    value = float(text)
    if not abs(value) < LARGEST:
        raise ValueError(f"{text} is no coordinate")
    return value
