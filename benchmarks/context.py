"""Do the nearest training segments of a held-out segment come from the same kind of scene?

A scene is the set of classes in an image. For every segment of every held-out photograph: the share of its 20
nearest training segments, of the same class as the segment, that lie in images of the very same scene, and the
mean overlap (intersection over union) of the two scenes. Chance is the same over all training segments of the class.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.record import note_split, write
from hintseg.hints.dataset import Dataset
from hintseg.inference.retrieval import index_image
from hintseg.inference.segmenter import Segmenter
from hintseg.network.tta import image_maps, middle_scale

NEIGHBOURS = 20


def scene_of(mask: np.ndarray) -> frozenset[int]:
    """Classes on at least one percent of the pixels."""
    labels, counts = np.unique(mask[mask < 254], return_counts=True)
    return frozenset(labels[counts >= 0.01 * mask.size].tolist())


def overlap(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / max(len(one | other), 1)


def measure(run: Path, dataset: Dataset, split: str) -> dict[str, object]:
    started = time.perf_counter()
    segmenter = Segmenter.open(run, "cpu")
    index, segments = segmenter.index, segmenter.description.recipe.segments
    scenes = [scene_of(dataset.mask(key)) for key in segmenter.description.keys]
    found = []
    for number, key in enumerate(dataset.keys(split)):
        truth = dataset.mask(key)
        scene = scene_of(truth)
        scale = middle_scale(segmenter.recipe.inference.scales)
        maps = image_maps(segmenter.network, dataset.image(key), scale=scale)
        size = maps.embeddings.shape[-2:]
        labels = F.interpolate(torch.from_numpy(truth)[None, None], size=size, mode="nearest")[0, 0].long()
        queries = index_image(maps.embeddings, labels, number, segments.inference_grid, len(dataset.classes))
        for vector, label in zip(queries.prototypes, queries.labels.tolist(), strict=True):
            same = torch.nonzero(index.labels == label).flatten()
            if len(same) <= NEIGHBOURS:
                continue
            nearest = same[(index.prototypes[same] @ vector).topk(NEIGHBOURS).indices]
            by_class = [scenes[image] for image in index.images[same].tolist()]
            by_rank = [scenes[image] for image in index.images[nearest].tolist()]
            found.append([
                np.mean([other == scene for other in by_rank]), np.mean([overlap(other, scene) for other in by_rank]),
                np.mean([other == scene for other in by_class]), np.mean([overlap(other, scene) for other in by_class]),
            ])  # fmt: skip
    same, shared, chance_same, chance_shared = (round(100 * float(value), 2) for value in np.mean(found, axis=0))
    return {
        "run": f"{run.parent.name}/{run.name}", "seconds": round(time.perf_counter() - started, 1),
        "queries": len(found), "same_scene": same, "scene_overlap": shared,
        "same_scene_by_chance": chance_same, "scene_overlap_by_chance": chance_shared,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--split", default="val")
    parser.add_argument("--name", default="context")
    options = parser.parse_args()
    dataset = Dataset.open(options.data)
    note_split(dataset, options.split)
    rows = [measure(run, dataset, options.split) for run in options.runs]
    for row in rows:
        print(row)
    print(write(options.name, rows))


if __name__ == "__main__":
    main()
