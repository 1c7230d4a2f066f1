"""Splits of a data set: NAME.txt lists the keys of its images, one a line."""

from collections.abc import Mapping
from pathlib import Path

from hintseg.errors import InputError
from hintseg.hints.keys import key_of
from hintseg.io.listing import composed
from hintseg.io.reading import read_text

HELD_OUT = ("val", "valid", "validation", "dev", "test", "held_out")  # whose images nothing trains on unless told to


def split_keys(root: Path, split: str, paths: Mapping[str, Path], known: tuple[str, ...]) -> tuple[str, ...]:
    """Keys of a split, in the file's order; "train" without a train.txt is every image that no held-out split lists.

    Where they list every image it is every image, of which `check` warns.

    Args:
        paths: KEY → image file.
        known: names of the splits there are.

    Raises:
        InputError: no such split, its name is a path, or it lists no image.
    """
    if "/" in split or "\\" in split:
        raise InputError(f"{split!r:.80}: is no name of a split of {root}; known: {', '.join(known) or 'none'}.")
    path = root / f"{split}.txt"
    if split == "train" and not path.exists():
        held_out = {key for name in HELD_OUT if name in known for key in _listed(root / f"{name}.txt", paths)}
        return tuple(key for key in paths if key not in held_out) or tuple(paths)
    if not path.exists():
        raise InputError(
            f"{path}: no such split; known: {', '.join(known) or 'none'}. To make it, write into this file one image a "
            "line, by its name without the ending."
        )
    if not (keys := _listed(path, paths)):
        raise InputError(f"{path}: lists no image.")
    return keys


def _listed(path: Path, paths: Mapping[str, Path]) -> tuple[str, ...]:
    lines = (composed(line.strip()) for line in read_text(path).split("\n"))
    return tuple(dict.fromkeys(key_of(line, paths) for line in lines if line))
