"""Photographs by folder, pattern, file or URL, each with the name its mask shall have."""

import glob
import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from hintseg.errors import InputError
from hintseg.listing import is_image_name, list_images, passed_over_sentence
from hintseg.storage.files import below, is_remote, list_files

log = logging.getLogger("hintseg")


class Photograph(NamedTuple):
    """One image to segment.

    Attributes:
        source: its path or URL.
        name: of its mask, without suffix; with "/" where it lies in a sub-folder.
    """

    source: str
    name: str


def find_photographs(arguments: Sequence[str | Path]) -> list[Photograph]:
    """Photographs below folders, matching patterns, or named one by one; of a remote folder, too.

    Raises:
        InputError: nothing found, or two photographs would share a mask.
    """
    found: dict[str, str] = {}
    for argument in map(str, arguments):
        files = _remote(argument) if is_remote(argument) else _local(argument)
        if not files:
            raise InputError(f"{argument}: no photograph found; give a folder, a pattern in quotes, or files.")
        for source, name in files:
            key = name.with_suffix("").as_posix()
            if found.setdefault(key, source) != source:
                raise InputError(
                    f"{source} and {found[key]} would both write {key}.png; rename one or predict them apart."
                )
    return [Photograph(source, name) for name, source in found.items()]


def _local(argument: str) -> list[tuple[str, PurePosixPath]]:
    path = Path(argument)
    if path.is_dir():
        found = list_images(path)
        if found.passed_over:
            log.warning("%s", passed_over_sentence(argument, found.passed_over))
        return [(str(file), PurePosixPath(name)) for name, file in found.images.items()]
    files = [path] if path.exists() else [Path(name) for name in sorted(glob.glob(argument, recursive=True))]
    return [(str(file), PurePosixPath(file.name)) for file in files]


def _remote(address: str) -> list[tuple[str, PurePosixPath]]:
    if is_image_name(address):
        return [(address, PurePosixPath(PurePosixPath(address).name))]
    return [(below(address, name), PurePosixPath(name)) for name in list_files(address) if is_image_name(name)]
