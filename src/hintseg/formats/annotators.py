"""What several annotators drew on one image: that on which they agree.

A pixel of a region keeps its class where everybody who drew regions has the same; else it is ignored. Boxes, points,
strokes and choices stay whose class everybody named, unless another drew something of another class in their place.
Of a class of which something is left out it is known no more than that it may be there: it counts neither as there nor
as absent.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintseg.formats.reader import Imported
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.hints.types import points, scribbles
from hintseg.hints.types.points import Point
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.hints.types.scribbles import Scribble

NEAR = 3  # pixels round a point in which another class contradicts it, as far as points are drawn
SAME = 0.5  # intersection over union from which two boxes are of one object
LABEL_OF_ROW: dict[str, Callable[[Any], Any]] = {
    name: HINT_TYPES[name].label_of for name in ("boxes", "points", "scribbles")
}


def sheet(found: Imported) -> Imported:
    """An empty copy for one annotator, of the same images and classes."""
    return replace(
        found, tags={}, boxes={}, points={}, scribbles={}, regions={}, painted={}, whole=set(), incomplete={}
    )


def merge(found: Imported, key: str, drawn: list[Imported]) -> None:
    """Take over what annotators agree on; what is left out is counted."""
    for one in drawn:
        for label in one.incomplete.get(key, ()):
            found.mark_incomplete(key, label)
    for _ in (one for one in drawn if not _named(one, key)):
        found.leave_out("annotation without hints beside another annotator's")
    drawn = [one for one in drawn if _named(one, key)]
    if not drawn:
        return
    agreed = set.intersection(*(_named(one, key) for one in drawn))
    maps = [_labels(found, key, one) for one in drawn]
    _merge_regions(found, key, [one.regions[key] for one in drawn if key in one.regions], agreed, maps)
    for number, one in enumerate(drawn):
        others = [other for other in drawn if other is not one]
        beside = [labels for index, labels in enumerate(maps) if index != number]
        for table, label_of in LABEL_OF_ROW.items():
            rows = getattr(one, table).get(key, [])
            named = [row for row in rows if label_of(row) in agreed]
            kept = [row for row in named if not _is_contradicted(table, row, key, others, beside)]
            if kept:
                getattr(found, table).setdefault(key, []).extend(kept)
            for row in rows:
                if row not in kept:
                    found.mark_incomplete(key, label_of(row))
                    if label_of(row) in agreed:
                        found.add_tag(key, label_of(row))
            if len(named) < len(rows):
                found.leave_out(f"annotator's {table} of a class that another did not name")
            if len(kept) < len(named):
                found.leave_out(f"annotator's {table} where another drew another class")
        for label in one.tags.get(key, ()):
            if label in agreed:
                found.add_tag(key, label)
            elif label not in one.incomplete.get(key, ()):
                found.leave_out("annotator's choice that another did not make")
    for label in set().union(*(_named(one, key) for one in drawn)) - (agreed & _named(found, key)):
        found.mark_incomplete(key, label)


def _named(one: Imported, key: str) -> set[int]:
    return _drawn(one, key) | set(one.tags.get(key, ()))


def _drawn(one: Imported, key: str) -> set[int]:
    """Classes of shapes."""
    rows = {label_of(row) for table, label_of in LABEL_OF_ROW.items() for row in getattr(one, table).get(key, ())}
    regions = set(np.unique(one.regions[key]).tolist()) if key in one.regions else set()
    return rows | (regions - {UNLABELED, IGNORE_INDEX})


def _labels(found: Imported, key: str, one: Imported) -> NDArray[np.uint8]:
    """(H, W) what one annotator drew but for boxes, as labels."""
    labels = np.full(found.frame(key).size, UNLABELED, np.uint8)
    _draw("points", one.points.get(key, ()), labels)
    _draw("scribbles", one.scribbles.get(key, ()), labels)
    return np.where(one.regions[key] < UNLABELED, one.regions[key], labels) if key in one.regions else labels


def _draw(table: str, rows: Iterable[list[Any]], labels: NDArray[np.uint8]) -> None:
    if table == "points":
        points.draw([Point(x, y, label) for x, y, label in rows], labels, NEAR)
    else:
        strokes = [Scribble(tuple(map(tuple, path)), label, *map(round, width)) for label, path, *width in rows]
        scribbles.draw(strokes, labels, NEAR)


def _is_contradicted(
    table: str, row: list[Any], key: str, others: list[Imported], beside: list[NDArray[np.uint8]]
) -> bool:
    """Whether another annotator drew another class in the place of a point, stroke or box."""
    if table == "boxes":
        likest = [max(other.boxes.get(key, ()), key=lambda box: _overlap(row, box), default=row) for other in others]
        return any(box[4] != row[4] and _overlap(row, box) >= SAME for box in likest)
    drawn = np.full(beside[0].shape, UNLABELED, np.uint8) if beside else np.zeros((0, 0), np.uint8)
    _draw(table, [row], drawn)
    here, label = drawn != UNLABELED, LABEL_OF_ROW[table](row)
    return any(((labels[here] < UNLABELED) & (labels[here] != label)).any() for labels in beside)


def _overlap(one: list[float], other: list[float]) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:4], other[2:4])
    shared = float(np.prod(np.maximum(high - low, 0)))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def _merge_regions(
    found: Imported, key: str, maps: list[NDArray[np.uint8]], agreed: set[int], drawn: list[NDArray[np.uint8]]
) -> None:
    """Paint pixels of one class in all maps, and ignore those where these, or what else was drawn, differ."""
    if not maps:
        return
    differ = np.logical_or.reduce([labels != maps[0] for labels in maps])
    differ |= (maps[0] < UNLABELED) & np.logical_or.reduce(
        [(labels < UNLABELED) & (labels != maps[0]) for labels in drawn]
    )
    differ |= ~np.isin(maps[0], [*agreed, UNLABELED, IGNORE_INDEX])
    if differ.any():
        found.leave_out("image with regions on which annotators do not agree (unlabeled there)")
    merged = np.where(differ, IGNORE_INDEX, maps[0])
    for label in np.unique(merged[merged != UNLABELED]).tolist():
        found.paint(key, merged == label, label, key)
