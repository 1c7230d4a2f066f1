"""Somebody else was faster: another tab, another program."""

from typing import Annotated, Any

from fastapi import Header, HTTPException

from hintseg.errors import InputError

IfMatch = Annotated[str | None, Header()]


class ConflictError(InputError):
    """What is to be replaced is no longer what the writer has seen; nothing was written.

    Attributes:
        current: what the folder holds now, for the writer to compare.
    """

    def __init__(self, message: str, current: dict[str, Any]) -> None:
        super().__init__(message)
        self.current = current


def required_version(if_match: str | None) -> str:
    """The version that a request replaces.

    Raises:
        HTTPException: it names none.
    """
    if not if_match:
        raise HTTPException(428, "say in If-Match which version this replaces; reload the page")
    return if_match.removeprefix("W/").strip('"')
