"""Masks that learn while somebody draws, before a run was trained."""

import threading
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from hintseg.apps.studio.drawn import version_of
from hintseg.apps.studio.links import writable
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.tables import mark
from hintseg.errors import HintsegError, InputError
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.instant.session import Session
from hintseg.io.rasters import mask_beside

LOCALIZED = tuple(name for name in HINT_TYPES if name != "tags")  # hints that say where something is


class Learner:
    """An instant session that follows the project: every mask is by a head that knows the newest hints.

    Features of images that nobody has looked at yet are computed in the background.

    Args:
        weights: of the backbone.
    """

    def __init__(self, project: Project, weights: str) -> None:
        self.project = project
        self.weights = weights
        self._session: Session | None = None
        self._lock = threading.Lock()  # one computation at a time
        self._fitted: dict[str, str] | None = None  # the hints that the head was fitted to, as `_hinted` has them
        self._prepared: set[str] = set()
        self._preparing: threading.Thread | None = None

    def version(self) -> str | None:
        """Changes with whatever masks follow from: classes, and every image with hints; None: none places a class."""
        hinted = self._hinted()
        return version_of([self.project.identifiers, sorted(hinted.items())]) if hinted else None

    def mask(self, key: str) -> NDArray[np.uint8] | None:
        """(H, W) uint8 classes of an image; None while hints place nothing in any.

        Raises:
            InputError: the image cannot be read.
            WeightsError: the backbone's weights cannot be had.
            RunError: the folder of cached features is a link, or cannot be written.
        """
        self.project.refresh()
        with self._lock:
            session = self._fit()
            found = None if session is None else session.mask(key)
            if self._fitted != self._hinted():  # which of the two were read, nobody knows
                self._fitted = None
        if session is not None:
            self._prepare(session)
        return found

    def probabilities(self, key: str) -> tuple[NDArray[np.float32], NDArray[np.uint8]] | None:
        """(C, h, w) class probabilities of an image and (h, w) its hints, by the head as it is or is fitted now.

        Raises: as `mask`.
        """
        self.project.refresh()
        with self._lock:
            session = self._fit()
            return None if session is None else session.probabilities(key)

    def _hinted(self) -> dict[str, str]:
        """Image with localized hints → what changes with them."""
        dataset, project = self.project.dataset, self.project
        named = dataset.hint_keys()
        hinted = set().union(*(named[name] for name in LOCALIZED)) & dataset.paths.keys()
        return {key: content_version(project, key) for key in sorted(hinted)}

    def _fit(self) -> Session | None:
        """The session, its head fitted to the hints as they are now; None where they label no pixel."""
        dataset, hinted = self.project.dataset, self._hinted()
        if not hinted:
            return None
        cache = writable(self.project.root, "studio", "cache", "features", "any").parents[1]
        if self._session is None:
            self._session = Session(dataset, cache, weights=self.weights)
        before = self._fitted or {}
        known = (self._session.dataset.classes, self._session.dataset.paths) == (dataset.classes, dataset.paths)
        if self._fitted != hinted or not known:
            changed = [key for key in before.keys() | hinted.keys() if before.get(key) != hinted.get(key)]
            self._fitted = None  # until it is
            self._session.change(dataset, changed)
            if not self._session.fit(self._readable(self._session, hinted)):
                return None
            self._fitted = hinted
        return self._session

    def _readable(self, session: Session, keys: dict[str, str]) -> list[str]:
        """Without damaged images, which cost themselves and nothing else."""
        found = []
        for key in keys:
            try:
                session.prepare(key)
            except InputError:
                continue
            found.append(key)
        return found

    def _prepare(self, session: Session) -> None:
        waiting = [key for key in session.dataset.paths if key not in self._prepared]
        if waiting and (self._preparing is None or not self._preparing.is_alive()):
            self._preparing = threading.Thread(target=self._prepare_all, args=(session, waiting), daemon=True)
            self._preparing.start()

    def _prepare_all(self, session: Session, keys: list[str]) -> None:
        for key in keys:
            with self._lock, suppress(HintsegError):  # said where the image is shown
                session.prepare(key)
            self._prepared.add(key)


def content_version(project: Project, key: str) -> str:
    """Changes with every file of an image that masks follow from: itself, its mask, its hints and its label maps."""
    version, dataset = project.hints_version(key), project.dataset
    path = dataset.path(key)
    files = [path, mask_beside(path), *(dataset.label_path(folder, key) for folder in dataset.label_maps)]
    return version_of([version, [mark(path) for path in files if path is not None]])
