"""Seeds of one run's tag classifier by other settings: how far they spread over its training images, and how right.

The classifier and the words are the run's own; nothing is trained.
"""

import argparse
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.record import write
from benchmarks.words import spread_quality
from hintseg.config import override
from hintseg.hints.dataset import Dataset
from hintseg.inference.segmenter import Segmenter
from hintseg.network.embedder import Embedder
from hintseg.training import tags
from hintseg.training.data import TrainingImages
from hintseg.training.processes import make_fabric
from hintseg.training.words import agree_on_words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data set with masks for train")
    parser.add_argument("run", type=Path, help="trained on its images by their tags, with words")
    parser.add_argument("--rows", default="default", help='"default" and SECTION.KEY=VALUE[;…], with commas between')
    parser.add_argument("--images", type=int, default=250, help="training images, evenly spaced")
    parser.add_argument("--name", default="claims", help="of the result file")
    options = parser.parse_args()
    dataset, description = Dataset.open(options.data), Segmenter.open(options.run, "cpu").description
    keys = description.keys[:: -(-len(description.keys) // options.images)]
    fabric, rows = make_fabric("cpu", "32-true", 1), []
    look_once()
    for row in options.rows.split(","):
        recipe = override(description.recipe, [] if row == "default" else row.split(";"))
        images = TrainingImages(dataset, keys, description.forms, recipe.data, options.run.parent / "cache")
        network = Embedder(recipe.network, len(dataset.classes), "none")
        with TemporaryDirectory() as place:
            out = Path(place)
            for name in ("tags.pt", "vocabulary.npz"):
                shutil.copy(options.run / name, out / name)
            (out / "words").mkdir()
            for number, key in enumerate(keys):
                name = f"{description.keys.index(key):07d}.npz"
                shutil.copy(options.run / "words" / name, out / "words" / f"{number:07d}.npz")
            words = agree_on_words(out, network, images, recipe.seed, fabric, lambda *_: None)
            made_for = torch.load(out / "tags.pt", map_location="cpu", weights_only=True)["fingerprint"]
            tags.place_tags(out, network, images, recipe, fabric, made_for, True, lambda *_: None, words)
        rows.append({"row": row, "seed": recipe.seed, "images": len(images.planted), **spread_quality(images)})
        print(rows[-1], flush=True)
    print(write(options.name, rows))


def look_once() -> None:
    """What the classifier sees is the same in every row."""
    look, seen = tags.pixel_scores, dict[bytes, Tensor]()

    def remembered(network: Embedder, image: NDArray[np.uint8], scales: tuple[float, ...]) -> Tensor:
        if image.tobytes() not in seen:
            seen[image.tobytes()] = look(network, image, scales)
        return seen[image.tobytes()]

    tags.pixel_scores = remembered


if __name__ == "__main__":
    main()
