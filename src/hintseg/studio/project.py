"""A data set folder that grows while someone draws: classes, photographs and hints, every change on disk at once."""

import colorsys
import hashlib
import json
import re
import secrets
import tempfile
import threading
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from hintseg.errors import InputError, RunError
from hintseg.hints.dataset import Dataset
from hintseg.hints.description import read_json, read_table
from hintseg.hints.forms.by_name import FORMS
from hintseg.hints.labels import MAX_CLASSES
from hintseg.images import (
    IMAGE_SUFFIXES,
    atomic_path,
    link_or_copy,
    read_image,
    read_image_size,
    read_labels,
    write_labels,
)
from hintseg.studio.conflict import ConflictError
from hintseg.studio.drawn import TABLES, DrawnBox, DrawnHints, DrawnPoint, Rows, Stroke, version_of
from hintseg.studio.identifiers import identify, remember
from hintseg.studio.kept import drop, drop_held, keep, keep_mask, kept
from hintseg.studio.links import writable, write_new

LONGEST_NAME = 200  # bytes of a file name
LONGEST_CLASS = 100


def _colours() -> tuple[str, ...]:
    """Okabe and Ito's colours, which colour-blind people tell apart; then hues a golden angle apart, light and dark."""
    chosen = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"]
    for number in range(MAX_CLASSES - len(chosen)):
        parts = colorsys.hls_to_rgb(0.618034 * number % 1, (0.35, 0.65, 0.5)[number % 3], (0.9, 0.6)[number % 2])
        chosen.append("#" + "".join(f"{round(255 * part):02x}" for part in parts))
    return tuple(chosen)


COLOURS = _colours()


class Project:
    """A data set folder under work. Every method may be called from any thread.

    What is replaced must be what the writer has seen: versions tell, which follow from the files' content, so that they
    survive a restart and see what other programs wrote.

    Attributes:
        root: the folder.
        dataset: as it is now; a new object after every change, so that nothing stale is cached.
        identifiers: of the classes, by label.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dataset = Dataset(root, (), tags_complete=False)
        self.identifiers: tuple[str, ...] = ()
        self._lock = threading.RLock()
        self._marks: list[tuple[int, ...]] = []
        self._read: tuple[list[tuple[int, ...]], dict[str, dict[str, list[Any]]]] | None = None
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
            loose = [path for path in sorted(root.glob("[!.]*")) if path.suffix.lower() in IMAGE_SUFFIXES]
            try:
                images.mkdir(parents=True)
            except OSError as error:
                raise RunError(f"{images}: cannot be made ({error.strerror}); choose another folder.") from error
            for path in loose:
                if path.is_file():
                    link_or_copy(path.resolve(), images / path.name)  # a link to a link would lead astray
        return cls(root)

    def refresh(self) -> None:
        """See what other programs changed."""
        with self._lock:
            if self._marks != self._marked():
                self._reload()

    def _marked(self) -> list[tuple[int, ...]]:
        files = [self.root / name for name in ("images", "dataset.json", "looked_for.json")]
        return [_mark(path) for path in (*files, *(self.root / f"{name}.json" for name in TABLES))]

    def _reload(self) -> None:
        self._marks = self._marked()
        try:
            self.dataset = Dataset.open(self.root)
        except InputError:
            if (self.root / "dataset.json").exists() or not (self.root / "images").is_dir():
                raise
            # Until somebody says otherwise a hint says what is there, and nothing of the rest of the photograph.
            self.dataset = Dataset(self.root, (), tags_complete=False)
        self.identifiers = identify(self.root, self.dataset.classes)

    @property
    def labels(self) -> dict[str, int]:
        """Identifier → class index."""
        return {identifier: label for label, identifier in enumerate(self.identifiers)}

    def describe(self) -> dict[str, Any]:
        """Classes with colours, and images with their forms of hints."""
        with self._lock:
            self._reload()
            named = self.dataset.hint_keys()
            images = [
                {"key": key, "forms": [form for form in FORMS if key in named[form]]} for key in self.dataset.keys(None)
            ]
            return {"name": self.root.resolve().name, "images": images} | self.table()

    def table(self) -> dict[str, Any]:
        """The class table and its version."""
        with self._lock:
            dataset, identifiers = self.dataset, self.identifiers
        found = {
            "classes": [
                {"id": identifier, "name": name, "colour": COLOURS[label]}
                for label, (identifier, name) in enumerate(zip(identifiers, dataset.classes, strict=True))
            ],
            "background": None if dataset.background is None else identifiers[dataset.background],
            "complete": dataset.tags_complete,
        }
        return found | {"version": version_of(found)}

    def set_classes(
        self, classes: Sequence[tuple[str | None, str]], background: str | None, complete: bool | None, version: str
    ) -> None:
        """Rename classes and add new ones; existing ones keep their place, since files hold their numbers.

        Args:
            classes: identifier, None for a new class, and name.
            background: identifier of the background class.
            complete: `tags_complete` of the folder format; None leaves it as it is.
            version: of the table that this replaces.

        Raises:
            ConflictError: the table is another one by now.
            InputError: a class less than before, an empty name, one used twice, or too many.
        """
        with self._lock:
            self._reload()
            table = self.table()
            if version != table["version"]:
                raise ConflictError("the classes were changed elsewhere since this page read them.", table)
            names = [checked_name(name) for _, name in classes]
            if tuple(one for one, _ in classes[: len(self.identifiers)]) != self.identifiers:
                raise InputError("a class that exists cannot be removed, since hints hold its number; rename it.")
            if any(one is not None for one, _ in classes[len(self.identifiers) :]):
                raise InputError("a new class has no identifier yet.")
            if len({unicodedata.normalize("NFC", name) for name in names}) < len(names):
                raise InputError("every class needs a name of its own.")
            if len(names) > MAX_CLASSES:
                raise InputError(f"{len(names)} classes are more than the {MAX_CLASSES} a label map can hold.")
            if background is not None and background not in self.identifiers:
                raise InputError(f"background {background} is no class.")
            if self.dataset.void < len(names):
                raise InputError(
                    f"label {self.dataset.void} is the void of this data set; it cannot hold more classes."
                )
            complete = self.dataset.tags_complete if complete is None else complete
            self._write_table(names, None if background is None else self.labels[background], complete)
            self._reload()

    def _write_table(self, names: list[str], background: int | None, complete: bool) -> None:
        """dataset.json with other classes; what else it says stays."""
        path = self.root / "dataset.json"
        content = read_json(path) if path.exists() else {"void": self.dataset.void}
        added = [secrets.token_hex(4) for _ in names[len(self.identifiers) :]]
        remember(self.root, (*self.identifiers, *added), names)
        content |= {"classes": names, "background": background, "tags_complete": complete}
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")

    def hints(self, key: str) -> dict[str, Any]:
        """What `DrawnHints` holds, with version and the image's size; scribbles that came as a raster are told, not
        listed.

        Raises:
            InputError: no such image, its hints cannot be read, or are more than the page can show.
        """
        with self._lock:
            self.refresh()
            height, width = read_image_size(self.dataset.path(key))
            found = self.dataset.hints(key, TABLES)
            version, identifiers = self.hints_version(key), self.identifiers
        try:
            drawn = DrawnHints(
                strokes=[
                    Stroke(label=identifiers[stroke.label], vertices=list(stroke.vertices), width=stroke.width)
                    for stroke in found.scribbles
                ],
                points=[DrawnPoint(label=identifiers[point.label], x=point.x, y=point.y) for point in found.points],
                boxes=[
                    DrawnBox(label=identifiers[box.label], x0=box.x0, y0=box.y0, x1=box.x1, y1=box.y1)
                    for box in found.boxes
                ],
                tags=[identifiers[tag.label] for tag in found.tags],
            )
        except ValidationError as error:
            raise InputError(f"{key}: its hints are more than the page can show; draw on it elsewhere.") from error
        imported = found.scribble_map is not None
        copies = kept(self.root, key)
        return drawn.model_dump() | {
            "version": version, "width": width, "height": height, "raster": imported, "kept": copies
        }  # fmt: skip

    def hints_version(self, key: str) -> str:
        """Changes with what the folder holds for one image of what can be drawn."""
        with self._lock:
            self.refresh()
            return version_of(_rows(self._tables(), key))

    def _tables(self) -> dict[str, dict[str, list[Any]]]:
        marks = self._marked()
        if self._read is None or self._read[0] != marks:
            self._read = marks, {name: read_table(self.root / f"{name}.json") for name in TABLES}
        return self._read[1]

    def save_hints(self, key: str, drawn: DrawnHints, version: str) -> str:
        """Replace what was drawn on one image; on disk when this returns.

        Args:
            version: of the hints that this replaces.

        Returns:
            The version from now on.

        Raises:
            ConflictError: the hints are others by now, or a class is gone; a copy of `drawn` is kept.
            InputError: no such image, a coordinate outside, or an empty box.
        """
        with self._lock:
            self._reload()
            drawn.require_inside(*reversed(read_image_size(self.dataset.path(key))))
            tables = {name: read_table(self.root / f"{name}.json") for name in TABLES}
            current = _rows(tables, key)
            missing = drawn.identifiers() - set(self.identifiers)
            rows = None if missing else drawn.rows(self.labels)
            if rows is None or (version != version_of(current) and rows != current):
                raise self._conflict(key, drawn, len(missing))
            for name in TABLES:
                if rows[name] != current[name]:
                    self._replace(name, tables[name], key, rows[name])
            self._reload()
            drop_held(self.root, key, drawn)
            return version_of(rows)

    def _conflict(self, key: str, drawn: DrawnHints, missing: int) -> ConflictError:
        names = dict(zip(self.identifiers, self.dataset.classes, strict=True))
        copy = keep(self.root, key, drawn, names)
        why = (
            "a class that these hints name is gone"
            if missing
            else "the hints of this photograph were changed elsewhere since this page read them"
        )
        return ConflictError(f"{key}: {why}; yours are kept in studio/kept/{copy}.", self.hints(key) | {"copy": copy})

    def _replace(self, name: str, table: dict[str, list[Any]], key: str, rows: list[Any]) -> None:
        table.pop(key, None)
        if rows:
            table[key] = rows
        with atomic_path(writable(self.root, f"{name}.json")) as temporary:
            temporary.write_text(json.dumps(table, ensure_ascii=False), "utf-8")

    def forget_kept(self, key: str, name: str) -> None:
        """Delete a copy of hints that could not be saved."""
        with self._lock:
            drop(self.root, key, name)

    def add_image(self, name: str, content: bytes) -> str:
        """Store an uploaded photograph under its name and return its key.

        Raises:
            InputError: no image, of an unknown format, or its name is taken.
            RunError: images/ is a link, or cannot be written.
        """
        last = unicodedata.normalize("NFC", Path(name.replace("\\", "/")).name)
        plain = re.sub(r"[^\w. -]", "_", last).lstrip(". ")
        key, suffix = Path(plain).stem, Path(plain).suffix.lower()
        if suffix not in IMAGE_SUFFIXES or not key or len(plain.encode()) > LONGEST_NAME:
            raise InputError(f"{name:.80}: is no photograph; use {', '.join(IMAGE_SUFFIXES)} and a shorter name.")
        target = writable(self.root, "images", plain)
        with tempfile.TemporaryDirectory() as folder:  # decoding takes time, in which others can save
            copy = Path(folder) / f"upload{suffix}"
            copy.write_bytes(content)
            try:
                read_image(copy)
            except InputError as error:
                raise InputError(str(error).replace(str(copy), name)) from error
        with self._lock:
            self._reload()
            if key in {unicodedata.normalize("NFC", known) for known in self.dataset.paths}:
                raise InputError(f"{name}: a photograph of this name is there already; rename it.")
            write_new(target, content)
            self._reload()
        return key

    def mask_version(self, key: str) -> str:
        """Changes with masks/KEY.png."""
        path = self._mask(key)
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else ""

    def accept(self, key: str, mask: NDArray[np.uint8], is_current: Callable[[], bool] = lambda: True) -> None:
        """Take a mask as the image's own: masks/KEY.png, which training then uses as it stands.

        Args:
            is_current: asked before anything is written whether the mask is still the one that was seen.

        Raises:
            ConflictError: it is not.
            RunError: masks/ is a link, or cannot be written.
        """
        with self._lock:
            self.require(is_current)
            path = writable(self.root, self._mask(key).relative_to(self.root).as_posix())
            if path.exists():
                keep_mask(self.root, path)
            write_labels(path, mask)
            self._reload()

    def withdraw(self, key: str, is_current: Callable[[], bool] = lambda: True) -> None:
        """Remove an accepted mask; a copy stays in studio/kept/masks.

        Raises:
            ConflictError: it is not the one that was seen.
            RunError: masks/ is a link.
        """
        with self._lock:
            self.require(is_current)
            path = writable(self.root, self._mask(key).relative_to(self.root).as_posix())
            if path.exists():
                keep_mask(self.root, path)
            path.unlink(missing_ok=True)
            self._reload()

    @staticmethod
    def require(is_current: Callable[[], bool]) -> None:
        """Raise where what was seen is not what is.

        Raises:
            ConflictError: it is not.
        """
        if not is_current():
            raise ConflictError(
                "this mask, or what it was made of, has changed since it was shown; look at it again.", {}
            )

    def accepted(self, key: str) -> NDArray[np.uint8] | None:
        """The mask that was accepted, if one was."""
        path = self._mask(key)
        return read_labels(path) if path.exists() else None

    def _mask(self, key: str) -> Path:
        self.dataset.path(key)  # keys come from the folder's own listing: none leads outside
        return self.root / "masks" / f"{key}.png"


def checked_name(name: str) -> str:
    """A class name without blanks at its ends.

    Raises:
        InputError: it is empty, too long, or holds what cannot be shown.
    """
    name = name.strip()
    if not name or len(name) > LONGEST_CLASS:
        raise InputError(f"every class needs a name of its own, at most {LONGEST_CLASS} letters long.")
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        raise InputError(f"class name {name!r}: holds a character that cannot be shown; leave it out.")
    return name


def _rows(tables: dict[str, dict[str, list[Any]]], key: str) -> Rows:
    return {name: tables[name].get(key, []) for name in TABLES}


def _mark(path: Path) -> tuple[int, ...]:
    """Changes when another program writes a file."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def hexadecimal(colour: str) -> tuple[int, int, int]:
    """ "#rrggbb" → bytes."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
