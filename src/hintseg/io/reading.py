"""Text and JSON files, read with errors that name the file."""

import codecs
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from hintseg.errors import InputError, why
from hintseg.io.listing import require_file, require_no_pipe

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path) -> str:
    """Content of a text file, without a byte order mark; InputError where it is no UTF-8, or cannot be read."""
    require_file(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if content.startswith(UTF_16):
        raise InputError(f"{path}: is UTF-16 text; save it as UTF-8.")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text; save it as UTF-8.") from error


def lines_of(path: Path) -> list[str]:
    """Lines of a text file; what else may end a line (U+2028, a form feed) stays in it. InputError: `read_text`."""
    lines = read_text(path).split("\n")
    return lines if lines[-1] else lines[:-1]


def read_json(path: Path) -> Any:
    """`parse_json` of a file; InputError where it cannot be read, too."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str | bytes, where: str) -> Any:
    """JSON in which every key stands once and every number is one (no NaN, no Infinity); InputError: any other."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as error:
        raise InputError(f"{where}: is not valid JSON (nested too deeply).") from error
    except ValueError as error:  # also a number of too many digits
        raise InputError(f"{where}: is not valid JSON ({why(error)}).") from error


def json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file of hintseg's own; empty where it is absent or damaged, or holds something else.

    Raises:
        InputError: it is there, and cannot be opened.
    """
    require_no_pipe(path)
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        require_unique(key for key, _ in pairs)
    return found


def require_unique(keys: Iterable[str]) -> None:
    """Raise ValueError where a key stands twice."""
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise ValueError(f"the key {twice[0]!r:.80} stands twice in one object; keep one of the two")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def parse_xml(content: bytes, where: str) -> ElementTree.Element:
    """Root of XML without entities of its own; InputError where it declares some, or is no XML."""

    def refuse(*declared: object) -> None:
        raise InputError(f"{where}: declares XML entities, which nothing here needs; it is refused.")

    # Declarations are looked for by the parser: in UTF-16 no search of the bytes finds them.
    reader = expat.ParserCreate()
    reader.EntityDeclHandler = refuse
    try:
        reader.Parse(content, True)
        return ElementTree.fromstring(content)
    except (
        expat.ExpatError,
        ElementTree.ParseError,
        LookupError,
        ValueError,
    ) as error:  # the second: an encoding nobody knows
        raise InputError(f"{where}: is not valid XML ({error}).") from error
