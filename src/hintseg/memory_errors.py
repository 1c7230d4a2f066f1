"""Exhausted memory: told from other errors of the libraries that meet it, and said in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

from hintseg.errors import HintsegError, InputError

# torch on CPU and GPU, C++ libraries, OpenCV, numpy and the operating system each say it in words of their own.
SIGNS = (
    "allocate memory", "out of memory", "not enough memory", "bad_alloc", "insufficient memory", "failed to allocate",
    "unable to allocate", "bad allocation",
)  # fmt: skip
SMALLER = "give a smaller --longest-side, or cut the image into tiles"


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that memory is exhausted."""
    if isinstance(error, HintsegError):
        return False
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in SIGNS)


@contextmanager
def memory_explained(what: str, advice: str, kind: type[HintsegError] = InputError) -> Iterator[None]:
    """Turn exhausted memory into one sentence.

    Args:
        what: that does not fit, as a user names it.
        advice: which setting to lower.

    Raises:
        HintsegError: of `kind`, where memory is exhausted.
    """
    try:
        yield
    except Exception as error:
        if not is_exhausted(error):
            raise
        raise kind(f"{what}: does not fit into memory; {advice}.") from error
