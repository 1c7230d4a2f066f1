"""Completed masks of the training images of finished runs against their masks: the last column of `hintseg compare`."""

import argparse
from pathlib import Path

from benchmarks.record import write
from hintseg.apps.compare import completed_matrix
from hintseg.hints.dataset import Dataset
from hintseg.inference.segmenter import Segmenter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data set with masks for train")
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--name", default="completed", help="of the result file")
    options = parser.parse_args()
    dataset, rows = Dataset.open(options.data), []
    for run in options.runs:
        segmenter = Segmenter.open(run)
        scores = completed_matrix(segmenter, dataset).scores()
        rows.append({
            "run": f"{run.parent.name}/{run.name}",
            "forms": list(segmenter.description.forms),
            "images": len(segmenter.description.keys),
            "seed": segmenter.recipe.seed,
            "completed": round(100 * scores.mean_iou, 2),
        })  # fmt: skip
        print(rows[-1], flush=True)
    print(write(options.name, rows))


if __name__ == "__main__":
    main()
