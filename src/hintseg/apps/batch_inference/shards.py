"""Parquet shards of masks: what they hold, and taking rows out of them."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from hintseg.errors import ConfigError, RunError
from hintseg.io.storage.files import local_file, new_file, remove
from hintseg.io.writing import is_partial

SHARD = re.compile(r"part-[0-9a-f]{20}\.parquet")  # name of a table of masks


def shard_rows(path: Path, shard: str) -> list[dict[str, Any]]:
    """Name, error and, unless an earlier version wrote the shard, mark of its source of every row.

    Raises:
        RunError: the shard is damaged.
    """
    parquet = require_pyarrow().parquet
    try:
        present = parquet.read_schema(path).names
        columns = [name for name in ("name", "error", "source_mark") if name in present]
        found: list[dict[str, Any]] = parquet.read_table(path, columns=columns).to_pylist()
        return [{"name": row["name"], "error": row["error"], "source_mark": row.get("source_mark")} for row in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{shard}: is damaged; remove it, and go on with --resume.") from error


def is_output(file: str, suffixes: tuple[str, ...]) -> bool:
    """Whether a file among the outputs may be one of them by its name; of tables shards alone."""
    if file.endswith(".parquet"):
        return ".parquet" in suffixes and SHARD.fullmatch(file.rpartition("/")[2]) is not None
    return file.endswith(suffixes) and not is_partial(file)


def drop_rows(shard: str, names: Collection[str]) -> None:
    """Take the rows of these names, and those without a mask, out of a shard; an empty one goes away."""
    pyarrow = require_pyarrow()
    with local_file(shard) as path:
        table = pyarrow.parquet.read_table(path)
    stays = [
        name not in names and error is None
        for name, error in zip(table["name"].to_pylist(), table["error"].to_pylist(), strict=True)
    ]
    if not any(stays):
        remove(shard)
        return
    with new_file(shard) as temporary:
        pyarrow.parquet.write_table(table.filter(pyarrow.array(stays)), temporary)


def require_pyarrow() -> Any:
    """The package, with its Parquet part; ConfigError where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("--parquet needs pyarrow: pip install 'hintseg[ray]'.") from error
    return pyarrow
