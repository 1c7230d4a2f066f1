"""The names of classes in a label map that hintseg wrote, so that its numbers keep their meaning wherever it is copied.

A PNG holds them in a text chunk, a TIFF in its description: a JSON list, in which the place is the number.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

KEY = "hintseg classes"  # of the text chunk, and of the object in the description
DESCRIPTION = 270  # the tag of a TIFF
TEXTS = (b"tEXt", b"zTXt", b"iTXt")  # a PNG's chunks of text
LONGEST = 4000  # letters in a TIFF, which names what made it behind them: see `storage.outputs.ENDS`


def as_text(classes: Sequence[str]) -> str:
    """What a PNG's chunk holds."""
    return json.dumps(list(classes))


def as_description(classes: Sequence[str]) -> str:
    """What a TIFF's description is; empty where there are no classes, or more than it should hold."""
    text = json.dumps({KEY: list(classes)})
    return text if classes and len(text) <= LONGEST else ""


def parse_classes(info: Mapping[Any, Any], tags: Mapping[int, Any]) -> tuple[str, ...] | None:
    """Names by number, of a PNG's text chunks or a TIFF's tags; None where the file says nothing of the kind."""
    told = info.get(KEY, tags.get(DESCRIPTION))
    try:
        content = json.loads(told) if isinstance(told, str) else None
    except (ValueError, RecursionError):
        return None
    names = content.get(KEY) if isinstance(content, dict) else content
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names) or None


def with_classes(content: bytes, classes: Sequence[str]) -> bytes:
    """A PNG's bytes whose chunk of class names holds these; all else stays."""
    parts, start = [content[:8]], 8
    while start < len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        kind, data = content[start + 4 : start + 8], content[start + 8 : end - 4]
        own = kind in TEXTS and data.startswith(f"{KEY}\0".encode())
        parts.append(_text_chunk(as_text(classes)) if own else content[start:end])
        start = end
    return b"".join(parts)


def _text_chunk(text: str) -> bytes:
    data = b"tEXt" + f"{KEY}\0{text}".encode("ascii")
    return struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
