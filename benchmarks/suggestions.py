"""What a suggested click is worth beside one at a random place of a random image.

Every image of `train` starts with one click at a random pixel. Each round adds clicks, trains anew and measures;
the masks answer what class is there, as an annotator would.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import write
from hintseg.api import choose_recipe, train
from hintseg.hints.dataset import Dataset
from hintseg.inference.evaluation import evaluate_split
from hintseg.inference.segmenter import Segmenter
from hintseg.inference.suggest import suggest
from hintseg.io.writing import link_or_copy

Clicks = dict[str, list[list[int]]]


def answered(source: Dataset, key: str, x: int, y: int) -> list[int] | None:
    """[x, y, class] as the mask has it; None where it is ignored."""
    label = int(source.mask(key)[y, x])
    return [x, y, label] if label < len(source.classes) else None


def random_clicks(source: Dataset, chance: np.random.Generator) -> Iterator[tuple[str, list[int]]]:
    """Every image once in random order, each with a click at a random pixel that is not ignored."""
    keys = list(source.keys("train"))
    while True:
        for index in chance.permutation(len(keys)):
            rows, columns = np.nonzero(source.mask(keys[index]) < len(source.classes))
            chosen = int(chance.integers(len(rows)))
            yield keys[index], answered(source, keys[index], int(columns[chosen]), int(rows[chosen]))


def suggested_clicks(source: Dataset, segmenter: Segmenter, dataset: Dataset) -> Iterator[tuple[str, list[int]]]:
    for found in suggest(segmenter, dataset, dataset.keys("train")):
        if (click := answered(source, found.key, found.x, found.y)) is not None:
            yield found.key, click


def with_clicks(source: Dataset, clicks: Clicks, out: Path) -> Dataset:
    """The data set under `out` with these points as its only hints."""
    shutil.rmtree(out, ignore_errors=True)
    for key in (*source.keys("train"), *source.keys("val")):
        link_or_copy(source.paths[key], out / source.paths[key].relative_to(source.root))
    for key in source.keys("val"):
        link_or_copy(source.root / "masks" / f"{key}.png", out / "masks" / f"{key}.png")
    for name in ("train.txt", "val.txt"):
        shutil.copyfile(source.root / name, out / name)
    replace(source, root=out, tags_exhaustive=False).save_description()  # clicks name some of an image's classes
    (out / "points.json").write_text(json.dumps(clicks), "utf-8")
    return Dataset.open(out)


def measured(options: argparse.Namespace, source: Dataset, seed: int) -> Iterator[dict[str, Any]]:
    """A row for each way and round of one seed."""
    recipe = choose_recipe(options.recipe, weights=options.weights, iterations=options.iterations, seed=seed)
    folder = options.work / options.name
    for way in options.ways.split(","):
        chance = np.random.default_rng(seed)
        places, clicks = random_clicks(source, chance), {}
        segmenter = dataset = None
        for number in range(options.rounds + 1):
            if number > 0 and way == "suggested":
                places = suggested_clicks(source, segmenter, dataset)
            for _ in range(options.step if number else len(source.keys("train"))):
                key, click = next(places)
                clicks.setdefault(key, []).append(click)
            # The first round is the same for both ways, and so is its run.
            name = f"{way if number else 'start'}-{number}-{seed}"
            dataset = with_clicks(source, clicks, folder / f"data-{name}")
            segmenter = train(
                dataset, "points", folder / name, recipe=recipe, weights=options.weights, resume=True,
                cache=folder / "cache",
            )  # fmt: skip
            matrix, _ = evaluate_split(segmenter, dataset, "val")
            count = sum(map(len, clicks.values()))
            yield {
                "data": options.data.name, "recipe": options.recipe, "way": way, "clicks": count, "seed": seed,
                "mean_iou": round(100 * matrix.scores().mean_iou, 2),
            }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data set with masks for train and val")
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--recipe", default="instant")
    parser.add_argument("--ways", default="random,suggested")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--step", type=int, default=148, help="clicks a round adds")
    parser.add_argument("--iterations", type=int, help="default: the recipe's")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--name", default="suggestions", help="of the result file")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    source, rows = Dataset.open(options.data), []
    for seed in range(options.seeds):
        for row in measured(options, source, seed):
            rows.append(row)
            print(row, flush=True)
    print(write(options.name, rows))


if __name__ == "__main__":
    main()
