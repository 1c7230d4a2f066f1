"""How far hints spread over training images, and how much of that is right, by themselves and with visual words."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.record import write
from hintseg.api import choose_recipe
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import UNLABELLED
from hintseg.metrics import ConfusionMatrix
from hintseg.network.embedder import Embedder
from hintseg.training.data import TrainingImages
from hintseg.training.processes import make_fabric
from hintseg.training.words import find_words, looks_by_words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", help="data sets with masks for train")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--hints", default="points,scribbles,boxes")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="SECTION.KEY=VALUE")
    parser.add_argument("--images", type=int, default=300, help="training images of each, evenly spaced")
    parser.add_argument("--name", default="words", help="of the result file")
    options = parser.parse_args()
    recipe, fabric, rows = choose_recipe(settings=options.settings), make_fabric("cpu", "32-true", 1), []
    for folder in options.data:
        dataset = Dataset.open(folder)
        network = Embedder(recipe.network, len(dataset.classes), options.weights)
        keys = dataset.keys("train")[:: -(-len(dataset.keys("train")) // options.images)]
        for form in options.hints.split(","):
            with TemporaryDirectory() as folder_of_words:
                images = TrainingImages(dataset, keys, (form, "tags"), recipe.data, Path(folder_of_words))
                alone = spread_quality(images)
                words = find_words(Path(folder_of_words), network, images, 0, fabric, lambda *_: None)
                images.weigh(looks_by_words(words, images.num_classes))
                for terms, found in (("hints alone", alone), ("with words", spread_quality(images))):
                    rows.append(
                        {
                            "data": dataset.root.name,
                            "images": len(keys),
                            "hints": form,
                            "seed": 0,
                            "spread": terms,
                            "settings": options.settings,
                            **found,
                        }
                    )
                    print(rows[-1], flush=True)
    print(write(options.name, rows))


def spread_quality(images: TrainingImages) -> dict[str, float]:
    """Percent of the labelled pixels that hints spread to, and of those right; their mean IoU there."""
    matrix, pixels = ConfusionMatrix(images.num_classes), 0
    for key in images.keys:
        truth, labels = images.dataset.mask(key), images.sample(key).spread
        if truth is None or truth.shape != labels.shape:
            continue
        pixels += int((truth < images.num_classes).sum())
        truth = truth.copy()
        truth[labels >= UNLABELLED] = 255
        matrix.update(truth, labels)
    scores = matrix.scores()
    return {
        "filled": round(100 * scores.pixels / pixels, 1),
        "right": round(100 * scores.pixel_accuracy, 1),
        "mean_iou": round(100 * scores.mean_iou, 1),
    }


if __name__ == "__main__":
    main()
