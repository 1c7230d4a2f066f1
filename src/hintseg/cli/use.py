"""complete, predict, evaluate, retrieve, suggest, report, export: what a trained run is good for."""

import glob
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from hintseg.errors import InputError

Run = Annotated[Path, typer.Argument(help="run folder", show_default=False)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps")]
Method = Annotated[str | None, typer.Option(help="softmax, retrieval or both; default the recipe's")]
Scales = Annotated[str | None, typer.Option(help="e.g. 0.75,1,1.25; default the recipe's")]
Flip = Annotated[bool | None, typer.Option("--flip/--no-flip", help="average with the mirrored image")]
Crf = Annotated[bool | None, typer.Option("--crf/--no-crf", help="refine with a dense CRF")]
Engine = Annotated[Literal["torch", "onnx"], typer.Option(help="who runs the network; onnx: pip install hintseg[onnx]")]


def complete(
    run: Annotated[Path, typer.Argument(help="run folder, or with --method a data set folder", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="folder for the masks; default RUN/masks")] = None,
    data: Annotated[Path | None, typer.Option(help="data set with hints; default the training data")] = None,
    split: Annotated[str | None, typer.Option(help="images to complete; default train")] = None,
    method: Annotated[
        str, typer.Option(help="network, or without any training: harmonic, lgc, random_walk, ncut, crf")
    ] = "network",
    hints: Annotated[str | None, typer.Option(help="forms to use with a data set folder; default all")] = None,
    device: Device = "auto",
) -> None:
    """Write dense masks for hinted images."""
    from hintseg.cli.progress import progress_bar
    from hintseg.hints.dataset import Dataset
    from hintseg.hints.model import parse_forms
    from hintseg.images import write_labels
    from hintseg.inference.segmenter import Segmenter
    from hintseg.inference.untrained import complete_key

    if (run / "run.json").exists() or method == "network":
        segmenter = Segmenter.open(run, device)
        dataset = segmenter.dataset() if data is None else Dataset.open(data)
        keys = segmenter.description.keys if split is None and data is None else dataset.keys(split)
        forms = segmenter.description.forms
    else:
        segmenter, dataset, forms = None, Dataset.open(run), parse_forms(hints)
        keys = dataset.keys(split or "train")
    target = out or run / "masks"
    written = 0
    with progress_bar() as show:
        for number, key in enumerate(keys):
            try:
                if segmenter is not None and method == "network":
                    mask = segmenter.complete(dataset, key)
                else:
                    mask = complete_key(dataset, key, forms, method)
                write_labels(inside(target, key, ".png"), mask)
                written += 1
            except InputError as error:
                print(f"hintseg: {error}", file=sys.stderr)
            show("complete", number + 1, len(keys), {})
    print(f"{written} of {len(keys)} masks in {target}")
    if written < len(keys):
        raise typer.Exit(2)


def predict(
    run: Run,
    photographs: Annotated[list[str], typer.Argument(help="folder, glob pattern or files", show_default=False)],
    out: Annotated[Path, typer.Option(help="folder for the masks")] = Path("masks"),
    soft: Annotated[bool, typer.Option("--soft", help="also write class probabilities as npz")] = False,
    geotiff: Annotated[bool, typer.Option("--geotiff", help="masks as GeoTIFF, where the photographs lie")] = False,
    method: Method = None,
    scales: Scales = None,
    flip: Flip = None,
    crf: Crf = None,
    engine: Engine = "torch",
    device: Device = "auto",
) -> None:
    """Segment photographs of any size into palette PNGs, or GeoTIFFs."""
    import numpy as np

    from hintseg.cli.progress import progress_bar
    from hintseg.images import atomic_path, write_labels
    from hintseg.inference.segmenter import Segmenter
    from hintseg.rasters import require_rasterio, write_georeferenced

    if geotiff:
        require_rasterio("--geotiff")
    files = find_photographs(photographs)
    segmenter = Segmenter.open(run, device, engine)
    config = _inference(segmenter, method, scales, flip, crf)
    broken = []
    with progress_bar() as show:
        for number, (path, name) in enumerate(files):
            try:
                image = segmenter.read(path)
                if soft:
                    probabilities = segmenter.probabilities(image, config)
                    with atomic_path(inside(out, name, ".npz")) as temporary:
                        np.savez_compressed(temporary, probabilities=probabilities, classes=np.array(segmenter.classes))
                    labels = probabilities.argmax(axis=0).astype(np.uint8)
                else:
                    labels = segmenter.predict(image, config)
                if geotiff:
                    with atomic_path(inside(out, name, ".tif")) as temporary:
                        write_georeferenced(temporary, labels, path)
                else:
                    write_labels(inside(out, name, ".png"), labels)
            except InputError as error:
                broken.append(error)
                print(f"hintseg: {error}", file=sys.stderr)
            show("predict", number + 1, len(files), {})
    print(f"{len(files) - len(broken)} of {len(files)} masks in {out}")
    if broken:
        raise typer.Exit(2)


def evaluate(
    run: Run,
    data: Annotated[Path, typer.Argument(help="data set folder with masks", show_default=False)],
    split: Annotated[str, typer.Option(help="images to evaluate")] = "val",
    method: Method = None,
    scales: Scales = None,
    flip: Flip = None,
    crf: Crf = None,
    engine: Engine = "torch",
    device: Device = "auto",
    out: Annotated[Path | None, typer.Option(help="JSON file; default RUN/evaluation-SPLIT.json")] = None,
) -> None:
    """Measure mean IoU, per class, pixel accuracy and confusion."""
    from rich.table import Table

    from hintseg.cli.progress import console, progress_bar
    from hintseg.hints.dataset import Dataset
    from hintseg.images import atomic_path
    from hintseg.inference.evaluation import evaluate_split, scores_as_json
    from hintseg.inference.segmenter import Segmenter
    from hintseg.report.html import Evaluated
    from hintseg.report.run_report import report_run

    segmenter = Segmenter.open(run, device, engine)
    dataset = Dataset.open(data)
    config = _inference(segmenter, method, scales, flip, crf)
    with progress_bar() as show:
        matrix, images = evaluate_split(
            segmenter, dataset, split, config, lambda done, total: show("evaluate", done, total, {})
        )
    content = scores_as_json(matrix, segmenter.classes, split, config)
    target = out or run / f"evaluation-{split}.json"
    with atomic_path(target) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")
    table = Table("class", "IoU %")
    for name, value in content["iou"].items():
        table.add_row(name, "–" if value is None else f"{100 * value:.1f}")
    console.print(table)
    print(f"mean IoU {100 * content['mean_iou']:.2f} %, pixel accuracy {100 * content['pixel_accuracy']:.2f} %")
    page = report_run(segmenter, Evaluated(split, matrix, images), dataset)
    print(f"{target}\nReport: {page}")


def retrieve(
    run: Run,
    photograph: Annotated[Path, typer.Argument(help="a photograph", show_default=False)],
    at: Annotated[str, typer.Option(help="clicked pixel, x,y")],
    neighbours: Annotated[int, typer.Option(min=1, help="how many")] = 20,
    out: Annotated[Path | None, typer.Option(help="folder; default RUN/retrieval")] = None,
    device: Device = "auto",
) -> None:
    """Find the training segments nearest to a clicked one: a picture and JSON."""
    from hintseg.inference.segmenter import Segmenter
    from hintseg.report.retrieval import save_retrieval

    try:
        x, y = (float(part) for part in at.split(","))
    except ValueError as error:
        raise InputError(f"--at {at!r}: write x,y in pixels, e.g. 120,80.") from error
    segmenter = Segmenter.open(run, device)
    image = segmenter.read(photograph)
    mask, found = segmenter.retrieve(image, (x, y), neighbours)
    picture, listing = save_retrieval(segmenter, image, mask, found, out or run / "retrieval", photograph.stem)
    for neighbour in found[:5]:
        print(f"{neighbour.similarity:.3f}  {segmenter.classes[neighbour.label]}  {neighbour.key}")
    print(f"{picture}\n{listing}")


def suggest(
    run: Run,
    data: Annotated[Path | None, typer.Argument(help="data set folder; default the training data")] = None,
    split: Annotated[str, typer.Option(help="images to look at")] = "train",
    count: Annotated[int, typer.Option(min=1, help="how many suggestions")] = 20,
    method: Annotated[str, typer.Option(help="whose doubt: softmax or retrieval")] = "softmax",
    out: Annotated[Path | None, typer.Option(help="JSON file; default RUN/suggestions.json")] = None,
    device: Device = "auto",
) -> None:
    """Say where one more hint is worth most, and which classes lack hints."""
    from rich.table import Table

    from hintseg.cli.progress import console, progress_bar
    from hintseg.hints.check import inspect
    from hintseg.hints.dataset import Dataset
    from hintseg.images import atomic_path
    from hintseg.inference.segmenter import Segmenter
    from hintseg.inference.suggest import suggest as find

    segmenter = Segmenter.open(run, device)
    dataset = segmenter.dataset() if data is None else Dataset.open(data)
    keys = dataset.keys(split)
    with progress_bar() as show:
        inspected = inspect(dataset, keys, segmenter.description.forms)
        found = find(
            segmenter, dataset, inspected.usable, method, lambda done: show("suggest", done, len(inspected.usable), {})
        )[:count]
    table = Table("image", "click at x, y", "doubtful pixels", "likely")
    for suggestion in found:
        likely = ", ".join(f"{name} {share:.0%}" for name, share in suggestion.classes)
        table.add_row(suggestion.key, f"{suggestion.x}, {suggestion.y}", f"{suggestion.doubt:.0f}", likely)
    console.print(table)
    for sentence in [*inspected.warnings, *inspected.errors]:
        print(f"warning: {sentence}")
    target = out or run / "suggestions.json"
    content = [suggestion._asdict() for suggestion in found]
    with atomic_path(target) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")
    print(target)


def report(run: Run, device: Device = "auto") -> None:
    """Write the run's HTML report again."""
    from hintseg.inference.segmenter import Segmenter
    from hintseg.report.run_report import report_run

    print(report_run(Segmenter.open(run, device)))


def export(
    run: Run,
    out: Annotated[Path, typer.Option(help="new folder")],
    format_: Annotated[str, typer.Option("--format", help="coco, label-studio, cvat, voc or geotiff")] = "coco",
    masks: Annotated[Path | None, typer.Option(help="label maps; default RUN/masks, which complete writes")] = None,
    photographs: Annotated[Path | None, typer.Option(help="folder of the images; default the training data's")] = None,
) -> None:
    """Write masks in the format of another tool."""
    from hintseg.cli.progress import progress_bar
    from hintseg.formats.by_name import export_masks
    from hintseg.formats.exported import Classes
    from hintseg.inference.description import RunDescription

    described = RunDescription.load(run / "run.json")
    root = photographs or Path(described.data) / "images"
    files = {Path(name).with_suffix("").as_posix(): path for path, name in find_photographs([str(root)])}
    classes = Classes(tuple(described.classes), described.background)
    with progress_bar() as show:
        written = export_masks(files, masks or run / "masks", out, format_, classes, show)
    print(f"{written} masks in {out}")


def find_photographs(arguments: list[str]) -> list[tuple[Path, str]]:
    """Files with the name their mask shall have: paths below a folder keep their sub-folders.

    Raises:
        InputError: nothing found, or two photographs would share a mask.
    """
    from hintseg.images import IMAGE_SUFFIXES

    found: dict[str, Path] = {}
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            files = [(file, file.relative_to(path)) for file in sorted(path.rglob("*"))]
            files = [(file, name) for file, name in files if file.suffix.lower() in IMAGE_SUFFIXES]
        elif path.exists():
            files = [(path, Path(path.name))]
        else:
            files = [(Path(name), Path(Path(name).name)) for name in sorted(glob.glob(argument, recursive=True))]
        if not files:
            raise InputError(f"{argument}: no photograph found; give a folder, a pattern in quotes, or files.")
        for file, name in files:
            key = name.with_suffix("").as_posix()
            if key in found and found[key] != file:
                raise InputError(
                    f"{file} and {found[key]} would both write {key}.png; rename one or predict them apart."
                )
            found[key] = file
    return [(file, key) for key, file in found.items()]


def inside(folder: Path, key: str, suffix: str) -> Path:
    """folder/key+suffix, refused where the key would lead outside the folder.

    Raises:
        InputError: it would.
    """
    path = folder / f"{key}{suffix}"
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{key!r} would be written outside {folder}; rename it.")
    return path


def _inference(segmenter, method, scales, flip, crf):  # type: ignore[no-untyped-def]
    from pydantic import ValidationError

    changes: dict[str, object] = {}
    if method is not None:
        changes["method"] = method
    if scales is not None:
        changes["scales"] = scales.split(",")
    if flip is not None:
        changes["flip"] = flip
    if crf is not None:
        changes["crf"] = crf
    try:
        return segmenter.with_inference(**changes)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"--{first['loc'][0]}: {first['msg'].lower()} (got {first['input']!r}).") from error
