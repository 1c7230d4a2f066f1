"""Validation mIoU of objectives under one budget: a table of rows × seeds."""

import argparse
import json
import shutil
import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.record import write
from hintseg.api import train
from hintseg.hints.dataset import Dataset
from hintseg.inference.evaluation import evaluate_split
from hintseg.metrics import ConfusionMatrix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="timm")
    parser.add_argument("--hints", default="scribbles")
    parser.add_argument(
        "--rows", default="partial_cross_entropy,default", help="objectives, ROW or ROW:section.key=value;…"
    )
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--split", default="val")
    parser.add_argument("--name", required=True, help="of the result file")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    dataset = Dataset.open(options.data)
    rows = []
    for row in options.rows.split(","):
        for seed in map(int, options.seeds.split(",")):
            rows.append(_measure(dataset, row, seed, options))
            print(json.dumps(rows[-1]), flush=True)
            write(options.name, rows)
    for row in dict.fromkeys(entry["row"] for entry in rows):
        values = [entry["mean_iou"] for entry in rows if entry["row"] == row]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{row}: {statistics.mean(values):.2f} ± {spread:.2f} over {len(values)}")


def _measure(dataset: Dataset, row: str, seed: int, options: argparse.Namespace) -> dict[str, object]:
    objective, _, settings = row.partition(":")
    out = options.work / f"{options.name}-{objective}-{seed}"
    shutil.rmtree(out, ignore_errors=True)
    started = time.monotonic()
    segmenter = train(
        dataset, options.hints, out, weights=options.weights, objective=objective, seed=seed,
        iterations=options.iterations, settings=[part for part in settings.split(";") if part],
    )  # fmt: skip
    seconds = time.monotonic() - started
    result = {"row": row, "seed": seed, "iterations": options.iterations, "train_seconds": round(seconds)}
    ways = {"mean_iou": {}, "retrieval": {"method": "retrieval"}, "with_crf": {"crf": True}}
    for name, changes in ways.items():
        matrix, _ = evaluate_split(segmenter, dataset, options.split, segmenter.with_inference(**changes))
        result[name] = round(100 * matrix.scores().mean_iou, 2)
    completed = ConfusionMatrix(len(dataset.classes))
    for key in segmenter.description.keys:
        truth = dataset.mask(key)
        if truth is not None:
            completed.update(truth, segmenter.complete(dataset, key))
    score = completed.scores().mean_iou
    result["completed"] = None if np.isnan(score) else round(100 * score, 2)
    return result


if __name__ == "__main__":
    main()
