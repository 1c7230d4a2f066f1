"""What every reader fills: images, classes and hints of any type, in the folder format's terms.

Coordinates are pixels of the image as the annotation file declares it, (0, 0) being its upper left corner. They are
brought to the image as it is; what then lies outside, is empty or no number is clipped, or left out and counted.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hintseg.errors import InputError
from hintseg.formats.finding import ImageFinder, matching, parts_of
from hintseg.formats.frames import Frame, frame_of
from hintseg.formats.polygons import Filled, clipped_line, filled
from hintseg.hints.labels import IGNORE_INDEX, MAX_CLASSES, UNLABELED
from hintseg.hints.names import plain_name, require_names
from hintseg.io.images import read_image_size

FARTHEST = 1_000_000  # pixels from the image's corner
EDGE = 0.5  # pixels; a point as little outside was rounded, and is moved inside


@dataclass
class Imported:
    """Images with their hints.

    Until `finish`, keys are paths below `root` without a suffix.

    Attributes:
        root: folder of the annotations; images are looked for below it.
        classes, images: names in order of their labels; KEY → file.
        tags, boxes, points, scribbles: KEY → rows of the folder format, labels as indices.
        regions: KEY → (H, W) uint8, filled areas; `IGNORE_INDEX` where it was ignored, `UNLABELED` elsewhere.
        painted: KEY → classes of its regions, later ones of which may cover others.
        whole: keys whose regions are full label maps, in which nothing was left out but ignored pixels.
        splits: name → keys.
        incomplete: KEY of an image in which something drawn could not be held → its classes; None: of any class.
        lost, notes: what could not be held → how often, and sentences about what was changed.
        listed, verified_classes: annotation file → its class names; KEY → labels, where its files list some only.
        unlabeled: value or class of label maps that says that nothing was drawn, if it was given.
        said: annotation file, KEY → the image's name in it.
        reach: KEY → the largest coordinate of its polygons, or one above 1.
    """

    root: Path
    classes: list[str] = field(default_factory=list)
    images: dict[str, Path] = field(default_factory=dict)
    tags: dict[str, list[int]] = field(default_factory=dict)
    boxes: dict[str, list[list[float]]] = field(default_factory=dict)
    points: dict[str, list[list[float]]] = field(default_factory=dict)
    scribbles: dict[str, list[list[Any]]] = field(default_factory=dict)
    regions: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    painted: dict[str, set[int]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    splits: dict[str, list[str]] = field(default_factory=dict)
    incomplete: dict[str, set[int | None]] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    listed: dict[Path, list[str]] = field(default_factory=dict)
    verified_classes: dict[str, list[int]] = field(default_factory=dict)
    unlabeled: str | None = None
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    said: dict[tuple[Path, str], str] = field(default_factory=dict)
    _labels: dict[str, int] = field(default_factory=dict)
    reach: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    frames: dict[str, Frame] = field(default_factory=dict)
    written_by: dict[str, Path] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def label(self, name: str) -> int:
        """Index of a class, which is added when it is new; names that differ by blanks alone are one.

        Raises:
            InputError: its name is empty, too long or cannot be shown, or there are too many.
        """
        if name in self._labels:
            return self._labels[name]
        require_names([name], self.root)
        plain = [plain_name(known) for known in (*self.classes, name)]
        label = plain.index(plain[-1])
        if label == MAX_CLASSES:
            raise InputError(f"{self.root}: has more than the {MAX_CLASSES} classes that a label map can hold.")
        if label == len(self.classes):
            self.classes.append(name)
        self._labels[name] = label
        return label

    def add_image(
        self, name: str, where: Path, declared: tuple[int, int] | None = None, without: frozenset[str] = frozenset()
    ) -> str:
        """Key of the image that an annotation file names; see `ImageFinder.find` for how it is found.

        Args:
            name: relative, absolute, of Windows, or a URL.
            where: the annotation file.
            declared: (height, width) that the annotation file says; None or zeros: as the image is.
            without: folders, in small letters, in which it does not lie.

        Raises:
            InputError: there is none, several may be meant, two names mean one file, two images would share a key, or
                the image has another shape than declared.
        """
        path = self.finder.find_named(name, where, without)
        if path is None:
            raise InputError(f"{where}: names the image {name!r:.80}, which lies nowhere below {self.root}.")
        key = self.add_file(path)
        self._require_one_name(key, name, where)
        self._require_one_frame(key, declared, where)
        return key

    def add_file(self, path: Path) -> str:
        """Key of an image file below `root`; InputError where two images would share it."""
        key = self._key(path)
        if self.images.setdefault(key, path) != path:
            raise InputError(f"{path}: {self.images[key]} has the same name; rename one of the two.")
        if key not in self.sizes and key not in self.unreadable:
            try:
                self.sizes[key] = read_image_size(path)
            except InputError as error:
                self.unreadable[key] = str(error)
        return key

    def split(self, name: str, key: str) -> None:
        """An image belongs to a split ("train", "val"); InputError where that is no name of a file."""
        if not re.fullmatch(r"[\w-][\w.-]*", name):
            raise InputError(f"{self.root}: {name!r:.80} is no name of a split; use letters and digits.")
        keys = self.splits.setdefault(name, [])
        if key not in keys[-1:]:
            keys.append(key)

    def add_tag(self, key: str, label: int) -> None:
        """A class is somewhere in the image."""
        if label not in self.tags.setdefault(key, []):
            self.tags[key].append(label)

    def add_box(self, key: str, x0: float, y0: float, x1: float, y1: float, label: int) -> None:
        """The extent of one object; its corners may come in any order, its ends are exclusive."""
        if key in self.frames and self.frames[key].is_identity and all(abs(at) < FARTHEST for at in (x0, y0, x1, y1)):
            self._add_extent(key, (x0, x1), (y0, y1), label)
        else:
            self.add_rotated_box(key, [[x0, y0], [x1, y1]], label)

    def add_rotated_box(self, key: str, corners: ArrayLike, label: int) -> None:
        """A turned rectangle, (4, 2) x, y: the extent of its corners is a box. What is in its corners is not known."""
        if (places := self._places(key, corners)) is not None:
            self._add_extent(key, places[:, 0].tolist(), places[:, 1].tolist(), label)

    def add_point(self, key: str, x: float, y: float, label: int) -> None:
        """A click inside a region; on the image's edge it is moved inside."""
        places = self._places(key, [[x, y]], of_pixels=True)
        if places is None:
            return
        end = self.frame(key).size[::-1]
        if ((places[0] < -EDGE) | (places[0] > np.add(end, EDGE))).any():
            self.leave_out("point outside its image", key, label, None)
        else:
            inside = np.where(places[0] < end, places[0].clip(0), np.subtract(end, 0.5))
            self.points.setdefault(key, []).append([*inside.tolist(), label])

    def add_stroke(self, key: str, vertices: ArrayLike, label: int, width: float | None = None) -> None:
        """A stroke inside a region, (N, 2) x, y; what leaves the image is cut off.

        Args:
            width: in pixels of the annotated image; None: the folder format's default.
        """
        places = self._places(key, vertices, of_pixels=True)
        if places is None:
            return
        frame = self.frame(key)
        pieces = clipped_line(frame.size, places)
        thick = [] if width is None else [min(max(width * frame.scale, 1.0), 200.0)]
        if pieces:
            self.scribbles.setdefault(key, []).extend([label, piece.tolist(), *thick] for piece in pieces)
        else:
            self.leave_out("stroke outside its image", key, label, None)

    def fill(self, key: str, vertices: ArrayLike, label: int, pixels: Filled | None = None) -> bool:
        """A filled polygon, (N, 2) x, y, of the `pixels` whose center is inside (`polygons.filled`); whether of any."""
        places = self._places(key, vertices)
        if places is None:
            return False
        self.reach[key] = max(self.reach.get(key, 0.0), float(places[0, 0] if places[0, 0] > 1 else places.max()))
        window, inside = pixels or filled(self.frame(key).size, places)
        if inside.any():
            np.copyto(self._canvas(key, label)[window], np.uint8(label), where=inside)
        else:
            is_there = ((places >= 0) & (places <= self.frame(key).size[::-1])).all(axis=1).any()
            self.leave_out("polygon that covers no pixel of its image", key, label, bool(is_there))
        return bool(inside.any())

    def paint(self, key: str, mask: NDArray[np.bool_], label: int, where: str) -> None:
        """A mask of the declared size, or of the image's; InputError where it has another."""
        if (frame := self._fitting(key, mask.shape, where)) is None:
            return
        there = frame.moved_map(mask.astype(np.uint8)) > 0
        if there.any():
            self._canvas(key, label)[there] = label
        else:
            self.leave_out("mask that covers no pixel of its image", key, label, True if mask.any() else None)

    def paint_map(self, key: str, labels: NDArray[np.uint8], where: str) -> None:
        """A full label map, `IGNORE_INDEX` where pixels are ignored; `paint` says of which size."""
        if (frame := self._fitting(key, labels.shape, where)) is not None:
            self.regions[key] = frame.moved_map(labels)
            self.whole.add(key)

    def leave_out(self, reason: str, key: str = "", label: int | None = None, there: bool | None = True) -> None:
        """Count something that is not taken over; the reason is a noun, as "polygon that covers no pixel".

        Args:
            key, label: image and class of a shape; see `mark_incomplete`.
            there: whether the shape is in the image, so that its class gets a tag; None: it may be.
        """
        self.lost[reason] += 1
        if key and there is not False and label != IGNORE_INDEX:
            self.mark_incomplete(key, label)
            if there and label is not None:
                self.add_tag(key, label)

    def mark_incomplete(self, key: str, label: int | None) -> None:
        """More of a class (None: of any) may be in the image than was taken over: it is not filled with background."""
        self.incomplete.setdefault(key, set()).add(label)

    def note(self, sentence: str) -> None:
        """Say something once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def frame(self, key: str) -> Frame:
        """Sizes of an image, as it is and as its annotation file declares it; one pixel where it cannot be read."""
        size = self.sizes.get(key, (1, 1))
        return self.frames.get(key) or Frame(size, size)

    def has_image(self, name: str, where: Path) -> bool:
        """Whether `add_image` would look at a file, be it of a wrong kind."""
        try:
            return self.finder.find_named(name, where, frozenset()) is not None
        except InputError:
            return True

    def is_readable(self, key: str) -> bool:
        """Whether an image can be read; of one that cannot, nothing is taken over."""
        return key not in self.unreadable

    @cached_property
    def finder(self) -> ImageFinder:
        """Finds images below `root`."""
        return ImageFinder(self.root)

    def _key(self, path: Path) -> str:
        return "/".join(part.strip() for part in parts_of(str(path.relative_to(self.root).with_suffix(""))))

    def _require_one_name(self, key: str, name: str, where: Path) -> None:
        """Two names of one file are of two images, unless one is the other's end in another annotation file."""
        plain = PurePosixPath(unquote(re.split("[?#]", name)[0]).replace("\\", "/")).as_posix()
        said = self.said.setdefault((where, key), plain)
        parts = parts_of(plain.casefold())
        parts = (*parts[:-1], PurePosixPath(parts[-1]).stem if parts else "")
        known = self.names.setdefault(key, parts)
        if said != plain or matching(parts, known) < min(len(parts), len(known)):
            other = said if said != plain else "/".join(known)
            raise InputError(
                f"{where}: {name!r:.80} and {other!r:.80} are two images, but only {self.images[key]} is "
                f"called so below {self.root}; keep the folders that the annotations name."
            )

    def _require_one_frame(self, key: str, declared: tuple[int, int] | None, where: Path) -> None:
        if (size := self.sizes.get(key)) is None:
            return
        asked = size if declared is None or min(declared) <= 0 else (int(declared[0]), int(declared[1]))
        frame = frame_of(self.images[key], size, asked, where)
        if self.frames.setdefault(key, frame) != frame:
            raise InputError(f"{where}: declares another size of {self.images[key]} than another annotation did.")

    def _add_extent(self, key: str, x: Sequence[float], y: Sequence[float], label: int) -> None:
        height, width = map(float, self.frame(key).size)
        left, right = max(0.0, min(x)), min(width, max(x))
        top, bottom = max(0.0, min(y)), min(height, max(y))
        if right <= left or bottom <= top:
            there = 0 <= min(x) <= width and 0 <= min(y) <= height
            self.leave_out("box that is empty or outside its image", key, label, there)
        else:
            self.boxes.setdefault(key, []).append([left, top, right, bottom, label])

    def _places(self, key: str, vertices: ArrayLike, of_pixels: bool = False) -> NDArray[np.float64] | None:
        """(N, 2) in the image; None, counted, where they cannot be."""
        if key in self.unreadable:
            return None
        places = np.asarray(vertices, np.float64).reshape(-1, 2)
        if not len(places) or not np.abs(places).max() < FARTHEST:  # nor where one is no number
            self.leave_out("shape without a place that can be", key)
            return None
        return self.frame(key).moved(places, of_pixels)

    def _fitting(self, key: str, shape: tuple[int, ...], where: str) -> Frame | None:
        """The frame of a mask; None where its image cannot be read."""
        if key in self.unreadable:
            return None
        frame = self.frame(key)
        if shape == frame.declared:
            return frame
        if shape == frame.size:
            return Frame(frame.size, frame.size)
        height, width = frame.declared
        raise InputError(f"{where}: a mask of {shape[1]}×{shape[0]} for an image of {width}×{height}.")

    def _canvas(self, key: str, label: int) -> NDArray[np.uint8]:
        self.painted.setdefault(key, set()).add(label)
        if key not in self.regions:
            self.regions[key] = np.full(self.sizes[key], UNLABELED, dtype=np.uint8)
        return self.regions[key]
