"""Lists of class names, a line each: the first names class 0, whatever a line says of numbers."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hintseg.errors import InputError
from hintseg.io.reading import read_text

COMMENTS = ("#", "//", ";", "--")
WORD = r"(?:id|index|name|class|label|category|value|number|colou?r|r\W+g\W+b|red\W+green\W+blue)"
HEADING = re.compile(
    r"\W*(?:(?:n|no|num|number)[\W_]*(?:of)?[\W_]*)?(?:(?:names|classes|labels)\W*\d*|nc\W*\d+)\W*|.*:"
    rf"|\W*(?:id|index|name|class|label|category|value)(?:[\W_]+{WORD})+\W*",
    re.IGNORECASE,
)
# Numbers in front of all names or behind them; "1.5 mm", "3-lane" and "CD4+" have none.
BEFORE = re.compile(r"[\"'(\[{]*(?P<number>\d{1,3})(?P<mark>(?!-\w)[\s\"')\]}:.,;=|>-]+)(?P<name>[^\s\d].*)")
BEHIND = re.compile(
    r"(?P<name>.*[^\s\"'()\[\]{}:,;=|>-])(?P<mark>(?!-\d)[\s\"'()\[\]{}:,;=|>-]+)(?P<number>\d{1,3})[\"')\]},;]*"
)


class Numbered(NamedTuple):
    """A line as a number, what stands between, blanks aside, and a name."""

    number: int
    mark: str
    name: str


def read_names(path: Path) -> list[str]:
    """Class names in order of their labels.

    Raises:
        InputError: labels might be miscounted; see `fault`.
    """
    text = read_text(path).rstrip()
    lines = [line.strip() for line in text.split("\n")] if text else []
    if (wrong := fault(lines)) is not None:
        raise InputError(f"{path}, {wrong}")
    return lines


def fault(names: Sequence[str]) -> str | None:
    """Why a list of names may label classes wrongly, as a sentence that begins with the line; None: it does not."""
    for number, name in enumerate(names, start=1):
        if not name:
            return f"line {number}: is empty, so which line names which label is unclear."
        if name.startswith(COMMENTS):
            return f"line {number}: {name!r:.80} looks like a comment; delete the line, or rename the class it is."
    if names and (HEADING.fullmatch(names[0]) or _is_count(names)):
        return _heading(names)
    return _column_fault(names, BEFORE) or _column_fault(names, BEHIND)


def unclear_order(names: Sequence[str]) -> str | None:
    """What to look at where all names have a number that is not their place, which may belong to the name."""
    before, behind = _column(names, BEFORE), _column(names, BEHIND)
    numbers = [one.number for one in before or behind]
    is_series = bool(before) or numbers == list(range(1, len(numbers) + 1))
    if len(numbers) != len(names) or len(names) < 2 or numbers == list(range(len(names))) or not is_series:
        return None
    return (
        f"{names[0]!r:.80} is taken for the name of class 0, {names[1]!r:.80} for that of class 1; if the numbers "
        "say something else, write the names in order of their classes."
    )


def _column_fault(names: Sequence[str], pattern: re.Pattern[str]) -> str | None:
    """`fault` of the numbers on one side of the names, which all lines have, or all but a heading."""
    column = _column(names, pattern)
    numbers = [one.number for one in column]
    first = len(names) - len(column)
    is_marked = all(one.mark for one in column)
    is_counted = sorted(numbers) in (list(range(len(column))), list(range(1, len(column) + 1)))
    is_wrong = numbers != list(range(first, len(names)))
    if column and first:
        of_table = all(one.mark.strip("()[]{}") and one.mark in names[0] for one in column)
        return _heading(names) if of_table or (is_counted and is_wrong) else None
    is_other = is_counted and numbers != sorted(numbers)
    if len(numbers) < 2 or not is_wrong or not (is_other or (is_marked and len(set(numbers)) == len(numbers))):
        return None
    line = next(place for place, number in enumerate(numbers) if number != place)
    return (
        f"line {line + 1}: {names[line]!r:.80} carries another number than its place, as the first line names class 0, "
        "the second class 1; write the names alone, in that order, with one for 0."
    )


def _column(names: Sequence[str], pattern: re.Pattern[str]) -> list[Numbered]:
    """Numbers of all lines, or of all but the first; nothing where others lack one, or one name has them all."""
    found = [pattern.fullmatch(name) for name in names]
    lines = [Numbered(int(one["number"]), one["mark"].strip(), one["name"]) for one in found if one]
    is_whole = len(lines) == len(names) or (len(lines) == len(names) - 1 and not found[0])
    is_series = len(lines) > 1 and len({one.name for one in lines}) == 1
    return lines if is_whole and not is_series else []


def _is_count(names: Sequence[str]) -> bool:
    """Whether the first line says how many follow."""
    return names[0] in (str(len(names) - 1), str(len(names))) and not any(name.isdecimal() for name in names[1:])


def _heading(names: Sequence[str]) -> str:
    return f"line 1: {names[0]!r:.80} looks like a heading or a count; delete the line, or rename the class it is."
