"""Parts of a data set: some of its images, with some of their hints."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hintseg.hints.dataset import Dataset
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.io.writing import link_or_copy


def subset(
    source: Dataset, train: Mapping[str, Sequence[str]], out: Path, held_out: Sequence[str] | None = None
) -> Dataset:
    """The data set `out`, made anew: images of `train`, with hints of these types, and `val` with its masks.

    Args:
        held_out: the images of `val`; None: all.
    """
    shutil.rmtree(out, ignore_errors=True)
    held_out = source.keys("val") if held_out is None else held_out
    for key in (*train, *held_out):
        link_or_copy(source.paths[key], out / source.paths[key].relative_to(source.root))
    labeled = [(key, name) for key, names in train.items() for name in names] + [(key, "masks") for key in held_out]
    for key, name in labeled:
        if name in ("masks", "scribbles") and (source.root / name / f"{key}.png").exists():
            link_or_copy(source.root / name / f"{key}.png", out / name / f"{key}.png")
    for name in ("tags", "boxes", "points"):
        if not (source.root / f"{name}.json").exists():
            continue
        table = json.loads((source.root / f"{name}.json").read_text("utf-8"))
        chosen = {key: table[key] for key, names in train.items() if name in names and key in table}
        (out / f"{name}.json").write_text(json.dumps(chosen), "utf-8")
    for name, keys in (("train", train), ("val", held_out)):
        (out / f"{name}.txt").write_text("\n".join(keys), "utf-8")
    shutil.copyfile(source.root / "dataset.json", out / "dataset.json")
    return Dataset.open(out)


def some(source: Dataset, images: int, seed: int, out: Path) -> Dataset:
    """So many images of `train` with all their hints and masks, and as many of `val`, drawn by the seed."""
    random = np.random.default_rng(seed)
    train, held_out = (
        [keys[place] for place in sorted(random.choice(len(keys), min(images, len(keys)), replace=False))]
        for keys in (source.keys("train"), source.keys("val"))
    )
    hint_types = [
        name for name in HINT_TYPES if (source.root / name).exists() or (source.root / f"{name}.json").exists()
    ]
    return subset(source, dict.fromkeys(train, hint_types), out, held_out)
