"""What a given time of labeling buys: for every hint type as many images as that time labels, trained alike.

Seconds an image are those measured on PASCAL VOC 2012: tags 20.0, points 22.1, scribbles 34.9, full masks 239.7
(Bearman et al., What's the Point, ECCV 2016); a box takes 7.0 s (Papadopoulos et al., Extreme clicking, ICCV 2017)
after the classes were named as tags.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.accuracy import ROWS, measure, parse_rows
from benchmarks.record import write
from benchmarks.subset import subset
from hintseg.hints.dataset import Dataset

SECONDS = {"tags": 20.0, "points": 22.1, "scribbles": 34.9, "masks": 239.7}
SECONDS_A_BOX = 7.0


def affordable(seconds: dict[str, float], budget: float) -> list[str]:
    """The first images that can be labeled within the budget, in seconds."""
    spent = np.cumsum(list(seconds.values()))
    return list(seconds)[: int(np.searchsorted(spent, budget, side="right"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data set with every hint type on train, masks for train and val")
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--hours", default="0.5,1,1.5")
    parser.add_argument("--hints", default="tags,boxes,points,scribbles,masks")
    parser.add_argument("--rows", default=ROWS, help="as for benchmarks.accuracy")
    parser.add_argument("--iterations", type=int, help="default: the recipe's")
    parser.add_argument("--seed", type=int, default=0, help="of the order in which images are labeled")
    parser.add_argument("--name", default="economy", help="of the result file")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"))
    options = parser.parse_args()
    source, folder, rows = Dataset.open(options.data), options.work / options.name, []
    keys = [str(key) for key in np.random.default_rng(options.seed).permutation(source.keys("train"))]
    boxes = json.loads((source.root / "boxes.json").read_text("utf-8"))
    for hours in map(float, options.hours.split(",")):
        for hint_type in options.hints.split(","):
            cost = {
                key: SECONDS.get(hint_type, SECONDS["tags"] + SECONDS_A_BOX * len(boxes.get(key, ()))) for key in keys
            }
            chosen = affordable(cost, 3600 * hours)
            if not chosen:
                continue
            dataset = subset(source, dict.fromkeys(chosen, (hint_type,)), folder / f"data-{hint_type}-{hours}")
            about = {"hours": hours, "images": len(chosen)}
            rows += [
                about | row
                for row in measure(
                    dataset, parse_rows(options.rows), hint_type, folder / f"runs-{hint_type}-{hours}",
                    weights=options.weights, iterations=options.iterations,
                )
            ]  # fmt: skip
    print(write(options.name, rows))


if __name__ == "__main__":
    main()
