"""Masks of models, kept until what they follow from changes, so that every export asks for them once."""

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from hintseg.apps.studio.drawn import version_of
from hintseg.apps.studio.links import writable
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.trainer import Model
from hintseg.errors import InputError
from hintseg.io.images import read_labels, write_labels


def predicted(project: Project, model: Model, key: str) -> NDArray[np.uint8]:
    """`model.mask` of an image, from studio/cache/masks where it lies there.

    Raises: as `Model.mask`.
    """
    version = _version(project, model, key)
    path = writable(project.root, "studio", "cache", "masks", f"{version_of(key)}-{version}.png")
    if path.exists():
        with suppress(InputError):
            return read_labels(path)
    labels = model.mask(key)
    if _version(project, model, key) == version:  # else nobody knows what it follows from
        for older in path.parent.glob(f"{version_of(key)}-*.png"):
            older.unlink(missing_ok=True)
        write_labels(path, labels, quickly=True)
    return labels


def _version(project: Project, model: Model, key: str) -> str:
    """The class table says what boxes and ticks leave to which class."""
    return version_of([model.tag(key), project.table()["version"]])
