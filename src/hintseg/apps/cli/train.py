"""train and compare: hints in, run folders out."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from hintseg.apps.cli.options import DataSet, Device, Hints, Precision, Settings, Weights
from hintseg.apps.cli.terminal import print_table, say
from hintseg.distributed import first_process
from hintseg.errors import InputError
from hintseg.io.storage.addresses import local_path

log = logging.getLogger("hintseg")


def train(
    data: DataSet,
    out: Annotated[str, typer.Option(help="Run folder or its URL.")] = "runs/run",
    hints: Hints = None,
    recipe: Annotated[
        str, typer.Option(help="Recipe by name (see hintseg recipe); auto chooses one and logs why.")
    ] = "auto",
    engine: Annotated[
        str,
        typer.Option(
            help="train fits the network in ten to twenty minutes; instant fits a head on its features in one or two."
        ),
    ] = "train",
    objective: Annotated[
        str | None, typer.Option(help="Objective by name, in place of the recipe's (see hintseg recipe --objectives).")
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="Any timm network that returns feature maps.")] = None,
    weights: Weights = "auto",
    iterations: Annotated[int | None, typer.Option(min=1, help="Training iterations; default the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Random seed; default the recipe's.")] = None,
    device: Device = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Number of devices, one process each.")] = 1,
    precision: Precision = "32-true",
    split: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    validate: Annotated[str | None, typer.Option(help="Split with masks to measure at every checkpoint.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(parser=local_path, metavar="FILE", help="Recipe file (JSON or YAML), in place of a named one."),
    ] = None,
    set_: Settings = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    on_error: Annotated[str, typer.Option(help="refuse or skip images that cannot be read.")] = "refuse",
) -> None:
    """Train a segmenter from hints.

    Example: hintseg train DATA --out runs/a
    """
    from hintseg.api import train as run
    from hintseg.apps.cli.progress import progress_bar
    from hintseg.apps.report.run_report import report_run
    from hintseg.io.storage.files import below
    from hintseg.io.storage.mirror import published

    with published(out) as folder, progress_bar() as show:
        segmenter = run(
            data, hints, folder, recipe=recipe, engine=engine, weights=weights, split=split, device=device,
            devices=devices, precision=precision, resume=resume, on_error=on_error, progress=show, config=config,
            objective=objective, backbone=backbone, iterations=iterations, seed=seed, validate=validate,
            settings=set_ or (),
        )  # fmt: skip
        if first_process():
            try:
                report_run(segmenter)
            except InputError as error:  # hints or classes were edited while the run trained
                log.warning("the run is finished, but its report could not be written: %s", error)
    if first_process():
        say(f"Run: {out}\nReport: {below(out, 'report.html')}")


def compare(
    data: DataSet,
    objectives: Annotated[
        str,
        typer.Option(
            help="Comma-separated names, each with settings if wanted: 'name:section.key=value;section.key=value'."
        ),
    ] = "partial_cross_entropy,spml",
    out: Annotated[
        Path, typer.Option(parser=local_path, metavar="FOLDER", help="Folder for runs, table and images.")
    ] = Path("runs/compare"),
    hints: Hints = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds: 0, 1, …")] = 1,
    split: Annotated[str, typer.Option(help="Split with masks to evaluate on.")] = "val",
    recipe: Annotated[str, typer.Option(help="Recipe by name.")] = "plain",
    weights: Weights = "auto",
    iterations: Annotated[int | None, typer.Option(min=1, help="Iterations of every run.")] = None,
    set_: Settings = None,
    device: Device = "auto",
    precision: Precision = "32-true",
    completed: Annotated[bool, typer.Option(help="Also measure completed training masks.")] = True,
) -> None:
    """Train several objectives under one budget and tabulate them.

    Example: hintseg compare DATA --objectives partial_cross_entropy,spml --seeds 3
    """
    from hintseg.apps.cli.progress import progress_bar
    from hintseg.apps.compare import compare as run
    from hintseg.apps.compare import parse_rows, summary
    from hintseg.hints.dataset import Dataset

    with progress_bar() as show:
        results = run(
            Dataset.open(data, show), parse_rows(objectives), hints, out, seeds=range(seeds), split=split,
            recipe=recipe, weights=weights, iterations=iterations, settings=set_ or (), device=device,
            precision=precision, completed=completed, progress=show,
        )  # fmt: skip
    lines = summary(results)
    print_table(tuple(lines[0]), (tuple(line.values()) for line in lines))
    say(f"{out / 'compare.json'}\n{out / 'compare.html'}")
