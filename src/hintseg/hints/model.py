"""ImageHints: all hints of one image, of whatever types.

Coordinates are pixels of the upright image, x to the right, y down; (0, 0) is the top-left pixel.
Labels are class indices.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hintseg.hints.types.boxes import Box
from hintseg.hints.types.hint_type import H, Hint
from hintseg.hints.types.masks import Mask
from hintseg.hints.types.points import Point
from hintseg.hints.types.scribbles import Scribble, ScribbleMap
from hintseg.hints.types.tags import Tag


@dataclass(frozen=True)
class ImageHints:
    """Everything known of one image.

    Attributes:
        by_type: hint type → its hints; any may be missing or empty, all may be filled at once.
        tags_exhaustive: whether a class that no hint names is absent from the image.
        background: the class of everything else, which needs no hint to be present.
        verified_classes: the only classes whose absence from the hints says anything; None: all classes.
        outside: classes of hints that lie outside the image or are not used, which may be in it all the same.
        corrections: what was done to hints that leave the image, each as often as it was done.
    """

    by_type: Mapping[str, tuple[Hint, ...]] = field(default_factory=dict)
    tags_exhaustive: bool = True
    background: int | None = None
    verified_classes: frozenset[int] | None = None
    outside: frozenset[int] = frozenset()
    corrections: tuple[str, ...] = ()

    def of(self, kind: type[H]) -> tuple[H, ...]:
        """All hints of one kind."""
        return tuple(hint for hints in self.by_type.values() for hint in hints if isinstance(hint, kind))

    @property
    def tags(self) -> tuple[Tag, ...]:
        """Tags."""
        return self.of(Tag)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Boxes."""
        return self.of(Box)

    @property
    def points(self) -> tuple[Point, ...]:
        """Points."""
        return self.of(Point)

    @property
    def scribbles(self) -> tuple[Scribble, ...]:
        """Strokes."""
        return self.of(Scribble)

    @property
    def scribble_map(self) -> ScribbleMap | None:
        """Scribbles that came as an image instead of strokes."""
        return next(iter(self.of(ScribbleMap)), None)

    @property
    def mask(self) -> Mask | None:
        """The dense mask."""
        return next(iter(self.of(Mask)), None)

    def types(self) -> tuple[str, ...]:
        """The hint types of which there is at least one hint."""
        return tuple(name for name, hints in self.by_type.items() if any(hint.named() for hint in hints))

    def classes(self) -> frozenset[int]:
        """Indices of all classes that any hint names."""
        return self.localized() | {tag.label for tag in self.tags}

    def localized(self) -> frozenset[int]:
        """Indices of all classes with a localized hint; the background is what boxes leave."""
        pointing = [hint for hints in self.by_type.values() for hint in hints if not isinstance(hint, Tag)]
        named = frozenset[int]().union(*(hint.named() for hint in pointing))
        return named | {self.background} if self.boxes and self.background is not None else named

    def present(self, num_classes: int) -> NDArray[np.bool_]:
        """(num_classes,) bool: classes known to be in the image; the background is, where anything is known."""
        present = np.zeros(num_classes, dtype=np.bool_)
        named = self.classes()
        present[sorted(named)] = True
        if named and self.tags_exhaustive and self.background is not None:
            present[self.background] = True
        return present

    def absent(self, num_classes: int) -> NDArray[np.bool_]:
        """(num_classes,) bool: classes known not to be in the image.

        With exhaustive tags, those that no hint names, as long as there is any hint, or that are verified.
        """
        verified_classes = self.verified_classes
        if not self.tags_exhaustive or (verified_classes is None and not self.classes()):
            return np.zeros(num_classes, dtype=np.bool_)
        absent = np.ones(num_classes, dtype=np.bool_)
        if verified_classes is not None:
            absent[[label for label in range(num_classes) if label not in verified_classes]] = False
        absent[sorted(self.outside)] = False
        if self.background is not None:
            absent[self.background] = False
        return absent & ~self.present(num_classes)
