"""Hints as frozen values: Tag, Box, Point, Scribble, Mask, and all of them for one image.

Coordinates are pixels of the upright image, x to the right, y down; (0, 0) is the top-left pixel.
Labels are class indices. A pixel without a hint is *unlabelled*; a *void* pixel takes no part at all.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError, unknown_name

UNLABELLED = 254
VOID = 255
MAX_CLASSES = 254

Form = Literal["tags", "boxes", "points", "scribbles", "masks"]
FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True)
class Tag:
    """A class that is present somewhere in the image."""

    label: int


@dataclass(frozen=True)
class Box:
    """The tight extent of one object: x0 ≤ x < x1, y0 ≤ y < y1."""

    x0: float
    y0: float
    x1: float
    y1: float
    label: int

    def __post_init__(self) -> None:
        if not (self.x1 > self.x0 and self.y1 > self.y0):
            raise InputError(f"box {self.x0, self.y0, self.x1, self.y1} is empty; it needs x0 < x1 and y0 < y1.")


@dataclass(frozen=True)
class Point:
    """One click inside a region."""

    x: float
    y: float
    label: int


@dataclass(frozen=True)
class Scribble:
    """A stroke inside a region: its vertices ((x, y), …), drawn `width` pixels wide."""

    vertices: tuple[tuple[float, float], ...]
    label: int
    width: int = 3


@dataclass(frozen=True)
class Mask:
    """A label map (H, W) uint8; `UNLABELLED` where nothing was drawn, `VOID` where nobody shall look."""

    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class ImageHints:
    """Everything known of one image. Any field may be empty; all may be filled at once.

    Attributes:
        scribble_map: scribbles that came as a raster instead of strokes.
        tags_complete: whether a class that no hint names is absent from the image.
        background: the class of everything else, which needs no hint to be present.
        looked_for: the only classes whose absence from the hints says anything; None: all classes.
    """

    tags: tuple[Tag, ...] = ()
    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    scribbles: tuple[Scribble, ...] = ()
    scribble_map: Mask | None = None
    mask: Mask | None = None
    tags_complete: bool = field(default=True)
    background: int | None = None
    looked_for: frozenset[int] | None = None

    def forms(self) -> tuple[Form, ...]:
        """The forms that hold at least one hint."""
        present: dict[Form, bool] = {
            "tags": bool(self.tags),
            "boxes": bool(self.boxes),
            "points": bool(self.points),
            "scribbles": bool(self.scribbles) or _labels_anything(self.scribble_map),
            "masks": _labels_anything(self.mask),
        }
        return tuple(form for form, found in present.items() if found)

    def classes(self) -> frozenset[int]:
        """Indices of all classes that any hint names."""
        return self.placed() | {tag.label for tag in self.tags}

    def present(self, num_classes: int) -> NDArray[np.bool_]:
        """(num_classes,) bool: classes known to be in the image; the background is, where anything is known."""
        present = np.zeros(num_classes, dtype=np.bool_)
        named = self.classes()
        present[sorted(named)] = True
        if named and self.tags_complete and self.background is not None:
            present[self.background] = True
        return present

    def absent(self, num_classes: int) -> NDArray[np.bool_]:
        """(num_classes,) bool: classes known not to be in the image.

        With complete tags, those that no hint names, as long as there is any hint, or that were looked for.
        """
        looked_for = self.looked_for
        if not self.tags_complete or (looked_for is None and not self.classes()):
            return np.zeros(num_classes, dtype=np.bool_)
        absent = np.ones(num_classes, dtype=np.bool_)
        if looked_for is not None:
            absent[[label for label in range(num_classes) if label not in looked_for]] = False
        if self.background is not None:
            absent[self.background] = False
        return absent & ~self.present(num_classes)

    def placed(self) -> frozenset[int]:
        """Indices of all classes that a hint points at; the background is what boxes leave."""
        named: set[int] = set()
        for group in (self.boxes, self.points, self.scribbles):
            named.update(hint.label for hint in group)
        if self.boxes and self.background is not None:
            named.add(self.background)
        for raster in (self.scribble_map, self.mask):
            if raster is not None:
                named.update(int(label) for label in np.unique(raster.labels) if label < UNLABELLED)
        return frozenset(named)


def parse_forms(text: str | None) -> tuple[Form, ...]:
    """`"points,scribbles"` → ("points", "scribbles"); None or "all" → every form.

    Raises:
        ConfigError: an unknown form.
    """
    if text is None or text == "all":
        return FORMS
    chosen: list[Form] = []
    for word in text.split(","):
        matching = [
            form for form in FORMS if word.strip().lower() in (form, form.removesuffix("s").replace("boxe", "box"))
        ]
        if not matching:
            raise unknown_name("hint form", word.strip(), FORMS)
        chosen.extend(form for form in matching if form not in chosen)
    return tuple(chosen)


def _labels_anything(raster: Mask | None) -> bool:
    return raster is not None and bool((raster.labels < UNLABELLED).any())
