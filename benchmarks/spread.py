"""How far one click an image spreads where any class may be besides its own, and how much of that is right."""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.record import write
from hintseg.functional.propagation.regions import propagate, propagated_labels
from hintseg.functional.segments.oversegment import oversegment
from hintseg.hints.dataset import Dataset
from hintseg.hints.forms.points import Point, draw
from hintseg.hints.labels import UNLABELLED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", help="data sets with masks for train")
    parser.add_argument("--images", type=int, default=30, help="of each, evenly over train")
    parser.add_argument("--confidence", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0, help="of the clicks")
    parser.add_argument("--name", default="spread", help="of the result file")
    options = parser.parse_args()
    rows = []
    for path in options.data:
        dataset, chance = Dataset.open(path), np.random.default_rng(options.seed)
        classes, keys = len(dataset.classes), dataset.keys("train")
        blank = filled = right = 0
        for key in keys[:: max(len(keys) // options.images, 1)][: options.images]:
            image, truth = dataset.image(key), dataset.mask(key)
            y, x = chance.choice(np.argwhere(truth < classes)).tolist()
            labels = np.full(truth.shape, UNLABELLED, np.uint8)
            draw((Point(x, y, int(truth[y, x])),), labels, 3)
            regions = oversegment(image, 1000)
            shares = propagate(image, labels, regions, classes, others=np.ones(classes, bool))
            spread = propagated_labels(labels, regions, shares, options.confidence)
            open_to_all = (labels == UNLABELLED) & (truth < classes)
            reached = open_to_all & (spread < classes)
            blank += int(open_to_all.sum())
            filled += int(reached.sum())
            right += int((spread == truth)[reached].sum())
        rows.append({
            "data": path.name, "images": options.images, "seed": options.seed, "confidence": options.confidence,
            "filled": round(100 * filled / blank, 1), "right": round(100 * right / max(filled, 1), 1),
        })  # fmt: skip
        print(rows[-1], flush=True)
    print(write(options.name, rows))


if __name__ == "__main__":
    main()
