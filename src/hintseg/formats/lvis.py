"""What LVIS adds to COCO: which classes somebody verified in an image, and images by their address alone."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from hintseg.errors import InputError
from hintseg.formats.fields import as_id, entry
from hintseg.formats.reader import Imported

NEGATIVE, INCOMPLETE = "neg_category_ids", "not_exhaustive_category_ids"


def add_file_names(images: object) -> None:
    """Images without a `file_name` are called by their address."""
    for image in images if isinstance(images, list) else ():
        if isinstance(image, dict) and "coco_url" in image:
            image.setdefault("file_name", image["coco_url"])


def read_verified(
    images: dict[str, dict[str, Any]], keys: dict[str, str], named: dict[str, str], rows: list[tuple[str, str]],
    found: Imported, path: Path,
) -> None:  # fmt: skip
    """In an image that lists verified classes, the others may be; so may more of one that is not annotated whole.

    Args:
        images: by id.
        keys: image's id → key.
        named: category's id → name.
        rows: image's id and category's name of each annotation.

    Raises:
        InputError: a list is none, or has an id of no category.
    """
    drawn: dict[str, set[str]] = defaultdict(set)
    for number, name in rows:
        drawn[number].add(name)
    used = set().union(*drawn.values())
    for number, image in images.items():
        if image.get(NEGATIVE) is None and image.get(INCOMPLETE) is None:
            continue
        negative, incomplete = (
            _names(image, field, named, f"{path}, image {number}") & used for field in (NEGATIVE, INCOMPLETE)
        )
        found.verified_classes[keys[number]] = sorted(found.label(name) for name in drawn[number] | negative)
        for name in incomplete:
            found.mark_incomplete(keys[number], found.label(name))


def _names(image: dict[str, Any], field: str, named: dict[str, str], where: str) -> set[str]:
    if image.get(field) is None:
        return set()
    ids = [as_id(one) for one in entry(image, field, list, where)]
    strange = [one for one in ids if one not in named]
    if strange:
        raise InputError(f"{where}: the field {field!r} has {strange[0]:.40}, which no category has.")
    return {named[one] for one in ids}
