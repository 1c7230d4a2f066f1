"""Tags: what is in an image, and not where."""

from dataclasses import dataclass

from hintseg.hints.types.hint_type import HintType, Row


@dataclass(frozen=True)
class Tag:
    """A class that is present somewhere in the image."""

    label: int

    def named(self) -> frozenset[int]:
        """The class."""
        return frozenset({self.label})


def parse(row: Row) -> Tag:
    """A class."""
    return Tag(row.label(row.values))


TAGS = HintType(parse)
