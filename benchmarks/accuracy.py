"""Recipes on one data set, each with every seed: mean IoU of `val` with and without the dense CRF.

Interrupted, the same command goes on with the run it was at.
"""

import argparse
import hashlib
import json
import re
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.record import note_split, write
from hintseg.api import train
from hintseg.hints.dataset import Dataset
from hintseg.inference.evaluation import evaluate_configs
from hintseg.io.writing import atomic_path

ROWS = "instant,fine-tuned"


def parse_rows(text: str) -> list[str]:
    """ "a,b:section.key=[1,2];section.other=3" → its rows; commas in brackets do not separate."""
    return [row.strip() for row in re.split(r",(?![^\[]*\])", text) if row.strip()]


def measure(
    dataset: Dataset, rows: Sequence[str], hints: str | None, folder: Path, *, seeds: Sequence[int] = (0,),
    split: str = "val", cache: Path | None = None, **training: Any,
) -> list[dict[str, Any]]:  # fmt: skip
    """Train and evaluate; one row a recipe, with one value a seed.

    Args:
        rows: recipes, each "NAME" or "NAME:section.key=value;section.key=value".
        hints: hint types to train on; None uses all.
        folder: for the runs.
        cache: of superpixels and features; default in `folder`.
        training: what else `hintseg.train` takes: weights, iterations, precision, device.

    Returns:
        Rows for `write`. Mean IoU in percent as each run chose to segment, and with and without the CRF; seconds of
        training, the median over seeds.
    """
    measured = []
    for row in rows:
        training["cache"] = cache or folder / "cache"
        runs = [_measured_once(dataset, row, hints, folder, seed, split, training) for seed in seeds]
        measured.append({
            "data": dataset.root.name, "hints": hints or "all", "recipe": row, "split": split, "seeds": list(seeds),
            **{name: [run[name] for run in runs] for name in ("mean_iou", "mean_iou_crf", "mean_iou_no_crf")},
            "seconds": statistics.median(run["seconds"] for run in runs),
        })  # fmt: skip
        print(measured[-1], flush=True)
    return measured


def _measured_once(
    dataset: Dataset, row: str, hints: str | None, folder: Path, seed: int, split: str, training: dict[str, Any]
) -> dict[str, float]:
    name, _, own = row.partition(":")
    run = folder / _file_name(f"{row}-{seed}")
    trained = run.with_name(f"{run.name}.json")
    kept = trained if split == "val" else run.with_name(f"{run.name}-{split}.json")
    if kept.exists():
        return json.loads(kept.read_text("utf-8"))
    started = time.monotonic()
    segmenter = train(
        dataset, hints, run, recipe=name, seed=seed, settings=[part for part in own.split(";") if part],
        resume=True, **training,
    )  # fmt: skip
    seconds = json.loads(trained.read_text("utf-8"))["seconds"] if trained.exists() else time.monotonic() - started
    ways = [segmenter.with_inference(crf=crf) for crf in (True, False)]
    refined, plain = (matrix.scores().mean_iou for matrix, _ in evaluate_configs(segmenter, dataset, split, ways))
    chosen = refined if segmenter.recipe.inference.crf else plain
    scores = {"mean_iou": chosen, "mean_iou_crf": refined, "mean_iou_no_crf": plain}
    result = {name: round(100 * score, 2) for name, score in scores.items()} | {"seconds": round(seconds, 1)}
    with atomic_path(kept) as temporary:
        temporary.write_text(json.dumps(result), "utf-8")
    return result


def _file_name(text: str) -> str:
    """Readable where it is short; else its beginning and a digest, as file systems end at 255 bytes."""
    name = re.sub(r"[^\w.-]+", "_", text)
    return name if len(name) <= 150 else f"{name[:100]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--hints", default="scribbles")
    parser.add_argument("--rows", default=ROWS, help="RECIPE or RECIPE:section.key=value;…, comma-separated")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--iterations", type=int, help="default: the recipe's")
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--split", default="val", help="a run on `test` is noted in paper/test-split.md")
    parser.add_argument("--name", required=True, help="of the result file")
    parser.add_argument(
        "--runs", help="folder of the runs under --work; default --name. Those there are not trained again"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    dataset = Dataset.open(options.data)
    note_split(dataset, options.split)
    rows = measure(
        dataset, parse_rows(options.rows), options.hints, options.work / (options.runs or options.name),
        seeds=range(options.seeds), split=options.split, weights=options.weights, iterations=options.iterations,
        precision=options.precision,
    )  # fmt: skip
    print(write(options.name, rows))


if __name__ == "__main__":
    main()
