"""scribbles/KEY.png: the label map that holds an image's regions, as the page edits them."""

import hashlib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hintseg.apps.studio.changes import Change
from hintseg.apps.studio.drawn import TABLES, version_of
from hintseg.apps.studio.kept import has_kept_mask, keep_file
from hintseg.apps.studio.tables import Marks, mark
from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import UNLABELED
from hintseg.hints.model import ImageHints
from hintseg.io.class_list import with_classes
from hintseg.io.images import encode_labels, read_image_size
from hintseg.io.listing import require_no_pipe

FOLDER = "scribbles"
PNG = b"\x89PNG"


def map_version(dataset: Dataset, key: str) -> str | None:
    """Changes with the map's content; None where there is none."""
    path = dataset.label_path(FOLDER, key)
    return None if path is None else _digest(path, (mark(path),))


def hints_that_fit(dataset: Dataset, key: str, size: tuple[int, int]) -> ImageHints:
    """What a page can show of an image's hints: no damaged map, and none of another size, as of a replaced image.

    Raises:
        InputError: the others cannot be read.
    """
    path = dataset.label_path(FOLDER, key)
    try:
        if _fits(dataset, key, size):
            return dataset.hints(key, TABLES, size)
        reason = "it is of another size"
    except InputError:
        reason = "it cannot be read" if path is None or path.is_file() else "no file is there"
    found = dataset.hints(key, TABLES, size, maps=False)
    return replace(found, corrections=(*found.corrections, f"scribble map left out, as {reason}"))


def _fits(dataset: Dataset, key: str, size: tuple[int, ...]) -> bool:
    path = dataset.label_path(FOLDER, key)
    return path is None or read_image_size(path) == size


def is_same(dataset: Dataset, key: str, labels: NDArray[np.uint8] | None) -> bool:
    """Whether the map holds these (H, W) labels already; None: whatever it holds."""
    if labels is None:
        return True
    try:
        if not _fits(dataset, key, labels.shape):
            return False
        found = dataset.hints(key, (FOLDER,), labels.shape[:2]).scribble_map
    except InputError:  # it is damaged
        return False
    return bool((labels == UNLABELED).all()) if found is None else np.array_equal(found.labels, labels)


def has_regions(dataset: Dataset, key: str, labels: NDArray[np.uint8] | None) -> bool:
    """Whether there are regions once these (H, W) labels are saved; None: those that are there stay."""
    return dataset.label_path(FOLDER, key) is not None if labels is None else bool((labels < UNLABELED).any())


def stage_map(dataset: Dataset, key: str, labels: NDArray[np.uint8] | None, change: Change) -> None:
    """Let a change write the map where it differs; of one that another program made a copy stays in studio/kept/masks.

    Args:
        labels: (H, W) uint8, `UNLABELED` where nothing is; None: nothing changes.

    Raises:
        InputError: there is something else than a file in its place, such as a link to a disk that is away.
        RunError: it cannot be written.
    """
    if labels is None or is_same(dataset, key, labels):
        return
    root, before = dataset.root, dataset.label_path(FOLDER, key)
    if before is not None and not before.is_file():
        if (labels == UNLABELED).all():
            return  # it stays as it is
        raise InputError(f"{before}: is no file that is there; bring it back or remove it before you draw regions.")
    if before is not None and not has_kept_mask(root, before):
        keep_file(root, before)
    name = f"{FOLDER}/{key}.png"
    is_empty = bool((labels == UNLABELED).all())
    if not is_empty:
        change.write(name, encode_labels(dataset.coding.encode(labels), quickly=True))
    if before is not None and (is_empty or before != root / name):
        change.removed.append(before.relative_to(root).as_posix())


@lru_cache(maxsize=4096)
def _digest(path: Path, marks: Marks) -> str:
    try:
        require_no_pipe(path)
        content = path.read_bytes()
    except (OSError, InputError):  # reading it says what is wrong
        return version_of(marks)
    if content.startswith(PNG):
        content = with_classes(content, ())  # their names may change
    return hashlib.sha256(content).hexdigest()[:16]
