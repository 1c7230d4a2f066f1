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
from hintseg.georeference import require_rasterio, write_georeferenced
from hintseg.images import encode_labels, write_labels
from hintseg.storage.files import below, exists, list_files, local_file, new_file

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
        classes: names, kept beside soft probabilities.
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
            RunError: another maker wrote here, masks are in the way, or the folder cannot be written.
        """
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
        if resume and there and claimed != mark:
            raise RunError(
                f"{self.folder}: holds masks of another run, other settings or other hints; choose another --out, or "
                "leave out --resume."
            )
        if not resume or not there:
            # What lies here now is not ours until it was written over.
            with new_file(below(self.folder, MADE_BY)) as temporary:
                temporary.write_text(json.dumps({**mark, "older": there}), "utf-8")
            return frozenset()
        return self._names([name for name, state in there.items() if older.get(name) != state])

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


def digest_of(*parts: object) -> str:
    """A short digest of what decides how masks look, for `Output.claim`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


def _require_pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("--parquet needs pyarrow: pip install 'hintseg[ray]'.") from error
    return pyarrow
