"""Text and JSON files, read with errors that name the file."""

import codecs
import json
from collections import Counter
from pathlib import Path
from typing import Any

from hintseg.errors import InputError, why
from hintseg.io.listing import require_file

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
    """The object in a JSON file of hintseg's own; empty where it is absent or damaged, or holds something else."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice!r:.80} stands twice in one object; keep one of the two")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")
