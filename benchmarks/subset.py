"""Parts of a data set: some of its images, with some of their hints."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hintseg.hints.dataset import Dataset
from hintseg.hints.forms.registry import FORMS
from hintseg.io.writing import link_or_copy


def subset(
    source: Dataset, train: Mapping[str, Sequence[str]], out: Path, held_out: Sequence[str] | None = None
) -> Dataset:
    """The data set `out`, made anew: images of `train`, with hints of these forms, and `val` with its masks.

    Args:
        held_out: the images of `val`; None: all.
    """
    shutil.rmtree(out, ignore_errors=True)
    held_out = source.keys("val") if held_out is None else held_out
    for key in (*train, *held_out):
        link_or_copy(source.paths[key], out / source.paths[key].relative_to(source.root))
    labelled = [(key, form) for key, forms in train.items() for form in forms] + [(key, "masks") for key in held_out]
    for key, form in labelled:
        if form in ("masks", "scribbles") and (source.root / form / f"{key}.png").exists():
            link_or_copy(source.root / form / f"{key}.png", out / form / f"{key}.png")
    for form in ("tags", "boxes", "points"):
        if not (source.root / f"{form}.json").exists():
            continue
        table = json.loads((source.root / f"{form}.json").read_text("utf-8"))
        chosen = {key: table[key] for key, forms in train.items() if form in forms and key in table}
        (out / f"{form}.json").write_text(json.dumps(chosen), "utf-8")
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
    forms = [form for form in FORMS if (source.root / form).exists() or (source.root / f"{form}.json").exists()]
    return subset(source, dict.fromkeys(train, forms), out, held_out)
