"""What is printed of names and files: their control characters are shown, never obeyed by the terminal."""

import io
import logging
import unicodedata
from typing import Any

KEPT = frozenset("\n\t")


def plain(text: object) -> str:
    """Text in which control characters and half surrogate pairs stand as escapes ("\\x1b")."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        repr(sign)[1:-1] if sign not in KEPT and unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in shown
    )


def say(*parts: object, **options: Any) -> None:
    """`print`, of `plain` text."""
    print(*(plain(part) for part in parts), **options)


class PlainFormatter(logging.Formatter):
    """Log lines of `plain` text."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return plain(super().format(record))


def tolerate(stream: object) -> None:
    """What a terminal's encoding lacks is written as an escape, not refused."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
