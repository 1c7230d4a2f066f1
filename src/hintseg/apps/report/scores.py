"""The scores of a run's evaluations, as tables of the report."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from hintseg.apps.report.charts import Confusion, confusion
from hintseg.inference.evaluation import ByClass, Evaluation

WORST = 8
log = logging.getLogger("hintseg")


class ShownScores(NamedTuple):
    """One evaluation as a template shows it."""

    split: str
    data: str
    mean_iou: float
    pixel_accuracy: float
    pixels: int
    columns: list[str]
    rows: list[tuple[str, list[str]]]
    confusion: Confusion
    worst: str


def kept_evaluations(run: Path) -> list[Evaluation]:
    """What `hintseg evaluate` left in a run folder, one a split; files that do not hold that are left out."""
    found = []
    for path in sorted(run.glob("evaluation-*.json")):
        try:
            kept = Evaluation.model_validate_json(path.read_text("utf-8"))
            shape = len(kept.classes), len(kept.classes) + 1
            if np.shape(kept.confusion) == shape and set(kept.iou) == set(kept.classes):
                found.append(kept)
                continue
        except (OSError, ValueError, ValidationError):
            pass
        log.warning("%s: is no evaluation and is left out of the report; run hintseg evaluate again.", path)
    return found


def shown_scores(result: Evaluation) -> ShownScores:
    """The tables of one evaluation."""
    columns: list[tuple[str, ByClass, float]] = [
        ("IoU %", result.iou, 100), ("Dice %", result.dice, 100), ("precision %", result.precision, 100),
        ("recall %", result.recall, 100), ("boundary IoU %", result.boundary_iou, 100),
        (f"HD95, {result.hd95_unit}", result.hd95, 1),
    ]  # fmt: skip
    if any(result.hd95_missing.values()):
        lacking: ByClass = dict(result.hd95_missing)
        columns.append(("images without HD95", lacking, 1))
    columns = [column for column in columns if column[1]]
    rows = [(name, [_shown(values.get(name), unit) for _, values, unit in columns]) for name in result.classes]
    rows.append(("mean", [_shown(_mean(list(values.values())), unit) for _, values, unit in columns]))
    worst = "; ".join(f"{key} {100 * value:.0f} %" for key, value in result.images[:WORST])
    matrix = confusion(np.array(result.confusion), result.classes)
    return ShownScores(
        result.split, result.data, result.mean_iou or 0.0, result.pixel_accuracy or 0.0, result.pixels,
        [name for name, _, _ in columns], rows, matrix, worst,
    )  # fmt: skip


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _shown(value: float | None, unit: float) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{unit * value:.1f}"
