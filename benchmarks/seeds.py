"""What the seeds of finished runs spread to over training images that carry tags, and how much of that is right."""

import argparse
from pathlib import Path

from benchmarks.record import write
from benchmarks.words import spread_quality
from hintseg.hints.dataset import Dataset
from hintseg.inference.segmenter import Segmenter
from hintseg.training.data import TrainingImages
from hintseg.training.tags import unplaced
from hintseg.writing import read_arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data set with masks for train")
    parser.add_argument("runs", type=Path, nargs="+", help="trained on its images with a tag classifier")
    parser.add_argument("--name", default="seeds", help="of the result file")
    options = parser.parse_args()
    dataset, rows = Dataset.open(options.data), []
    for run in options.runs:
        description = Segmenter.open(run).description
        cache = next((place for place in (run / "cache", run.parent / "cache") if place.is_dir()), None)
        images = TrainingImages(dataset, description.keys, description.forms, description.recipe.data, cache)
        keys = unplaced(images)
        seeds = {}
        for number, key in enumerate(keys):
            found = read_arrays(run / "seeds" / f"{number:07d}.npz", "labels")
            if found is None:
                parser.error(f"{run}: has no seeds of {key}")
            seeds[key] = found[0]
        seeded = TrainingImages(dataset, keys, description.forms, description.recipe.data, cache)
        seeded.plant(seeds)
        rows.append({
            "run": f"{run.parent.name}/{run.name}", "images": len(keys), "seed": description.recipe.seed,
            **spread_quality(seeded),
        })  # fmt: skip
        print(rows[-1], flush=True)
    print(write(options.name, rows))


if __name__ == "__main__":
    main()
