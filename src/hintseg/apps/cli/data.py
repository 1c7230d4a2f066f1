"""check, import, prepare, simulate, recipe, demo: what stands before and around training."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hintseg.apps.cli.options import DataSet, Hints, NewFolder
from hintseg.apps.cli.terminal import print_table, say
from hintseg.errors import InputError
from hintseg.io.storage.addresses import local_path


def check(
    data: DataSet,
    hints: Hints = None,
    split: Annotated[str | None, typer.Option(help="Split to check; default all images.")] = None,
) -> None:
    """Say what is in a data set and what is wrong with it.

    Example: hintseg check DATA
    """
    from hintseg.apps.cli.progress import progress_bar
    from hintseg.check import inspect
    from hintseg.hints.dataset import Dataset
    from hintseg.hints.types.registry import parse_hint_types

    hint_types = parse_hint_types(hints)
    with progress_bar() as show:
        dataset = Dataset.open(data, show)
        keys = dataset.keys(split)
        found = inspect(dataset, keys, hint_types, lambda done: show("check", done, len(keys), {}))
    numbers = enumerate(dataset.classes)
    rows = ((name, found.images_of_class[label], found.hinted_pixels[label]) for label, name in numbers)
    print_table(("class", "images", "hinted pixels"), rows)
    counts = ", ".join(f"{name} in {count}" for name, count in found.hint_types.items()) or "none"
    say(f"{found.images} images, {len(found.usable)} readable; hints: {counts}")
    say(f"{dataset.passed_over.total()} files under images/ not read")
    if described := dataset.coding.described(dataset.classes):
        say(described)
    for sentence in found.warnings:
        say(f"warning: {sentence}")
    for sentence in found.errors:
        say(f"error: {sentence}")
    if found.errors:
        raise typer.Exit(2)


def simulate(
    data: DataSet,
    out: Annotated[
        Path,
        typer.Option(
            parser=local_path,
            metavar="FOLDER",
            help="New data set folder; images are linked, the split's masks are left out.",
        ),
    ],
    style: Annotated[str, typer.Option(help="Style of scribbles: skeleton, interior or border.")] = "skeleton",
    coverage: Annotated[
        float, typer.Option(min=0, max=1, help="Fraction of each stroke to keep; 0 leaves a dot.")
    ] = 1.0,
    split: Annotated[str, typer.Option(help="Split to make hints for.")] = "train",
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
) -> None:
    """Make scribbles, points, boxes and tags from masks.

    Example: hintseg simulate DATA --out DATA-HINTS --coverage 0.5
    """
    from hintseg.hints.dataset import Dataset
    from hintseg.simulate.dataset import simulate_dataset

    made = simulate_dataset(Dataset.open(data), out, style=style, coverage=coverage, split=split, seed=seed)
    say(f"{made} images with simulated hints in {out}")


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            parser=local_path, metavar="SOURCE", help="Annotation file, or folder of annotations and images."
        ),
    ],
    out: NewFolder,
    format_: Annotated[
        str, typer.Option("--format", help="auto, coco, label-studio, labelme, cvat, voc, yolo or png.")
    ] = "auto",
    background: Annotated[
        str | None, typer.Option(help="Class of everything outside annotated regions; default: unlabeled.")
    ] = None,
    unlabeled: Annotated[
        str | None, typer.Option(help="Value or class of label maps that means unlabeled, e.g. 0.")
    ] = None,
) -> None:
    """Make a data set folder from annotations of another tool.

    Example: hintseg import annotations.json --out DATA
    """
    from hintseg.apps.cli.progress import progress_bar
    from hintseg.formats.registry import import_dataset

    with progress_bar() as show:
        dataset, found = import_dataset(source, out, format_, background, show, unlabeled)
    counted = {
        "tags": len(found.tags), "boxes": len(found.boxes), "points": len(found.points),
        "scribbles": len(found.scribbles), "regions": len(found.regions),
    }  # fmt: skip
    said = ", ".join(f"{name} in {count}" for name, count in counted.items() if count) or "no hints"
    say(f"{len(found.images)} images, {len(dataset.classes)} classes; {said}; next: hintseg check {out}")
    for sentence in found.notes:
        say(f"note: {sentence}")
    for what, count in found.lost.items():
        say(f"left out: {what}, {count} times")


def prepare(
    name: Annotated[str, typer.Argument(metavar="BENCHMARK", help="voc12 or densepose.", show_default=False)],
    root: Annotated[
        Path,
        typer.Option(parser=local_path, metavar="FOLDER", help="Folder with the benchmark's unpacked archives."),
    ],
    out: NewFolder,
    points: Annotated[
        str, typer.Option(help="voc12: scribbles (their midpoints) or clicks (human clicks).")
    ] = "scribbles",
) -> None:
    """Make a data set folder from a benchmark.

    Example: hintseg prepare voc12 --root DOWNLOADS --out DATA
    """
    from hintseg.apps.cli.progress import progress_bar
    from hintseg.errors import unknown_name
    from hintseg.prepare.densepose import prepare_densepose
    from hintseg.prepare.voc12 import prepare_voc12

    if name not in ("voc12", "densepose"):
        raise unknown_name("benchmark", name, ("voc12", "densepose"))
    with progress_bar() as show:
        made = prepare_voc12(root, out, points, show) if name == "voc12" else prepare_densepose(root, out, show)
    say(f"{len(made.paths)} images in {out}; next: hintseg check {out}")


def recipe(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Recipe to show; without it, list the names.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show name, value, value without a recipe and purpose as a table.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Include settings that the recipe does not read.")] = False,
    objectives: Annotated[bool, typer.Option("--objectives", help="List the objectives instead.")] = False,
) -> None:
    """Show a recipe, or list recipes and objectives.

    The JSON shown is what `hintseg train --config FILE` reads.

    Example: hintseg recipe fine-tuned --explain
    """
    from hintseg.config.explain import explain_settings
    from hintseg.errors import unknown_name
    from hintseg.recipes.registry import OBJECTIVES, RECIPES

    if objectives:
        for key, terms in OBJECTIVES.items():
            say(f"{key}: {', '.join(terms)}")
    elif name is None:
        print("\n".join(RECIPES))
    elif name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    elif explain:
        print_table(("name", "value", "without a recipe", "what for"), explain_settings(RECIPES[name], everything))
    else:
        chosen = RECIPES[name]
        print(json.dumps(chosen.everything() if everything else chosen.model_dump(mode="json"), indent=1))


def demo(
    out: Annotated[
        Path, typer.Option(parser=local_path, metavar="FOLDER", help="Folder for data set, run and report.")
    ] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
) -> None:
    """Train on four sample images and write a report.

    Example: hintseg demo --out runs/demo
    """
    from hintseg.apps.cli.progress import progress_bar
    from hintseg.apps.demo.run import run_demo
    from hintseg.io.storage.outputs import claim_folder

    if (out / "run" / "weights.safetensors").exists():
        raise InputError(f"{out}: already holds a demo; delete the folder to run it again.")
    claim_folder(out)
    with progress_bar() as show:
        report = run_demo(out, seed, show)
    say(f"Report: {report.resolve()}")
