"""Few images with scribbles, with and without many that only carry tags.

DATA needs a split `train` with scribbles and another with tags alone, as CCP-10 has (`train_tags`).
"""

import argparse
from pathlib import Path

from benchmarks.accuracy import ROWS, measure, parse_rows
from benchmarks.record import write
from benchmarks.subset import subset
from hintseg.hints.dataset import Dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--localized", type=int, default=100, help="images with scribbles")
    parser.add_argument("--tag-split", default="train_tags", help="split with tags alone")
    parser.add_argument("--tagged", type=int, help="images of that split; all unless given")
    parser.add_argument("--images", default="alone,with-tags", help="which of the two sets to train on")
    parser.add_argument("--rows", default=ROWS, help="as for benchmarks.accuracy")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, help="default: the recipe's")
    parser.add_argument("--name", default="mixture", help="of the result file")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    source, folder = Dataset.open(options.data), options.work / options.name
    strong = dict.fromkeys(source.keys("train")[: options.localized], ("scribbles",))
    weak = dict.fromkeys(source.keys(options.tag_split)[: options.tagged], ("tags",))
    rows = []
    sets = {"alone": strong, "with-tags": strong | weak}
    for name in options.images.split(","):
        measured = measure(
            subset(source, sets[name], folder / name), parse_rows(options.rows), None, folder / f"runs-{name}",
            seeds=range(options.seeds), weights=options.weights, iterations=options.iterations,
        )  # fmt: skip
        rows += [{"images": name} | row for row in measured]
    print(write(options.name, rows))


if __name__ == "__main__":
    main()
