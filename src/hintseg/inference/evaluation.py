"""Scores of a segmenter over a split."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from hintseg.boundary_metrics import BorderScores, BoundaryMetrics
from hintseg.config.schema import InferenceConfig
from hintseg.errors import InputError
from hintseg.hints.classes import ClassMap
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.inference.prediction import without_data
from hintseg.inference.segmenter import Segmenter
from hintseg.memory_errors import SMALLER, memory_explained
from hintseg.metrics import ConfusionMatrix

log = logging.getLogger("hintseg")
ByClass = dict[str, float | None]


def evaluate_split(
    segmenter: Segmenter,
    dataset: Dataset,
    split: str,
    config: InferenceConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
    wrong: Callable[[str], None] | None = None,
    borders: BoundaryMetrics | None = None,
) -> tuple[ConfusionMatrix, list[tuple[str, float]]]:
    """Predict every image of a split that has a mask.

    Classes are matched by name and numbered as the data set has them. Pixels of a class that the run never learned
    count as missed, with an IoU of 0; pixels predicted as a class that the data set lacks count as wrong.

    Args:
        wrong: called with a sentence for every image that cannot be evaluated, which is left out; None: it is raised.
        borders: to which every image is added.

    Returns:
        The confusion matrix over the whole split, and (key, own mean IoU), worst first.

    Raises:
        InputError: the classes do not match, see `match_classes`, or no mask is in the split.
    """
    return evaluate_configs(
        segmenter, dataset, split, [config or segmenter.recipe.inference], progress, wrong, borders
    )[0]


def evaluate_configs(
    segmenter: Segmenter,
    dataset: Dataset,
    split: str,
    configs: Sequence[InferenceConfig],
    progress: Callable[[int, int], None] | None = None,
    wrong: Callable[[str], None] | None = None,
    borders: BoundaryMetrics | None = None,
) -> list[tuple[ConfusionMatrix, list[tuple[str, float]]]]:
    """`evaluate_split` for several ways of looking at an image; what they have in common is computed once.

    Args:
        borders: to which every image is added as the first of `configs` segments it.
    """
    classes = segmenter.class_map(dataset)
    _tell(classes)
    listed = dataset.keys(split)
    keys = [key for key in listed if dataset.has_mask(key)]
    if not keys:
        raise InputError(f"{dataset.root}: split {split!r} has no masks to compare with; put them into masks/.")
    matrices = [ConfusionMatrix(len(dataset.classes), IGNORE_INDEX) for _ in configs]
    images: list[list[tuple[str, float]]] = [[] for _ in configs]
    if len(keys) < len(listed):
        left_out = f"{len(listed) - len(keys)} of {len(listed)} images of {split!r} have no mask, left out."
        segmenter.warn_once(f"{dataset.root}: {left_out}")
    done_to = Counter[str]()
    for number, key in enumerate(keys):
        corrections = list[str]()
        try:
            with memory_explained(key, SMALLER):
                if (truth := dataset.mask(key, corrections.append)) is not None:
                    image, valid = segmenter.decoded(dataset, key)
                    truth = without_data(truth, valid)
                    predictions = segmenter.predict_configs(image, configs)
        except InputError as error:
            if wrong is None:
                raise
            wrong(str(error))
            truth = None
        if truth is not None:
            masks = [classes.own_labels(prediction) for prediction in predictions]
            if borders is not None:
                borders.update(truth, masks[0])
            for matrix, scored, mask in zip(matrices, images, masks, strict=True):
                alone = ConfusionMatrix(len(dataset.classes), IGNORE_INDEX)
                alone.update(truth, mask)
                matrix.counts += alone.counts
                if alone.counts.any():  # else nothing of the image is evaluated
                    scored.append((key, alone.scores().mean_iou))
        if progress is not None:
            progress(number + 1, len(keys))
        done_to.update(corrections)
    for what, count in done_to.items():
        segmenter.warn_once(f"{dataset.root}: {what}: {count}.")
    if not images[0]:
        raise InputError(
            f"{dataset.root}: none of the {len(keys)} images of split {split!r} could be evaluated; the warnings above "
            "say why."
        )
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


class Evaluation(BaseModel):
    """Scores of a split and the protocol they were taken with; what `hintseg evaluate` writes.

    Attributes:
        data: name of the data set's folder.
        iou, dice, precision, recall: by class, from one confusion matrix over the split; None where there is none.
        boundary_iou, hd95: by class, see `BoundaryMetrics`.
        hd95_images: by class, images in which it is in both masks; their mean is `hd95`.
        hd95_missing: by class, images in which it is in one of the two masks alone.
        confusion: (C, C + 1) pixels, a true class a row.
        images: every image with a mean IoU of its own, worst first.
    """

    model_config = ConfigDict(frozen=True)

    split: str
    data: str = ""
    mean_iou: float | None
    pixel_accuracy: float | None
    mean_accuracy: float | None
    pixels: int
    iou: ByClass
    dice: ByClass = {}
    precision: ByClass = {}
    recall: ByClass = {}
    boundary_iou: ByClass = {}
    hd95: ByClass = {}
    hd95_unit: str = "pixels"
    hd95_images: dict[str, int] = {}
    hd95_missing: dict[str, int] = {}
    classes: list[str]
    never_learned: list[str] = []
    not_in_data: list[str] = []
    confusion: list[list[int]]
    images: list[tuple[str, float]] = []
    inference: dict[str, Any] = {}


def evaluation(
    matrix: ConfusionMatrix, images: Sequence[tuple[str, float]], classes: ClassMap, dataset: Dataset, split: str,
    config: InferenceConfig, borders: BorderScores | None = None, unit: str = "pixels",
) -> Evaluation:  # fmt: skip
    """What was counted, by the names of classes."""
    scores = matrix.scores()

    def named(values: NDArray[Any]) -> dict[str, Any]:
        return {name: _number(value) for name, value in zip(classes.own, values.tolist(), strict=True)}

    return Evaluation(
        split=split, data=dataset.root.name, mean_iou=_number(scores.mean_iou),
        pixel_accuracy=_number(scores.pixel_accuracy), mean_accuracy=_number(scores.mean_accuracy),
        pixels=scores.pixels, iou=named(scores.iou), dice=named(scores.dice), precision=named(scores.precision),
        recall=named(scores.recall), classes=list(classes.own), never_learned=list(classes.unlearned),
        not_in_data=list(classes.unknown), confusion=matrix.counts.tolist(), images=list(images),
        inference=config.model_dump(mode="json"),
        **({} if borders is None else {
            "boundary_iou": named(borders.boundary_iou), "hd95": named(borders.hd95), "hd95_unit": unit,
            "hd95_images": named(borders.compared), "hd95_missing": named(borders.one_sided),
        }),
    )  # fmt: skip


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
