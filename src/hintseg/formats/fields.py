"""Fields of parsed JSON: there, and of the type they must have."""

from typing import Any

from hintseg.errors import InputError


def tables(rows: list[Any], where: str) -> list[dict[str, Any]]:
    """A list of objects.

    Raises:
        InputError: one is none.
    """
    for row, value in enumerate(rows):
        if not isinstance(value, dict):
            raise InputError(f"{where}[{row}]: {value!r:.80} is no object with fields.")
    return rows


def entry(content: object, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """`content[name]` of a type.

    Raises:
        InputError: absent or of another type.
    """
    value = content.get(name) if isinstance(content, dict) else None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{where}: the field {name!r} is missing or malformed (got {value!r:.80}).")
    return value
