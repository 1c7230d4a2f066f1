"""Identifiers of classes: a class keeps its own when it is renamed, and no other class ever gets it.

The folder format numbers classes by position. The page must not: while it is open, another tab or program may change
the table. studio/classes.json remembers the identifier of every name; a name that another program wrote is a new class.
"""

import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from hintseg.apps.studio.links import writable
from hintseg.hints.colors import IDENTIFIERS, read_identifiers
from hintseg.io.writing import write_text


def identify(root: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The identifier of every class, as remembered; new ones are remembered before this returns.

    Raises:
        RunError: they cannot be written.
    """
    remembered = read_identifiers(root)
    found = tuple(remembered.get(name) or secrets.token_hex(4) for name in names)
    remember(root, found, names, remembered)
    return found


def remember(root: Path, identifiers: Sequence[str], names: Sequence[str], known: dict[str, str] | None = None) -> None:
    """Note which name each identifier has from now on.

    Raises:
        RunError: the folder cannot be written.
    """
    table = dict(zip(names, identifiers, strict=True))
    if table == (read_identifiers(root) if known is None else known):
        return
    write_text(writable(root, *IDENTIFIERS.split("/")), json.dumps(table, indent=1, ensure_ascii=False))
