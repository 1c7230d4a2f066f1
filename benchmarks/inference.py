"""Finished runs evaluated in every way an image can be looked at: scales, mirror image, dense CRF, retrieval.

`seconds` of a row are per image.
"""

import argparse
import time
from itertools import product
from pathlib import Path

from benchmarks.record import note_split, write
from hintseg.hints.dataset import Dataset
from hintseg.inference.evaluation import evaluate_split
from hintseg.inference.segmenter import Segmenter

WAYS: dict[str, dict[str, object]] = {
    "plain": {"method": "softmax", "scales": [1.0], "crf": False},
    "enlarged by 1.25": {"method": "softmax", "scales": [1.25], "crf": False},
    "enlarged by 1.5": {"method": "softmax", "scales": [1.5], "crf": False},
    "plain + CRF": {"method": "softmax", "scales": [1.0], "crf": True, "crf_stride": 1},
    "plain + CRF at half resolution": {"method": "softmax", "scales": [1.0], "crf": True, "crf_stride": 2},
    "enlarged by 1.25 + CRF at half resolution": {"method": "softmax", "scales": [1.25], "crf": True, "crf_stride": 2},
    "three scales - mirrored + CRF": {
        "method": "softmax",
        "scales": [1.0, 1.25, 1.5],
        "flip": True,
        "crf": True,
        "crf_stride": 2,
    },
    "both": {"method": "softmax+knn", "scales": [1.25], "crf": False},
    "both + CRF at half resolution": {"method": "softmax+knn", "scales": [1.25], "crf": True, "crf_stride": 2},
    "retrieval": {"method": "knn", "crf": False},
    "retrieval + CRF at half resolution": {"method": "knn", "crf": True, "crf_stride": 2},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--split", default="val")
    parser.add_argument("--ways", default=",".join(WAYS), help="some of them, comma-separated")
    parser.add_argument("--engines", default="torch", help="torch, onnx, or both with a comma")
    parser.add_argument("--name", required=True, help="of the result file")
    options = parser.parse_args()
    dataset = Dataset.open(options.data)
    note_split(dataset, options.split)
    rows = []
    for run, engine, way in product(options.runs, options.engines.split(","), options.ways.split(",")):
        segmenter = Segmenter.open(run, engine=engine)
        started = time.perf_counter()
        matrix, _ = evaluate_split(segmenter, dataset, options.split, segmenter.with_inference(**WAYS[way]))
        seconds = (time.perf_counter() - started) / len(dataset.keys(options.split))
        rows.append({
            "run": f"{run.parent.name}/{run.name}", "engine": engine, "split": options.split, "way": way,
            "mean_iou": round(100 * matrix.scores().mean_iou, 2), "seconds": round(seconds, 3),
        })  # fmt: skip
        print(rows[-1], flush=True)
    print(write(options.name, rows))


if __name__ == "__main__":
    main()
