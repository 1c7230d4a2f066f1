"""Images ranked by uncertainty, in the background and only while nobody waits for a mask."""

import threading
import time
from typing import Protocol

from hintseg.apps.studio.uncertainty import Place
from hintseg.errors import HintsegError

QUIET = 1.5  # seconds since the last mask


class Ranked(Protocol):
    """A model that says how uncertain it is."""

    def version(self) -> str | None:
        """Changes with what the model learned; None: there is no model."""

    def last_asked(self) -> float:
        """When a mask was asked for last, `time.monotonic`."""

    def place(self, key: str) -> Place:
        """The most uncertain place of an image."""


class Ranking:
    """Places by image; those of an older model stay until newer ones are known."""

    def __init__(self, model: Ranked) -> None:
        self._model = model
        self._lock = threading.Lock()  # never held for long
        self._places: dict[str, tuple[str, Place | None]] = {}
        self._thread: threading.Thread | None = None
        self._version: str | None = None  # of the model, when places were asked for last
        self._computed: str | None = None  # image whose place is being computed

    def places(self, keys: tuple[str, ...], busy: bool = False) -> dict[str, Place]:
        """What is known by now.

        Args:
            keys: of all images.
            busy: whether to start nothing.
        """
        version = self._model.version()
        with self._lock:
            known, self._version = self._places, version
            if version is None:
                known.clear()
            waiting = [key for key in keys if key not in known or known[key][0] != version]
            waiting.sort(key=lambda key: key in known)
            idle = self._thread is None or not self._thread.is_alive()
            if version is not None and waiting and idle and not busy:
                self._thread = threading.Thread(target=self._rank, args=(version, waiting), daemon=True)
                self._thread.start()
            return {key: place for key, (_, place) in known.items() if place is not None and key in keys}

    def forget(self, key: str) -> None:
        """An image's hints changed."""
        with self._lock:
            self._places.pop(key, None)
            if self._computed == key:
                self._computed = None

    def _rank(self, version: str, keys: list[str]) -> None:
        for key in keys:
            while time.monotonic() - self._model.last_asked() < QUIET:
                time.sleep(QUIET / 4)
            with self._lock:
                if self._version != version:
                    return
                self._computed = key
            try:
                place = self._model.place(key)
            except HintsegError:  # said where the image is shown
                place = None
            with self._lock:
                if self._computed == key:  # else its hints changed meanwhile
                    self._places[key] = version, place
