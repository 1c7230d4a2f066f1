"""What the page draws: hints that name their class by its identifier, and the rows that the folder format keeps."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hintseg.apps.studio.runs import connected_runs, painted, require_runs
from hintseg.errors import InputError
from hintseg.hints.labels import MAX_CLASSES
from hintseg.hints.model import ImageHints
from hintseg.hints.types.hint_type import LARGEST
from hintseg.hints.types.scribbles import ScribbleMap, bounds

TABLES = ("scribbles", "points", "boxes", "tags")  # what can be drawn: TABLE.json of the folder format

Pixel = tuple[float, float]
MOST_RUNS = 50_000  # of an image's regions: with more, a save would not be quick

Coordinate = Annotated[int, Field(ge=0, lt=2**31)]
ClassId = Annotated[str, Field(min_length=1, max_length=64)]
Rows = dict[str, list[Any]]


class Body(BaseModel):
    """What a page sends; an unknown field is refused, as what is misspelt would count as empty."""

    model_config = ConfigDict(extra="forbid")


class Placed(Body):
    """A hint with a class and a place."""

    label: ClassId


class Stroke(Placed):
    """One scribble."""

    vertices: list[Pixel] = Field(min_length=1, max_length=20_000)
    width: int = Field(5, ge=1, le=200)


class DrawnPoint(Placed):
    """One click."""

    x: float
    y: float


class DrawnBox(Placed):
    """One object's extent, ends exclusive."""

    x0: float
    y0: float
    x1: float
    y1: float


class Region(Placed):
    """A filled area: runs of pixels, each as row, first column and the column after its last, in one flat list."""

    runs: list[Coordinate] = Field(min_length=3, max_length=3 * MOST_RUNS)


class DrawnHints(Body):
    """All that was drawn on one image.

    Attributes:
        regions: what its scribble map holds; None leaves it as it is.
    """

    strokes: list[Stroke] = Field(default_factory=list, max_length=10_000)
    points: list[DrawnPoint] = Field(default_factory=list, max_length=10_000)
    boxes: list[DrawnBox] = Field(default_factory=list, max_length=10_000)
    regions: list[Region] | None = Field(None, max_length=MOST_RUNS)
    tags: list[ClassId] = Field(default_factory=list, max_length=MAX_CLASSES)

    @classmethod
    def of(cls, hints: ImageHints, identifiers: Sequence[str]) -> Self:
        """What a data set holds of one image; regions are None where its scribble map is too fine for a page.

        Args:
            identifiers: of the classes, by label.

        Raises:
            ValidationError: it is more than a page can show.
        """
        return cls(
            strokes=[
                Stroke(label=identifiers[one.label], vertices=list(one.vertices), width=one.width)
                for one in hints.scribbles
            ],
            points=[DrawnPoint(label=identifiers[one.label], x=one.x, y=one.y) for one in hints.points],
            boxes=[
                DrawnBox(label=identifiers[one.label], x0=one.x0, y0=one.y0, x1=one.x1, y1=one.y1)
                for one in hints.boxes
            ],
            regions=_regions(hints.scribble_map, identifiers),
            tags=[identifiers[one.label] for one in hints.tags],
        )

    def identifiers(self) -> set[str]:
        """Of all classes that are named."""
        groups: tuple[Sequence[Placed], ...] = (self.strokes, self.points, self.boxes, self.regions or ())
        return {hint.label for group in groups for hint in group} | set(self.tags)

    def require_inside(self, width: int, height: int) -> None:
        """Raise where a hint lies outside an image of that size; strokes may leave it, as in the folder format.

        Raises:
            InputError: a point or stroke outside, or a box that is empty or leaves the image.
        """
        for stroke in self.strokes:
            left, top, right, bottom = bounds(stroke.vertices)
            near = min(left, top) > -LARGEST and max(right, bottom) < LARGEST
            if not (near and right >= 0 and bottom >= 0 and left <= width and top <= height):
                raise InputError(f"a stroke from ({left:g}, {top:g}) lies outside the {width}×{height} image.")
        for point in self.points:
            if not (0 <= point.x < width and 0 <= point.y < height):
                raise InputError(f"({point.x:g}, {point.y:g}) lies outside the {width}×{height} image.")
        for box in self.boxes:
            if not (0 <= box.x0 < box.x1 <= width and 0 <= box.y0 < box.y1 <= height):
                raise InputError(f"box {box.x0:g}, {box.y0:g}, {box.x1:g}, {box.y1:g} is empty or leaves the image.")
        for region in self.regions or ():
            require_runs(region.runs, width, height)

    def leaves(self, width: int, height: int) -> bool:
        """Whether any of it lies outside an image of that size, if only in part."""
        try:
            self.require_inside(width, height)
        except InputError:
            return True
        edges = (bounds(stroke.vertices) for stroke in self.strokes)
        return any(min(left, top) < 0 or right > width or bottom > height for left, top, right, bottom in edges)

    def rows(self, labels: Mapping[str, int]) -> Rows:
        """Table → what the folder format keeps of one image.

        Args:
            labels: identifier → class index.
        """
        return {
            "scribbles": [
                [labels[stroke.label], [[round(x, 1), round(y, 1)] for x, y in stroke.vertices], stroke.width]
                for stroke in self.strokes
            ],
            "points": [[in_pixel(point.x), in_pixel(point.y), labels[point.label]] for point in self.points],
            "boxes": [[box.x0, box.y0, box.x1, box.y1, labels[box.label]] for box in self.boxes],
            "tags": sorted({labels[tag] for tag in self.tags}),
        }

    def holds(self, other: "DrawnHints") -> bool:
        """Whether every hint of another state is one of these."""
        return not set(other.hints()) - set(self.hints())

    def hints(self) -> list[str]:
        """Every hint as text, to be compared with others."""
        drawn = self.model_dump(exclude_none=True)
        return [json.dumps([name, _rounded(hint)], sort_keys=True) for name in sorted(drawn) for hint in drawn[name]]

    def painted(self, size: tuple[int, int], labels: Mapping[str, int]) -> NDArray[np.uint8] | None:
        """(H, W) uint8 label map of the regions, `UNLABELED` elsewhere; None: the scribble map stays what it is.

        Args:
            size: (height, width) of the image.
            labels: identifier → class index.
        """
        if self.regions is None:
            return None
        return painted([(labels[region.label], region.runs) for region in self.regions], size)


def _regions(found: ScribbleMap | None, identifiers: Sequence[str]) -> list[Region] | None:
    runs = [] if found is None else connected_runs(found.labels, MOST_RUNS)
    return None if runs is None else [Region(label=identifiers[label], runs=one) for label, one in runs]


def version_of(content: Any) -> str:
    """A short text that changes with the content, the same after a restart."""
    return hashlib.sha256(json.dumps(content, ensure_ascii=True, sort_keys=True).encode()).hexdigest()[:16]


def _rounded(value: Any) -> Any:
    """Numbers as the folder format keeps them."""
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return round(float(value), 1) if isinstance(value, int | float) else value


def in_pixel(place: float) -> float:
    """To a tenth within the same pixel: the next one may be no part of the image."""
    return min(round(place, 1), math.floor(place) + 0.9)
