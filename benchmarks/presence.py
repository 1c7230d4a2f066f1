"""What a second opinion on which classes an image shows is worth, for finished runs; learned here for those without."""

import argparse
import shutil
from pathlib import Path

from benchmarks.record import write
from hintseg.hints.dataset import Dataset
from hintseg.inference.evaluation import evaluate_ways
from hintseg.inference.presence import PRESENCE_FILE
from hintseg.inference.segmenter import Segmenter
from hintseg.network.embedder import Embedder
from hintseg.training.data import TrainingImages
from hintseg.training.presence import learn_presence
from hintseg.training.processes import make_fabric

WAYS = {
    "mean_iou": {"method": "softmax", "crf": False},
    "both": {"method": "both", "crf": False},
    "with_crf": {"method": "both", "crf": True},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data set of the runs")
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--weights", required=True, help="what the runs started from")
    parser.add_argument("--exponents", default="0,0.25,0.5,1")
    parser.add_argument("--name", default="presence", help="of the result file")
    options = parser.parse_args()
    dataset, rows = Dataset.open(options.data), []
    exponents = [float(exponent) for exponent in options.exponents.split(",")]
    for run in options.runs:
        segmenter = Segmenter.open(run)
        if not (run / PRESENCE_FILE).exists():
            _learn(segmenter, dataset, options.weights)
        asked = [(exponent, way) for exponent in exponents for way in WAYS]
        configs = [segmenter.with_inference(presence=exponent, **WAYS[way]) for exponent, way in asked]
        found = evaluate_ways(segmenter, dataset, "val", configs)
        for exponent in exponents:
            scores = {
                way: round(100 * matrix.scores().mean_iou, 2)
                for (of, way), (matrix, _) in zip(asked, found, strict=True)
                if of == exponent
            }
            about = {"run": f"{run.parent.name}/{run.name}", "seed": segmenter.recipe.seed, "presence": exponent}
            rows.append(about | scores)
            print(rows[-1], flush=True)
    print(write(options.name, rows))


def _learn(segmenter: Segmenter, dataset: Dataset, weights: str) -> None:
    description = segmenter.description
    network = Embedder(segmenter.recipe.network, len(description.classes), weights)
    images = TrainingImages(dataset, description.keys, description.forms, segmenter.recipe.data)
    learn_presence(segmenter.run, network, images, make_fabric("auto", "32-true", 1), lambda *_: None)
    shutil.rmtree(segmenter.run / "presence")


if __name__ == "__main__":
    main()
