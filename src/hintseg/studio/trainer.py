"""Training in a process of its own, and what the newest finished run says of every image."""

import csv
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import HintsegError
from hintseg.hints.forms.by_name import FORMS
from hintseg.inference.segmenter import Segmenter
from hintseg.inference.suggest import Suggestion, suggest
from hintseg.inference.untrained import complete_key
from hintseg.studio.project import Project

Effort = Literal["quick", "normal", "thorough"]

# Iterations; the quick one leaves the backbone as it is, so that a first network is there within a minute.
EFFORTS: dict[Effort, int] = {"quick": 120, "normal": 500, "thorough": 1500}
LINE = re.compile(r"iteration (\d+) of (\d+)")


class Trainer:
    """Starts `hintseg train` beside the page; a killed page does not kill it.

    Attributes:
        folder: where runs lie, PROJECT/studio.
    """

    def __init__(self, project: Project, weights: str = "auto", settings: tuple[str, ...] = ()) -> None:
        self.project = project
        self.weights = weights
        self.settings = settings
        self.folder = project.root / "studio"
        self._process: subprocess.Popen[bytes] | None = None
        self._out: Path | None = None
        self._lock = threading.Lock()

    def start(self, effort: Effort) -> None:
        """Train a new run.

        Raises:
            HintsegError: one is training already, or nothing is hinted.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                raise HintsegError("a run is training already; wait for it or stop it.")
            dataset = self.project.dataset
            if not any(dataset.hints(key).forms() for named in dataset.hint_keys().values() for key in named):
                raise HintsegError("no photograph carries a hint yet; draw some, of every class.")
            number = max(
                [int(path.name[4:]) for path in self.folder.glob("run-*") if path.name[4:].isdigit()], default=0
            )
            self._out = self.folder / f"run-{number + 1:03d}"
            self._out.parent.mkdir(parents=True, exist_ok=True)
            frozen = ["--freeze"] if effort == "quick" and self.weights != "none" else []
            chosen = ["checkpoint_every=20", *self.settings]
            command = [
                sys.executable, "-m", "hintseg.cli.app", "train", str(self.project.root), "--out", str(self._out),
                "--weights", self.weights, "--iterations", str(EFFORTS[effort]), "--on-error", "skip", *frozen,
                *(part for setting in chosen for part in ("--set", setting)),
            ]  # fmt: skip
            with (self.folder / "last.log").open("wb") as log:
                self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def stop(self) -> None:
        """End training; nothing is kept of that run but its folder."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()
                self._process.wait(timeout=30)

    def state(self) -> dict[str, Any]:
        """Whether a run is training, how far it is, and the sentence it ended with where it failed."""
        process, out = self._process, self._out
        if process is None or out is None:
            return {"training": False}
        code = process.poll()
        found = {"training": code is None, "run": out.name, "done": 0, "total": 0, "stage": "starting"}
        lines = _lines(out / "log.txt")
        steps = [LINE.search(line) for line in lines]
        if any(steps):
            last = next(step for step in reversed(steps) if step)
            found |= {"done": int(last[1]), "total": int(last[2]), "stage": "training"}
        if lines and "completing" in lines[-1]:
            found["stage"] = "completing masks"
        if code not in (None, 0, -15):
            said = [line for line in _lines(self.folder / "last.log") if line.startswith("hintseg: ")]
            found["error"] = said[-1].removeprefix("hintseg: ") if said else f"training ended with code {code}."
        return found | {"losses": _losses(out / "metrics.csv")}

    def newest(self) -> Path | None:
        """The newest finished run."""
        return newest_run(self.folder, "run-*")


class Model:
    """The newest finished run in memory: masks, doubts and neighbours."""

    def __init__(self, project: Project, trainer: Trainer) -> None:
        self.project = project
        self.trainer = trainer
        self._lock = threading.RLock()
        self._segmenter: Segmenter | None = None
        self._doubts: dict[str, Suggestion | None] = {}
        self._ranking: threading.Thread | None = None

    @property
    def run(self) -> str | None:
        """Name of the run in use."""
        newest = self.trainer.newest()
        return newest.name if newest else None

    def segmenter(self) -> Segmenter | None:
        """The newest finished run, loaded once; None where nothing was trained with today's classes."""
        newest = self.trainer.newest()
        with self._lock:
            if newest is not None and (self._segmenter is None or self._segmenter.run != newest):
                self._segmenter = Segmenter.open(newest)
                self._doubts = {}
            segmenter = self._segmenter
        if segmenter is None or len(segmenter.classes) != len(self.project.dataset.classes):
            return None
        return segmenter

    def mask(self, key: str, source: Literal["model", "hints"]) -> NDArray[np.uint8]:
        """(H, W) uint8: the model's mask, completed with the image's hints; or what the hints alone say.

        Raises:
            InputError: no hint to spread, or the image cannot be read.
        """
        segmenter = self.segmenter() if source == "model" else None
        dataset = self.project.dataset
        if segmenter is None:
            return complete_key(dataset, key, tuple(FORMS))
        with self._lock:
            if dataset.hints(key, segmenter.description.forms).forms():
                return segmenter.complete(dataset, key)
            return segmenter.predict(dataset.image(key))

    def nearest(self, key: str, at: tuple[float, float]) -> tuple[NDArray[np.bool_], list[dict[str, Any]]] | None:
        """The clicked segment and the training segments nearest to it; None where nothing was trained."""
        segmenter = self.segmenter()
        if segmenter is None:
            return None
        with self._lock:
            mask, found = segmenter.retrieve(self.project.dataset.image(key), at, 12)
        return mask, [
            {"key": one.key, "label": one.label, "similarity": round(one.similarity, 3), "box": one.box}
            for one in found
        ]

    def doubts(self) -> dict[str, dict[str, Any]]:
        """Key → how doubtful its most doubtful region is, and where; filled in the background after training."""
        segmenter = self.segmenter()
        if segmenter is None:
            return {}
        with self._lock:
            waiting = [key for key in self.project.dataset.keys(None) if key not in self._doubts]
            idle = self._ranking is None or not self._ranking.is_alive()
            if waiting and idle and not self.trainer.state()["training"]:
                self._ranking = threading.Thread(target=self._rank, args=(segmenter, waiting), daemon=True)
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

    def _rank(self, segmenter: Segmenter, keys: list[str]) -> None:
        for key in keys:
            with self._lock:
                if self._segmenter is not segmenter:
                    return
                try:
                    found = suggest(segmenter, self.project.dataset, [key])
                except HintsegError:
                    found = []
                self._doubts[key] = found[0] if found else None


def newest_run(folder: Path, pattern: str) -> Path | None:
    """The last finished run among folders of a pattern."""
    runs = sorted(path.parent for path in folder.glob(f"{pattern}/weights.safetensors"))
    finished = [run for run in runs if (run / "memory.safetensors").exists()]
    return finished[-1] if finished else None


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
