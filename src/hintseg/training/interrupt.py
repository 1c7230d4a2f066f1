"""Ctrl+C and a scheduler's SIGTERM wait for the step under way, so that its checkpoint can be written."""

import signal
import sys
import threading
from types import FrameType
from typing import Any


class Interruption:
    """While entered, the first SIGINT or SIGTERM is noted instead of obeyed; the second SIGINT is obeyed.

    Attributes:
        signal: what came, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def obey(self) -> None:
        """End as the signal asks: KeyboardInterrupt, or exit code 143.

        Raises:
            KeyboardInterrupt: for SIGINT.
            SystemExit: for SIGTERM.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self.signal == signal.SIGTERM:
            print("hintseg: terminated; the checkpoint is written, go on with --resume.", file=sys.stderr)
            sys.exit(128 + signal.SIGTERM)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
