"""hintseg beside other tools: the same images, the same hints, processor seconds and memory beside the score.

Each learner runs in a process of its own. Those in `TIMED` stop after the processor seconds that hintseg's default
took. Interrupted, the same command goes on with the row it was at.
"""

import argparse
import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.peers.convpaint import convpaint_gaussian
from benchmarks.peers.hintseg_rows import hintseg_row, objective_row
from benchmarks.peers.nnunet import nnunet
from benchmarks.peers.one_image import METHODS
from benchmarks.peers.pixels import forest_on_backbone, forest_on_filters, logistic_on_backbone
from benchmarks.peers.soft_self_labels import soft_self_labeling
from benchmarks.peers.task import Learner, completed, make_task, measured
from benchmarks.record import write
from benchmarks.subset import some
from hintseg.hints.dataset import Dataset

DEFAULT = "hintseg, default"
LEARNERS: dict[str, tuple[Learner, str]] = {
    "hintseg, instant": (hintseg_row("instant"), "hintseg"),
    "random forest on filters (ilastik's recipe)": (forest_on_filters, "scikit-learn"),
    "random forest on the same backbone": (forest_on_backbone, "scikit-learn"),
    "logistic regression on the same backbone": (logistic_on_backbone, "scikit-learn"),
    "napari-convpaint, Gaussian features": (convpaint_gaussian, "napari-convpaint"),
    DEFAULT: (hintseg_row("train"), "hintseg"),
    "partial cross-entropy on the same backbone": (objective_row("partial_cross_entropy"), "hintseg"),
    "partial cross-entropy and dense CRF loss on the same backbone": (objective_row("dense_crf"), "hintseg"),
    "soft self-labeling on the same backbone": (soft_self_labeling, "hintseg"),
    "nnU-Net v2, ignore label": (nnunet, "nnunetv2"),
}
TIMED = list(LEARNERS)[list(LEARNERS).index(DEFAULT) + 1 :]
QUICK = list(LEARNERS)[: list(LEARNERS).index(DEFAULT)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--hints", default="scribbles", help="annotation types, comma-separated")
    parser.add_argument("--images", type=int, help="of train and of val, drawn by the seed; default all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", help=f"separated by ';'; default: {'; '.join([*LEARNERS, *METHODS])}")
    parser.add_argument("--quick", action="store_true", help="leave out hintseg's default and those given its time")
    parser.add_argument("--seconds", type=float, help="of processors for the timed; default: what hintseg's took")
    parser.add_argument("--name", help="of the result file; default peers-DATA")
    parser.add_argument("--work", type=Path, default=Path("runs/peers"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    name = options.name or f"peers-{options.data.name}"
    dataset = _dataset(options, options.work / name)
    if options.one:
        print(json.dumps(_row(dataset, options)))
        return
    rows = []
    for row in _names(options):
        kept = _kept(options.work / name, row)
        if not kept.exists():
            command = [sys.executable, "-m", "benchmarks.peers", *sys.argv[1:], "--one", row]
            if row in TIMED and options.seconds is None:
                command += ["--seconds", str(_seconds_of_default(options.work / name))]
            told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            kept.write_text(told.splitlines()[-1], "utf-8")
        rows.append(json.loads(kept.read_text("utf-8")))
        print(rows[-1], flush=True)
    print(write(name, rows))


def _names(options: argparse.Namespace) -> list[str]:
    if options.rows:
        return [row.strip() for row in options.rows.split(";")]
    return [*(QUICK if options.quick else LEARNERS), *METHODS]


def _kept(folder: Path, row: str) -> Path:
    return folder / f"{row.replace('/', '-')}.json"


def _seconds_of_default(folder: Path) -> float:
    try:
        return float(json.loads(_kept(folder, DEFAULT).read_text("utf-8"))["train_seconds"])
    except FileNotFoundError:
        raise SystemExit(
            f"Rows given the time of {DEFAULT!r} come after it: add it to --rows, or give --seconds."
        ) from None


def _dataset(options: argparse.Namespace, folder: Path) -> Dataset:
    source = Dataset.open(options.data)
    folder.mkdir(parents=True, exist_ok=True)
    if options.images is None:
        return source
    if options.one:
        return Dataset.open(folder / "data")
    return some(source, options.images, options.seed, folder / "data")


def _row(dataset: Dataset, options: argparse.Namespace) -> dict[str, Any]:
    task = make_task(dataset, tuple(options.hints.split(",")), options.seed, seconds=options.seconds or 0.0)
    about = {
        "data": options.data.name, "hints": options.hints, "images": len(task.train), "seed": options.seed,
        "tool": options.one,
    }  # fmt: skip
    if options.one in METHODS:
        return {**about, "masks": "completed", **completed(task, METHODS[options.one])}
    learner, package = LEARNERS[options.one]
    return {**about, "masks": "val", "version": _version(package), **measured(task, learner)}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    main()
