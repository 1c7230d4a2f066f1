"""studio/appearance.json: how classes are shown, by identifier. Files of the data set hold none of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from hintseg.apps.studio.links import writable
from hintseg.errors import InputError
from hintseg.hints.colors import APPEARANCE, COLOR, read_appearance, with_palette
from hintseg.io.writing import write_text


@dataclass(frozen=True)
class Appearance:
    """Colors and order that somebody chose.

    Attributes:
        order: identifiers of classes as the page lists them; others follow by label.
        colors: identifier → "#rrggbb"; others have the palette's.
    """

    order: tuple[str, ...] = ()
    colors: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, root: Path) -> Self:
        """What was saved; nothing where the file is absent or damaged."""
        return cls(*read_appearance(root))

    def save(self, root: Path) -> None:
        """Write it.

        Raises:
            RunError: it cannot be written.
        """
        write_text(
            writable(root, *APPEARANCE.split("/")), json.dumps({"order": self.order, "colors": self.colors}, indent=1)
        )

    def changed(
        self, identifiers: Sequence[str], order: Sequence[str] | None, colors: Mapping[str, str]
    ) -> "Appearance":
        """With another order, or other colors of some classes.

        Raises:
            InputError: a class that does not exist or is named twice, or no color.
        """
        for one, color in colors.items():
            if one not in identifiers or not COLOR.fullmatch(color):
                raise InputError(
                    f"{color!r:.20} of class {one!r:.20}: give a class of the table and a color as #rrggbb."
                )
        if order is not None and (len(set(order)) < len(order) or not set(order) <= set(identifiers)):
            raise InputError("the order of the classes must name classes of the table, each once.")
        before = dict(zip(identifiers, self.colors_of(identifiers), strict=True)) if colors else self.colors
        return Appearance(self.order if order is None else tuple(order), {**before, **colors})

    def colors_of(self, identifiers: Sequence[str]) -> list[str]:
        """A color for each class."""
        return with_palette([self.colors.get(one) for one in identifiers])

    def without(self, gone: str, identifiers: Sequence[str]) -> "Appearance":
        """As it is after a class went: the others keep the colors that they had by their numbers."""
        shown = dict(zip(identifiers, self.colors_of(identifiers), strict=True))
        return Appearance(self.order, {one: color for one, color in shown.items() if one != gone})

    def places_of(self, identifiers: Sequence[str]) -> list[int]:
        """The place of each class in the page's list."""
        chosen = [one for one in self.order if one in identifiers]
        listed = [*chosen, *(one for one in identifiers if one not in chosen)]
        return [listed.index(one) for one in identifiers]
