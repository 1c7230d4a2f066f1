"""Where masks go: a file each, or many to a Parquet shard; each appears whole, or not at all.

A folder of masks says who made them (`.made-by.json`), so that a later run only goes on with its own, and each mask of
which image it was made, so that one of an image that changed is made again.
"""

import hashlib
import json
import unicodedata
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hintseg.apps.batch_inference.input_images import InputImage
from hintseg.apps.batch_inference.mask_folders import data_set_of_masks
from hintseg.apps.batch_inference.shards import drop_rows, is_output, require_pyarrow, shard_rows
from hintseg.apps.batch_inference.sources import changed_images, recorded_marks, source_mark
from hintseg.errors import ConfigError, InputError, RunError
from hintseg.io.georeference import write_georeferenced
from hintseg.io.images import encode_labels
from hintseg.io.listing import is_image_name
from hintseg.io.palette import label_palette
from hintseg.io.rasters import require_rasterio
from hintseg.io.reading import json_object
from hintseg.io.storage.addresses import is_remote
from hintseg.io.storage.files import below, exists, list_files, local_file, new_file, remove
from hintseg.io.storage.outputs import (
    MADE_BY,
    MARK,
    identity,
    is_made_here,
    marked,
    require_place,
    require_replaceable,
)

Kind = Literal["png", "geotiff", "parquet"]
SUFFIXES = {"png": ".png", "geotiff": ".tif", "parquet": ".parquet"}


class Prediction(NamedTuple):
    """What was computed of an image.

    Attributes:
        labels: (H, W) uint8 classes.
        probabilities: (C, H, W) float32 where they are kept.
    """

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None = None


Compute = Callable[[Path], Prediction]


@dataclass(frozen=True)
class Output:
    """A folder of masks.

    Attributes:
        folder: its path or URL.
        kind: "png": a palette PNG each; "geotiff": a GeoTIFF each, where the image lies; "parquet": a
            shard for every batch, with name, source, mask (PNG bytes) and error.
        classes: names by label, kept beside the masks and in soft probabilities.
        soft: also write probabilities as NAME.npz.
        colors: "#rrggbb" by label, where somebody chose them.
    """

    folder: str
    kind: Kind = "png"
    classes: tuple[str, ...] = ()
    soft: bool = False
    colors: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """Of a mask's file."""
        return SUFFIXES[self.kind]

    def claim(
        self, maker: str, images: Sequence[InputImage], resume: bool = False, overwrite: bool = False,
        clear: bool = False, mark_of: Callable[[InputImage], str] = lambda image: source_mark(image.source),
    ) -> frozenset[str]:  # fmt: skip
        """Say who writes here, after a look at what must not be written over.

        Args:
            maker: digest of everything that decides what a mask looks like.
            images: what is to be segmented; nothing is written where one of them lies.
            resume: keep the masks that the same maker wrote before, of images that are still the same.
            overwrite: replace other masks, if hintseg made them.
            clear: remove these first; shards always, since other ones would stand beside them.
            mark_of: what `write` is told of an image, to notice that it changed.

        Returns:
            Names whose masks are there already.

        Raises:
            ConfigError: a package is missing.
            RunError: another maker wrote here, something is in the way, the folder is a data set's with other classes,
                or it cannot be written.
        """
        self._require_packages()
        self._require_own_classes()
        require_place(self.folder, [image.source for image in images])
        mark = {"maker": maker, "kind": self.kind, "soft": self.soft}
        listed = list_files(self.folder)
        files = {name: state for name, state in listed.items() if self._is_output(name)}
        there = [name for name in files if name.endswith(self.suffix)]
        claimed = self._claimed()
        older, allowed = claimed.pop("older", {}), claimed.pop("overwrite", False)
        claimed.pop("classes", None)
        if resume and there and claimed != mark:
            raise RunError(
                f"{self.folder}: holds masks of another run, other settings or other hints; choose another --out, or "
                "--overwrite in place of --resume."
            )
        resumed = resume and claimed == mark
        mine = {name for name in files if resumed and older.get(name) != files[name]}
        lacking = {name for name in there if self.soft and f"{name.removesuffix(self.suffix)}.npz" not in files}
        made = self._recorded([name for name in there if name in mine - lacking])
        told = {name: source for marks in made.values() for name, source in marks.items()}
        changed = changed_images(told, images, mark_of)
        kept = told.keys() - changed
        wanted = [image for image in images if image.name not in kept]
        met = sorted(self._met(wanted, listed) | (files.keys() - mine if self.kind == "parquet" else set()))
        sources = {identity(image.source) for image in images} if met else set()
        for name in met:
            require_replaceable(below(self.folder, name), overwrite or (resumed and allowed) or name in mine, sources)
        if claimed.get("maker", maker) != maker:
            self._require_no_mixture(listed.keys() - set(met), claimed.get("kind"))
        if MADE_BY not in listed:
            self._require_no_images(listed.keys() - set(met))
        self._make_room(met, listed, clear)
        if self.kind == "parquet":
            self._drop_rows(made, changed)
        if claimed != mark or (met and not resumed):
            # What lies here now is not ours until it was written over.
            with new_file(below(self.folder, MADE_BY)) as temporary:
                content = {**mark, "classes": self.classes, "older": files, "overwrite": overwrite}
                temporary.write_text(json.dumps(content), "utf-8")
        return frozenset(kept)

    def _drop_rows(self, made: Mapping[str, Mapping[str, str | None]], changed: Collection[str]) -> None:
        """Take masks that are made again out of their shards, and shards away in which nothing could be read."""
        for shard, marks in made.items():
            if not marks or any(name in changed for name in marks):
                drop_rows(below(self.folder, shard), changed)

    def _make_room(self, met: Sequence[str], listed: Collection[str], clear: bool) -> None:
        """Remove what belongs to masks that are replaced and would not be: their probabilities, and shards."""
        soft = set() if self.soft else {name.removesuffix(self.suffix) + ".npz" for name in met}.intersection(listed)
        made = [name for name in sorted(soft) if is_made_here(below(self.folder, name))]
        for name in (*made, *(met if clear or self.kind == "parquet" else ())):
            remove(below(self.folder, name))

    def _require_no_mixture(self, left: Collection[str], kind: object) -> None:
        """Refuse to leave masks of another maker, and of its kind, beside one's own."""
        suffix = SUFFIXES.get(str(kind), self.suffix)
        if masks := [name for name in left if is_output(name, (suffix,))]:
            raise RunError(
                f"{self.folder}: holds {len(masks)} masks of another run, other settings or other hints that would "
                f"stay (e.g. {min(masks)}) and be taken for masks of this one; choose another --out, or remove them."
            )

    def _require_no_images(self, listed: Collection[str]) -> None:
        """A folder of outputs is left out where one round it is read; nobody's images may be in it."""
        for name in sorted(listed):
            if is_image_name(PurePosixPath(name).name) and not is_made_here(below(self.folder, name)):
                raise RunError(
                    f"{self.folder}: holds {name}, which hintseg did not make; choose an empty folder for masks with "
                    "--out."
                )

    def _require_own_classes(self) -> None:
        """A data set's own label maps have its classes' numbers."""
        home = None if is_remote(self.folder) else data_set_of_masks(Path(self.folder))
        found = None if home is None else home.classes
        if self.classes and found is not None and found != self.classes:
            raise RunError(
                f"{self.folder}: belongs to a data set with the classes {', '.join(found)}, but these masks have "
                f"{', '.join(self.classes)}; choose another --out."
            )

    def write_all(self, images: Sequence[InputImage], compute: Compute, keep: bool) -> list[str | None]:
        """Compute and write the masks of a batch.

        Args:
            images: the batch.
            compute: path of an image → its masks.
            keep: leave alone what is there; for a batch that is tried again after its first worker died.

        Returns:
            Of every image, what was wrong with it, or None.

        Raises:
            RunError: the folder cannot be written.
        """
        if self.kind == "parquet":
            return self._write_shard(images, compute, keep)
        return [self._write_one(image, compute, keep) for image in images]

    def write(self, name: str, made: Prediction, path: Path | None = None, source: str = "") -> None:
        """Write one image's mask, and its probabilities before it.

        Args:
            path: where the image can be read now.
            source: its mark, as it was before it was read.

        Raises:
            InputError: the name would lead outside the folder.
            RunError: the folder cannot be written.
        """
        if made.probabilities is not None:
            with new_file(below(self.folder, f"{name}.npz")) as temporary:
                classes = np.array(self.classes)
                np.savez_compressed(temporary, probabilities=made.probabilities, classes=classes)
                with zipfile.ZipFile(temporary, "a") as archive:
                    archive.comment = MARK.encode()
        with new_file(self._mask(name)) as temporary:
            if self.kind == "geotiff" and path is not None:
                write_georeferenced(temporary, made.labels, path, self.classes, source, self.colors)
            else:
                told = marked(made.labels, source)
                temporary.write_bytes(self._encoded(made.labels, told))

    def _write_one(self, image: InputImage, compute: Compute, keep: bool) -> str | None:
        try:
            target = self._mask(image.name)
            if not (keep and exists(target)):
                source = source_mark(image.source)
                with local_file(image.source) as path:
                    self.write(image.name, compute(path), path, source)
        except InputError as error:
            return str(error)
        return None

    def _encoded(self, labels: NDArray[np.uint8], told: str) -> bytes:
        return encode_labels(labels, label_palette(self.colors), told, classes=self.classes)

    def _mask(self, name: str) -> str:
        return below(self.folder, name + self.suffix)

    def _write_shard(self, images: Sequence[InputImage], compute: Compute, keep: bool) -> list[str | None]:
        pyarrow = require_pyarrow()
        name = hashlib.sha256("\n".join(image.name for image in images).encode()).hexdigest()[:20]
        target = below(self.folder, f"part-{name}.parquet")
        if keep and exists(target):
            with local_file(target) as path:
                kept: list[str | None] = [row["error"] for row in shard_rows(path, target)]
            return kept
        rows: list[dict[str, Any]] = []
        for image in images:
            mask, wrong, source = None, None, None
            try:
                source = source_mark(image.source)
                with local_file(image.source) as path:
                    mask = self._encoded(compute(path).labels, MARK)
            except InputError as error:
                wrong = str(error)
            rows.append({**image._asdict(), "mask": mask, "error": wrong, "source_mark": source})
        kinds = dict.fromkeys(("name", "source", "mask", "error", "source_mark"), pyarrow.string())
        schema = pyarrow.schema(kinds | {"mask": pyarrow.binary()}, {"Software": MARK})
        with new_file(target) as temporary:
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), temporary)
        return [row["error"] for row in rows]

    def _require_packages(self) -> None:
        if self.kind == "geotiff":
            require_rasterio("--geotiff")
        if self.kind == "parquet":
            require_pyarrow()
            if self.soft:
                raise ConfigError("Parquet shards hold masks alone; leave out --soft or --parquet.")

    def _is_output(self, file: str) -> bool:
        return is_output(file, (self.suffix, ".npz") if self.soft else (self.suffix,))

    def _met(self, images: Sequence[InputImage], listed: Collection[str]) -> set[str]:
        """What is there of the files to be written, by another spelling, too, where the file system takes it."""
        suffixes = (self.suffix, ".npz") if self.soft else (self.suffix,)
        targets = {image.name + suffix for image in images for suffix in suffixes}
        spelled = {_folded(name) for name in listed}
        alike = {name for name in targets.difference(listed) if _folded(name) in spelled}
        return targets.intersection(listed) | {name for name in alike if exists(below(self.folder, name))}

    def _recorded(self, files: Sequence[str]) -> dict[str, dict[str, str | None]]:
        """File → name → mark of its source, of every mask in it; None where an earlier version wrote it."""
        addresses = [below(self.folder, file) for file in files]
        if self.kind != "parquet":
            marks = zip(files, recorded_marks(addresses), strict=True)
            return {file: {file.removesuffix(self.suffix): mark} for file, mark in marks if mark != ""}
        found = {}
        for file, address in zip(files, addresses, strict=True):
            with local_file(address) as path:
                rows = shard_rows(path, file)
            found[file] = {row["name"]: row["source_mark"] for row in rows if row["error"] is None}
        return found

    def _claimed(self) -> dict[str, Any]:
        try:
            with local_file(below(self.folder, MADE_BY)) as path:
                return json_object(path)
        except InputError:
            return {}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def digest_of(*parts: object) -> str:
    """A short digest of what decides how masks look, for `Output.claim`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]
