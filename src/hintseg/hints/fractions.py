"""Coordinates that are probably fractions of the image's sides, as YOLO and MediaPipe write them, and no pixels."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from hintseg.hints.model import ImageHints


class FractionCounts:
    """Images whose hints of a type all lie within the first pixel, so that they may be fractions."""

    def __init__(self) -> None:
        self._images: Counter[str] = Counter()
        self._within: Counter[str] = Counter()
        self._broken: set[str] = set()

    def add(self, hint_type: str, coordinates: Iterable[float], size: tuple[int, ...]) -> None:
        """Count those of one image (height, width, …)."""
        values = iter(coordinates)
        first = next(values, None)
        if first is None or max(size[:2]) <= 1:
            return
        self._images[hint_type] += 1
        for value in chain((first,), values):
            if not 0 <= value <= 1:
                return
            if value not in (0, 1):
                self._broken.add(hint_type)
        self._within[hint_type] += 1

    def add_hints(self, hints: ImageHints, size: tuple[int, ...]) -> None:
        """Count all of one image."""
        self.add("boxes", (side for box in hints.boxes for side in (box.x0, box.y0, box.x1, box.y1)), size)
        self.add("points", (side for point in hints.points for side in (point.x, point.y)), size)
        self.add("scribbles", (side for stroke in hints.scribbles for place in stroke.vertices for side in place), size)

    def sentences(self) -> Iterator[str]:
        """Of each hint type in which all lie there, and several images or numbers that are not whole say so."""
        for hint_type, count in self._images.items():
            if self._within[hint_type] == count and (count > 1 or hint_type in self._broken):
                where = f"all {count} images that have any" if count > 1 else "the one image that has any"
                yield (
                    f"{hint_type}: in {where}, all coordinates lie from 0 to 1; these look like fractions of the "
                    "image's sides, and pixels are meant; multiply x by the width and y by the height."
                )
