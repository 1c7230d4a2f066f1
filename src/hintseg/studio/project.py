"""A data set folder that grows while someone draws: classes, photographs and hints, every change on disk at once."""

import colorsys
import json
import re
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from hintseg.errors import InputError, RunError
from hintseg.hints.dataset import Dataset
from hintseg.hints.description import read_table
from hintseg.hints.forms.by_name import FORMS
from hintseg.hints.labels import MAX_CLASSES
from hintseg.images import (
    atomic_path,
    link_or_copy,
    read_image,
    read_image_size,
    write_labels,
)
from hintseg.listing import IMAGE_SUFFIXES, is_image_name

Pixel = tuple[float, float]
Label = int


def _colours() -> tuple[str, ...]:
    """Okabe and Ito's colours, which colour-blind people tell apart; then hues a golden angle apart, light and dark."""
    chosen = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"]
    for number in range(MAX_CLASSES - len(chosen)):
        parts = colorsys.hls_to_rgb(0.618034 * number % 1, (0.35, 0.65, 0.5)[number % 3], (0.9, 0.6)[number % 2])
        chosen.append("#" + "".join(f"{round(255 * part):02x}" for part in parts))
    return tuple(chosen)


COLOURS = _colours()


class Stroke(BaseModel):
    """One scribble."""

    label: Label
    vertices: list[Pixel] = Field(min_length=1, max_length=20_000)
    width: int = Field(5, ge=1, le=200)


class DrawnPoint(BaseModel):
    """One click."""

    label: Label
    x: float
    y: float


class DrawnBox(BaseModel):
    """One object's extent, ends exclusive."""

    label: Label
    x0: float
    y0: float
    x1: float
    y1: float


class DrawnHints(BaseModel):
    """All that was drawn on one image."""

    strokes: list[Stroke] = Field(default_factory=list, max_length=10_000)
    points: list[DrawnPoint] = Field(default_factory=list, max_length=10_000)
    boxes: list[DrawnBox] = Field(default_factory=list, max_length=10_000)
    tags: list[Label] = Field(default_factory=list, max_length=MAX_CLASSES)


class Project:
    """A data set folder under work. Every method may be called from any thread.

    Attributes:
        root: the folder.
        dataset: as it is now; a new object after every change, so that nothing stale is cached.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dataset = Dataset(root, (), tags_complete=False)
        self._lock = threading.RLock()
        self._reload()

    @classmethod
    def open(cls, root: Path) -> "Project":
        """A data set folder, a folder of photographs, or a folder that does not exist yet.

        Photographs that lie in the folder itself are linked into images/.

        Raises:
            InputError: the folder's description is malformed.
            RunError: it cannot be written.
        """
        images = root / "images"
        if not images.is_dir():
            loose = [path for path in sorted(root.glob("*")) if is_image_name(path.name) and path.is_file()]
            try:
                images.mkdir(parents=True)
            except OSError as error:
                raise RunError(f"{images}: cannot be made ({error.strerror}); choose another folder.") from error
            for path in loose:
                link_or_copy(path, images / path.name)
        return cls(root)

    def _reload(self) -> None:
        try:
            self.dataset = Dataset.open(self.root)
        except InputError:
            if (self.root / "dataset.json").exists() or not (self.root / "images").is_dir():
                raise
            # Until somebody says otherwise a hint says what is there, and nothing of the rest of the photograph.
            self.dataset = Dataset(self.root, (), tags_complete=False)

    def describe(self) -> dict[str, Any]:
        """Classes with colours, and images with their forms of hints."""
        with self._lock:
            named = self.dataset.hint_keys()
            images = [
                {"key": key, "forms": [form for form in FORMS if key in named[form]]} for key in self.dataset.keys(None)
            ]
        return {
            "name": self.root.resolve().name,
            "classes": [{"name": name, "colour": COLOURS[label]} for label, name in enumerate(self.dataset.classes)],
            "background": self.dataset.background,
            "complete": self.dataset.tags_complete,
            "images": images,
        }

    def set_classes(self, names: list[str], background: int | None, complete: bool | None = None) -> None:
        """Rename classes and add new ones; existing ones keep their place, since files hold their numbers.

        Args:
            complete: `tags_complete` of the folder format; None leaves it as it is.

        Raises:
            InputError: fewer classes than before, an empty name, one used twice, or too many.
        """
        names = [name.strip() for name in names]
        with self._lock:
            if len(names) < len(self.dataset.classes):
                raise InputError("a class that exists cannot be removed, since hints hold its number; rename it.")
            if not all(names) or len(set(names)) < len(names) or any(len(name) > 100 for name in names):
                raise InputError("every class needs a name of its own, at most 100 letters long.")
            if len(names) > MAX_CLASSES:
                raise InputError(f"{len(names)} classes are more than the {MAX_CLASSES} a label map can hold.")
            if background is not None and not 0 <= background < len(names):
                raise InputError(f"background {background} is no class.")
            if 0 < self.dataset.void < len(names) + self.dataset.first_label:
                raise InputError(
                    f"label {self.dataset.void} is the void of this data set; it cannot hold more classes."
                )
            complete = self.dataset.tags_complete if complete is None else complete
            replace(
                self.dataset, classes=tuple(names), background=background, tags_complete=complete
            ).save_description()
            self._reload()

    def hints(self, key: str) -> dict[str, Any]:
        """What `DrawnHints` holds, with the image's size; scribbles that came as a raster are told, not listed."""
        with self._lock:
            height, width = read_image_size(self.dataset.path(key))
            found = self.dataset.hints(key, ("tags", "boxes", "points", "scribbles"))
        drawn = DrawnHints(
            strokes=[
                Stroke(label=stroke.label, vertices=list(stroke.vertices), width=stroke.width)
                for stroke in found.scribbles
            ],
            points=[DrawnPoint(label=point.label, x=point.x, y=point.y) for point in found.points],
            boxes=[DrawnBox(label=box.label, x0=box.x0, y0=box.y0, x1=box.x1, y1=box.y1) for box in found.boxes],
            tags=[tag.label for tag in found.tags],
        )
        imported = found.scribble_map is not None
        return {**drawn.model_dump(), "width": width, "height": height, "raster": imported}

    def save_hints(self, key: str, drawn: DrawnHints) -> None:
        """Replace what was drawn on one image; on disk when this returns.

        Raises:
            InputError: no such image or class, a coordinate outside, or an empty box.
        """
        with self._lock:
            height, width = read_image_size(self.dataset.path(key))
            self._check(drawn, width, height)
            tables: dict[str, list[Any]] = {
                "scribbles": [
                    [stroke.label, [[round(x, 1), round(y, 1)] for x, y in stroke.vertices], stroke.width]
                    for stroke in drawn.strokes
                ],
                "points": [[round(point.x, 1), round(point.y, 1), point.label] for point in drawn.points],
                "boxes": [[box.x0, box.y0, box.x1, box.y1, box.label] for box in drawn.boxes],
                "tags": sorted(set(drawn.tags)),
            }
            for name, rows in tables.items():
                self._replace(name, key, rows)
            self._reload()

    def _replace(self, name: str, key: str, rows: list[Any]) -> None:
        path = self.root / f"{name}.json"
        table = read_table(path)
        if table.get(key, []) == rows:
            return
        table.pop(key, None)
        if rows:
            table[key] = rows
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(table, ensure_ascii=False), "utf-8")

    def _check(self, drawn: DrawnHints, width: int, height: int) -> None:
        labels = {hint.label for group in (drawn.strokes, drawn.points, drawn.boxes) for hint in group} | set(
            drawn.tags
        )
        for label in sorted(labels):
            self.dataset.label(label, "drawn hint")
        pixels = [vertex for stroke in drawn.strokes for vertex in stroke.vertices]
        pixels += [(point.x, point.y) for point in drawn.points]
        for x, y in pixels:
            if not (0 <= x < width and 0 <= y < height):
                raise InputError(f"({x:g}, {y:g}) lies outside the {width}×{height} image.")
        for box in drawn.boxes:
            if not (0 <= box.x0 < box.x1 <= width and 0 <= box.y0 < box.y1 <= height):
                raise InputError(f"box {box.x0:g}, {box.y0:g}, {box.x1:g}, {box.y1:g} is empty or leaves the image.")

    def add_image(self, name: str, content: bytes) -> str:
        """Store an uploaded photograph under its name and return its key.

        Raises:
            InputError: no image, of an unknown format, or its name is taken.
        """
        plain = re.sub(r"[^\w. -]", "_", Path(name.replace("\\", "/")).name).lstrip(". ")
        suffix = Path(plain).suffix.lower()
        if suffix not in IMAGE_SUFFIXES or not Path(plain).stem:
            raise InputError(f"{name}: is no photograph; use {', '.join(IMAGE_SUFFIXES)}.")
        key = Path(plain).stem
        with self._lock, tempfile.TemporaryDirectory() as folder:
            if key in self.dataset.paths:
                raise InputError(f"{name}: a photograph of this name is there already; rename it.")
            copy = Path(folder) / plain
            copy.write_bytes(content)
            try:
                read_image(copy)
            except InputError as error:
                raise InputError(str(error).replace(str(copy), name)) from error
            with atomic_path(self.root / "images" / plain) as temporary:
                temporary.write_bytes(content)
            self._reload()
        return key

    def accept(self, key: str, mask: NDArray[np.uint8]) -> None:
        """Take a mask as the image's own: masks/KEY.png, which training then uses as it stands."""
        with self._lock:
            write_labels(self._inside("masks", key), self.dataset.coding.encode(mask))
            self._reload()

    def withdraw(self, key: str) -> None:
        """Remove an accepted mask."""
        with self._lock:
            self._inside("masks", key).unlink(missing_ok=True)
            self._reload()

    def accepted(self, key: str) -> NDArray[np.uint8] | None:
        """The mask that was accepted, if one was."""
        return self.dataset.mask(key)

    def _inside(self, folder: str, key: str) -> Path:
        self.dataset.path(key)  # keys come from the folder's own listing: none leads outside
        return self.root / folder / f"{key}.png"


def hexadecimal(colour: str) -> tuple[int, int, int]:
    """ "#rrggbb" → bytes."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
