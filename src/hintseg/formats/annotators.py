"""What several annotators drew on one image: that on which they agree.

A pixel of a region keeps its class where everybody who drew regions has the same; else it is void. Boxes, points,
strokes and choices stay whose class everybody named. Of a class that only some drew it is known no more than that it
may be there: a tag keeps it from counting as absent.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hintseg.formats.reader import Imported
from hintseg.hints.labels import UNLABELLED, VOID

LABEL_OF_ROW = {"boxes": 4, "points": 2, "scribbles": 0}  # where the class stands in a row


def sheet(found: Imported) -> Imported:
    """An empty copy for one annotator, of the same images and classes."""
    return replace(found, tags={}, boxes={}, points={}, scribbles={}, regions={}, whole=set())


def merge(found: Imported, key: str, drawn: list[Imported]) -> None:
    """Take over what annotators agree on; what is left out is counted."""
    for _ in (one for one in drawn if not _named(one, key)):
        found.leave_out("annotation without hints beside another annotator's")
    drawn = [one for one in drawn if _named(one, key)]
    if not drawn:
        return
    agreed = set.intersection(*(_named(one, key) for one in drawn))
    _merge_regions(found, key, [one.regions[key] for one in drawn if key in one.regions], agreed)
    for one in drawn:
        for table, place in LABEL_OF_ROW.items():
            rows = getattr(one, table).get(key, [])
            kept = [row for row in rows if row[place] in agreed]
            if kept:
                getattr(found, table).setdefault(key, []).extend(kept)
            if len(kept) < len(rows):
                found.leave_out(f"annotator's {table} of a class that another did not name")
        for label in one.tags.get(key, ()):
            if label in agreed:
                found.add_tag(key, label)
            else:
                found.leave_out("annotator's choice that another did not make")
    for label in sorted(set().union(*(_drawn(one, key) for one in drawn)) - agreed):
        found.add_tag(key, label)


def _named(one: Imported, key: str) -> set[int]:
    return _drawn(one, key) | set(one.tags.get(key, ()))


def _drawn(one: Imported, key: str) -> set[int]:
    """Classes of shapes."""
    rows = {row[place] for table, place in LABEL_OF_ROW.items() for row in getattr(one, table).get(key, ())}
    regions = set(np.unique(one.regions[key]).tolist()) if key in one.regions else set()
    return rows | (regions - {UNLABELLED, VOID})


def _merge_regions(found: Imported, key: str, maps: list[NDArray[np.uint8]], agreed: set[int]) -> None:
    """Paint the pixels whose class is the same in all maps, and void on the others."""
    if not maps:
        return
    differ = np.logical_or.reduce([labels != maps[0] for labels in maps])
    differ |= ~np.isin(maps[0], [*agreed, UNLABELLED, VOID])
    if differ.any():
        found.leave_out("image with regions on which annotators do not agree (unlabelled there)")
    merged = np.where(differ, VOID, maps[0])
    for label in np.unique(merged[merged != UNLABELLED]).tolist():
        found.paint(key, merged == label, label, key)
