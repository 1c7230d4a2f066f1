"""complete, predict, evaluate: what a trained run is good for."""

import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import typer

from hintseg.apps.cli import options
from hintseg.apps.cli.terminal import print_table, say
from hintseg.errors import ConfigError, InputError, unknown_name
from hintseg.io.storage.outputs import sole_writer


def complete(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Run folder; with --method, a data set folder.", show_default=False)
    ],
    out: Annotated[
        str | None,
        typer.Option(help="Folder for the masks or its URL; default RUN/masks; for a data set DATA/masks-METHOD."),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data set with hints; default the training data.")] = None,
    split: Annotated[str | None, typer.Option(help="Split to complete; default train.")] = None,
    method: Annotated[
        str, typer.Option(help="network; or without training: harmonic, lgc, random_walk, ncut, crf.")
    ] = "network",
    hints: Annotated[str | None, typer.Option(help="Hint types to use with a data set folder; default all.")] = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    device: options.Device = "auto",
) -> None:
    """Write dense masks for hinted images.

    Example: hintseg complete runs/a
    """
    from hintseg.apps.batch_inference.complete import complete_masks
    from hintseg.hints.dataset import Dataset
    from hintseg.hints.types.registry import parse_hint_types
    from hintseg.inference.segmenter import Segmenter
    from hintseg.io.storage.files import below, exists
    from hintseg.pseudo_labels.propagate import METHODS

    if method not in ("network", *METHODS):
        raise unknown_name("completion method", method, ("network", *METHODS))
    is_run = exists(below(run, "run.json"))
    if is_run and hints is not None:
        raise InputError(
            "--hints chooses among those of a data set; a run completes from what it trained on: leave it out."
        )
    if method == "network" and not is_run and (exists(below(run, "dataset.json")) or Path(run, "images").is_dir()):
        raise InputError(f"{run}: is a data set, not a run; add --method harmonic, or train on it and give the run.")
    if method == "network" or is_run:
        segmenter = Segmenter.open(run, device)
        dataset = segmenter.dataset() if data is None else Dataset.open(data)
        own = data is None or dataset.address == segmenter.description.data
        keys = segmenter.description.keys if split is None and own else dataset.keys(split or "train")
        hint_types = segmenter.description.hint_types
        segmenter.class_map(dataset)  # refused before anything is written
    else:
        segmenter, dataset, hint_types = None, Dataset.open(run), parse_hint_types(hints)
        keys = dataset.keys(split or "train")
    # A data set's own folder masks/ holds the truth.
    target = out or below(run, "masks" if segmenter is not None else f"masks-{method}")
    trained = segmenter if method == "network" else None
    with sole_writer(target):
        wrong = complete_masks(trained, dataset, keys, hint_types, method, target, resume, overwrite)
        _write_masks("complete", len(keys), wrong, target)


def predict(
    run: options.Run,
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGES", help="Folder, glob pattern, files or URLs.", show_default=False)
    ],
    out: Annotated[str, typer.Option(help="Folder for the masks or its URL.")] = "masks",
    soft: Annotated[bool, typer.Option("--soft", help="Also write class probabilities as npz.")] = False,
    geotiff: Annotated[
        bool, typer.Option("--geotiff", help="Write GeoTIFF masks with the images' georeference.")
    ] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="Write masks into Parquet shards.")] = False,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    method: options.Method = None,
    scales: options.Scales = None,
    longest_side: options.LongestSide = None,
    flip: options.Flip = None,
    crf: options.Crf = None,
    engine: Annotated[
        Literal["torch", "onnx", "ray"],
        typer.Option(
            help="Inference engine. onnx needs 'hintseg[onnx]'; ray (many processes or machines) needs 'hintseg[ray]'."
        ),
    ] = "torch",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers of --engine ray; default one per GPU, or per core.")
    ] = None,
    device: options.Device = "auto",
) -> None:
    """Segment new images of any size.

    Masks are palette PNGs, GeoTIFFs or Parquet shards.

    Example: hintseg predict runs/a images/ --out masks
    """
    from hintseg.apps.batch_inference.cluster import predict_on_ray
    from hintseg.apps.batch_inference.input_images import find_images
    from hintseg.apps.batch_inference.local import maker_of, pending, predict_here
    from hintseg.apps.batch_inference.output import Kind, Output
    from hintseg.inference.segmenter import Segmenter

    if geotiff and parquet:
        raise InputError("--geotiff and --parquet: choose one.")
    kind: Kind = "geotiff" if geotiff else "parquet" if parquet else "png"
    found = find_images(images, out)
    segmenter = Segmenter.open(run, device, "onnx" if engine == "onnx" else "torch")
    config = _inference(
        segmenter, method=method, scales=scales, longest_side=longest_side, flip=flip, crf=crf,
    )  # fmt: skip
    output = Output(out, kind, segmenter.classes, soft, segmenter.description.colors)
    with sole_writer(out):
        wanted = pending(found, output, maker_of(segmenter, config), resume, overwrite, clear=engine == "ray")
        if engine == "ray":
            results = predict_on_ray(segmenter.run, wanted, output, config, workers)
        else:
            results = predict_here(segmenter, wanted, output, config)
        finished: list[str | None] = [None] * (len(found) - len(wanted))
        _write_masks("predict", len(found), itertools.chain(finished, (wrong for _, wrong in results)), out)


def evaluate(
    run: options.Run,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Data set folder with masks.", show_default=False)],
    split: Annotated[str, typer.Option(help="Split to evaluate.")] = "val",
    method: options.Method = None,
    scales: options.Scales = None,
    longest_side: options.LongestSide = None,
    flip: options.Flip = None,
    crf: options.Crf = None,
    engine: options.Engine = "torch",
    device: options.Device = "auto",
    spacing: Annotated[
        float | None,
        typer.Option(min=1e-9, help="Side of a pixel, e.g. in mm; HD95 is then in that unit. Default: pixels."),
    ] = None,
    out: options.OutFile = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Measure a run on images with masks.

    Prints IoU, Dice, precision, recall, boundary IoU and HD95 of every class. HD95 is the 95th percentile of the
    distance between the borders of prediction and truth.

    Example: hintseg evaluate runs/a DATA --split val
    """
    from hintseg.apps.cli.progress import progress_bar
    from hintseg.apps.report.run_report import report_run
    from hintseg.apps.report.scores import shown_scores
    from hintseg.boundary_metrics import BoundaryMetrics
    from hintseg.hints.dataset import Dataset
    from hintseg.hints.labels import IGNORE_INDEX
    from hintseg.inference.evaluation import evaluate_split, evaluation
    from hintseg.inference.segmenter import Segmenter
    from hintseg.io.storage.mirror import published
    from hintseg.io.storage.results import require_result, write_result
    from hintseg.io.writing import is_writable

    with published(run) as folder, progress_bar() as show:
        require_result(out or folder / f"evaluation-{split}.json", out is None or overwrite)
        dataset = Dataset.open(data, show)
        segmenter = Segmenter.open(folder, device, engine)
        config = _inference(
            segmenter, method=method, scales=scales, longest_side=longest_side, flip=flip, crf=crf,
        )  # fmt: skip
        wrong: list[str] = []
        borders = BoundaryMetrics(len(dataset.classes), IGNORE_INDEX, spacing or 1.0)
        matrix, images = evaluate_split(
            segmenter, dataset, split, config, lambda done, total: show("evaluate", done, total, {}), wrong.append,
            borders,
        )  # fmt: skip
        for sentence in wrong:
            print(f"hintseg: {sentence}", file=sys.stderr)
        result = evaluation(
            matrix, images, segmenter.class_map(dataset), dataset, split, config, borders.scores(),
            "unit of --spacing" if spacing else "pixels",
        )  # fmt: skip
        content = result.model_dump(mode="json")
        target = write_result(out or folder / f"evaluation-{split}.json", content, out is None or overwrite)
        page = report_run(segmenter, result, dataset) if is_writable(folder) else f"none, as {folder} cannot be written"
    shown = shown_scores(result)
    print_table(("class", *shown.columns), ((name, *values) for name, values in shown.rows))
    say(f"mean IoU {100 * shown.mean_iou:.2f} %, pixel accuracy {100 * shown.pixel_accuracy:.2f} %")
    say(f"{target}\nReport: {page}")
    if wrong:
        say(f"{len(images)} of {len(images) + len(wrong)} images; the others could not be evaluated")
        raise typer.Exit(2)


def _write_masks(stage: str, total: int, wrong: Iterable[str | None], out: str) -> None:
    """Make masks, of each of which it is told what is wrong with it; exit code 2 where some cannot be made."""
    from hintseg.apps.cli.progress import progress_bar

    broken = 0
    with progress_bar() as show:
        for done, sentence in enumerate(wrong, start=1):
            if sentence is not None:
                broken += 1
                say(f"hintseg: {sentence}", file=sys.stderr)
            show(stage, done, total, {})
    say(f"{total - broken} of {total} masks in {out}")
    if broken:
        raise typer.Exit(2)


def _inference(segmenter, **given):  # type: ignore[no-untyped-def]
    """The recipe's inference section with the options that were given."""
    changes = {name: value for name, value in given.items() if value is not None}
    if "scales" in changes:
        changes["scales"] = changes["scales"].split(",")
    try:
        return segmenter.with_inference(**changes)
    except ConfigError as error:
        raise ConfigError(f"--{error}") from error
