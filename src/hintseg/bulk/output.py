"""Where masks go: a file each, or many to a Parquet shard; each appears whole, or not at all.

A folder of masks says who made them (`.made-by.json`), so that a later run only goes on with its own.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hintseg.bulk.photographs import Photograph
from hintseg.errors import ConfigError, InputError, RunError
from hintseg.hints.description import parse_description
from hintseg.hints.forms.by_name import FORMS
from hintseg.images import encode_labels, write_labels
from hintseg.rasters import require_rasterio, write_georeferenced
from hintseg.storage.files import below, exists, is_remote, list_files, local_file, new_file

MADE_BY = ".made-by.json"
Kind = Literal["png", "geotiff", "parquet"]


class Made(NamedTuple):
    """What was computed of a photograph.

    Attributes:
        labels: (H, W) uint8 classes.
        probabilities: (C, H, W) float32 where they are kept.
    """

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None = None


Compute = Callable[[Path], Made]


@dataclass(frozen=True)
class Output:
    """A folder of masks.

    Attributes:
        folder: its path or URL.
        kind: "png": a palette PNG each; "geotiff": a GeoTIFF each, where the photograph lies; "parquet": a
            shard for every batch, with name, source, mask (PNG bytes) and error.
        classes: names by label, kept beside the masks and in soft probabilities.
        soft: also write probabilities as NAME.npz.
    """

    folder: str
    kind: Kind = "png"
    classes: tuple[str, ...] = ()
    soft: bool = False

    @property
    def suffix(self) -> str:
        """Of a mask's file."""
        return {"png": ".png", "geotiff": ".tif", "parquet": ".parquet"}[self.kind]

    def claim(self, maker: str, resume: bool, overwrite: bool = True) -> frozenset[str]:
        """Say who writes here.

        Args:
            maker: digest of everything that decides what a mask looks like.
            resume: keep the masks that the same maker wrote before.
            overwrite: without `resume`, write over masks that are there; False refuses.

        Returns:
            Names whose masks are there already.

        Raises:
            ConfigError: a package is missing.
            RunError: another maker wrote here, masks are in the way, the folder is a data set's with other classes, or
                it cannot be written.
        """
        self._require_own_classes()
        if self.kind == "geotiff":
            require_rasterio("--geotiff")
        if self.kind == "parquet":
            _require_pyarrow()
            if self.soft:
                raise ConfigError("Parquet shards hold masks alone; leave out --soft or --parquet.")
        mark = {"maker": maker, "kind": self.kind, "soft": self.soft}
        there = {name: state for name, state in list_files(self.folder).items() if self._is_mask(name)}
        if there and not (resume or overwrite):
            raise RunError(f"{self.folder}: holds masks already; choose another --out, or go on with them by --resume.")
        claimed = self._claimed() if resume else {}
        older = claimed.pop("older", {})
        if resume and there and {name: claimed.get(name) for name in mark} != mark:
            raise RunError(
                f"{self.folder}: holds masks of another run, other settings or other hints; choose another --out, or "
                "leave out --resume."
            )
        if not resume or not there:
            # What lies here now is not ours until it was written over.
            with new_file(below(self.folder, MADE_BY)) as temporary:
                temporary.write_text(json.dumps({**mark, "classes": self.classes, "older": there}), "utf-8")
            return frozenset()
        return self._names([name for name, state in there.items() if older.get(name) != state])

    def _require_own_classes(self) -> None:
        """A data set's own label maps have its classes' numbers."""
        found = None if is_remote(self.folder) else _classes_of_data_set(Path(self.folder))
        if self.classes and found is not None and found != self.classes:
            raise RunError(
                f"{self.folder}: belongs to a data set with the classes {', '.join(found)}, but these masks have "
                f"{', '.join(self.classes)}; choose another --out."
            )

    def write_all(self, photographs: Sequence[Photograph], compute: Compute, keep: bool) -> list[str | None]:
        """Compute and write the masks of a batch.

        Args:
            photographs: the batch.
            compute: path of a photograph → its masks.
            keep: leave alone what is there; for a batch that is tried again after its first worker died.

        Returns:
            Of every photograph, what was wrong with it, or None.

        Raises:
            RunError: the folder cannot be written.
        """
        if self.kind == "parquet":
            return self._write_shard(photographs, compute, keep)
        return [self._write_one(photograph, compute, keep) for photograph in photographs]

    def write(self, name: str, made: Made, path: Path | None = None) -> None:
        """Write one photograph's mask, and its probabilities before it.

        Raises:
            InputError: the name would lead outside the folder.
            RunError: the folder cannot be written.
        """
        if made.probabilities is not None:
            with new_file(below(self.folder, f"{name}.npz")) as temporary:
                classes = np.array(self.classes)
                np.savez_compressed(temporary, probabilities=made.probabilities, classes=classes)
        with new_file(self._mask(name)) as temporary:
            if self.kind == "geotiff" and path is not None:
                write_georeferenced(temporary, made.labels, path)
            else:
                write_labels(temporary, made.labels)

    def _write_one(self, photograph: Photograph, compute: Compute, keep: bool) -> str | None:
        try:
            target = self._mask(photograph.name)
            if not (keep and exists(target)):
                with local_file(photograph.source) as path:
                    self.write(photograph.name, compute(path), path)
        except InputError as error:
            return str(error)
        return None

    def _mask(self, name: str) -> str:
        return below(self.folder, name + self.suffix)

    def _write_shard(self, photographs: Sequence[Photograph], compute: Compute, keep: bool) -> list[str | None]:
        pyarrow = _require_pyarrow()
        name = hashlib.sha256("\n".join(photograph.name for photograph in photographs).encode()).hexdigest()[:20]
        target = below(self.folder, f"part-{name}.parquet")
        if keep and exists(target):
            with local_file(target) as path:
                kept: list[str | None] = pyarrow.parquet.read_table(path, columns=["error"])["error"].to_pylist()
            return kept
        rows: list[dict[str, Any]] = []
        for photograph in photographs:
            mask, wrong = None, None
            try:
                with local_file(photograph.source) as path:
                    mask = encode_labels(compute(path).labels)
            except InputError as error:
                wrong = str(error)
            rows.append({**photograph._asdict(), "mask": mask, "error": wrong})
        kinds = [("name", pyarrow.string()), ("source", pyarrow.string())]
        schema = pyarrow.schema([*kinds, ("mask", pyarrow.binary()), ("error", pyarrow.string())])
        with new_file(target) as temporary:
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), temporary)
        return [row["error"] for row in rows]

    def _is_mask(self, file: str) -> bool:
        return file.endswith(self.suffix) and ".partial-" not in file

    def _names(self, files: Sequence[str]) -> frozenset[str]:
        if self.kind != "parquet":
            return frozenset(file.removesuffix(self.suffix) for file in files)
        pyarrow = _require_pyarrow()
        names: set[str] = set()
        for file in files:
            with local_file(below(self.folder, file)) as path:
                table = pyarrow.parquet.read_table(path, columns=["name", "error"])
            names.update(row["name"] for row in table.to_pylist() if row["error"] is None)
        return frozenset(names)

    def _claimed(self) -> dict[str, Any]:
        try:
            with local_file(below(self.folder, MADE_BY)) as path:
                found = json.loads(path.read_text("utf-8"))
        except (InputError, OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def classes_of_masks(folder: Path) -> tuple[str, ...] | None:
    """Names by label of the masks in a folder, as whoever wrote them left it there; None where nobody says."""
    try:
        told = json.loads((folder / MADE_BY).read_text("utf-8")).get("classes")
    except (OSError, ValueError, AttributeError):
        told = None
    if isinstance(told, list) and told and all(isinstance(name, str) for name in told):
        return tuple(told)
    return _classes_of_data_set(folder)


def _classes_of_data_set(folder: Path) -> tuple[str, ...] | None:
    """Classes of the data set whose label maps a folder holds; None where it is none."""
    description = folder.resolve().parent / "dataset.json"
    pictures = [name for name, form in FORMS.items() if form.picture]
    if folder.name not in pictures or not description.exists():
        return None
    classes: tuple[str, ...] = parse_description(description)["classes"]
    return classes


def digest_of(*parts: object) -> str:
    """A short digest of what decides how masks look, for `Output.claim`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


def _require_pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("--parquet needs pyarrow: pip install 'hintseg[ray]'.") from error
    return pyarrow
