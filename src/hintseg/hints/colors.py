"""Colors of classes that somebody chose in the studio: appearance.json there, by the identifiers of classes.json.

What shows masks of the data set reads them here; what is absent or damaged chooses none.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hintseg.errors import InputError
from hintseg.io.palette import class_colors
from hintseg.io.reading import read_json

IDENTIFIERS = "studio/classes.json"
APPEARANCE = "studio/appearance.json"
COLOR = re.compile("#[0-9a-f]{6}")


def read_identifiers(root: Path) -> dict[str, str]:
    """Name → identifier; nothing where the file is absent or damaged, so that all classes count as new."""
    try:
        table = read_json(root / IDENTIFIERS)
    except InputError:
        return {}
    if not isinstance(table, dict) or not all(isinstance(one, str) and one for one in table.values()):
        return {}
    return table if len(set(table.values())) == len(table) else {}


def read_appearance(root: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """The chosen order of identifiers, and identifier → "#rrggbb"."""
    try:
        content = read_json(root / APPEARANCE)
        order = tuple(one for one in content["order"] if isinstance(one, str))
        chosen = content["colors" if "colors" in content else "colours"]  # the latter is the key of earlier versions
        return order, {one: color for one, color in chosen.items() if COLOR.fullmatch(color)}
    except (InputError, KeyError, TypeError, AttributeError):
        return (), {}


def chosen_colors(root: Path, names: Sequence[str]) -> tuple[str, ...]:
    """ "#rrggbb" of each class; nothing where no class has a color of its own."""
    colors = read_appearance(root)[1]
    return by_name({name: colors[one] for name, one in read_identifiers(root).items() if one in colors}, names)


def by_name(chosen: Mapping[str, str], names: Sequence[str]) -> tuple[str, ...]:
    """Colors chosen for classes of these names, the palette's for others; nothing where none is chosen.

    Args:
        chosen: name → "#rrggbb".
        names: by label.
    """
    if not any(name in chosen for name in names):
        return ()
    return tuple(with_palette([chosen.get(name) for name in names]))


def with_palette(chosen: Sequence[str | None]) -> list[str]:
    """ "#rrggbb" of each class: the one that was chosen, else the palette's of its number; where another class has that
    one, the first that none has. Classes that are added behind change no color."""
    palette, used, colors = class_colors(), set(chosen), []
    for label, one in enumerate(chosen):
        free = (color for color in (palette[label], *palette) if color not in used)
        colors.append(one or next(free, palette[label]))
        used.add(colors[-1])
    return colors
