"""Names of classes and images: which can be shown, and the shortest keys of images."""

from collections.abc import Iterable
from os.path import commonpath, dirname
from unicodedata import category

from hintseg.hints.names import REFUSED


def is_showable(name: str) -> bool:
    """Whether a name is not empty and all its letters can be shown and written."""
    return bool(name.strip()) and not any(category(letter) in REFUSED for letter in name)


def shortest_keys(keys: Iterable[str]) -> dict[str, str]:
    """Paths → last parts alone, or, where two share one, paths from the folder that all have in common."""
    names = {key: key.rsplit("/", 1)[-1] for key in keys}
    if len({name.casefold() for name in names.values()}) == len(names):
        return names
    common = len(commonpath([dirname(key) for key in names]))
    return {key: key[common:].lstrip("/") for key in names}
