"""Parts of a data set: some of its images, with some of their hints."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from hintseg.hints.dataset import Dataset
from hintseg.io.writing import link_or_copy


def subset(source: Dataset, train: Mapping[str, Sequence[str]], out: Path) -> Dataset:
    """The data set `out`, made anew: images of `train`, with hints of these forms, and `val` with its masks."""
    shutil.rmtree(out, ignore_errors=True)
    held_out = source.keys("val")
    for key in (*train, *held_out):
        link_or_copy(source.paths[key], out / source.paths[key].relative_to(source.root))
    labelled = [(key, form) for key, forms in train.items() for form in forms] + [(key, "masks") for key in held_out]
    for key, form in labelled:
        if form in ("masks", "scribbles"):
            link_or_copy(source.root / form / f"{key}.png", out / form / f"{key}.png")
    for form in ("tags", "boxes", "points"):
        table = json.loads((source.root / f"{form}.json").read_text("utf-8"))
        chosen = {key: table[key] for key, forms in train.items() if form in forms and key in table}
        (out / f"{form}.json").write_text(json.dumps(chosen), "utf-8")
    for name, keys in (("train", train), ("val", held_out)):
        (out / f"{name}.txt").write_text("\n".join(keys), "utf-8")
    shutil.copyfile(source.root / "dataset.json", out / "dataset.json")
    return Dataset.open(out)
