"""What the values or colors of label maps mean, as tools write it beside them."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.io.palette import label_palette, parse_color
from hintseg.io.reading import lines_of
from hintseg.io.writing import write_text

COLORS = ("labelmap.txt", "class_dict.csv", "class_dict_seg.csv", "label_colors.txt")
NAMES = ("classes.txt", "class_names.txt")
FILES = (*COLORS, *NAMES)
BACKGROUND = frozenset({"background", "_background_", "__background__", "bg"})
NOTHING = frozenset({"unlabeled", "unlabelled", "void", "ignore", "_ignore_", "__ignore__"})
COMMENT = "# "
TITLES = ("name", "class", "label", "class_name", "class name", "category")  # of the column of names
CHANNELS = (("r", "red"), ("g", "green"), ("b", "blue"))
WORDS = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
BORDER = (224, 224, 192)  # VOC's color of ignored pixels

Color = tuple[int, int, int]


def means_nothing(name: str) -> bool:
    """Whether a class of this name says that nothing is known."""
    return name.strip().casefold() in NOTHING


def means_background(name: str) -> bool:
    """Whether a class of this name is all the rest."""
    return name.strip().casefold() in BACKGROUND


def meanings_file(root: Path) -> Path | None:
    """The file that says what label maps mean."""
    return next((root / name for name in FILES if (root / name).is_file()), None)


def read_colors(path: Path) -> list[tuple[str, Color]] | None:
    """(name, color) of each class; None where the file names values, see `name_lists.read_names`.

    Raises:
        InputError: a malformed line, or a color of two classes.
    """
    if path.name in NAMES:
        return None
    rows = _csv(path) if path.suffix == ".csv" else _lines(path)
    classes: dict[Color, str] = {}
    for where, name, values in rows:
        color = (int(values[0]), int(values[1]), int(values[2]))
        if max(color) > 255:
            raise InputError(f"{where}: {color} is no color; each value is at most 255.")
        if classes.setdefault(color, name) != name:
            raise InputError(f"{where}: the color {color} is of {classes[color]!r} already.")
    return [(name, color) for color, name in classes.items()]


def distinct_palette(colors: Sequence[str]) -> NDArray[np.uint8]:
    """(256, 3) uint8: `label_palette` with the chosen colors; of equal ones the later is changed by a shade.

    Args:
        colors: "#rrggbb" by label.
    """
    palette = label_palette()
    taken = {BORDER}
    for label, text in enumerate(colors):
        color = parse_color(text)
        while color in taken:
            color = (*color[:2], (color[2] + 1) % 256)
        taken.add(color)
        palette[label] = color
    return palette


def write_labelmap(path: Path, names: Sequence[str], palette: NDArray[np.uint8]) -> None:
    """`name:r,g,b::`, a line for each class."""
    lines = (f"{name}:{','.join(map(str, palette[label].tolist()))}::\n" for label, name in enumerate(names))
    write_text(path, "".join(lines))


def _lines(path: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """`name:r,g,b:parts:actions` (names may hold colons), or CamVid's `r g b name`."""
    order = slice(None)
    for number, line in enumerate(lines_of(path), start=1):
        if not line.strip() or line.startswith(COMMENT):
            order = slice(None, None, -1) if _is_reversed(line) else order
            continue
        where = f"{path}, line {number}"
        if path.name == "labelmap.txt":
            found = re.fullmatch(r"(.*):\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*(?::[^:]*){0,2}", line)
            name, values = (found[1], found.groups()[1:]) if found else ("", ())
        else:
            found = re.fullmatch(r"\s*(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})\s+(\S.*)", line)
            name, values = (found[4], found.groups()[:3]) if found else ("", ())
        if not name.strip():
            raise InputError(f"{where}: {line!r:.80} is not name:red,green,blue.")
        yield where, name.strip(), values[order]


def _is_reversed(titles: str) -> bool:
    """Whether titles such as "label:color_bgr:parts" or "b g r name" say that blue comes first."""
    words = " ".join(WORDS.findall(titles)).casefold()
    backward, forward = (
        re.search(rf"\b({joined}|{' '.join(joined)}|{' '.join(names)})\b", words)
        for joined, names in (("bgr", ("blue", "green", "red")), ("rgb", ("red", "green", "blue")))
    )
    names_columns = re.search(r"\b(name|label|colou?r|class)\b", words) is not None
    return names_columns and backward is not None and forward is None


def _csv(path: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """`name,r,g,b` with a line of titles, which may give another order."""
    order = [0, 1, 2, 3]
    for number, row in enumerate(_csv_rows(path), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if number == 1 and not "".join(cells[1:4]).isdecimal():
            order = _order(cells, path)
            continue
        cells = [cells[place] for place in order if place < len(cells)]
        if len(cells) < 4 or not cells[0] or not all(re.fullmatch(r"\d{1,9}", cell) for cell in cells[1:4]):
            raise InputError(f"{path}, line {number}: {','.join(row)!r:.80} is not name,red,green,blue.")
        yield f"{path}, line {number}", cells[0], tuple(cells[1:4])


def _order(titles: list[str], path: Path) -> list[int]:
    """Places of name, red, green and blue in a row; InputError where the titles do not name them."""
    words = [{word.casefold() for word in WORDS.findall(title)} for title in titles]
    places = [[place for place, found in enumerate(words) if found & set(names)] for names in CHANNELS]
    others = [place for place in range(len(titles)) if not any(place in found for found in places)]
    named = [place for place in others if words[place] & {"name", "classname"}]
    names = named or [place for place in others if titles[place].casefold() in TITLES] or others
    if len(names) != 1 or any(len(found) != 1 for found in places):
        raise InputError(f"{path}, line 1: {','.join(titles)!r:.80} does not name the columns name, r, g, b.")
    return [names[0], *(found[0] for found in places)]


def _csv_rows(path: Path) -> list[list[str]]:
    try:
        return list(csv.reader(lines_of(path)))
    except csv.Error as error:
        raise InputError(f"{path}: is no table of names and colors ({error}).") from error
