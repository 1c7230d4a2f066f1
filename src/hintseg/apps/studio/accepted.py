"""Masks that somebody accepted: masks/KEY.png, and a copy of each that is replaced, withdrawn or edited."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hintseg.apps.studio.changes import changing
from hintseg.apps.studio.conflict import ConflictError
from hintseg.apps.studio.drawn import MOST_RUNS, version_of
from hintseg.apps.studio.kept import keep_file
from hintseg.apps.studio.links import writable
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.regions import stage_map
from hintseg.apps.studio.runs import connected_runs
from hintseg.apps.studio.tables import hinted_keys, mark, stage_nothing_known
from hintseg.errors import InputError
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.io.images import write_labels


def accept(project: Project, key: str, mask: NDArray[np.uint8], is_current: Callable[[], bool] = lambda: True) -> None:
    """Take a mask as the image's own, masks/KEY.png; of one that it replaces a copy stays in studio/kept/masks.

    Args:
        is_current: asked before anything is written whether the mask is still the one that was seen.

    Raises:
        ConflictError: it is not.
        RunError: masks/ is a link, or cannot be written.
    """
    with project.locked() as dataset:  # masks that other programs put there since are listed anew
        require(is_current)
        path = writable(project.root, "masks", f"{key}.png")
        if (before := _mask(project, key)) is not None:
            keep_file(project.root, before)
        write_labels(path, dataset.coding.encode(mask))
        if before is not None and before.exists() and not before.samefile(path):
            before.unlink()


def withdraw(project: Project, key: str, is_current: Callable[[], bool] = lambda: True) -> bool:
    """Remove the image's mask; a copy stays in studio/kept/masks. Whether another format's comes to light by that.

    Raises:
        ConflictError: it is not the one that was seen.
        RunError: masks/ is a link.
    """
    with project.locked() as dataset:
        require(is_current)
        if (path := _mask(project, key)) is not None:
            keep_file(project.root, path)
            with changing(project.root) as change:
                change.removed.append(path.relative_to(project.root).as_posix())
                if not hinted_keys(dataset, frozenset([key]), HINT_TYPES.keys() - {"masks"}):
                    stage_nothing_known(project.root, [key], change)
    return project.dataset.has_mask(key)


def edit(project: Project, key: str, is_current: Callable[[], bool] = lambda: True) -> int:
    """Make regions of the image's mask, below those that were drawn; a copy of it stays in studio/kept/masks.

    Returns:
        How many ignored pixels of the mask are unlabeled from now on: scribbles/KEY.png cannot hold ignored ones.

    Raises:
        ConflictError: it is not the one that was seen.
        InputError: there is none, or it is too fine for a page.
        RunError: a folder is a link, or cannot be written.
    """
    with project.locked() as dataset:
        require(is_current)
        labels, path = dataset.mask(key), _mask(project, key)
        if labels is None or path is None:
            raise InputError(f"{key}: has no accepted mask to edit.")
        drawn = dataset.hints(key, ("scribbles",)).scribble_map
        if drawn is not None:
            labels = np.where(drawn.labels < UNLABELED, drawn.labels, labels)
        ignored = labels == IGNORE_INDEX
        labels = np.where(ignored, np.uint8(UNLABELED), labels)
        if connected_runs(labels, MOST_RUNS) is None:
            raise InputError(f"{key}: its mask is too fine to be edited here; draw hints, or accept another mask.")
        keep_file(project.root, path)
        with changing(project.root) as change:
            stage_map(dataset, key, labels, change)
            stage_nothing_known(project.root, [key] if ignored.any() else [], change, hinted=True)
            change.removed.append(path.relative_to(project.root).as_posix())
    return int(ignored.sum())


def require(is_current: Callable[[], bool]) -> None:
    """Raise where what was seen is not what is.

    Raises:
        ConflictError: it is not.
    """
    if not is_current():
        raise ConflictError("this mask, or what it was made of, has changed since it was shown; look at it again.", {})


def accepted(project: Project, key: str) -> NDArray[np.uint8] | None:
    """The mask that was accepted, if one was."""
    return project.dataset.mask(key)


def accepted_tag(project: Project, key: str) -> str:
    """Changes with the mask that was accepted and with the classes, not with hints: these do not change it."""
    project.refresh()
    path = project.dataset.label_path("masks", key)
    return version_of([path and mark(path), project.identifiers])


def _mask(project: Project, key: str) -> Path | None:
    project.dataset.path(key)  # keys come from the folder's own listing: none leads outside
    found = project.dataset.label_path("masks", key)
    return None if found is None else writable(project.root, found.relative_to(project.root).as_posix())
