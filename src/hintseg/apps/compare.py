"""compare(): several objectives under one budget, on one network and one data set."""

import hashlib
import json
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hintseg.api import choose_recipe, train
from hintseg.apps.report.comparison import write_comparison
from hintseg.check import inspect
from hintseg.config.schema import Recipe
from hintseg.errors import ConfigError
from hintseg.hints.dataset import Dataset
from hintseg.hints.types.registry import parse_hint_types
from hintseg.inference.evaluation import evaluate_configs
from hintseg.inference.segmenter import Segmenter
from hintseg.io.reading import json_object
from hintseg.io.storage.mirror import Progress
from hintseg.io.storage.outputs import claim_folder
from hintseg.io.storage.results import require_result, write_result
from hintseg.io.writing import write_text
from hintseg.metrics import ConfusionMatrix

HEADS = {  # of the table, by field of `Result`
    "mean_iou": "softmax", "knn": "knn", "softmax_knn": "softmax+knn", "with_crf": "softmax+knn+CRF",
    "completed": "completed",
}  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One row with one seed. Scores are mean IoU in percent, None where there is no truth.

    Attributes:
        row: objective, with its settings.
        mean_iou: softmax.
        knn: by nearest training segments.
        softmax_knn: the mean of the two.
        with_crf: that mean refined by a dense CRF.
        completed: completed masks of the training images against their masks; None where not asked for.
        seconds: of training.
        run: folder.
    """

    row: str
    seed: int
    iterations: int
    mean_iou: float
    knn: float
    softmax_knn: float
    with_crf: float
    completed: float | None
    seconds: float
    run: str


def compare(
    dataset: Dataset, rows: Sequence[str], hints: str | None = None, out: Path = Path("runs/compare"), *,
    seeds: Sequence[int] = (0,), split: str = "val", recipe: str = "plain", weights: str = "auto",
    iterations: int | None = None, settings: Sequence[str] = (), device: str = "auto", precision: str = "32-true",
    completed: bool = True, progress: Progress | None = None,
) -> list[Result]:  # fmt: skip
    """Train every row with every seed, evaluate, and write compare.json and compare.html into `out`.

    Interrupted, it goes on with the row it was at; rows already measured are kept, on the same split and masks.

    Args:
        rows: objectives, each a name of `OBJECTIVES`, or "NAME:section.key=value;section.key=value".
        hints: hint types to train on; None uses all.
        out: folder for the runs and the comparison.
        seeds: of every row.
        split: with masks, to evaluate on.
        recipe, weights, iterations, settings, device, precision: as for `train`, the same for all rows.
        completed: complete the training masks, too, which takes longer than all other measurements.

    Raises:
        HintsegError: what `train` and `evaluate_split` raise; wrong rows before anything is trained.
    """
    hint_types = parse_hint_types(hints)
    keys = dataset.keys("train")
    checked = None if progress is None else lambda done: progress("check", done, len(keys), {})
    found = inspect(dataset, keys, hint_types, checked, digests=True)
    told_of = dataset.classes, dataset.background, dataset.tags_exhaustive, found.digests
    measured_on = {*dataset.keys(split), *(keys if completed else ())}
    masks = inspect(dataset, sorted(measured_on), ("masks",), digests=True).digests
    measuring = {"split": split, "masks": _digest(masks), "completes": completed}
    common = {"recipe": recipe, "weights": weights, "iterations": iterations}
    chosen = [(row, seed, _recipe(row, seed, settings, **common)) for row in rows for seed in seeds]
    require_result(out / "compare.json", overwrite=True)
    claim_folder(out, "compare.json")
    results = []
    for row, seed, configured in chosen:
        folder = out / re.sub(r"[^\w.-]+", "_", f"{row}-{seed}")
        training = {"recipe": configured.everything(), "precision": precision, "weights": weights}
        training["data"] = _digest(told_of)
        kept = _kept(folder, training)
        result = None if kept is None else _result(folder, kept, measuring)
        if result is None:
            learn = partial(train, weights=weights, device=device, precision=precision, progress=progress)
            result = _measure(dataset, row, configured, hints, folder, split, learn, completed)
            if kept is not None:  # the run was there, and was only measured anew
                result = replace(result, seconds=kept["seconds"])
            write_text(folder / "compare.json", json.dumps(asdict(result) | training | measuring))
        results.append(result)
        write_result(out / "compare.json", [asdict(result) for result in results], overwrite=True)
    shown = [result for result in results if result.seed == seeds[0]]
    segmenters = {result.row: Segmenter.open(Path(result.run), device) for result in shown}
    write_comparison(out / "compare.html", summary(results), segmenters, dataset, split)
    return results


def parse_rows(text: str) -> list[str]:
    """ "a,b:section.key=[1,2];section.other=3" → its rows; commas in brackets do not part."""
    return [row.strip() for row in re.split(r",(?![^\[]*\])", text) if row.strip()]


def summary(results: Sequence[Result]) -> list[dict[str, str]]:
    """One line a row: mean ± standard deviation over seeds of every score."""
    lines = []
    for row in dict.fromkeys(result.row for result in results):
        mine = [result for result in results if result.row == row]
        line = {"objective": row, "seeds": str(len(mine))}
        for name, head in HEADS.items():
            values = [value for result in mine if (value := getattr(result, name)) is not None]
            line[head] = f"{statistics.mean(values):.1f}" if values else "–"
            if len(values) > 1:
                line[head] += f" ± {statistics.stdev(values):.1f}"
        line["seconds"] = f"{statistics.mean(result.seconds for result in mine):.0f}"
        lines.append(line)
    return lines


def completed_matrix(segmenter: Segmenter, dataset: Dataset) -> ConfusionMatrix:
    """The training images' completed masks against their masks, where they have any."""
    matrix = ConfusionMatrix(len(dataset.classes))
    for key in segmenter.description.keys:
        truth = dataset.mask(key)
        if truth is not None:
            matrix.update(truth, segmenter.complete(dataset, key))
    return matrix


def _recipe(row: str, seed: int, settings: Sequence[str], **common: Any) -> Recipe:
    objective, _, own = row.partition(":")
    own_settings = [part for part in own.split(";") if part]
    return choose_recipe(objective=objective, seed=seed, settings=[*settings, *own_settings], **common)


def _digest(content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def _kept(folder: Path, training: dict[str, Any]) -> dict[str, Any] | None:
    """What an earlier comparison wrote of a run; ConfigError where that was trained otherwise."""
    content = json_object(folder / "compare.json")
    if not content.keys() >= {*training, "seconds"}:
        return None
    if {name: content.pop(name) for name in training} != training:
        raise ConfigError(f"{folder}: holds a result of other settings or data; choose another --out, or remove it.")
    return content


def _result(folder: Path, kept: dict[str, Any], measuring: dict[str, Any]) -> Result | None:
    """What was measured; None where that was on other images or masks."""
    rest = {name: value for name, value in kept.items() if name not in measuring}
    if {name: kept.get(name) for name in measuring} != measuring or rest.keys() != Result.__annotations__.keys():
        return None
    return Result(**rest | {"run": str(folder)})


def _measure(
    dataset: Dataset, row: str, recipe: Recipe, hints: str | None, folder: Path, split: str,
    training: Callable[..., Segmenter], completed: bool,
) -> Result:  # fmt: skip
    started = time.monotonic()
    segmenter = training(dataset, hints, folder, recipe=recipe, resume=True, cache=folder.parent / "cache")
    seconds = time.monotonic() - started
    configs: dict[str, dict[str, object]] = {
        "mean_iou": {"method": "softmax", "crf": False},
        "knn": {"method": "knn", "crf": False},
        "softmax_knn": {"method": "softmax+knn", "crf": False},
        "with_crf": {"method": "softmax+knn", "crf": True},
    }
    found = evaluate_configs(
        segmenter, dataset, split, [segmenter.with_inference(**changes) for changes in configs.values()]
    )
    scores = {name: round(100 * matrix.scores().mean_iou, 2) for name, (matrix, _) in zip(configs, found, strict=True)}
    agreement = completed_matrix(segmenter, dataset).scores().mean_iou if completed else np.nan
    return Result(
        row, recipe.seed, recipe.iterations, scores["mean_iou"], scores["knn"], scores["softmax_knn"],
        scores["with_crf"], None if np.isnan(agreement) else round(100 * agreement, 2), round(seconds, 1), str(folder),
    )  # fmt: skip
