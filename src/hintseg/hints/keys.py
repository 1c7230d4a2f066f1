"""Keys: an image's path below `images/` without suffix, accents composed (NFC)."""

import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from hintseg.errors import InputError
from hintseg.io.listing import Listing, composed, is_image_name


def by_key(listing: Listing) -> dict[str, Path]:
    """KEY → image file, sorted; names that are no text are counted as passed over, a shared key is an InputError."""
    found: dict[str, Path] = {}
    for name, path in listing.images.items():
        key = without_suffix(composed(name))
        if not key.isprintable() and "Cs" in map(unicodedata.category, key):
            listing.passed_over["with a name that is not UTF-8"] += 1
        elif key in found:
            raise InputError(f"{path}: {found[key].name} has the same name; rename one of the two.")
        else:
            found[key] = path
    return dict(sorted(found.items()))


def key_of(written: str, keys: Mapping[str, object]) -> str:
    """KEY of "KEY.jpg", "images/KEY.jpg" or "./KEY"; what was written itself where that names no image, either."""
    return next((key for key in _readings(written) if key in keys), written)


def near_key(written: str, keys: Mapping[str, object]) -> str:
    """A clause "; there is KEY" where one differs in case, suffix or folder only; else nothing."""
    found = next((key for key in _readings(written) if key in keys), None)
    if found is None:
        folded = {reading.casefold() for reading in _readings(written)}
        found = next((key for key in keys if key.casefold() in folded), None)
    return "" if found is None else f"; there is {found!r}"


def without_suffix(name: str) -> str:
    """A relative path without its last suffix."""
    return PurePosixPath(name).with_suffix("").as_posix()


def _readings(written: str) -> Iterator[str]:
    """What may have been meant, the literal reading first."""
    written = str(written)  # in Python anything may be asked for
    path = written.replace("\\", "/").removeprefix("./")
    for name in (written, path, path.removeprefix("images/")):
        yield name
        if is_image_name(name):
            yield without_suffix(name)
