"""A data set with masks → the same with simulated hints, in a new folder."""

import json
import shutil
from collections.abc import Set
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from hintseg.errors import InputError, unknown_name
from hintseg.formats.folder import require_empty
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import table_path
from hintseg.io.images import write_labels
from hintseg.io.listing import require_file
from hintseg.io.staging import being_made
from hintseg.io.writing import link_or_copy, write_text
from hintseg.simulate.hints import Style, simulate_boxes, simulate_points, simulate_scribbles, simulate_tags


def simulate_dataset(
    dataset: Dataset, out: Path, *, style: str = "skeleton", coverage: float = 1.0, split: str = "train", seed: int = 0
) -> int:
    """Write a folder with the images and splits of `dataset` and hints made from the split's masks.

    Images are hard links where the file system allows, else copies. Masks of other splits come along,
    those of `split` do not: they would be the answer.

    Returns:
        How many images got hints.

    Raises:
        InputError: the split has no masks, or `out` exists already.
        ConfigError: unknown style.
    """
    if style not in get_args(Style):
        raise unknown_name("scribble style", style, get_args(Style))
    require_empty(out)
    lists = _split_files(dataset)
    with being_made(out):
        made = _write_hints(dataset, out, style, coverage, split, seed)
        _link_rest(dataset, out, frozenset(dataset.keys(split)))
        for path in lists:
            shutil.copyfile(path, out / path.name)
        if (verified := table_path(dataset.root, "verified_classes")).exists():
            shutil.copyfile(verified, out / verified.name)
        replace(dataset, root=out).save_description()
    return made


def _write_hints(dataset: Dataset, out: Path, style: str, coverage: float, split: str, seed: int) -> int:
    tables: dict[str, dict[str, list[Any]]] = {"points": {}, "boxes": {}, "tags": {}}
    made = 0
    for number, key in enumerate(dataset.keys(split)):
        mask = dataset.mask(key)
        if mask is None:
            continue
        made += 1
        drawn = simulate_scribbles(mask, cast(Style, style), coverage, seed=seed + number)
        write_labels(out / "scribbles" / f"{key}.png", dataset.coding.encode(drawn))
        tables["points"][key] = [[point.x, point.y, point.label] for point in simulate_points(mask, seed + number)]
        boxes = simulate_boxes(mask, dataset.background)
        tables["boxes"][key] = [[box.x0, box.y0, box.x1, box.y1, box.label] for box in boxes]
        tables["tags"][key] = [tag.label for tag in simulate_tags(mask, dataset.background)]
    if not made:
        raise InputError(
            f"{dataset.root}: split {split!r} has no masks to make hints from; put them into masks/, or "
            "choose another --split."
        )
    for name, table in tables.items():
        write_text(out / f"{name}.json", json.dumps(table))
    return made


def _link_rest(dataset: Dataset, out: Path, keys: Set[str]) -> None:
    """All images with their contours, and the masks of those that got no hints."""
    for key, path in dataset.paths.items():
        link_or_copy(path, out / path.relative_to(dataset.root))
        if (contours := dataset.label_path("contours", key)) is not None:
            link_or_copy(contours, out / contours.relative_to(dataset.root))
    for key in dataset.paths.keys() - keys:
        if (mask_path := dataset.label_path("masks", key)) is not None:
            link_or_copy(mask_path, out / mask_path.relative_to(dataset.root))


def _split_files(dataset: Dataset) -> list[Path]:
    """Every list of images, and texts beside them.

    Raises:
        InputError: one is no file, or a link to what is no list and lies elsewhere.
    """
    found = sorted(path for path in dataset.root.glob("*.txt") if not path.name.startswith("."))
    for path in found:
        require_file(path)
        outside = not path.resolve().is_relative_to(dataset.root.resolve())
        if outside and not dataset.paths.keys() >= set(dataset.keys(path.stem)):
            raise InputError(f"{path}: is a link to a file outside that lists no images of these; remove the link.")
    return found
