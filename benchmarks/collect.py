"""Runs already trained and evaluated → one result file."""

import argparse
import json
from pathlib import Path

from benchmarks.record import write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders with evaluation-SPLIT.json")
    parser.add_argument("--split", default="val")
    parser.add_argument("--name", required=True, help="of the result file")
    parser.add_argument("--commit", help="that the runs were trained at; default the present one")
    options = parser.parse_args()
    write(options.name, [_row(run, options.split) for run in options.runs], options.commit)


def _row(run: Path, split: str) -> dict[str, object]:
    described = json.loads((run / "run.json").read_text("utf-8"))
    evaluated = json.loads((run / f"evaluation-{split}.json").read_text("utf-8"))
    summary = json.loads((run / "metrics.json").read_text("utf-8"))
    recipe = described["recipe"]
    return {
        "run": run.name,
        "data": Path(described["data"]).name,
        "hints": described["forms"],
        "objective": {name: term["weight"] for name, term in recipe["objective"].items() if term["weight"] > 0},
        "recipe": recipe["name"],
        "iterations": recipe["iterations"],
        "seed": recipe["seed"],
        "split": split,
        "mean_iou": round(100 * evaluated["mean_iou"], 2),
        "pixel_accuracy": round(100 * evaluated["pixel_accuracy"], 2),
        "inference": evaluated["inference"],
        "seconds_per_iteration": round(summary["seconds_per_iteration"], 2),
    }


if __name__ == "__main__":
    main()
