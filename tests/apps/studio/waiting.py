"""Waiting for what happens in the background."""

import time

from hintseg.errors import InputError


def eventually(true):
    """Files that are read while they move or leave are looked at again."""
    deadline = time.monotonic() + 30
    while not holds(true):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def holds(true):
    try:
        return true()
    except InputError:
        return False
