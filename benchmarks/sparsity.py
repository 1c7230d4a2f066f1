"""What shorter scribbles cost: each stroke cut to a share of its length, from its middle; 0 leaves a dot.

Scribbles are drawn anew from the masks of `train` by `hintseg simulate`, whose strokes are the skeletons of regions.
"""

import argparse
import shutil
from pathlib import Path

from benchmarks.accuracy import ROWS, measure, parse_rows
from benchmarks.record import write
from benchmarks.subset import some
from hintseg.hints.dataset import Dataset
from hintseg.simulate.dataset import simulate_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data set with masks for train and val")
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--images", type=int, help="of train and of val, drawn by seed 0; default all")
    parser.add_argument("--coverage", default="1,0.8,0.5,0.3,0", help="fractions of the length")
    parser.add_argument("--rows", default=ROWS, help="as for benchmarks.accuracy")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--iterations", type=int, help="default: the recipe's")
    parser.add_argument("--name", default="sparsity", help="of the result file")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    source, folder, rows = Dataset.open(options.data), options.work / options.name, []
    about = {"data": source.root.name, "images": options.images or len(source.keys("train"))}
    if options.images is not None:
        source = some(source, options.images, 0, folder / "some")
    for coverage in map(float, options.coverage.split(",")):
        data = folder / f"data-{coverage}"
        shutil.rmtree(data, ignore_errors=True)
        simulate_dataset(source, data, coverage=coverage)
        measured = measure(
            Dataset.open(data), parse_rows(options.rows), "scribbles", folder / f"runs-{coverage}",
            seeds=range(options.seeds), cache=folder / "cache", weights=options.weights, iterations=options.iterations,
        )  # fmt: skip
        rows += [{"coverage": coverage} | row | about for row in measured]
    print(write(options.name, rows))


if __name__ == "__main__":
    main()
