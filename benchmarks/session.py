"""How long a person waits while hints are drawn: the first features, a refit, and the mask of the shown image.

python -m benchmarks.session DATA --hints points
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.record import write
from hintseg.hints.dataset import Dataset
from hintseg.instant.session import Session
from hintseg.metrics import ConfusionMatrix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=300, help="of the training split")
    parser.add_argument("--strokes", type=int, default=10, help="images whose hints are read again, one at a time")
    parser.add_argument("--cache", type=Path, help="default: a new folder")
    parser.add_argument("--hints", default="points")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dataset = Dataset.open(options.data)
    keys = dataset.keys("train")[: options.images]
    with tempfile.TemporaryDirectory() as folder:
        session = Session(
            dataset, options.cache or Path(folder), hint_types=options.hints.split(","), seed=options.seed
        )
        started = time.monotonic()
        for key in keys:
            session.prepare(key)
        prepared = time.monotonic() - started
        session.fit(keys)
        fits, masks = [], []
        for key in keys[: options.strokes]:
            started = time.monotonic()
            session.change(dataset, [key])
            session.fit(keys)
            fits.append(time.monotonic() - started)
            started = time.monotonic()
            session.mask(key)
            masks.append(time.monotonic() - started)
        matrix = ConfusionMatrix(len(dataset.classes))
        for key in dataset.keys("val"):
            truth = dataset.mask(key)
            if truth is not None:
                matrix.update(truth, session.mask(key))
    row = {
        "images": len(keys), "seed": options.seed, "threads": torch.get_num_threads(),
        "features_seconds": round(prepared, 1),
        "fit_seconds": round(statistics.median(fits), 2), "slowest_fit_seconds": round(max(fits), 2),
        "mask_seconds": round(statistics.median(masks), 2), "slowest_mask_seconds": round(max(masks), 2),
        "mean_iou_val": round(100 * matrix.scores().mean_iou, 1),
    }  # fmt: skip
    print(row)
    print(write("session", [row]))


if __name__ == "__main__":
    main()
