"""What is printed of names and files: their control characters are shown, never obeyed by the terminal."""

import io
import json
import logging
import sys
import unicodedata
from collections.abc import Iterable, Sequence
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


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Rows under their heads; values that are no text stand as JSON, and the last column wraps."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold", no_wrap=head == heads[0])
    for row in rows:
        table.add_row(*(plain(one if isinstance(one, str) else json.dumps(one)) for one in row))
    width = None if sys.stdout.isatty() else 160
    Console(markup=False, emoji=False, highlight=False, width=width).print(table)


class PlainFormatter(logging.Formatter):
    """Log lines of `plain` text."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return plain(super().format(record))


def tolerate(stream: object) -> None:
    """What a terminal's encoding lacks is written as an escape, not refused."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
