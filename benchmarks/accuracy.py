"""Objectives under one budget: `hintseg compare`, recorded with commit and machine."""

import argparse
from pathlib import Path

from benchmarks.record import rows_of, write
from hintseg.compare import compare, parse_rows
from hintseg.hints.dataset import Dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--hints", default="scribbles")
    parser.add_argument("--rows", default="partial_cross_entropy,default", help="as hintseg compare --objectives")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--split", default="val")
    parser.add_argument("--name", required=True, help="of the result file")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"))
    parser.add_argument("--no-completed", action="store_true", help="leave out the completed training masks")
    options = parser.parse_args()
    results = compare(
        Dataset.open(options.data), parse_rows(options.rows), options.hints, options.work / options.name,
        seeds=range(options.seeds), split=options.split, weights=options.weights, iterations=options.iterations,
        precision=options.precision, completed=not options.no_completed,
    )  # fmt: skip
    print(write(options.name, rows_of(results)))


if __name__ == "__main__":
    main()
