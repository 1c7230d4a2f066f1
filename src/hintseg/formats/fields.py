"""Fields of parsed JSON: there, and of the type they must have."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from hintseg.errors import InputError
from hintseg.io.reading import read_json
from hintseg.io.storage.files import mark_of


def annotations_in(path: Path) -> Any:
    """`read_json`, which is done once however many formats look whether a file is theirs."""
    try:
        return _parsed(path, mark_of(path))
    except OSError:
        return read_json(path)  # says what is wrong


@lru_cache(maxsize=1)
def _parsed(path: Path, mark: str) -> Any:
    return read_json(path)


def tables(rows: list[Any], where: str) -> list[dict[str, Any]]:
    """A list of objects; InputError where one is none."""
    for row, value in enumerate(rows):
        if not isinstance(value, dict):
            raise InputError(f"{where}[{row}]: {value!r:.80} is no object with fields.")
    return rows


def entry(content: object, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """`content[name]` of a type; InputError where it is absent or of another."""
    value = content.get(name) if isinstance(content, dict) else None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{where}: the field {name!r} is missing or malformed (got {value!r:.80}).")
    return value


def required_id(content: object, name: str, where: str) -> str:
    """`as_id` of a field; InputError where it is neither text nor a number."""
    return as_id(entry(content, name, (int, str, float), where))


def as_id(value: object) -> str:
    """An id of JSON as text, so that 7, 7.0 and "7" are one."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
