"""Taking what was read into the project: all of it or nothing, and nothing of the user's unasked."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hintseg.apps.studio.changes import Change, changing
from hintseg.apps.studio.class_names import checked_names
from hintseg.apps.studio.class_table import require_placed
from hintseg.apps.studio.conflict import ConflictError
from hintseg.apps.studio.drawn import TABLES, in_pixel
from hintseg.apps.studio.importing.reading import Read
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.tables import CLASS_OF, numbered
from hintseg.errors import InputError
from hintseg.hints.coding import LabelCoding, parse_coding
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import read_description, read_table
from hintseg.hints.labels import IGNORE_INDEX, MAX_CLASSES, UNLABELED
from hintseg.hints.model import ImageHints
from hintseg.hints.types.hint_type import Hint
from hintseg.hints.types.points import Point
from hintseg.hints.types.scribbles import Scribble
from hintseg.io.images import read_image_size, write_labels
from hintseg.io.writing import link_or_copy, write_text
from hintseg.pseudo_labels.grabcut import box_pixels
from hintseg.pseudo_labels.pipeline import drawn

Existing = Literal["keep", "add", "replace"]
POINT_RADIUS = 3  # pixels; that of training
EDGE = 0.1  # pixels that a vertex keeps from the right and lower edges, on which it would lie outside
Maps = dict[str, NDArray[np.uint8] | None]
MAPS = {"scribbles": UNLABELED, "masks": IGNORE_INDEX}  # what a label map leaves open


def take(project: Project, read: Read, existing: Existing, version: str) -> dict[str, Any]:
    """Bring annotations into the project.

    Args:
        existing: what becomes of an image that has hints or a mask already: "keep" leaves it as it is, "add" puts
            new hints beside its own, which lie on top, "replace" takes the imported ones instead.
        version: of what the project holds of these images, as `Read.version`.

    Returns:
        images taken, images kept, how many points and strokes were left out as they lay on the user's hints of other
        classes, in how many images parts of regions were, how many ignored pixels became unlabeled as their masks
        became regions, and where copies of changed files lie; None: nothing was changed.

    Raises:
        ConflictError: the project is another one by now.
        InputError: too many classes, or the project got an image of the name of a new one.
        RunError: a folder is a link or cannot be written.
    """
    with project.locked() as dataset:
        if taken := read.taken(project):
            raise InputError(f"{taken[0]}: the project has an image of this name by now; read the files again.")
        if version != read.version(project):
            raise ConflictError("the project was changed elsewhere since the import was read.", read.report(project))
        hinted = set(read.hinted(project))
        keys = {key: own for key, own in read.keys.items() if existing != "keep" or own not in hinted}
        known, added = read.labels(project), read.added(project)
        named = [*zip(project.identifiers, dataset.classes, strict=True), *((None, name) for name in added)]
        names = checked_names(named, project.identifiers)
        require_placed(dataset, names)
        labels = [
            known[label] if label in known else names.index(name) for label, name in enumerate(read.dataset.classes)
        ]
        with changing(project.root, "imports") as change:
            coding = _stage_description(dataset, read, names, labels, change)
            replaced = hinted if existing == "replace" else set()
            plan = _Plan(dataset, read, keys, replaced, labels, coding, change, [], defaultdict(set), [])
            _stage_images(plan)
            for name in TABLES:
                _stage_table(plan, name)
            _stage_label_maps(plan)
            _stage_table(plan, "verified_classes")
    copied = (project.root / change.copies).is_dir()
    return {
        "taken": len(keys), "kept": len(read.keys) - len(keys), "keys": sorted(keys.values()),
        "copy": change.copies if copied else None, "covered": len(plan.covered), "cut": len(plan.left),
        "opened": sum(pixels for _, pixels in plan.opened),
    }  # fmt: skip


class _Plan(NamedTuple):
    """What goes where.

    Attributes:
        dataset: the project's.
        read: what is imported.
        keys: imported key → the project's.
        replaced: the project's keys whose hints go.
        labels: the project's label by imported label.
        coding: of the project's label maps from now on.
        covered: the project's key and the hint, of each point or stroke that was left out below the user's.
        left: the project's key → labels of imported regions of which a part was left out below the user's hints.
        opened: the project's key and the ignored pixels of each mask that became regions, which cannot say so.
    """

    dataset: Dataset
    read: Read
    keys: Mapping[str, str]
    replaced: set[str]
    labels: Sequence[int]
    coding: LabelCoding
    change: Change
    covered: list[tuple[str, Hint]]
    left: dict[str, set[int]]
    opened: list[tuple[str, int]]


def _stage_description(
    dataset: Dataset, read: Read, names: list[str], labels: Sequence[int], change: Change
) -> LabelCoding:
    """dataset.json with the classes that come in, where it changes."""
    path, background = dataset.root / "dataset.json", dataset.background
    content: dict[str, Any] = read_description(path) if path.exists() else {"ignore_index": dataset.ignore_index}
    coding = LabelCoding(len(names), **parse_coding(content, len(names), path))
    if background is None and read.dataset.background is not None and (read.names_background or not dataset.classes):
        background = labels[read.dataset.background]
    changed = {"classes": names, "background": background, "tags_exhaustive": dataset.tags_exhaustive}
    if not path.exists() or (names, background) != (list(dataset.classes), dataset.background):
        write_text(change.staged / "dataset.json", json.dumps(content | changed, indent=1, ensure_ascii=False))
    return coding


def _stage_images(plan: _Plan) -> None:
    for key, own in plan.keys.items():
        if own in plan.read.new:
            path = plan.read.dataset.path(key)
            link_or_copy(path, plan.change.staged / "images" / f"{own}{path.suffix}")


def _stage_table(plan: _Plan, name: str) -> None:
    own = read_table(plan.dataset.root / f"{name}.json")
    table = {key: rows for key, rows in own.items() if key not in plan.replaced}
    imported = read_table(plan.read.dataset.root / f"{name}.json")
    for key, rows in imported.items():
        if key in plan.keys:
            size = read_image_size(plan.read.dataset.path(key))
            mine = table.get(plan.keys[key], [])
            found = [_row(name, row, plan.labels, size) for row in rows]
            found = [row for row in found if row not in mine]
            table[plan.keys[key]] = mine + _apart(found, name, plan, plan.keys[key], size)
    if name == "verified_classes":
        table = _verified(plan, _unverified(plan) | table)
    if table != own:
        plan.change.write_table(plan.dataset.root, name, table)


def _apart(rows: list[Any], name: str, plan: _Plan, own: str, size: tuple[int, int]) -> list[Any]:
    """Imported rows without points and strokes that lie on what the user drew of other classes; these are counted."""
    if name not in ("points", "scribbles") or own not in plan.dataset.paths or own in plan.replaced:
        return rows
    below = drawn(plan.dataset.hints(own), size, MAX_CLASSES).labels
    apart = [row for row in rows if not _lies_on_others(row, name, below)]
    plan.covered.extend((own, _hint(row, name)) for row in rows if row not in apart)
    return apart


def _hint(row: Sequence[Any], name: str) -> Point | Scribble:
    return Point(*row) if name == "points" else Scribble(tuple(map(tuple, row[1])), row[0], *map(int, row[2:]))


def _lies_on_others(row: Sequence[Any], name: str, below: NDArray[np.uint8]) -> bool:
    """Whether a point or stroke touches a label of another class, of which only the part round it is looked at."""
    is_point = name == "points"
    places = np.array([row[:2]] if is_point else row[1], np.float64)
    reach = POINT_RADIUS if is_point else int(row[2]) if len(row) > 2 else Scribble.width
    low = np.maximum(places.min(axis=0).astype(np.int64) - reach, 0)
    right, bottom = places.max(axis=0).astype(np.int64) + reach + 2
    part = below[low[1] : bottom, low[0] : right]
    moved = [(x, y) for x, y in (places - low).tolist()]
    hint: Hint = Point(*moved[0], row[2]) if is_point else Scribble(tuple(moved), row[0], reach)
    above = drawn(ImageHints({name: (hint,)}), part.shape, MAX_CLASSES, POINT_RADIUS).labels
    return bool(((above < UNLABELED) & (part < UNLABELED) & (above != part)).any())


def _verified(plan: _Plan, table: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The table without what was left out: of these classes more is in the images than the project says."""
    left: dict[str, set[int]] = defaultdict(set)
    for key, labels in plan.left.items():
        left[key] |= labels
    for key, hint in plan.covered:
        left[key] |= hint.named()
    everything = range(len({*range(len(plan.dataset.classes)), *plan.labels}))
    for key in [key for key, pixels in plan.opened if pixels]:
        left[key] |= set(everything)  # ignored pixels may show anything
    return table | {key: [row for row in table.get(key, everything) if row not in left[key]] for key in sorted(left)}


def _unverified(plan: _Plan) -> dict[str, list[int]]:
    """Rows of verified_classes.json: nobody verified the project's classes in new images, nor the other way."""
    if not plan.dataset.tags_exhaustive:
        return {}
    own, theirs, rows = set(range(len(plan.dataset.classes))), set(plan.labels), {}
    hinted = {key for keys in plan.dataset.hint_keys().values() for key in keys} - plan.replaced
    for key in sorted(hinted | set(plan.keys.values())):
        verified_classes = (own if key in hinted else set()) | (theirs if key in plan.keys.values() else set())
        if verified_classes != own | theirs:
            rows[key] = sorted(verified_classes)
    return rows


def _row(name: str, row: Any, labels: Sequence[int], size: tuple[int, int]) -> Any:
    """A row with the project's class, and places that the page can send back."""
    found = numbered(name, row, labels[row[CLASS_OF[name]] if name in CLASS_OF else row])
    if name == "points":
        found[:2] = _inside(found[:2], size)
    elif name == "scribbles":
        found[1:] = [[_inside(place, size) for place in found[1]], *(round(width) for width in found[2:])]
    return found


def _inside(place: Sequence[float], size: tuple[int, int]) -> list[float]:
    return [min(in_pixel(at), end - EDGE) for at, end in zip(place, size[::-1], strict=True)]


def _stage_label_maps(plan: _Plan) -> None:
    table = np.arange(256, dtype=np.uint8)
    table[: len(plan.labels)] = plan.labels
    for key, own in plan.keys.items():
        stays = own in plan.dataset.paths and own not in plan.replaced
        hints = plan.dataset.hints(own) if stays else ImageHints()
        maps = {folder: _label_map(plan.read.dataset, folder, key) for folder in MAPS}
        maps = {folder: None if one is None else table[one] for folder, one in maps.items()}
        theirs = [one for one in maps.values() if one is not None]
        below, together = _below(maps, hints, [hint for key, hint in plan.covered if key == own]), dict[str, Any]()
        if maps["masks"] is not None and below["masks"] is None:
            plan.opened.append((own, int((maps["masks"] == IGNORE_INDEX).sum())))
        maps = below
        for folder, nothing in MAPS.items():
            before, found = plan.dataset.label_path(folder, own) if own in plan.dataset.paths else None, maps[folder]
            mine = _label_map(plan.dataset, folder, own) if before is not None and stays else None
            if found is not None and mine is not None:  # the user's lie on top; a mask says all that there is to say
                found = np.where(mine == nothing, found, mine) if folder == "scribbles" else mine
            together[folder] = mine if found is None else found
            target, goes = f"{folder}/{own}.png", mine is None and found is None
            if found is not None and found is not mine:
                write_labels(plan.change.staged / target, plan.coding.encode(found), quickly=True)
                goes = before != plan.dataset.root / target
            if before is not None and goes:
                plan.change.removed.append(before.relative_to(plan.dataset.root).as_posix())
        if stays and theirs and (lost := _hidden(theirs, together, hints)):
            plan.left[own] |= lost


def _hidden(theirs: Sequence[NDArray[np.uint8]], together: Maps, hints: ImageHints) -> set[int]:
    """Labels of imported regions of which something is hidden by the label maps from now on or the user's strokes."""
    strokes = drawn(ImageHints({"scribbles": hints.scribbles}), theirs[0].shape[:2], MAX_CLASSES).labels
    seen = strokes if together["scribbles"] is None else np.where(strokes == UNLABELED, together["scribbles"], strokes)
    if (mask := together["masks"]) is not None:
        seen = np.where(mask < UNLABELED, mask, seen)
    return {int(label) for one in theirs for label in np.unique(one[(one < UNLABELED) & (one != seen)])}


def _below(maps: Maps, hints: ImageHints, left: Sequence[Hint]) -> Maps:
    """Imported label maps as they lie below what the user drew, over which they would be drawn otherwise.

    A mask becomes regions, which strokes correct; regions leave out the user's points and boxes of other classes.

    Args:
        left: imported points and strokes that were left out; the regions below them are not of their own class there.
    """
    mask, regions = maps["masks"], maps["scribbles"]
    if not (hints.boxes or hints.points or hints.scribbles or hints.scribble_map) or hints.mask is not None:
        return maps
    if mask is not None:
        below = np.where(mask == IGNORE_INDEX, np.uint8(UNLABELED), mask)
        regions = below if regions is None else np.where(regions == UNLABELED, below, regions)
    if regions is not None:
        inside, alike = np.zeros(regions.shape, np.bool_), np.zeros(regions.shape, np.bool_)
        for box in hints.boxes:
            place = box_pixels(box, regions.shape, 1.0)
            inside[place] = True
            alike[place] |= regions[place] == box.label
        points = (*hints.points, *(hint for hint in left if isinstance(hint, Point)))
        strokes = tuple(hint for hint in left if isinstance(hint, Scribble))
        above = drawn(ImageHints({"points": points, "scribbles": strokes}), regions.shape, MAX_CLASSES).labels
        regions = np.where(
            (inside & ~alike) | ((above != UNLABELED) & (above != regions)), np.uint8(UNLABELED), regions
        )
    return {"masks": None, "scribbles": regions}


def _label_map(dataset: Dataset, folder: str, key: str) -> NDArray[np.uint8] | None:
    if folder == "masks":
        return dataset.mask(key)
    found = dataset.hints(key, (folder,)).scribble_map
    return None if found is None else found.labels
