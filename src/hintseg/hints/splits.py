"""Splits of a data set: NAME.txt lists the keys of its images, one a line; and what names of splits mean."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hintseg.errors import InputError
from hintseg.hints.keys import key_of
from hintseg.io.listing import composed
from hintseg.io.reading import read_text

MEANINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "minival", "dev", "eval", "evaluation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("heldout", "holdout"), "held_out"),
}
# Words that stand beside such a one in names of folders and lists.
BESIDE = {
    *("annotation", "annotations", "autosplit", "coco", "data", "dataset", "file", "files", "gt", "id", "ids", "image"),
    *("images", "img", "imgs", "instances", "json", "label", "labels", "list", "mask", "masks", "obj", "set", "split"),
    "subset",
}
JOINED = {f"{one}{other}": [one, other] for one in MEANINGS for other in (*BESIDE, "dev")}  # "valset"
YEAR = re.compile(r"(19|20)\d\d")
HELD_OUT = ("val", "valid", "validation", "dev", "test", "held_out")  # whose images nothing trains on unless told to


def split_named(name: str) -> str | None:
    """The split that a name means, whose case, year and words such as "images" say nothing: `Val_2017`, `test set`."""
    words = words_of(name)
    numbers = re.findall(r"\d+", name)
    if all(map(YEAR.fullmatch, numbers)) and set(words) <= MEANINGS.keys() | BESIDE:
        return split_among(words)
    return None


def split_among(words: Sequence[str]) -> str | None:
    """The split that one of some words means; None where none does, or one "train" and another not."""
    named = {MEANINGS[word]: None for word in words if word in MEANINGS}
    return None if "train" in named and len(named) > 1 else next(iter(named), None)


def words_of(name: str) -> list[str]:
    """The words of a name in small letters, without numbers: "TestSet", "held-out" → test, set, heldout."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"(?i)(held|hold)[\W_]?(out)", r"\1\2", name))
    words = [word.lower() for word in re.findall(r"[^\W\d_]+", parted)]
    return [part for word in words for part in JOINED.get(word, [word])]


def is_held_out(split: str) -> bool:
    """Whether nothing trains on a split's images unless told to."""
    return split in HELD_OUT or split_named(split) not in (None, "train")


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
        held_out = {key for name in known if is_held_out(name) for key in _listed(root / f"{name}.txt", paths)}
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
