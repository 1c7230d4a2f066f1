"""The end of an import: images that cannot be read leave, and all others get the shortest keys."""

from typing import Any

from hintseg.errors import InputError
from hintseg.formats.imported import Imported
from hintseg.formats.names import is_showable, shortest_keys


def finish(found: Imported) -> None:
    """Give images the shortest keys: names alone, or, where two share one, paths from their common folder.

    Raises:
        InputError: a name has letters that cannot be shown, or means a folder that is not there.
    """
    _require_own_folders(found)
    if found.unreadable and not found.sizes:
        raise InputError(next(iter(found.unreadable.values())))
    for key, reason in found.unreadable.items():
        found.leave_out("image that cannot be read")
        found.note(reason)
        del found.images[key]
    scaled = sum(not frame.is_identity for frame in found.frames.values())
    if scaled:
        found.note(f"{scaled} images have another size than their annotation file says; hints were scaled.")
    names = shortest_keys(found.images)
    for key in names.values():
        if not is_showable(key):
            raise InputError(f"{found.root}: the image name {key!r:.80} has letters that cannot be shown.")
    tables: tuple[dict[str, Any], ...] = (
        found.images, found.tags, found.boxes, found.points, found.scribbles, found.regions, found.frames, found.sizes,
    )  # fmt: skip
    for table in tables:
        renamed = {names[key]: rows for key, rows in table.items()}
        table.clear()
        table.update(renamed)
    found.whole = {names[key] for key in found.whole}
    found.splits = {
        name: [names[key] for key in dict.fromkeys(keys) if key in names] for name, keys in found.splits.items()
    }


def _require_own_folders(found: Imported) -> None:
    """Refuse an image of another folder than its name says, where that folder is the one that other names say."""
    said = {key: parts[:-1] for key, parts in found.names.items() if len(parts) > 1}
    actual = {key: found.images[key].parent.name.casefold() for key in said}
    meant = {folders for key, folders in said.items() if actual[key] == folders[-1]}
    for key, folders in said.items():
        if actual[key] != folders[-1] and (*folders[:-1], actual[key]) in meant:
            raise InputError(
                f"{found.root}: the image {'/'.join(found.names[key])!r:.80} of the annotations is not there; "
                f"{found.images[key]} is another one of its name. Add the missing images, or remove their annotations."
            )
