"""Waiting for what happens in the background."""

import time


def eventually(true):
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
