"""Boxes. They label no pixel for certain by themselves; what they exclude is in `pseudo_labels.pipeline`."""

from dataclasses import dataclass

from hintseg.errors import InputError
from hintseg.hints.types.hint_type import HintType, Row


@dataclass(frozen=True)
class Box:
    """The tight extent of one object: x0 ≤ x < x1, y0 ≤ y < y1."""

    x0: float
    y0: float
    x1: float
    y1: float
    label: int

    def __post_init__(self) -> None:
        if not (self.x1 > self.x0 and self.y1 > self.y0):
            raise InputError(f"box {self.x0, self.y0, self.x1, self.y1} is empty; it needs x0 < x1 and y0 < y1.")

    def named(self) -> frozenset[int]:
        """The class."""
        return frozenset({self.label})


def parse(row: Row) -> Box | None:
    """[x0, y0, x1, y1, class]; the part inside the image."""
    row.require(5)
    x0, y0, x1, y1 = row.numbers(row.values[:4])
    label = row.label(row.values[4])
    try:
        box = Box(x0, y0, x1, y1, label)
    except InputError as error:
        raise InputError(f"{row.where}: {error}") from error
    height, width = row.size()
    if x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height:
        return box
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if not (x1 > x0 and y1 > y0):
        row.correct("boxes outside their image left out")
        return None
    row.correct("boxes clipped to their image")
    return Box(x0, y0, x1, y1, label)


BOXES = HintType(parse, label_of=lambda row: row[4])
