"""Training in a process of its own, and what the newest finished run says of every image."""

import csv
import json
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hintseg.apps.studio.drawn import version_of
from hintseg.apps.studio.learner import Learner, content_version
from hintseg.apps.studio.links import writable
from hintseg.apps.studio.processes import end
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.run_record import RunRecord, running
from hintseg.errors import HintsegError, InputError, RunError
from hintseg.hints.dataset import Dataset
from hintseg.hints.forms.registry import FORMS
from hintseg.inference.run_config import RunDescription
from hintseg.inference.segmenter import Segmenter
from hintseg.inference.suggest import Suggestion, suggest
from hintseg.pseudo_labels.propagate import complete_key
from hintseg.training.progress import FILE as PROGRESS_FILE

Effort = Literal["quick", "normal", "thorough"]

# Iterations; with a pretrained backbone the quick one is an instant run.
EFFORTS: dict[Effort, int] = {"quick": 120, "normal": 150, "thorough": 400}
STAGES = {
    "check": "reading hints", "features": "computing features", "tags": "locating ticked classes",
    "hints": "propagating labels", "fit": "fitting", "pseudo-labels": "labelling training images",
    "selection": "choosing how masks are refined", "complete": "completing masks", "decode": "reading images",
    "train": "training", "memory": "building the memory bank",
}  # fmt: skip


class Trainer:
    """Starts `hintseg train` beside the page; a killed page does not kill it, and the next one finds it again.

    Attributes:
        folder: where runs lie, PROJECT/studio.
    """

    def __init__(self, project: Project, weights: str = "auto", settings: tuple[str, ...] = ()) -> None:
        self.project = project
        self.weights = weights
        self.settings = settings
        self.folder = project.root / "studio"
        self._record = running(self.folder)
        self._lock = threading.Lock()

    def start(self, effort: Effort) -> None:
        """Train a new run.

        Raises:
            HintsegError: one is training already, or nothing is hinted.
        """
        with self._lock:
            if self._is_training():
                raise HintsegError("a run is training already; wait for it or stop it.")
            self.project.refresh()
            dataset, classes = self.project.dataset, self.project.identifiers
            if not any(dataset.hints(key).forms() for named in dataset.hint_keys().values() for key in named):
                raise HintsegError("no photograph carries a hint yet; draw some, of every class.")
            number = max(
                [int(path.name[4:]) for path in self.folder.glob("run-*") if path.name[4:].isdigit()], default=0
            )
            out = writable(self.project.root, "studio", f"run-{number + 1:03d}")
            out.parent.mkdir(parents=True, exist_ok=True)
            instant = effort == "quick" and self.weights != "none"
            how = ["--engine", "instant"] if instant else ["--iterations", str(EFFORTS[effort])]
            chosen = ["checkpoint_every=20", *self.settings]
            command = [
                sys.executable, "-m", "hintseg.apps.cli.app", "train", str(self.project.root), "--out", str(out),
                "--weights", self.weights, *how, "--on-error", "skip",
                *(part for setting in chosen for part in ("--set", setting)),
            ]  # fmt: skip
            with writable(self.project.root, "studio", "last.log").open("wb") as log:
                process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            threading.Thread(target=process.wait, daemon=True).start()  # leaves no zombie
            self._record = RunRecord.of(out.name, process.pid, classes)
            self._record.save(self.project.root)

    def stop(self) -> None:
        """End training, whichever server started it; nothing is kept of that run but its folder.

        Raises:
            RunError: that it was stopped cannot be noted.
        """
        with self._lock:
            training, record = self._is_training(), self._record
            if not training or record is None or record.born is None:
                return
            self._record = replace(record, stopped=True)
            self._record.save(self.project.root)
            end(record.pid, record.born)

    def _is_training(self) -> bool:
        if self._record is None or not self._record.runs():
            self._record = running(self.folder) or self._record
        return self._record is not None and self._record.runs()

    def state(self) -> dict[str, Any]:
        """Whether a run is training, how far it is, and the sentence it ended with where it failed."""
        training, record = self._is_training(), self._record
        if record is None:
            return {"training": False}
        out = self.folder / record.run
        found = {"training": training, "run": record.run, "done": 0, "total": 0, "stage": "starting"}
        found |= _progress(out)
        if not training and not record.stopped and not is_finished(out):
            said = [line for line in _lines(self.folder / "last.log") if line.startswith("hintseg: ")]
            found["error"] = said[-1].removeprefix("hintseg: ") if said else "it ended before it was finished."
        return found | {"losses": _losses(out / "metrics.csv")}

    def newest(self) -> Path | None:
        """The newest finished run."""
        return newest_run(self.folder, "run-*")


class Model:
    """What models say of the photographs: the newest finished run, and before there is one an instant session.

    Computing holds no lock that a save needs.
    """

    def __init__(self, project: Project, trainer: Trainer) -> None:
        self.project = project
        self.trainer = trainer
        self.learner = None if trainer.weights == "none" else Learner(project, trainer.weights)
        self._network = threading.RLock()  # one computation at a time
        self._segmenter: Segmenter | None = None
        self._lock = threading.Lock()  # of what follows, never held for long
        self._doubts: dict[str, Suggestion | None] = {}
        self._ranked: str | None = None  # the run that the doubts are of
        self._ranking: threading.Thread | None = None

    @property
    def run(self) -> str | None:
        """Name of the run in use."""
        run = self.usable()
        return run.name if run else None

    def usable(self) -> Path | None:
        """The newest finished run; None where nothing was trained with today's classes."""
        newest = self.trainer.newest()
        if newest is None:
            return None
        record = RunRecord.load(self.trainer.folder, newest.name)
        if record is not None:
            return newest if record.classes == self.project.identifiers else None
        try:  # of an older studio: names may have changed, numbers have not
            classes = RunDescription.load(newest / "run.json").classes
        except RunError:
            return None
        return newest if len(classes) == len(self.project.identifiers) else None

    def segmenter(self) -> Segmenter | None:
        """The usable run, loaded once."""
        run = self.usable()
        if run is None:
            return None
        with self._network:
            if self._segmenter is None or self._segmenter.run != run:
                self._segmenter = Segmenter.open(run)
            return self._segmenter

    def tag(self, key: str) -> str:
        """Changes with all that the mask of an image follows from: the model, the image, its hints and masks."""
        run, seen = self.usable(), content_version(self.project, key)
        if run is None and self.learner is not None:
            return self.learner.version() + seen
        return version_of([run.name if run else None, seen, self.project.identifiers])

    @property
    def name(self) -> str:
        """Where masks come from: the run's name, "instant", or "hints" where there is no pretrained backbone."""
        return self.run or ("hints" if self.learner is None else "instant")

    def mask(self, key: str) -> NDArray[np.uint8]:
        """(H, W) uint8: the run's mask, completed with the image's hints; before there is a run, the session's.

        Raises:
            InputError: nothing is hinted yet, or the image cannot be read.
        """
        segmenter = self.segmenter()
        self.project.refresh()
        dataset = self.project.dataset
        if segmenter is not None:
            with self._network:
                hints = dataset.hints(key, segmenter.description.forms)
                if not hints.forms():
                    return segmenter.predict_picture(segmenter.picture(dataset, key))
                if hints.localized():  # a correction does not say that all other classes are absent
                    dataset = replace(dataset, tags_complete=False)
                return segmenter.complete(_named_as(dataset, segmenter), key)
        if self.learner is None:
            return complete_key(dataset, key, tuple(FORMS))
        if (mask := self.learner.mask(key)) is None:
            raise InputError("no image has a stroke, point or box yet; draw some, of every class.")
        return mask

    def nearest(self, key: str, at: tuple[float, float]) -> tuple[NDArray[np.bool_], list[dict[str, Any]]] | None:
        """The clicked segment and the training segments nearest to it; None where nothing was trained."""
        segmenter = self.segmenter()
        if segmenter is None:
            return None
        with self._network:
            mask, found = segmenter.retrieve(segmenter.picture(self.project.dataset, key).pixels, at, 12)
        identifiers = self.project.identifiers
        return mask, [
            {"key": one.key, "label": identifiers[one.label], "similarity": round(one.similarity, 3), "box": one.box}
            for one in found
        ]

    def doubts(self) -> dict[str, dict[str, Any]]:
        """Key → how doubtful its most doubtful region is, and where; filled in the background after training."""
        run = self.usable()
        if run is None:
            return {}
        training = self.trainer.state()["training"]
        with self._lock:
            if self._ranked != run.name:
                self._ranked, self._doubts = run.name, {}
            waiting = [key for key in self.project.dataset.keys(None) if key not in self._doubts]
            idle = self._ranking is None or not self._ranking.is_alive()
            if waiting and idle and not training:
                self._ranking = threading.Thread(target=self._rank, args=(run.name, waiting), daemon=True)
                self._ranking.start()
            return {
                key: {"doubt": one.worth, "x": one.x, "y": one.y}
                for key, one in self._doubts.items()
                if one is not None
            }

    def forget(self, key: str) -> None:
        """Rank an image again, since its hints changed."""
        with self._lock:
            self._doubts.pop(key, None)

    def _rank(self, run: str, keys: list[str]) -> None:
        for key in keys:
            found: list[Suggestion] = []
            try:
                segmenter = self.segmenter()
                if segmenter is None or segmenter.run.name != run:
                    return
                with self._network:
                    found = suggest(segmenter, _named_as(self.project.dataset, segmenter), [key])
            except HintsegError:
                pass
            with self._lock:
                if self._ranked != run:
                    return
                self._doubts[key] = found[0] if found else None


def _named_as(dataset: Dataset, segmenter: Segmenter) -> Dataset:
    """The data set with the class names of the run, which have the same places: classes are renamed, never moved."""
    return dataset.with_classes(segmenter.classes)


def newest_run(folder: Path, pattern: str) -> Path | None:
    """The last finished run among folders of a pattern."""
    runs = sorted((path.parent for path in folder.glob(f"{pattern}/weights.safetensors")), key=_by_number)
    finished = [run for run in runs if is_finished(run)]
    return finished[-1] if finished else None


def _by_number(run: Path) -> list[tuple[int, str]]:
    """So that run-1000 comes after run-999."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(run))]


def is_finished(run: Path) -> bool:
    """Whether a run can be used."""
    return all((run / f"{name}.safetensors").exists() for name in ("weights", "memory"))


def _progress(run: Path) -> dict[str, Any]:
    """Stage, done and total of a run; nothing where it has not said so yet."""
    try:
        found = json.loads((run / PROGRESS_FILE).read_text("utf-8"))
        return {"stage": STAGES.get(found["stage"], found["stage"]), "done": found["done"], "total": found["total"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _losses(path: Path) -> list[float]:
    """At most a hundred values of the total loss, evenly chosen."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            values = [float(row["total"]) for row in csv.DictReader(file) if row.get("total")]
    except (OSError, ValueError):
        return []
    return values[:: max(len(values) // 100, 1)]
