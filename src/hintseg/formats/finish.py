"""The end of an import: images that cannot be read leave, and all others get the shortest keys."""

from functools import cache
from itertools import chain
from math import ceil
from pathlib import Path
from typing import Any

from hintseg.errors import InputError
from hintseg.formats.label_colors import means_background
from hintseg.formats.names import is_showable, shortest_keys
from hintseg.formats.reader import Imported
from hintseg.formats.splits import files_by_image, find_splits, split_of
from hintseg.hints.fractions import FractionCounts
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.hints.names import names_alike, plain_name

MOST_NAMED = 10  # names in a sentence


def finish(found: Imported, background: str | None = None) -> None:
    """Give images the shortest keys: names alone, or, where two share one, paths from their common folder.

    Args:
        background: the class of all that is not drawn.

    Raises:
        InputError: a name has letters that cannot be shown, or means a folder that is not there, or one image is
            meant where there should be two.
    """
    _require_one_place(found)
    _require_own_folders(found)
    if found.unreadable and not found.sizes:
        raise InputError(next(iter(found.unreadable.values())))
    for key, reason in found.unreadable.items():
        found.leave_out("image that cannot be read")
        found.note(reason)
        del found.images[key]
    drawn = found.regions.keys() - found.whole
    if several := sum(len(files) > 1 for key, files in files_by_image(found).items() if key in drawn):
        found.note(
            f"{several} images are in several annotation files; where their regions overlap, the later one counts."
        )
    scaled = sum(not frame.is_identity for frame in found.frames.values())
    if scaled:
        found.note(f"{scaled} images have another size than their annotation file says; hints were scaled.")
    for key, labels in found.painted.items():
        for label in sorted(labels) if len(labels) > 1 else ():
            if not (found.regions[key] == label).any():
                found.leave_out("region that others cover wholly", key, label)
    _note_unused(found)
    _note_unverified(found, background)
    for one, other in names_alike(found.classes):
        found.note(
            f"the classes {one!r} and {other!r} differ in case only and are imported as two; if they are one, "
            "give it one name in the annotations, and import these again."
        )
    _note_fractions(found)
    find_splits(found)
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
    found.verified_classes = {names[key]: labels for key, labels in found.verified_classes.items() if key in names}
    found.incomplete = {names[key]: left for key, left in found.incomplete.items() if key in names}
    found.splits = {
        name: [names[key] for key in dict.fromkeys(keys) if key in names] for name, keys in found.splits.items()
    }


def ignore_background_in_boxes(found: Imported, background: int) -> None:
    """Where a full label map has nothing of a box's class in the box, its background is ignored there."""
    count = 0
    for key in sorted(found.whole & found.boxes.keys()):
        labels = found.regions[key]
        places = [(labels[int(y0) : ceil(y1), int(x0) : ceil(x1)], label) for x0, y0, x1, y1, label in found.boxes[key]]
        lacking = [inside for inside, label in places if not (inside == label).any()]
        count += bool(lacking)
        for inside in lacking:
            inside[inside == background] = IGNORE_INDEX
    if count:
        found.note(f"{count} label maps have nothing of a box's class in the box; their background is ignored there.")


def _note_unused(found: Imported) -> None:
    """Say which of the classes that the annotation files list none of them uses."""
    listed = dict.fromkeys(map(plain_name, chain.from_iterable(found.listed.values())))
    known = set(map(plain_name, found.classes))
    unused = [name for name in listed if name not in known]
    if unused:
        more = f" and {len(unused) - MOST_NAMED} more" if len(unused) > MOST_NAMED else ""
        found.note(
            f"{len(unused)} of {len(listed)} listed classes are used by no annotation and were left out: "
            f"{', '.join(unused[:MOST_NAMED])}{more}."
        )


def _note_unverified(found: Imported, background: str | None) -> None:
    """Classes that an annotation file does not list are not verified in its images, but for the background."""
    labels = {plain_name(name): label for label, name in enumerate(found.classes)}
    listed = {name for names in found.listed.values() for name in names}
    everywhere = {plain_name(name) for name in listed if name != background and not means_background(name)}
    for key, own in files_by_image(found).items():
        if all(found.listed.get(where) for where in own):
            left = everywhere - {plain_name(name) for where in own for name in found.listed[where]}
            if left & labels.keys():
                known = found.verified_classes.get(key, labels.values())
                verified = {label for name, label in labels.items() if name not in left}
                found.verified_classes[key] = sorted(verified.intersection(known))
    if count := len(found.verified_classes.keys() & found.images.keys()):
        found.note(
            f"{count} of {len(found.images)} images come from annotation files that list only "
            "some classes; of the others it is not said whether they are in these images."
        )


def _note_fractions(found: Imported) -> None:
    counts = FractionCounts()
    for hint_type, table in (("boxes", found.boxes), ("points", found.points)):
        for key, rows in table.items():
            counts.add(hint_type, (side for row in rows for side in row[:-1]), found.sizes[key])
    for key, strokes in found.scribbles.items():
        counts.add("scribbles", (side for stroke in strokes for place in stroke[1] for side in place), found.sizes[key])
    for key, largest in found.reach.items():
        counts.add("polygons", [largest], found.sizes[key])
    for sentence in counts.sentences():
        found.note(sentence)


def _require_own_folders(found: Imported) -> None:
    """Refuse an image of another folder than its name says, where that folder is the one that other names say."""
    said = {key: parts[:-1] for key, parts in found.names.items() if len(parts) > 1}
    actual = {key: found.images[key].parent.name.casefold() for key in said}
    meant = {folders for key, folders in said.items() if actual[key] == folders[-1]}
    for key, folders in said.items():
        if actual[key] != folders[-1] and (*folders[:-1], actual[key]) in meant:
            raise _not_there(found, "/".join(found.names[key]), key)
    # A name without a folder is of an image in the folder of its annotation file, where others have theirs.
    folders_in = cache(lambda folder: found.finder.folders(folder / "file"))
    bare = {(where, key): folders_in(where.parent) for (where, key), name in found.said.items() if "/" not in name}
    own = {key: folders_in(found.images[key].parent) for _, key in bare}
    beside = {folders for (_, key), folders in bare.items() if folders == own[key]}
    split_of_folder = cache(lambda folder: split_of(folder / "file", found.root))
    for (where, key), folders in bare.items():
        common = min(len(folders), len(own[key]))
        apart = folders[:common] != own[key][:common] and own[key] in beside
        splits = {split_of_folder(path.parent) for path in (where, found.images[key])} - {None}
        if apart or len(splits) > 1:
            raise _not_there(found, f"{found.said[where, key]} of {where}", key)


def _not_there(found: Imported, name: str, key: str) -> InputError:
    return InputError(
        f"{found.root}: the image {name!r:.200} of the annotations is not there; {found.images[key]} is another one of "
        "its name. Add the missing images, or remove their annotations."
    )


def _require_one_place(found: Imported) -> None:
    """Refuse an image that annotation files of two splits name, or one beside it and one of another folder."""
    splits = {where: split_of(where, found.root) for where in {where for where, _ in found.said}}
    for key, files in files_by_image(found).items():
        first, *others = sorted(files, key=lambda where: splits[where] is None)
        for other in others:
            if len({splits[first], splits[other]} - {None}) > 1 or _is_foreign(found.images[key], first, other):
                raise InputError(
                    f"{first} and {other} both name the image {found.said[other, key]!r:.80}, but there is only "
                    f"{found.images[key]}; add the missing image, or import one file at a time."
                )


def _is_foreign(image: Path, *files: Path) -> bool:
    """Whether an image lies with one of two annotation files, and the other elsewhere."""
    one, other = (file.parent for file in files)
    apart = not (one.is_relative_to(other) or other.is_relative_to(one))
    return apart and image.is_relative_to(one) != image.is_relative_to(other)
