"""Scores of a segmenter over a split."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hintseg.config.schema import InferenceConfig
from hintseg.errors import InputError
from hintseg.hints.classes import ClassMap
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import VOID
from hintseg.inference.prediction import without_data
from hintseg.inference.segmenter import Segmenter
from hintseg.memory_errors import SMALLER, memory_explained
from hintseg.metrics import ConfusionMatrix

log = logging.getLogger("hintseg")


def evaluate_split(
    segmenter: Segmenter,
    dataset: Dataset,
    split: str,
    config: InferenceConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
    wrong: Callable[[str], None] | None = None,
) -> tuple[ConfusionMatrix, list[tuple[str, float]]]:
    """Predict every image of a split that has a mask.

    Classes are matched by name and numbered as the data set has them. Pixels of a class that the run never learned
    count as missed, with an IoU of 0; pixels predicted as a class that the data set lacks count as wrong.

    Args:
        wrong: called with a sentence for every image that cannot be evaluated, which is left out; None: it is raised.

    Returns:
        The confusion matrix over the whole split, and (key, own mean IoU), worst first.

    Raises:
        InputError: the classes do not match, see `match_classes`, or no mask is in the split.
    """
    return evaluate_configs(segmenter, dataset, split, [config or segmenter.recipe.inference], progress, wrong)[0]


def evaluate_configs(
    segmenter: Segmenter,
    dataset: Dataset,
    split: str,
    configs: Sequence[InferenceConfig],
    progress: Callable[[int, int], None] | None = None,
    wrong: Callable[[str], None] | None = None,
) -> list[tuple[ConfusionMatrix, list[tuple[str, float]]]]:
    """`evaluate_split` for several ways of looking at an image; what they have in common is computed once.

    Raises:
        InputError: the classes do not match, see `match_classes`, or no mask is in the split.
    """
    classes = segmenter.class_map(dataset)
    _tell(classes)
    keys = [key for key in dataset.keys(split) if dataset.has_mask(key)]
    if not keys:
        raise InputError(f"{dataset.root}: split {split!r} has no masks to compare with; put them into masks/.")
    matrices = [ConfusionMatrix(len(dataset.classes), VOID) for _ in configs]
    images: list[list[tuple[str, float]]] = [[] for _ in configs]
    for number, key in enumerate(keys):
        try:
            with memory_explained(key, SMALLER):
                if (truth := dataset.mask(key)) is not None:
                    image, valid = segmenter.picture(dataset, key)
                    truth = without_data(truth, valid)
                    predictions = segmenter.predict_configs(image, configs)
        except InputError as error:
            if wrong is None:
                raise
            wrong(str(error))
            truth = None
        if truth is not None:
            for matrix, scored, prediction in zip(matrices, images, predictions, strict=True):
                alone = ConfusionMatrix(len(dataset.classes), VOID)
                alone.update(truth, classes.own_labels(prediction))
                matrix.counts += alone.counts
                scored.append((key, alone.scores().mean_iou))
        if progress is not None:
            progress(number + 1, len(keys))
    if not images[0]:
        raise InputError(f"{dataset.root}: no image of split {split!r} can be evaluated.")
    sort = [sorted(scored, key=lambda entry: entry[1]) for scored in images]
    return list(zip(matrices, sort, strict=True))


def _tell(classes: ClassMap) -> None:
    if classes.unlearned:
        log.warning("the run never learned %s; such pixels count as missed.", ", ".join(map(repr, classes.unlearned)))
    if classes.unknown:
        log.warning(
            "the data set has no class %s; pixels predicted as such count as wrong.",
            ", ".join(map(repr, classes.unknown)),
        )


def scores_as_json(matrix: ConfusionMatrix, classes: ClassMap, split: str, config: InferenceConfig) -> dict[str, Any]:
    """Scores, and the protocol they were taken with."""
    scores = matrix.scores()
    return {
        "split": split,
        "mean_iou": scores.mean_iou,
        "pixel_accuracy": scores.pixel_accuracy,
        "mean_accuracy": scores.mean_accuracy,
        "pixels": scores.pixels,
        "iou": {
            name: None if np.isnan(value) else value
            for name, value in zip(classes.own, scores.iou.tolist(), strict=True)
        },
        "classes": list(classes.own),
        "never_learned": list(classes.unlearned),
        "not_in_data": list(classes.unknown),
        "confusion": matrix.counts.tolist(),
        "inference": config.model_dump(mode="json"),
    }
