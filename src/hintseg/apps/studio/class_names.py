"""What a class table may hold."""

from collections.abc import Sequence

from hintseg.errors import InputError
from hintseg.hints.labels import MAX_CLASSES
from hintseg.hints.names import require_names


def checked_names(classes: Sequence[tuple[str | None, str]], identifiers: Sequence[str]) -> list[str]:
    """Names of a new table, without blanks at their ends: the known classes in their order, then new ones.

    Args:
        classes: identifier, None for a new class, and name.
        identifiers: of the known classes.

    Raises:
        InputError: a class is missing or moved, a name is unfit or used twice, or there are too many.
    """
    names = [name.strip() for _, name in classes]
    known = len(identifiers)
    if tuple(one for one, _ in classes[:known]) != tuple(identifiers):
        raise InputError("a class that exists cannot be removed, since hints hold its number; rename it.")
    if any(one is not None for one, _ in classes[known:]):
        raise InputError("a new class has no identifier yet.")
    if len(names) > MAX_CLASSES:
        raise InputError(f"{len(names)} classes are more than the {MAX_CLASSES} a label map can hold.")
    require_names(names, "the class table")  # before anything is written: what is there must be readable again
    return names
