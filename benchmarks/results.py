"""What docs/explanation/results.md shows, measured again: on a few images of each set, or in full.

python -m benchmarks.results FOLDER                      a small version, in minutes; prints the tables
python -m benchmarks.results FOLDER --full               writes paper/results and the page; days on two cores
python -m benchmarks.results FOLDER --full --split test  once, at the end: accuracy notes it in paper/test-split.md

FOLDER holds the data sets of `TASKS`; those that are not there are named and left out. Every figure comes from a
command of its own, which its result file names. Interrupted, the same command goes on.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.record import RESULTS
from benchmarks.subset import some
from hintseg.hints.dataset import Dataset


class Task(NamedTuple):
    """Hints of a data set, in the name of its result files; `images` of train are used, None: all."""

    name: str
    data: str
    hints: str
    rows: str = "instant,fine-tuned"
    images: int | None = None


TASKS = (
    Task("msrc21-scribbles", "msrc21", "scribbles"),
    Task("msrc21-points", "msrc21", "points"),
    Task("msrc21-masks", "msrc21", "masks", rows="instant"),
    Task("voc-animals-clicks", "voc_animals", "points", images=500),
    Task("ccp10-scribbles", "ccp10", "scribbles"),
    Task("acdc-scribbles", "acdc", "scribbles", images=300),
)
FEW = 40  # images of the small version
PEERS = ("msrc21-scribbles", "voc-animals-clicks", "ccp10-scribbles", "acdc-scribbles")
RELATIONSHIPS = ("msrc21-points", "voc-animals-clicks")
SPARSITY = "msrc21-scribbles"
SUGGESTIONS = {"msrc21-points": (), "voc-animals-clicks": ("--rounds", "1", "--step", "250")}
SESSION = "msrc21-points"
PARTS = "contrast,kmeans,prototypes,affinity,random_walk,dense_crf,retrieval"
SEEDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--full", action="store_true", help="all images, recipes as they are, three seeds")
    parser.add_argument("--split", default="val", choices=("val", "test"))
    parser.add_argument("--images", type=int, default=FEW, help="of each set, in the small version")
    parser.add_argument("--peers-python", default=sys.executable, help="that has the packages of benchmarks/peers")
    parser.add_argument("--work", type=Path, default=Path("runs/results"))
    options = parser.parse_args()
    if options.split == "test" and not options.full:
        parser.error("the test split is looked at in full: add --full")
    started, work = time.monotonic(), options.work / ("full" if options.full else "small")
    results = RESULTS if options.full else work / "json"
    results.mkdir(parents=True, exist_ok=True)
    data = datasets(options.folder, work, None if options.full else options.images)
    for command in commands(data, work, options.full, options.split, options.peers_python):
        print("$", *command, flush=True)
        subprocess.run(command, env=os.environ | {"HINTSEG_RESULTS": str(results.resolve())}, check=True)
    tables = [sys.executable, "-m", "benchmarks.tables", *([] if options.full else ["--print"])]
    subprocess.run(tables, env=os.environ | {"HINTSEG_RESULTS": str(results.resolve())}, check=True)
    print(f"{(time.monotonic() - started) / 60:.0f} minutes; result files: {results}")


def datasets(folder: Path, work: Path, few: int | None) -> dict[str, Path]:
    """Folders of the tasks whose data sets are there, by the task's name, made smaller where they have to be."""
    found = {}
    for task in TASKS:
        source, images = folder / task.data, few or task.images
        if not (source / "dataset.json").exists():
            print(f"{task.name}: {source} is not there; left out", file=sys.stderr)
            continue
        found[task.name] = source
        if images is not None:
            found[task.name] = work / "data" / f"{task.data}-{images}"
            if not found[task.name].exists():
                some(Dataset.open(source), images, 0, found[task.name])
    return found


def commands(data: dict[str, Path], work: Path, full: bool, split: str, peers_python: str) -> Iterator[list[str]]:
    """The commands that measure what the page shows, in the order of their tables."""
    for task in TASKS:
        if task.name in data:
            runs = f"accuracy-{task.name}"
            name = runs if split == "val" else f"{runs}-{split}"
            rows = task.rows if full else task.rows.replace("fine-tuned", "fine-tuned:iterations=30")
            yield _module(
                "accuracy", str(data[task.name]), "--hints", task.hints, "--rows", rows, "--split", split, "--seeds",
                str(SEEDS if full else 1), "--name", name, "--runs", runs, "--work", str(work / "runs"),
            )  # fmt: skip
    if split == "test":
        return
    for name in RELATIONSHIPS if full else ():
        if name in data:
            yield _module(
                "relationships", str(data[name]), "--hints", "points", "--seeds", str(SEEDS),
                "--name", f"relationships-{name}", "--work", str(work / "runs"),
            )  # fmt: skip
    for task in TASKS if full else TASKS[:1]:
        if task.name in data and task.name in PEERS:
            for seed in range(SEEDS if full else 1):
                yield [
                    peers_python, "-m", "benchmarks.peers", str(data[task.name]), "--hints", task.hints, "--seed",
                    str(seed), "--name", f"peers-{task.name}-{seed}", "--work", str(work / "peers"),
                    *([] if full else ["--quick"]),
                ]  # fmt: skip
    if SPARSITY in data:
        amount = ["--seeds", str(SEEDS)] if full else ["--coverage", "1,0.3,0", "--rows", "instant"]
        yield _module("sparsity", str(data[SPARSITY]), *amount, "--work", str(work / "runs"))
    for name, rounds in SUGGESTIONS.items() if full else ():
        if name in data:
            result = f"suggestions-{name.rpartition('-')[0]}"
            yield _module("suggestions", str(data[name]), *rounds, "--name", result, "--work", str(work / "runs"))
    if SESSION in data:
        yield _module("session", str(data[SESSION]), "--hints", "points")
    yield _module("parts", "--parts", PARTS, "--name", "parts-epyc", *([] if full else ["--repeats", "3"]))
    if full:
        yield _module("parts", "--crf", "--repeats", "3")


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{name}", *arguments]


if __name__ == "__main__":
    main()
