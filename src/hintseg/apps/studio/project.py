"""A data set folder that grows while someone draws: classes, images and hints, every change on disk at once."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hintseg.apps.studio.appearance import Appearance
from hintseg.apps.studio.changes import changing, finish_change
from hintseg.apps.studio.class_names import checked_names
from hintseg.apps.studio.class_table import write_classes
from hintseg.apps.studio.conflict import ConflictError
from hintseg.apps.studio.deletion import Uses, delete_class, uses_of
from hintseg.apps.studio.drawn import TABLES, DrawnHints, Rows, version_of
from hintseg.apps.studio.gathering import gather_images
from hintseg.apps.studio.identifiers import identify
from hintseg.apps.studio.kept import drop, drop_held, keep, kept, unshown
from hintseg.apps.studio.links import writable, write_new
from hintseg.apps.studio.regions import has_regions, hints_that_fit, is_same, map_version, stage_map
from hintseg.apps.studio.tables import Marks, by_number, mark, rows_of, stage_nothing_known, stage_rows, types_by_image
from hintseg.apps.studio.uploads import decoded_upload, orphaned
from hintseg.errors import InputError
from hintseg.hints.colors import APPEARANCE
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import table_path
from hintseg.hints.layout import require_sound
from hintseg.io.images import read_image_size

log = logging.getLogger("hintseg")


class Project:
    """A data set folder under work. Every method may be called from any thread.

    What is replaced must be what the writer has seen: versions tell, which follow from the files' content, so that they
    survive a restart and see what other programs wrote.

    Attributes:
        root: the folder.
        dataset: as it is now; a new object after every change, so that nothing stale is cached.
        identifiers: of the classes, by label.
        appearance: their colors, and the order in which the page lists them.
        marks: change with the folder's tables and listings.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dataset = Dataset(root, (), tags_exhaustive=False)
        self.identifiers: tuple[str, ...] = ()
        self.appearance = Appearance()
        self._lock = threading.RLock()
        self.marks: Marks = ()
        self._reload()

    @classmethod
    def open(cls, root: Path) -> "Project":
        """A data set folder, a folder of images, or a folder that does not exist yet.

        Images that lie in the folder itself are linked into images/.

        Raises:
            InputError: the folder's description is malformed.
            RunError: it cannot be written.
        """
        gather_images(root)
        return cls(root)

    @contextmanager
    def locked(self) -> Iterator[Dataset]:
        """The data set as it is on disk, which no other thread changes meanwhile."""
        with self._lock:
            self._reload()
            yield self.dataset
            self._reload()

    def refresh(self) -> None:
        """See what other programs changed."""
        with self._lock:
            if self.marks != self._marked():
                self._reload()

    def _marked(self) -> Marks:
        names = ("images", "masks", "scribbles", "dataset.json", APPEARANCE, *(f"{name}.json" for name in TABLES))
        files = [self.root / name for name in names]
        return tuple(map(mark, [*files, table_path(self.root, "verified_classes")]))

    def _reload(self) -> None:
        finish_change(self.root)
        marks = self._marked()
        require_sound(self.root)
        try:
            self.dataset = Dataset.open(self.root)
        except InputError:
            if (self.root / "dataset.json").exists():
                raise
            # Until somebody says otherwise a hint says what is there, and nothing of the rest of the image.
            self.dataset = Dataset(self.root, (), tags_exhaustive=False)
        self.identifiers = identify(self.root, self.dataset.classes)
        self.appearance = Appearance.load(self.root)
        self.marks = marks

    @property
    def labels(self) -> dict[str, int]:
        """Identifier → class index."""
        return {identifier: label for label, identifier in enumerate(self.identifiers)}

    @property
    def identity(self) -> str:
        """Tells this folder from others."""
        return version_of(str(self.root.resolve()))

    def image_version(self, key: str) -> str:
        """Changes when the file of an image is written, not where it is moved away and back."""
        found = mark(self.dataset.paths.get(key, self.root / "images"))
        return version_of(found[1:3])

    def describe(self) -> dict[str, Any]:
        """Classes with colors, images with their hint types, and `orphans`, hints whose image is gone."""
        with self._lock:
            self._reload()
            images = [{"key": key, "hint_types": names} for key, names in types_by_image(self.dataset).items()]
            orphans = sorted(frozenset().union(*self.dataset.hint_keys().values()) - self.dataset.paths.keys())
            name = self.root.resolve().name
            return {"name": name, "folder": self.identity, "images": images, "orphans": orphans} | self.table()

    def table(self) -> dict[str, Any]:
        """The class table and its version."""
        with self._lock:
            dataset, identifiers, appearance = self.dataset, self.identifiers, self.appearance
        colors, places = appearance.colors_of(identifiers), appearance.places_of(identifiers)
        rows = zip(identifiers, dataset.classes, colors, places, strict=True)
        found = {
            "classes": [dict(zip(("id", "name", "color", "place"), row, strict=True)) for row in rows],
            "background": None if dataset.background is None else identifiers[dataset.background],
            "complete": dataset.tags_exhaustive,
        }
        return found | {"version": version_of(found)}

    def set_classes(
        self, classes: Sequence[tuple[str | None, str]], background: str | None, complete: bool | None, version: str,
        order: Sequence[str] | None = None, colors: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Rename classes and add new ones; existing ones keep their number, since files hold it.

        Args:
            classes: identifier, None for a new class, and name.
            background: identifier of the background class.
            complete: `tags_exhaustive` of the folder format; None leaves it as it is.
            version: of the table that this replaces.
            order: identifiers as the page lists them; None leaves it as it is.
            colors: identifier → "#rrggbb", of classes that change theirs.

        Raises:
            ConflictError: the table is another one by now.
            InputError: a class less than before, a name that is empty or used twice, too many, or a file that names a
                class and cannot be rewritten.
        """
        with self.locked():
            self._require_table(version)
            names = checked_names(classes, self.identifiers)
            if background is not None and background not in self.identifiers:
                raise InputError(f"background {background} is no class.")
            appearance = self.appearance.changed(self.identifiers, order, colors or {})
            complete = self.dataset.tags_exhaustive if complete is None else complete
            place = None if background is None else self.labels[background]
            write_classes(self.dataset, self.identifiers, names, place, complete)
            if appearance != self.appearance:
                appearance.save(self.root)

    def _require_table(self, version: str) -> None:
        table = self.table()
        if version != table["version"]:
            raise ConflictError("the classes were changed elsewhere since this page read them.", table)

    def uses(self, identifier: str) -> Uses:
        """What deleting a class would take away.

        Raises:
            InputError: no such class, or its hints cannot be read.
        """
        with self.locked() as dataset:
            label = self._label(identifier)
        return uses_of(dataset, label)  # takes time, in which others can save

    def delete_class(self, identifier: str, version: str) -> str:
        """Delete a class with its hints; its pixels in masks become ignored. Returns where a copy of all of it lies.

        Raises:
            ConflictError: the table is another one by now.
            InputError: no such class.
            RunError: a folder is a link, or cannot be written.
        """
        with self.locked() as dataset:
            self._require_table(version)
            label = self._label(identifier)
            appearance = self.appearance.without(identifier, self.identifiers)
            copy = delete_class(dataset, label)
            appearance.save(self.root)
        return copy

    def _label(self, identifier: str) -> int:
        if identifier not in self.labels:
            raise InputError(f"{identifier}: is no class; reload the page.")
        return self.labels[identifier]

    def hints(self, key: str) -> dict[str, Any]:
        """What `DrawnHints` holds, with version and the image's size; a scribble map that is too fine to be
        listed as regions is told.

        Raises:
            InputError: no such image, its hints cannot be read, or are more than the page can show.
        """
        with self._lock:
            self.refresh()
            height, width = read_image_size(self.dataset.path(key))
            version = self.hints_version(key)  # first: what others write now is refused as newer, not lost
            found, identifiers = hints_that_fit(self.dataset, key, (height, width)), self.identifiers
        try:
            drawn = DrawnHints.of(found, identifiers)
        except ValidationError as error:
            raise InputError(f"{key}: its hints are more than the page can show; draw on it elsewhere.") from error
        copies = kept(self.root, key)
        return drawn.model_dump() | {
            "version": version, "width": width, "height": height, "raster": drawn.regions is None, "kept": copies,
            "corrections": list(dict.fromkeys(found.corrections)),
        }  # fmt: skip

    def hints_version(self, key: str) -> str:
        """Changes with what the folder holds for one image of what can be drawn."""
        with self._lock:
            self.refresh()
            return self._version(key)

    def _version(self, key: str, rows: Rows | None = None) -> str:
        rows, labels = (
            by_number(rows or rows_of(self.dataset, key), self.dataset.classes),
            map_version(self.dataset, key),
        )
        return version_of(rows if labels is None else [rows, labels])

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
            height, width = read_image_size(self.dataset.path(key))
            drawn.require_inside(width, height)
            if missing := drawn.identifiers() - set(self.identifiers):
                raise self._conflict(key, drawn, len(missing))
            rows, labels = drawn.rows(self.labels), drawn.painted((height, width), self.labels)
            held = rows == rows_of(self.dataset, key) and is_same(self.dataset, key, labels)
            if version != self._version(key) and not held:
                raise self._conflict(key, drawn, 0)
            lacking = unshown(self.dataset, key)
            with changing(self.root, "outside" if lacking.anything else "") as change:
                stage_map(self.dataset, key, labels, change)
                stage_rows(self.root, key, rows, change)
                left = any(rows.values()) or has_regions(self.dataset, key, labels) or self.dataset.has_mask(key)
                unknown = lacking.classes or not left
                stage_nothing_known(self.root, [key] if unknown else [], change, hinted=lacking.classes)
            drop_held(self.root, key, drawn)
            with suppress(InputError):  # others may be writing by now; who reads it next says so
                self._reload()
            return self._version(key, rows)  # of what was written

    def _conflict(self, key: str, drawn: DrawnHints, missing: int) -> ConflictError:
        names = dict(zip(self.identifiers, self.dataset.classes, strict=True))
        copy = keep(self.root, key, drawn, names)
        changed = "the hints of this image were changed elsewhere since this page read them"
        why = "a class that these hints name is gone" if missing else changed
        return ConflictError(f"{key}: {why}; yours are kept in studio/kept/{copy}.", self.hints(key) | {"copy": copy})

    def forget_kept(self, key: str, name: str) -> None:
        """Delete a copy of hints that could not be saved."""
        with self._lock:
            drop(self.root, key, name)

    def add_image(self, name: str, content: bytes) -> str:
        """Store an uploaded image under its name and return its key.

        Raises:
            InputError: no image, of an unknown format, or its name is taken, be it by hints of an image that is gone.
            RunError: images/ is a link, or cannot be written.
        """
        plain = decoded_upload(name, content)  # takes time, in which others can save
        key, target = Path(plain).stem, writable(self.root, "images", plain)
        with self._lock:
            self._reload()
            if key in self.dataset.paths:
                raise InputError(f"{name}: an image of this name is there already; rename it.")
            if orphaned(self.dataset, [key]):
                raise InputError(
                    f"{name}: the project holds hints of an earlier image of this name; rename the image, or copy it "
                    "into the folder images/ if they are its own."
                )
            write_new(target, content)
            self._reload()
        return key
