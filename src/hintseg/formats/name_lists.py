"""Lists of class names, a line each: the first names class 0, whatever a line says of numbers."""

import re
from collections.abc import Sequence
from pathlib import Path

from hintseg.errors import InputError
from hintseg.hints.dataset_json import read_text

COMMENTS = ("#", "//", ";", "--")
HEADING = re.compile("names|classes|labels|.*:", re.IGNORECASE)
BEFORE = re.compile(r"(\d{1,3})\s*([:.,;=)])\s*[^\s\d]")  # "1.5 mm" is a name
BEHIND = re.compile(r".*\S\s*([:,;=])\s*(\d{1,3})$")
LOOSE = re.compile(r"(\d{1,3})\s+\S")  # which may be a name, as "2 cells"


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
    if names and (HEADING.fullmatch(names[0]) or _heads_a_table(names)):
        return f"line 1: {names[0]!r:.80} looks like a heading; delete the line, or rename the class it is."
    own = list(range(len(names)))
    before = [int(found[1]) for name in names if (found := BEFORE.match(name))]
    behind = [int(found[2]) for name in names if (found := BEHIND.match(name))]
    for numbers in (before, behind):
        if len(numbers) == len(names) > 1 and numbers != own and sorted(numbers) in (own, [one + 1 for one in own]):
            line = next(place for place, number in enumerate(numbers) if number != place)
            return (
                f"line {line + 1}: {names[line]!r:.80} carries another number than its place, as the first line names "
                "class 0, the second class 1; write the names alone, in that order, with one for 0."
            )
    return None


def doubt(names: Sequence[str]) -> str | None:
    """What to look at where all names begin with a number that is not their place, which may belong to the name."""
    numbers = [int(found[1]) for name in names if (found := LOOSE.match(name))]
    if len(numbers) != len(names) or len(names) < 2 or numbers == list(range(len(names))):
        return None
    return (
        f"{names[0]!r:.80} is taken for the name of class 0, {names[1]!r:.80} for that of class 1; if the numbers "
        "say something else, write the names in order of their classes."
    )


def _heads_a_table(names: Sequence[str]) -> bool:
    """Whether all lines but the first have a number before a comma or the like, which the first has, too."""
    found = [BEFORE.match(name) for name in names[1:]]
    return (
        bool(found) and BEFORE.match(names[0]) is None and all(one is not None and one[2] in names[0] for one in found)
    )
