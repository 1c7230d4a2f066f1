"""retrieve, suggest, report, export, measure: what a trained run has to show."""

from pathlib import Path
from typing import Annotated

import typer

from hintseg.apps.cli.options import Data, Device, OutFile, Overwrite, Run
from hintseg.apps.cli.terminal import print_table, say
from hintseg.errors import InputError
from hintseg.io.storage.addresses import local_path


def retrieve(
    run: Run,
    source: Annotated[str, typer.Argument(metavar="IMAGE", help="Image file or its URL.", show_default=False)],
    at: Annotated[str, typer.Option(help="Pixel whose segment is looked up, as x,y.")],
    neighbors: Annotated[int, typer.Option(min=1, help="Number of neighbors.")] = 20,
    out: Annotated[
        Path | None, typer.Option(parser=local_path, metavar="FOLDER", help="Output folder; default RUN/retrieval.")
    ] = None,
    data: Data = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """Find the training segments nearest to the one at a pixel.

    Example: hintseg retrieve runs/a image.jpg --at 120,80
    """
    from hintseg.apps.report.retrieval import save_retrieval
    from hintseg.inference.segmenter import Segmenter
    from hintseg.io.storage.files import below, local_file
    from hintseg.io.storage.mirror import published
    from hintseg.io.storage.outputs import identity, require_apart, require_replaceable
    from hintseg.io.storage.results import require_result

    try:
        x, y = (float(part) for part in at.split(","))
    except ValueError as error:
        raise InputError(f"--at {at!r}: write x,y in pixels, e.g. 120,80.") from error
    with published(run) as folder, local_file(source) as path:
        target = Path(below(str(folder), "retrieval")) if out is None else out
        require_apart(str(target), [source])
        require_replaceable(str(target / f"{path.stem}.png"), out is None or overwrite, {identity(path)})
        require_result(target / f"{path.stem}.json", out is None or overwrite)
        segmenter = Segmenter.open(folder, device, data=data)
        image = segmenter.decode_image(path).pixels
        mask, found = segmenter.retrieve(image, (x, y), neighbors)
        drawing, listing = save_retrieval(segmenter, image, mask, found, target, path.stem)
    say("similarity, class and image of the nearest training segments:")
    for neighbor in found[:5]:
        say(f"{neighbor.similarity:.3f}  {segmenter.classes[neighbor.label]}  {neighbor.key}")
    say(f"{drawing}\n{listing}")


def suggest(
    run: Run,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="Data set folder; default the training data.")
    ] = None,
    home: Annotated[str | None, typer.Option("--data", help="Same as the argument DATA.")] = None,
    split: Annotated[str, typer.Option(help="Split to search.")] = "train",
    count: Annotated[int, typer.Option(min=1, help="Maximum number of suggestions.")] = 20,
    method: Annotated[str, typer.Option(help="Uncertainty of softmax or of knn.")] = "softmax",
    out: OutFile = None,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """List the regions where another hint helps most.

    Also warns of classes that lack hints.

    Example: hintseg suggest runs/a --count 10
    """
    from hintseg.apps.cli.progress import progress_bar
    from hintseg.check import inspect
    from hintseg.hints.dataset import Dataset
    from hintseg.inference.segmenter import Segmenter
    from hintseg.inference.suggest import suggest as find
    from hintseg.io.storage.mirror import published
    from hintseg.io.storage.results import require_result, write_result

    if None not in (data, home) and data != home:
        raise InputError(f"both {data} and --data {home} are given; give one data set.")
    data = home if data is None else data
    with published(run) as folder, progress_bar() as show:
        require_result(out or folder / "suggestions.json", out is None or overwrite)
        segmenter = Segmenter.open(folder, device)
        dataset = segmenter.dataset() if data is None else Dataset.open(data)
        segmenter.class_map(dataset)  # refused before every image is read
        inspected = inspect(dataset, dataset.keys(split), segmenter.description.hint_types)
        found = find(
            segmenter, dataset, inspected.usable, method, lambda done: show("suggest", done, len(inspected.usable), {})
        )[:count]
        content = [suggestion._asdict() for suggestion in found]
        target = write_result(out or folder / "suggestions.json", content, out is None or overwrite)
    likely = (", ".join(f"{name} {part:.0%}" for name, part in one.classes) for one in found)
    places = ((one.key, f"{one.x}, {one.y}", round(one.uncertainty)) for one in found)
    rows = ((*place, said) for place, said in zip(places, likely, strict=True))
    print_table(("image", "click at x, y", "uncertain pixels", "likely"), rows)
    for sentence in [*inspected.warnings, *inspected.errors]:
        say(f"warning: {sentence}")
    say(target)


def report(run: Run, data: Data = None, device: Device = "auto") -> None:
    """Write the run's HTML report again.

    Example: hintseg report runs/a
    """
    from hintseg.apps.report.run_report import report_run
    from hintseg.inference.segmenter import Segmenter
    from hintseg.io.storage.mirror import published

    with published(run) as folder:
        say(report_run(Segmenter.open(folder, device, data=data)))


def export(
    run: Run,
    out: Annotated[str, typer.Option(help="New folder or its URL.")],
    format_: Annotated[
        str,
        typer.Option("--format", help="png, coco, coco-polygons, yolo, labelme, label-studio, cvat, voc or geotiff."),
    ] = "coco",
    data: Data = None,
    masks: Annotated[
        str | None, typer.Option(help="Folder of label maps or its URL; default RUN/masks, written by complete.")
    ] = None,
    images: Annotated[
        str | None, typer.Option(help="Folder of the images or its URL; default those of the training data.")
    ] = None,
) -> None:
    """Write masks in the format of another tool.

    Example: hintseg export runs/a --format coco --out coco
    """
    from hintseg.apps.batch_inference.mask_folders import classes_of_masks, data_set_of_masks
    from hintseg.apps.batch_inference.pairing import images_of_masks
    from hintseg.apps.cli.progress import progress_bar
    from hintseg.formats.registry import export_masks
    from hintseg.formats.writer import Classes
    from hintseg.hints.classes import match_classes
    from hintseg.hints.colors import by_name
    from hintseg.inference.run_config import RunConfig
    from hintseg.io.storage.files import below
    from hintseg.io.storage.mirror import fetch, published
    from hintseg.io.storage.outputs import MADE_BY

    folder = fetch(run)
    described = RunConfig.load(folder / "run.json")
    chosen = folder / "masks" if masks is None else fetch(masks)
    if images is not None:
        root, address = fetch(images), images
    else:
        root = (fetch(data) if data else described.dataset(folder, None).root) / "images"
        address = below(data, "images") if data else str(root)
    files = images_of_masks(chosen, root, address, is_named=images is not None)
    found = match_classes(classes_of_masks(chosen) or described.classes, described.classes, where=str(chosen))
    home = None if (chosen / MADE_BY).exists() else data_set_of_masks(chosen)
    coding = None if home is None else home.coding
    background = next((own for own, label in found.run_label.items() if label == described.background), None)
    colors = by_name(dict(zip((home or described).classes, (home or described).colors, strict=False)), found.own)
    with published(out) as target, progress_bar() as show:
        written = export_masks(files, chosen, target, format_, Classes(found.own, background, colors), show, coding)
    say(f"{written} masks in {out}")


def measure(
    folder: Annotated[
        Path,
        typer.Argument(
            parser=local_path, metavar="FOLDER", help="Run folder, or a folder of masks.", show_default=False
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            parser=local_path,
            metavar="FOLDER",
            help="Folder of the images, whose scale gives square meters; default those of the run.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(parser=local_path, metavar="FILE", help="CSV file; default the terminal.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure how much of each image each class covers: pixels, percent, square meters where there is a scale.

    Example: hintseg measure runs/a --out areas.csv
    """
    from hintseg.apps.measure import as_csv, measure_masks
    from hintseg.io.storage.results import require_result
    from hintseg.io.writing import write_text

    if out is not None:
        require_result(out, overwrite)
    table = as_csv(measure_masks(folder, images))
    if out is None:
        say(table.rstrip())
    else:
        write_text(out, table)
        say(out)
