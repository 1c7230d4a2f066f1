"""complete, predict, evaluate, retrieve, suggest, report, export: what a trained run is good for."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from hintseg.cli.terminal import plain, say
from hintseg.errors import InputError, unknown_name
from hintseg.storage.addresses import local_path

Run = Annotated[str, typer.Argument(help="run folder or its URL", show_default=False)]
Data = Annotated[
    str | None, typer.Option(help="the training data or its URL; default the local folder that the run names")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace what hintseg made there before")]
OutFile = Annotated[Path | None, typer.Option(parser=local_path, metavar="FILE", help="JSON file; default in RUN")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps")]
Method = Annotated[str | None, typer.Option(help="softmax, retrieval or both; default the recipe's")]
Scales = Annotated[str | None, typer.Option(help="e.g. 0.75,1,1.25; default the recipe's")]
Flip = Annotated[bool | None, typer.Option("--flip/--no-flip", help="average with the mirrored image")]
Crf = Annotated[bool | None, typer.Option("--crf/--no-crf", help="refine with a dense CRF")]
Presence = Annotated[
    float | None,
    typer.Option(min=0, help="weight of which classes the whole image shows; default the recipe's; 0: none"),
]
LongestSide = Annotated[
    int | None, typer.Option(min=0, help="reduce larger images to this first; default as in training; 0: not at all")
]
Engine = Annotated[Literal["torch", "onnx"], typer.Option(help="who runs the network; onnx: pip install hintseg[onnx]")]


def complete(
    run: Annotated[str, typer.Argument(help="run folder, or with --method a data set folder", show_default=False)],
    out: Annotated[str | None, typer.Option(help="folder for the masks or its URL; default RUN/masks")] = None,
    data: Annotated[str | None, typer.Option(help="data set with hints; default the training data")] = None,
    split: Annotated[str | None, typer.Option(help="images to complete; default train")] = None,
    method: Annotated[
        str, typer.Option(help="network, or without any training: harmonic, lgc, random_walk, ncut, crf")
    ] = "network",
    hints: Annotated[str | None, typer.Option(help="forms to use with a data set folder; default all")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="keep the masks that an interrupted call wrote")] = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """Write dense masks for hinted images."""
    from hintseg.bulk.output import Made, Output, digest_of
    from hintseg.bulk.photographs import Photograph
    from hintseg.cli.progress import progress_bar
    from hintseg.exhausted import memory_explained
    from hintseg.hints.dataset import Dataset
    from hintseg.hints.description import hint_files
    from hintseg.hints.forms.by_name import parse_forms
    from hintseg.inference.segmenter import Segmenter
    from hintseg.inference.untrained import METHODS, complete_key
    from hintseg.network.exported import digest
    from hintseg.storage.files import below, exists
    from hintseg.storage.outputs import require_outside

    if method == "network" or exists(below(run, "run.json")):
        segmenter = Segmenter.open(run, device)
        dataset = segmenter.dataset() if data is None else Dataset.open(data)
        own = data is None or dataset.address == segmenter.description.data
        keys = segmenter.description.keys if split is None and own else dataset.keys(split)
        forms = segmenter.description.forms
        segmenter.class_map(dataset)  # refused before anything is written
    else:
        segmenter, dataset, forms = None, Dataset.open(run), parse_forms(hints)
        keys = dataset.keys(split or "train")
    if method not in ("network", *METHODS):
        raise unknown_name("completion method", method, METHODS)
    trained = segmenter if method == "network" else None
    weights = "" if trained is None else digest(trained.run / "weights.safetensors")
    # A data set's own folder masks/ holds the truth.
    output = Output(out or below(run, "masks" if segmenter is not None else f"masks-{method}"), classes=dataset.classes)
    require_outside(output.folder, dataset.label_folders)
    images = [Photograph(str(dataset.paths[key]), key) for key in keys if key in dataset.paths]
    finished = output.claim(digest_of(method, weights, forms, hint_files(dataset.root)), images, resume, overwrite)
    broken = 0
    with progress_bar() as show:
        for number, key in enumerate(keys):
            try:
                if key not in finished:
                    with memory_explained(key, "reduce the image, or cut it into tiles"):
                        mask = trained.complete(dataset, key) if trained else complete_key(dataset, key, forms, method)
                    output.write(key, Made(mask))
            except InputError as error:
                broken += 1
                say(f"hintseg: {error}", file=sys.stderr)
            show("complete", number + 1, len(keys), {})
    say(f"{len(keys) - broken} of {len(keys)} masks in {output.folder}")
    if broken:
        raise typer.Exit(2)


def predict(
    run: Annotated[str, typer.Argument(help="run folder or its URL", show_default=False)],
    photographs: Annotated[list[str], typer.Argument(help="folder, glob pattern, files or URLs", show_default=False)],
    out: Annotated[str, typer.Option(help="folder for the masks or its URL")] = "masks",
    soft: Annotated[bool, typer.Option("--soft", help="also write class probabilities as npz")] = False,
    geotiff: Annotated[bool, typer.Option("--geotiff", help="masks as GeoTIFF, where the photographs lie")] = False,
    parquet: Annotated[bool, typer.Option("--parquet", help="masks in Parquet shards")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="keep the masks that an interrupted call wrote")] = False,
    overwrite: Overwrite = False,
    method: Method = None,
    scales: Scales = None,
    longest_side: LongestSide = None,
    flip: Flip = None,
    crf: Crf = None,
    presence: Presence = None,
    engine: Annotated[
        Literal["torch", "onnx", "ray"],
        typer.Option(help="onnx: pip install 'hintseg[onnx]'; ray, many processes or machines: 'hintseg[ray]'"),
    ] = "torch",
    workers: Annotated[int | None, typer.Option(min=1, help="of --engine ray; default one a GPU, or a core")] = None,
    device: Device = "auto",
) -> None:
    """Segment photographs of any size into palette PNGs, GeoTIFFs or Parquet shards."""
    from hintseg.bulk.cluster import predict_on_ray
    from hintseg.bulk.local import maker_of, pending, predict_here
    from hintseg.bulk.output import Kind, Output
    from hintseg.bulk.photographs import find_photographs
    from hintseg.cli.progress import progress_bar
    from hintseg.inference.segmenter import Segmenter

    if geotiff and parquet:
        raise InputError("--geotiff and --parquet: choose one.")
    kind: Kind = "geotiff" if geotiff else "parquet" if parquet else "png"
    found = find_photographs(photographs, out)
    segmenter = Segmenter.open(run, device, "onnx" if engine == "onnx" else "torch")
    config = _inference(
        segmenter, method=method, scales=scales, longest_side=longest_side, flip=flip, crf=crf, presence=presence,
    )  # fmt: skip
    output = Output(out, kind, segmenter.classes, soft)
    wanted = pending(found, output, maker_of(segmenter, config), resume, overwrite, clear=engine == "ray")
    if engine == "ray":
        results = predict_on_ray(segmenter.run, wanted, output, config, workers)
    else:
        results = predict_here(segmenter, wanted, output, config)
    broken, before = 0, len(found) - len(wanted)
    with progress_bar() as show:
        for number, (_, wrong) in enumerate(results):
            if wrong is not None:
                broken += 1
                say(f"hintseg: {wrong}", file=sys.stderr)
            show("predict", before + number + 1, len(found), {})
    say(f"{len(found) - broken} of {len(found)} masks in {out}")
    if broken:
        raise typer.Exit(2)


def evaluate(
    run: Run,
    data: Annotated[str, typer.Argument(help="data set folder with masks", show_default=False)],
    split: Annotated[str, typer.Option(help="images to evaluate")] = "val",
    method: Method = None,
    scales: Scales = None,
    longest_side: LongestSide = None,
    flip: Flip = None,
    crf: Crf = None,
    presence: Presence = None,
    engine: Engine = "torch",
    device: Device = "auto",
    out: OutFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure mean IoU, per class, pixel accuracy and confusion."""
    from rich.table import Table

    from hintseg.cli.progress import console, progress_bar
    from hintseg.hints.dataset import Dataset
    from hintseg.inference.evaluation import evaluate_split, scores_as_json
    from hintseg.inference.segmenter import Segmenter
    from hintseg.report.html import Evaluated
    from hintseg.report.run_report import report_run
    from hintseg.storage.mirror import published
    from hintseg.storage.results import require_result, write_result

    with published(run) as folder, progress_bar() as show:
        if out is not None:
            require_result(out, overwrite)
        dataset = Dataset.open(data, show)
        segmenter = Segmenter.open(folder, device, engine)
        config = _inference(
            segmenter, method=method, scales=scales, longest_side=longest_side, flip=flip, crf=crf, presence=presence,
        )  # fmt: skip
        wrong: list[str] = []
        matrix, images = evaluate_split(
            segmenter, dataset, split, config, lambda done, total: show("evaluate", done, total, {}), wrong.append
        )
        for sentence in wrong:
            print(f"hintseg: {sentence}", file=sys.stderr)
        content = scores_as_json(matrix, segmenter.class_map(dataset), split, config)
        target = write_result(out or folder / f"evaluation-{split}.json", content, out is None or overwrite)
        page = report_run(segmenter, Evaluated(split, matrix, images), dataset)
    table = Table("class", "IoU %")
    for name, value in content["iou"].items():
        table.add_row(name, "–" if value is None else f"{100 * value:.1f}")
    console.print(table)
    say(f"mean IoU {100 * content['mean_iou']:.2f} %, pixel accuracy {100 * content['pixel_accuracy']:.2f} %")
    say(f"{target}\nReport: {page}")
    if wrong:
        say(f"{len(images)} of {len(images) + len(wrong)} images; the others could not be evaluated")
        raise typer.Exit(2)


def retrieve(
    run: Run,
    photograph: Annotated[str, typer.Argument(help="a photograph or its URL", show_default=False)],
    at: Annotated[str, typer.Option(help="clicked pixel, x,y")],
    neighbours: Annotated[int, typer.Option(min=1, help="how many")] = 20,
    out: Annotated[Path | None, typer.Option(parser=local_path, metavar="FOLDER", help="default RUN/retrieval")] = None,
    data: Data = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """Find the training segments nearest to a clicked one: a picture and JSON."""
    from hintseg.inference.segmenter import Segmenter
    from hintseg.report.retrieval import save_retrieval
    from hintseg.storage.files import below, local_file
    from hintseg.storage.mirror import published
    from hintseg.storage.outputs import identity, require_replaceable
    from hintseg.storage.results import require_result

    try:
        x, y = (float(part) for part in at.split(","))
    except ValueError as error:
        raise InputError(f"--at {at!r}: write x,y in pixels, e.g. 120,80.") from error
    with published(run) as folder, local_file(photograph) as path:
        target = Path(below(str(folder), "retrieval")) if out is None else out
        require_replaceable(str(target / f"{path.stem}.png"), out is None or overwrite, {identity(path)})
        require_result(target / f"{path.stem}.json", out is None or overwrite)
        segmenter = Segmenter.open(folder, device, data=data)
        image = segmenter.read(path)
        mask, found = segmenter.retrieve(image, (x, y), neighbours)
        picture, listing = save_retrieval(segmenter, image, mask, found, target, path.stem)
    for neighbour in found[:5]:
        say(f"{neighbour.similarity:.3f}  {segmenter.classes[neighbour.label]}  {neighbour.key}")
    say(f"{picture}\n{listing}")


def suggest(
    run: Run,
    data: Annotated[str | None, typer.Argument(help="data set folder; default the training data")] = None,
    home: Annotated[str | None, typer.Option("--data", help="the same as an option")] = None,
    split: Annotated[str, typer.Option(help="images to look at")] = "train",
    count: Annotated[int, typer.Option(min=1, help="how many suggestions")] = 20,
    method: Annotated[str, typer.Option(help="whose doubt: softmax or retrieval")] = "softmax",
    out: OutFile = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """Say which regions the model doubts most, and which classes lack hints."""
    from rich.table import Table

    from hintseg.cli.progress import console, progress_bar
    from hintseg.hints.check import inspect
    from hintseg.hints.dataset import Dataset
    from hintseg.inference.segmenter import Segmenter
    from hintseg.inference.suggest import suggest as find
    from hintseg.storage.mirror import published
    from hintseg.storage.results import require_result, write_result

    data = home if data is None else data
    with published(run) as folder, progress_bar() as show:
        if out is not None:
            require_result(out, overwrite)
        segmenter = Segmenter.open(folder, device)
        dataset = segmenter.dataset() if data is None else Dataset.open(data)
        segmenter.class_map(dataset)  # refused before every image is read
        inspected = inspect(dataset, dataset.keys(split), segmenter.description.forms)
        found = find(
            segmenter, dataset, inspected.usable, method, lambda done: show("suggest", done, len(inspected.usable), {})
        )[:count]
        content = [suggestion._asdict() for suggestion in found]
        target = write_result(out or folder / "suggestions.json", content, out is None or overwrite)
    table = Table("image", "click at x, y", "doubtful pixels", "likely")
    for suggestion in found:
        likely = ", ".join(f"{name} {share:.0%}" for name, share in suggestion.classes)
        table.add_row(plain(suggestion.key), f"{suggestion.x}, {suggestion.y}", f"{suggestion.doubt:.0f}", likely)
    console.print(table)
    for sentence in [*inspected.warnings, *inspected.errors]:
        say(f"warning: {sentence}")
    say(target)


def report(run: Run, data: Data = None, device: Device = "auto") -> None:
    """Write the run's HTML report again."""
    from hintseg.inference.segmenter import Segmenter
    from hintseg.report.run_report import report_run
    from hintseg.storage.mirror import published

    with published(run) as folder:
        say(report_run(Segmenter.open(folder, device, data=data)))


def export(
    run: Run,
    out: Annotated[str, typer.Option(help="new folder or its URL")],
    format_: Annotated[str, typer.Option("--format", help="coco, label-studio, cvat, voc or geotiff")] = "coco",
    data: Data = None,
    masks: Annotated[
        Path | None,
        typer.Option(parser=local_path, metavar="FOLDER", help="label maps; default RUN/masks, which complete writes"),
    ] = None,
    photographs: Annotated[
        Path | None,
        typer.Option(parser=local_path, metavar="FOLDER", help="of the images; default the training data's"),
    ] = None,
) -> None:
    """Write masks in the format of another tool."""
    from hintseg.bulk.output import classes_of_masks
    from hintseg.bulk.photographs import find_photographs
    from hintseg.cli.progress import progress_bar
    from hintseg.formats.by_name import export_masks
    from hintseg.formats.exported import Classes
    from hintseg.hints.classes import match_classes
    from hintseg.inference.description import RunDescription
    from hintseg.storage.mirror import fetch, published

    folder = fetch(run)
    described = RunDescription.load(folder / "run.json")
    root = photographs or fetch(data or described.data_folder(folder)) / "images"
    files = {photograph.name: Path(photograph.source) for photograph in find_photographs([root])}
    chosen = masks or folder / "masks"
    found = match_classes(classes_of_masks(chosen) or described.classes, described.classes, where=str(chosen))
    background = next((own for own, label in found.run_label.items() if label == described.background), None)
    with published(out) as target, progress_bar() as show:
        written = export_masks(files, chosen, target, format_, Classes(found.own, background), show)
    say(f"{written} masks in {out}")


def _inference(segmenter, **options):  # type: ignore[no-untyped-def]
    """The recipe's inference section with the options that were given."""
    from pydantic import ValidationError

    changes = {name: value for name, value in options.items() if value is not None}
    if "scales" in changes:
        changes["scales"] = changes["scales"].split(",")
    try:
        return segmenter.with_inference(**changes)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"--{first['loc'][0]}: {first['msg'].lower()} (got {first['input']!r}).") from error
