"""train(): what the command line calls and a script would."""

import logging
import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hintseg.check import inspect, require_trainable
from hintseg.config.aliases import TERMS, current_choice
from hintseg.config.load import load_recipe, override
from hintseg.config.schema import Recipe
from hintseg.distributed import first_process
from hintseg.errors import ConfigError, InputError, unknown_name
from hintseg.hints.dataset import Dataset
from hintseg.hints.types.registry import parse_hint_types
from hintseg.inference.segmenter import Segmenter
from hintseg.instant.fit import at_scale, run_instant, start_from_head
from hintseg.io.storage.mirror import Progress, published
from hintseg.recipes.fine_tuned import FINE_TUNED
from hintseg.recipes.instant import INSTANT
from hintseg.recipes.plain import PLAIN
from hintseg.recipes.registry import OBJECTIVE_SETTINGS, OBJECTIVES, RECIPES
from hintseg.training.job import Job
from hintseg.training.progress import noted
from hintseg.training.stages import run_training
from hintseg.version import __version__

log = logging.getLogger("hintseg")

AUTO = "auto"


def choose_recipe(
    recipe: str = PLAIN.name,
    *,
    config: Path | None = None,
    objective: str | None = None,
    backbone: str | None = None,
    weights: str = "auto",
    iterations: int | None = None,
    seed: int | None = None,
    settings: Iterable[str] = (),
) -> Recipe:
    """A recipe with the caller's changes; later arguments win. ConfigError: an unknown name or an invalid value."""
    if recipe not in RECIPES:
        raise unknown_name("recipe", recipe, RECIPES)
    chosen = load_recipe(config) if config is not None else RECIPES[recipe]
    changes: list[str] = []
    if objective is not None:
        objective = current_choice("--objective", objective, TERMS)
        if objective not in OBJECTIVES:
            raise unknown_name("objective", objective, OBJECTIVES)
        chosen = chosen.model_copy(update={"objective": OBJECTIVES[objective]})
        changes += OBJECTIVE_SETTINGS.get(objective, ())
    if weights == "none":  # random filters and statistics must be free to learn
        changes += ["network.freeze_stride=0", "network.freeze_batchnorm=false"]
    if backbone is not None:
        changes.append(f'network.backbone="{backbone}"')
    if iterations is not None:
        changes.append(f"iterations={iterations}")
    if seed is not None:
        changes.append(f"seed={seed}")
    chosen = override(override(chosen, changes), settings)
    pseudo_labels = chosen.objective.get("pseudo_label_cross_entropy")
    if chosen.self_training.mode == "joint" and (pseudo_labels is None or pseudo_labels.weight == 0):
        chosen = override(chosen, ['self_training.mode="none"'])
    if not chosen.objective and chosen.instant is None:
        where = "" if config is None else f"{config}: "
        raise ConfigError(
            f"{where}the objective has no term; choose one with --objective, or begin with a whole recipe, which "
            "'hintseg recipe NAME' prints."
        )
    return chosen


def resolved_recipe(engine: str, weights: str, objective: str | None = None) -> tuple[str, str]:
    """The recipe that "auto" means, and why.

    Raises:
        ConfigError: the instant engine with an objective, which it does not read.
    """
    if engine == "instant":
        if objective is not None:
            raise ConfigError("--engine instant trains no network: leave out --objective.")
        return INSTANT.name, "the engine is instant"
    if weights == "none":
        return PLAIN.name, "there are no pretrained weights"
    if objective is not None:
        return PLAIN.name, "an objective was chosen"
    return FINE_TUNED.name, "the weights are pretrained"


def train(
    dataset: Dataset | str | Path,
    hints: str | None = None,
    out: str | Path = "runs/run",
    *,
    recipe: str | Recipe = "auto",
    engine: str = "train",
    weights: str = "auto",
    split: str = "train",
    device: str = "auto",
    devices: int = 1,
    precision: str = "32-true",
    resume: bool = False,
    on_error: str = "refuse",
    progress: Progress | None = None,
    cache: str | Path | None = None,
    validate: str | None = None,
    **choices: Any,
) -> Segmenter:
    """Train on a data set's hints.

    Args:
        dataset: a data set, its folder or its URL.
        hints: hint types to use, "scribbles" or "points,scribbles"; None uses all that are there.
        out: run folder or its URL, to which it is copied out every minute.
        recipe: a name, or a `Recipe`, which is taken as it is; "auto": see `resolved_recipe`, whose choice is logged.
        engine: "train" fits the whole network in ten to twenty minutes; "instant" a head on frozen features in a few.
        weights: of the backbone: "auto" (packaged ones where there are any, else timm's), "timm", "none", or a file.
        split: images to train on.
        device: "auto", "cpu", "cuda", "cuda:1", …
        devices: how many of them, a process each; `data.batch_size` is shared out among them. The script is started
            again for every further one, and there `train` returns as soon as training ends.
        precision: "32-true", "bf16-mixed" or "16-mixed".
        resume: go on with an interrupted run.
        on_error: "refuse" or "skip" images that cannot be read.
        progress: called with (stage, done, total, values).
        validate: split with masks whose mean IoU, by softmax alone, joins the metrics at every checkpoint; the weights
            do not depend on it.
        cache: folder for superpixels, which several runs on the same images may share; default OUT/cache.
        **choices: what `choose_recipe` takes: config, objective, backbone, iterations, seed, settings.

    Returns:
        The trained segmenter, also left in `out`.

    Raises:
        HintsegError: with what is wrong and what to do, before training starts.
    """
    hint_types = parse_hint_types(hints)
    if on_error not in ("refuse", "skip"):
        raise unknown_name("--on-error", on_error, ("refuse", "skip"))
    if precision not in ("32-true", "bf16-mixed", "16-mixed"):
        raise unknown_name("precision", precision, ("32-true", "bf16-mixed", "16-mixed"))
    chosen, remarks = _resolved(recipe, engine, weights, choices)
    dataset = dataset if isinstance(dataset, Dataset) else Dataset.open(dataset, progress)
    keys = dataset.keys(split)
    told = progress or (lambda stage, done, total, values: None)
    found = inspect(dataset, keys, hint_types, lambda done: told("check", done, len(keys), {}), digests=True)
    usable = require_trainable(found, dataset, hint_types, on_error)
    if _cores() > 4 and chosen.data.num_workers == 0 and os.name == "posix":
        chosen = override(chosen, [f"data.num_workers={min(_cores() // 2, 8)}"])
    if validate is not None and not any(dataset.has_mask(key) for key in dataset.keys(validate)):
        raise InputError(f"{dataset.root}: split {validate!r} has no masks to validate with; put them into masks/.")
    with published(out) as folder:
        job = Job(
            dataset, usable, hint_types, chosen if chosen.instant is None else at_scale(chosen, found.largest), folder,
            weights=weights, device=device, devices=devices, precision=precision, resume=resume,
            cache=folder / "cache" if cache is None else Path(cache), validate=validate, largest=found.largest,
            digests=found.digests, version=__version__, progress=noted(folder, told) if first_process() else told,
            notes=[*remarks, *((logging.WARNING, said) for said in found.errors + found.warnings)],
        )  # fmt: skip
        if chosen.instant is not None and not chosen.objective:
            segmenter = run_instant(job)
        else:
            start = None if chosen.instant is None else partial(start_from_head, recipe=job.recipe)
            segmenter = run_training(job, start)
    segmenter.data = dataset
    return segmenter


def _resolved(
    recipe: str | Recipe, engine: str, weights: str, choices: Mapping[str, Any]
) -> tuple[Recipe, list[tuple[int, str]]]:  # fmt: skip
    """The recipe of a run, and what its log says of how it was chosen, with its level.

    Raises:
        ConfigError: an unknown engine, recipe or setting, or some that exclude one another.
    """
    if engine not in ("train", "instant"):
        raise unknown_name("engine", engine, ("train", "instant"))
    remarks: list[tuple[int, str]] = []
    named = recipe != AUTO or choices.get("config") is not None
    if engine == "instant" and named and recipe != INSTANT.name:
        raise ConfigError("--engine instant has a recipe of its own: leave out --recipe and --config.")
    if recipe == AUTO:
        recipe, why = resolved_recipe(engine, weights, choices.get("objective"))
        if not named:
            remarks.append((logging.INFO, f"resolved recipe: {recipe}, because {why}"))
    chosen = recipe if isinstance(recipe, Recipe) else choose_recipe(recipe, weights=weights, **choices)
    if chosen.instant is not None and weights == "none":
        raise ConfigError(f"recipe {chosen.name} reads a pretrained backbone's features: use --weights auto or a file.")
    return chosen, remarks


def _cores() -> int:
    """Those that this process may use, which a container or a scheduler may have cut down."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
