"""Somebody else was faster: another tab, another program."""

from typing import Any

from hintseg.errors import InputError


class ConflictError(InputError):
    """What is to be replaced is no longer what the writer has seen; nothing was written.

    Attributes:
        current: what the folder holds now, for the writer to compare.
    """

    def __init__(self, message: str, current: dict[str, Any]) -> None:
        super().__init__(message)
        self.current = current
