"""Fields of parsed JSON and XML: there, and of the type they must have."""

from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

from hintseg.errors import InputError
from hintseg.hints.types.hint_type import as_coordinate
from hintseg.io.listing import require_no_pipe
from hintseg.io.reading import parse_xml, read_json
from hintseg.io.storage.files import mark_of

T = TypeVar("T")


def _once(read: Callable[[Path], T]) -> Callable[[Path], T]:
    """A reader of files that keeps what it read last."""
    known = lru_cache(maxsize=1)(lambda path, mark: read(path))

    @wraps(read)
    def read_once(path: Path) -> T:
        try:
            return known(path, mark_of(path))
        except OSError:
            return read(path)  # says what is wrong

    return read_once


@_once
def annotations_in(path: Path) -> Any:
    """`read_json`, which is done once however many formats look whether a file is theirs."""
    return read_json(path)


@_once
def read_xml(path: Path) -> ElementTree.Element:
    """Root of an XML file without entities of its own, read once likewise; it must not be changed.

    Raises:
        InputError: not XML, or it declares entities.
    """
    require_no_pipe(path)
    return parse_xml(path.read_bytes(), str(path))


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


def text(element: ElementTree.Element, tag: str, path: Path) -> str:
    """Text of the first child `tag`; InputError where there is none."""
    value = element.findtext(tag)
    if value is None or not value.strip():
        raise InputError(f"{path}: an element <{element.tag}> has no <{tag}>.")
    return value.strip()


def number(element: ElementTree.Element, tag: str, path: Path) -> float:
    """The child `tag` as a number; InputError where there is none, or it is none."""
    value = text(element, tag, path)
    try:
        return as_coordinate(value)
    except ValueError:
        raise InputError(f"{path}: <{tag}> is {value!r}, not a number.") from None
