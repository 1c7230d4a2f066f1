"""Training in a process of its own, and what the newest finished run says of every image."""

import subprocess
import sys
import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hintseg.apps.studio.drawn import version_of
from hintseg.apps.studio.learner import Learner, content_version
from hintseg.apps.studio.links import opened_anew, writable
from hintseg.apps.studio.processes import end
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.ranking import Ranking
from hintseg.apps.studio.run_progress import run_progress
from hintseg.apps.studio.run_record import (
    RunRecord,
    classes_of_run,
    is_finished,
    newest_run,
    recorded,
    running,
    unfinished,
)
from hintseg.apps.studio.tables import mark
from hintseg.apps.studio.uncertainty import Place, most_uncertain, uncertainty_of
from hintseg.apps.studio.unlearned import names_unlearned, with_hints
from hintseg.errors import HintsegError, InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.inference.segmenter import Segmenter
from hintseg.io.images import read_image_size
from hintseg.pseudo_labels.near import corrected
from hintseg.pseudo_labels.pipeline import middles, pseudo_labels
from hintseg.pseudo_labels.propagate import complete_key
from hintseg.pseudo_labels.target import reduce_to

Effort = Literal["quick", "normal", "thorough"]

# Iterations; with a pretrained backbone the quick one is an instant run.
EFFORTS: dict[Effort, int] = {"quick": 120, "normal": 150, "thorough": 400}


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
        self._record = running(self.folder) or unfinished(self.folder)
        self._finished: set[str] = set()  # runs seen so, whose folder somebody may delete
        self._lock = threading.Lock()

    def start(self, effort: Effort) -> None:
        """Train a new run.

        Raises:
            HintsegError: one is training already, nothing is hinted, or its record cannot be written.
        """
        with self._lock:
            if self._is_training():
                raise HintsegError("a run is training already; wait for it or stop it.")
            self.project.refresh()
            dataset, classes = self.project.dataset, self.project.identifiers
            if not any(_is_hinted(dataset, key) for named in dataset.hint_keys().values() for key in named):
                raise HintsegError("no image carries a hint yet; draw some, of every class.")
            names = (path.name.removesuffix(".json")[4:] for path in self.folder.glob("run-*"))
            number = max((int(name) for name in names if name.isdecimal()), default=0)  # also of runs that were deleted
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
            with opened_anew(writable(self.project.root, "studio", "last.log")) as log:
                process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            threading.Thread(target=process.wait, daemon=True).start()  # leaves no zombie
            self._record = recorded(process, self.project.root, out.name, classes, instant)

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
        found = {"training": training, "run": record.run, "stopped": record.stopped}
        found |= run_progress(out, record.instant, record.started)
        if is_finished(out):
            self._finished.add(record.run)
        if not training and not record.stopped and record.run not in self._finished:
            said = [line for line in _lines(self.folder / "last.log") if line.startswith("hintseg: ")]
            found["error"] = said[-1].removeprefix("hintseg: ") if said else "it ended before it was finished."
        return found

    def newest(self) -> Path | None:
        """The newest finished run."""
        return newest_run(self.folder, "run-*")


class Model:
    """What models say of the images: the newest finished run, and before there is one an instant session.

    Computing holds no lock that a save needs.
    """

    def __init__(self, project: Project, trainer: Trainer) -> None:
        self.project = project
        self.trainer = trainer
        self.learner = None if trainer.weights == "none" else Learner(project, trainer.weights)
        self._network = threading.RLock()  # one computation at a time
        self._segmenter: tuple[Hashable, Segmenter] | None = None
        self.ranking = Ranking(self)
        self._asked = 0.0

    @property
    def run(self) -> str | None:
        """Name of the run in use."""
        run = self.usable()
        return run.name if run else None

    def usable(self) -> Path | None:
        """The newest finished run; None where it learned a class that was deleted since. Those added since it lacks."""
        newest = self.trainer.newest()
        return None if newest is None or self._learned(newest) is None else newest

    def _learned(self, run: Path) -> int | None:
        """How many of today's classes a run learned, which are the first ones; None where others were among them."""
        record, names = RunRecord.load(self.trainer.folder, run.name), classes_of_run(run)
        if record is not None and (names is None or len(record.classes) == len(names)):
            learned, today = record.classes, self.project.identifiers
        elif record is None and names is not None:  # of an older studio, which kept no identifiers: names tell
            learned, today = names, tuple(self.project.dataset.classes)
        else:  # damaged, or the classes changed between the click on Train and the run's look at them
            return None
        return len(learned) if learned == today[: len(learned)] else None

    def unlearned(self) -> list[str]:
        """Identifiers of classes that were added after the run in use was trained."""
        run = self.trainer.newest()
        learned = None if run is None else self._learned(run)
        return [] if learned is None else list(self.project.identifiers[learned:])

    def segmenter(self) -> Segmenter | None:
        """The usable run, loaded once."""
        self.project.refresh()
        run = self.usable()
        if run is None:
            return None
        with self._network:
            loaded = self.loaded
            if self._segmenter is None or self._segmenter[0] != loaded:
                self._segmenter = loaded, Segmenter.open(run)
            return self._segmenter[1]

    @property
    def loaded(self) -> tuple[str, tuple[int, ...]] | None:
        """Changes with the run in use, also where another one took its name."""
        run = self.usable()
        return None if run is None else (run.name, mark(run / "weights.safetensors"))

    @contextmanager
    def _named(self, segmenter: Segmenter) -> Iterator[Dataset]:
        """The data set, whose names the run's classes have meanwhile.

        They have the places of the first classes: since the run was trained they were renamed, never moved.
        """
        with self._network:
            dataset = self.project.dataset
            segmenter.classes = dataset.classes[: len(segmenter.description.classes)]
            yield dataset

    def tag(self, key: str) -> str:
        """Changes with all that the mask of an image follows from: the model, the image, its hints and masks."""
        seen = content_version(self.project, key)
        return version_of([self.version(), seen, self.project.identifiers])

    @property
    def name(self) -> str:
        """Where masks come from: the run's name, "instant", or "hints" where there is no pretrained backbone."""
        return self.run or ("hints" if self.learner is None else "instant")

    def mask(self, key: str) -> NDArray[np.uint8]:
        """(H, W) uint8: the run's mask, completed with the image's hints; before there is a run, the session's.

        Raises:
            InputError: nothing is hinted yet, or the image cannot be read.
        """
        self._asked = time.monotonic()
        segmenter = self.segmenter()
        if segmenter is not None:
            with self._named(segmenter) as dataset:
                learned = segmenter.classes
                if names_unlearned(dataset, key, learned):
                    predicted = segmenter.predict_decoded(segmenter.decoded(dataset, key))
                    return with_hints(predicted, dataset, key)
                hints = dataset.hints(key, segmenter.description.hint_types)
                if hints.types() and not hints.localized():
                    return segmenter.complete(dataset, key)
                predicted = segmenter.predict_decoded(segmenter.decoded(dataset, key))
                if not hints.types():
                    return predicted
                # A correction does not say that all other classes are absent.
                partly = replace(dataset, tags_exhaustive=False)
                return corrected(predicted, segmenter.complete(partly, key), segmenter.hinted(partly, key)[1])
        if self.learner is None:
            return complete_key(self.project.dataset, key, tuple(HINT_TYPES))
        if (mask := self.learner.mask(key)) is None:
            raise InputError("no image has a stroke, point or box yet; draw some, of every class.")
        return mask

    def nearest(self, key: str, at: tuple[float, float]) -> tuple[NDArray[np.bool_], list[dict[str, Any]]] | None:
        """The clicked segment and the training segments nearest to it; None where nothing was trained."""
        segmenter = self.segmenter()
        if segmenter is None:
            return None
        with self._network:
            mask, found = segmenter.retrieve(segmenter.decoded(self.project.dataset, key).pixels, at, 12)
        identifiers = self.project.identifiers
        return mask, [
            {"key": one.key, "label": identifiers[one.label], "similarity": round(one.similarity, 3), "box": one.box}
            for one in found
        ]

    def version(self) -> str | None:
        """Changes with what the model learned; None where masks follow from an image's own hints."""
        if (loaded := self.loaded) is not None:
            return version_of(loaded)
        return None if self.learner is None else self.learner.version()

    def last_asked(self) -> float:
        """When a mask was asked for last."""
        return self._asked

    def uncertainty(self, key: str) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """(h, w) how uncertain the model is of a reduced image, and (h, w) its hints.

        Raises:
            InputError: the image cannot be read, or there is no model yet.
        """
        segmenter = self.segmenter()
        if segmenter is not None:
            with self._named(segmenter) as dataset:
                decoded = segmenter.decoded(dataset, key)
                hints = dataset.hints(key, tuple(HINT_TYPES))
                target = pseudo_labels(decoded, hints, len(dataset.classes), find_in_boxes=middles)
                small, labels = reduce_to(decoded.pixels, target.labels, segmenter.recipe.data.longest_side)
                config = segmenter.with_inference(crf=False)
                return uncertainty_of(segmenter.probabilities(small, config)), labels
        found = None if self.learner is None else self.learner.probabilities(key)
        if found is None:
            raise InputError("there is no model yet that could be uncertain; draw some strokes of every class.")
        return uncertainty_of(found[0]), found[1]

    def place(self, key: str) -> Place:
        """The most uncertain place of an image.

        Raises:
            InputError: it cannot be read, or there is no model yet.
        """
        uncertainty, labels = self.uncertainty(key)
        dataset = self.project.dataset
        return most_uncertain(uncertainty, labels, len(dataset.classes), read_image_size(dataset.path(key)))

    def uncertain(self) -> dict[str, dict[str, Any]]:
        """Key → how uncertain the model is of an image, and its most uncertain place; filled in the background."""
        found = self.ranking.places(self.project.dataset.keys(None), busy=self.trainer.state()["training"])
        return {key: place._asdict() for key, place in found.items()}


def _is_hinted(dataset: Dataset, key: str) -> bool:
    """Whether an image is there, can be read and carries a hint; training names those that cannot."""
    try:
        return key in dataset.paths and bool(dataset.hints(key).types())
    except InputError:
        return False


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
