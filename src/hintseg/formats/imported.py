"""What every reader fills: images, classes and hints of any form, in the folder format's terms."""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.hints.labels import MAX_CLASSES, UNLABELLED
from hintseg.images import IMAGE_SUFFIXES, read_image_size

FARTHEST = 1_000_000  # pixels; OpenCV counts in 32 bits


@dataclass
class Imported:
    """Images with their hints.

    Attributes:
        root: folder of the annotations; images are looked for below it.
        classes: names in order of their labels.
        images: KEY → file.
        tags, boxes, points, scribbles: KEY → rows of the folder format, labels as indices.
        regions: KEY → (H, W) uint8, filled areas; `UNLABELLED` elsewhere.
        whole: keys whose regions are full label maps, in which nothing was left out but what is void.
        lost: what the folder format cannot hold → how often.
    """

    root: Path
    classes: list[str] = field(default_factory=list)
    images: dict[str, Path] = field(default_factory=dict)
    tags: dict[str, list[int]] = field(default_factory=dict)
    boxes: dict[str, list[list[float]]] = field(default_factory=dict)
    points: dict[str, list[list[float]]] = field(default_factory=dict)
    scribbles: dict[str, list[list[Any]]] = field(default_factory=dict)
    regions: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    lost: Counter[str] = field(default_factory=Counter)

    def label(self, name: str) -> int:
        """Index of a class, which is added when it is new.

        Raises:
            InputError: its name cannot be written, or there are too many.
        """
        if name not in self.classes:
            if not name.isprintable():
                raise InputError(f"{self.root}: the class name {name!r:.80} has letters that cannot be shown.")
            if len(self.classes) == MAX_CLASSES:
                raise InputError(f"{self.root}: has more than the {MAX_CLASSES} classes that a label map can hold.")
            self.classes.append(name)
        return self.classes.index(name)

    def add_image(self, name: str, where: Path) -> str:
        """Key of the image that an annotation file names.

        The file is looked for beside the annotations, in `images/` and its like, then anywhere below `root`.

        Raises:
            InputError: there is none, or two images would share a key.
        """
        plain = name.replace("\\", "/").split("?")[0]
        try:
            path = self._find(plain, where)
        except (OSError, ValueError):  # longer than a name can be, or with a zero byte
            path = None
        if path is None:
            raise InputError(f"{where}: names the image {name!r:.80}, which lies nowhere below {self.root}.")
        key = path.stem
        if self.images.setdefault(key, path) != path:
            raise InputError(f"{path}: {self.images[key]} has the same name; rename one of the two.")
        return key

    def fill(self, key: str, vertices: NDArray[np.floating], label: int) -> None:
        """A filled polygon, (N, 2) x, y in pixels."""
        corners = np.round(vertices).clip(-FARTHEST, FARTHEST).astype(np.int32).reshape(-1, 1, 2)
        cv2.fillPoly(self._canvas(key), [corners], label)

    def paint(self, key: str, mask: NDArray[np.bool_], label: int, where: str) -> None:
        """A mask of the image's size.

        Raises:
            InputError: of another size.
        """
        canvas = self._canvas(key)
        if mask.shape != canvas.shape:
            height, width = canvas.shape
            raise InputError(f"{where}: a mask of {mask.shape[1]}×{mask.shape[0]} for an image of {width}×{height}.")
        canvas[mask] = label

    def _canvas(self, key: str) -> NDArray[np.uint8]:
        if key not in self.regions:
            self.regions[key] = np.full(read_image_size(self.images[key]), UNLABELLED, dtype=np.uint8)
        return self.regions[key]

    def _find(self, name: str, where: Path) -> Path | None:
        base = Path(name).name
        places = [where.parent, self.root, *(self.root / folder for folder in ("images", "JPEGImages", "img"))]
        for place in places:
            for candidate in (place / name, place / base):
                if candidate.is_file() and candidate.resolve().is_relative_to(self.root.resolve()):
                    return candidate
        return self._below.get(base)

    @cached_property
    def _below(self) -> dict[str, Path]:
        return {path.name: path for path in images_below(self.root)}


def images_below(root: Path) -> list[Path]:
    """Every image file below a folder, sorted."""
    return sorted(
        path for path in root.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )


def tables(rows: list[Any], where: str) -> list[dict[str, Any]]:
    """A list of objects.

    Raises:
        InputError: one is none.
    """
    for row, value in enumerate(rows):
        if not isinstance(value, dict):
            raise InputError(f"{where}[{row}]: {value!r:.80} is no object with fields.")
    return rows


def entry(content: object, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """`content[name]` of a type.

    Raises:
        InputError: absent or of another type.
    """
    value = content.get(name) if isinstance(content, dict) else None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{where}: the field {name!r} is missing or malformed (got {value!r:.80}).")
    return value
