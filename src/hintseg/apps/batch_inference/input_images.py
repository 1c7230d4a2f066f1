"""Images by folder, pattern, file or URL, each with the name its mask shall have."""

import glob
import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from hintseg.errors import InputError
from hintseg.io.listing import MADE_BY, is_image_name, list_images, passed_over_sentence
from hintseg.io.storage.addresses import is_remote, local_path
from hintseg.io.storage.files import below, list_files
from hintseg.io.storage.outputs import is_made_here

log = logging.getLogger("hintseg")


class InputImage(NamedTuple):
    """One image to segment.

    Attributes:
        source: its path or URL.
        name: of its mask, without suffix; with "/" where it lies in a sub-folder.
    """

    source: str
    name: str


def find_images(arguments: Sequence[str | Path], out: str | None = None) -> list[InputImage]:
    """Images below folders, matching patterns, or named one by one; of a remote folder, too.

    What lies in sub-folders that hintseg made is left out, and in a folder it made, what it made.

    Args:
        out: where masks will go, which is left out, too, where it lies inside of a folder.

    Raises:
        InputError: nothing found, or two images would share a mask.
    """
    found: dict[str, str] = {}
    for argument in map(str, arguments):
        files = _remote(argument, out) if is_remote(argument) else _local(argument, out)
        if not files:
            raise InputError(f"{argument}: no image found; give a folder, a pattern in quotes, or files.")
        for source, name in files:
            key = name.with_suffix("").as_posix()
            if found.setdefault(key, source) != source:
                raise InputError(
                    f"{source} and {found[key]} would both write {key}.png; rename one or predict them apart."
                )
    return [InputImage(source, name) for name, source in found.items()]


def _local(argument: str, out: str | None) -> list[tuple[str, PurePosixPath]]:
    path = local_path(argument)
    if path.is_dir():
        found = list_images(path, None if out is None or is_remote(out) else local_path(out))
        if found.passed_over:
            log.warning("%s", passed_over_sentence(argument, found.passed_over))
        images = found.images.items()
        if (path / MADE_BY).exists():
            images = {name: file for name, file in images if not is_made_here(str(file))}.items()
        return [(str(file), PurePosixPath(name)) for name, file in images]
    if path.exists():
        return [(str(path), PurePosixPath(path.name))]
    matching = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
    outputs = {folder for file in matching for folder in file.parents if (folder / MADE_BY).exists()}
    files = [file for file in matching if outputs.isdisjoint(file.parents) or not is_made_here(str(file))]
    return [(str(file), PurePosixPath(file.name)) for file in files]


def _remote(address: str, out: str | None) -> list[tuple[str, PurePosixPath]]:
    if is_image_name(address):
        return [(address, PurePosixPath(PurePosixPath(address).name))]
    inside = out is not None and out.startswith(address.rstrip("/") + "/")
    own = PurePosixPath(out[len(address.rstrip("/")) + 1 :]) if out is not None and inside else None
    names = [PurePosixPath(name) for name in list_files(address)]
    made = {name.parent for name in names if name.name == MADE_BY} | ({own} if own is not None else set())
    made.discard(PurePosixPath("."))  # the folder itself, since the user named it
    for folder in sorted(made):
        log.warning("%s: is left out; hintseg writes its masks there.", folder)
    kept = [name for name in names if is_image_name(name.name) and made.isdisjoint(name.parents)]
    return [(below(address, str(name)), name) for name in kept]
