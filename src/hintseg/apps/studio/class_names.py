"""What a class table may hold."""

import unicodedata
from collections.abc import Sequence

from hintseg.errors import InputError
from hintseg.hints.labels import MAX_CLASSES
from hintseg.hints.names import require_names

LONGEST = 100  # letters of a name


def checked_names(classes: Sequence[tuple[str | None, str]], identifiers: Sequence[str]) -> list[str]:
    """The names of a new table, whose classes are the known ones in their order, then new ones.

    Args:
        classes: identifier, None for a new class, and name.
        identifiers: of the known classes.

    Raises:
        InputError: a class is missing or moved, a name is unfit or used twice, or there are too many.
    """
    names = [checked_name(name) for _, name in classes]
    known = len(identifiers)
    if tuple(one for one, _ in classes[:known]) != tuple(identifiers):
        raise InputError("a class that exists cannot be removed, since hints hold its number; rename it.")
    if any(one is not None for one, _ in classes[known:]):
        raise InputError("a new class has no identifier yet.")
    if len({unicodedata.normalize("NFC", name) for name in names}) < len(names):
        raise InputError("every class needs a name of its own.")
    if len(names) > MAX_CLASSES:
        raise InputError(f"{len(names)} classes are more than the {MAX_CLASSES} a label map can hold.")
    require_names(names, "the class table")  # before anything is written: what is there must be readable again
    return names


def checked_name(name: str) -> str:
    """A class name without blanks at its ends.

    Raises:
        InputError: it is empty, too long, or holds what cannot be shown.
    """
    name = name.strip()
    if not name or len(name) > LONGEST:
        raise InputError(f"every class needs a name of its own, at most {LONGEST} letters long.")
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        raise InputError(f"class name {name!r}: holds a character that cannot be shown; leave it out.")
    return name
