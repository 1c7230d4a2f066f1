"""What Label Studio calls: predictions for its tasks, and training on its annotations.

Speaks the protocol of Label Studio's machine-learning backends: health, setup, predict, webhook (START_TRAINING), and
train, as releases without that webhook call it. Images and annotations are fetched from Label Studio itself.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray

from hintseg.apps.studio.guard import Guard, explain_errors
from hintseg.apps.studio.label_studio import LabelStudio
from hintseg.apps.studio.labeling import annotations_of, control_tag, control_tags, image_fields, regions
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.run_record import newest_run
from hintseg.apps.studio.task_images import kept_image
from hintseg.apps.studio.trainer import Effort, Trainer
from hintseg.errors import HintsegError, InputError
from hintseg.formats.registry import import_dataset
from hintseg.hints.classes import same_names
from hintseg.inference.prediction import without_data
from hintseg.inference.segmenter import Segmenter
from hintseg.io.samples import DecodedImage
from hintseg.io.writing import write_text
from hintseg.memory_errors import memory_explained

LARGEST_REQUEST = 64 * 2**20
MOST_PROBABILITIES = 200_000_000  # larger images get a mask but no score
STREAMS = 4  # images fetched at once
log = logging.getLogger("hintseg")


class Backend:
    """Images and runs of one folder, for one Label Studio.

    Args:
        folder: photographs/, data-NNN/ with one run each.
        run: a run to predict with until the first training here.
        background: class of everything that annotated regions leave, see `import_dataset`.

    Attributes:
        faults: what went wrong last, by what was being done ("training", "prediction"); gone when it goes well again.
    """

    def __init__(
        self, folder: Path, studio: LabelStudio, run: Path | None = None, background: str | None = None,
        weights: str = "auto", effort: Effort = "normal", settings: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.folder = folder
        self.studio = studio
        self.run = run
        self.background = background
        self.effort = effort
        self.faults: dict[str, str] = {}
        self._make: Callable[[Project], Trainer] = lambda project: Trainer(project, weights, settings)
        self._trainer: Trainer | None = None
        self._segmenter: Segmenter | None = None
        self._lock = threading.RLock()  # the network's; never held while something is fetched
        self._preparing = threading.Lock()

    def newest(self) -> Path | None:
        """The newest finished run."""
        return newest_run(self.folder, "data-*/studio/run-*") or self.run

    @property
    def version(self) -> str:
        """What Label Studio shows beside a prediction."""
        run = self.newest()
        return "untrained" if run is None else run.name if run == self.run else run.parents[1].name

    def train(self, tasks: list[dict[str, Any]], config: str = "") -> None:
        """Write the annotated tasks as a data set and start a run on it.

        Args:
            config: of the labeling page; needed where tasks name several images.

        Raises:
            HintsegError: a run is training, no image can be fetched, or nothing is annotated.
        """
        if not self._preparing.acquire(blocking=False):
            raise HintsegError("a run is training already.")
        try:
            if self._trainer is not None and self._trainer.state()["training"]:
                raise HintsegError("a run is training already.")
            annotated = [task for task in tasks if any(one["result"] for one in annotations_of(task))]
            if not annotated:
                raise InputError("no task is annotated yet.")
            fields = image_fields(config) if config else {}
            with ThreadPoolExecutor(STREAMS) as pool:
                found = list(pool.map(lambda task: self._rewritten(task, fields), annotated))
            rewritten = [one for ones in found if not isinstance(ones, HintsegError) for one in ones]
            self._note("training", "left out of training", found)
            if not rewritten:
                raise InputError(self.faults["training"])
            self._start(rewritten)
        finally:
            self._preparing.release()

    def _start(self, tasks: list[dict[str, Any]]) -> None:
        listing = self.folder / "photographs" / "hintseg-tasks.json"
        write_text(listing, json.dumps(tasks))
        numbers = [int(path.name[5:]) for path in self.folder.glob("data-*") if path.name[5:].isdecimal()]
        out = self.folder / f"data-{1 + max(numbers, default=0):03d}"
        import_dataset(listing, out, "label-studio", self.background)
        self._trainer = self._make(Project.open(out))
        self._trainer.start(self.effort)

    def state(self) -> dict[str, Any]:
        """Of the last training, and what went wrong last."""
        found = self._trainer.state() if self._trainer else {"training": False}
        said = [found.get("error"), *self.faults.values()]
        error = " ".join(dict.fromkeys(str(sentence) for sentence in said if sentence))
        return found | ({"error": error.encode("utf-8", "replace").decode()} if error else {})

    def predict(self, tasks: list[dict[str, Any]], config: str) -> list[dict[str, Any]]:
        """One prediction a task; without a run, or for an image that cannot be read, an empty one."""
        empty = {"result": [], "score": 0.0, "model_version": self.version}
        run = self.newest()
        if run is None:
            return [dict(empty) for _ in tasks]
        controls = control_tags(config)
        with self._lock:
            if self._segmenter is None or self._segmenter.run != run:
                self._segmenter = Segmenter.open(run)
            segmenter = self._segmenter
        for control in controls:
            control["names"] = _page_names(segmenter.classes, control["labels"])
        with ThreadPoolExecutor(STREAMS) as pool:
            fetched = list(pool.map(lambda task: self._task_images(task, controls), tasks))
        found: list[dict[str, Any] | HintsegError] = []
        for images in fetched:
            with self._lock:
                found.append(_predicted(images, controls, segmenter, self.version))
        self._note("prediction", "without a prediction", found)
        return [dict(empty) if isinstance(one, HintsegError) else one for one in found]

    def _note(self, what: str, lack: str, found: Iterable[object]) -> None:
        """Keep what went wrong with some of the tasks, or forget it where nothing did."""
        ones = list(found)
        wrong = [one for one in ones if isinstance(one, HintsegError)]
        self.faults.pop(what, None)
        if wrong:
            self.faults[what] = f"{len(wrong)} of {len(ones)} tasks are {lack}; the first: {wrong[0]}"
            log.warning("%s", self.faults[what])

    def _task_images(self, task: dict[str, Any], controls: list[dict[str, Any]]) -> list[Path] | HintsegError:
        try:
            return [kept_image(self.folder, self.studio, task, control["field"]) for control in controls]
        except HintsegError as error:
            return error

    def _rewritten(self, task: dict[str, Any], fields: dict[str, str]) -> list[dict[str, Any]] | HintsegError:
        """A task as one for every image on which something was annotated, which is named by its file here."""
        try:
            if len(fields) < 2:
                field = next(iter(fields.values()), None)
                return [{**task, "data": {"image": kept_image(self.folder, self.studio, task, field, again=True).name}}]
            made = []
            for name, field in fields.items():
                annotations = [
                    {**one, "result": [part for part in one["result"] if part.get("to_name") == name]}
                    for one in annotations_of(task)
                ]
                if any(one["result"] for one in annotations):
                    image = kept_image(self.folder, self.studio, task, field, again=True).name
                    made.append({**task, "data": {"image": image}, "annotations": annotations})
            return made
        except HintsegError as error:
            return error


def create_backend(backend: Backend, password: str | None = None) -> FastAPI:
    """The service; Label Studio is told its address under Settings, Model.

    Args:
        password: of its form there, with any user; None serves loopback names alone.
    """
    app = FastAPI(title="hintseg for Label Studio", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, token=password, field="error", largest=LARGEST_REQUEST)
    explain_errors(app, "error")

    @app.get("/")
    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "UP", "model_class": "hintseg", "version": backend.version} | backend.state()

    @app.post("/setup")
    def setup(body: dict[str, Any]) -> dict[str, str]:
        control_tag(str(body.get("schema", "")))
        return {"model_version": backend.version}

    @app.get("/versions")
    def versions() -> dict[str, list[str]]:
        return {"versions": [backend.version]}

    @app.post("/predict")
    def predict(body: dict[str, Any]) -> dict[str, Any]:
        return {"results": backend.predict(_tasks(body, "tasks"), str(body.get("label_config") or ""))}

    @app.post("/webhook")
    def webhook(body: dict[str, Any]) -> dict[str, str]:
        if body.get("action") != "START_TRAINING":
            return {"status": "ignored"}
        project = body.get("project")
        number = project.get("id") if isinstance(project, dict) else None
        if type(number) is not int or not 0 <= number < 2**63:
            raise InputError("START_TRAINING names no project.")
        given = str(project.get("label_config") or "") if isinstance(project, dict) else ""
        return _begin(backend, lambda: backend.train(backend.studio.tasks(number), given or _page(backend, number)))

    @app.post("/train")
    def train(body: dict[str, Any]) -> dict[str, str]:
        tasks = _tasks(body, "annotations")
        return _begin(backend, lambda: backend.train(tasks, str(body.get("label_config") or "")))

    return app


def _begin(backend: Backend, work: Callable[[], None]) -> dict[str, str]:
    """Answer at once: Label Studio waits, and its own server may have to serve the images meanwhile."""

    def go() -> None:
        backend.faults.pop("training", None)
        try:
            work()
        except HintsegError as error:
            backend.faults["training"] = str(error)
        except Exception as error:
            log.exception("training could not be started")
            backend.faults["training"] = f"training could not be started ({type(error).__name__}: {error})."

    threading.Thread(target=go, daemon=True).start()
    return {"status": "started", "job": "hintseg"}


def _page_names(classes: Sequence[str], labels: Iterable[str]) -> dict[int, str]:
    """Class of the run → the page's label of that name; those without one are left out.

    Raises:
        InputError: there is none.
    """
    labels = sorted(labels)
    if not (found := same_names(classes, labels)):
        raise InputError(
            f"the page has the labels {', '.join(labels)}, but the run learned {', '.join(classes)}; train on this "
            "project."
        )
    return {label: labels[there] for label, there in found.items()}


def _page(backend: Backend, project: int) -> str:
    """The labeling configuration, or none where it cannot be had: then tasks with several images are refused."""
    try:
        return backend.studio.page(project)
    except InputError as error:
        log.warning("%s", error)
        return ""


def _predicted(
    images: list[Path] | HintsegError, controls: list[dict[str, Any]], segmenter: Segmenter, version: str
) -> dict[str, Any] | HintsegError:
    """What a task's images show, or why nothing can be said."""
    if isinstance(images, HintsegError):
        return images
    result: list[dict[str, Any]] = []
    scores = []
    try:
        for image, control in zip(images, controls, strict=True):
            with memory_explained(image.name, "reduce the image, or cut it into tiles"):
                labels, score = _labels(segmenter, segmenter.decode_image(image))
            scores.append(score)
            for label, name in control["names"].items():
                if (labels == label).any():
                    result += regions(labels == label, name, control)
    except HintsegError as error:
        return error
    known = [score for score in scores if score is not None]
    return {"result": result, "score": min(known) if len(known) == len(scores) else None, "model_version": version}


def _labels(segmenter: Segmenter, decoded: DecodedImage) -> tuple[NDArray[np.uint8], float | None]:
    """A mask, and the mean certainty of its pixels where the image is not too large."""
    image = decoded.pixels
    if image.shape[0] * image.shape[1] * len(segmenter.classes) > MOST_PROBABILITIES:
        return segmenter.predict_decoded(decoded), None
    probabilities = segmenter.probabilities(image)
    return without_data(probabilities.argmax(axis=0).astype(np.uint8), decoded.valid), round(
        float(probabilities.max(axis=0).mean()), 4
    )


def _tasks(body: dict[str, Any], field: str) -> list[dict[str, Any]]:
    tasks = body.get(field)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise InputError(f"the field {field!r} must be a list of tasks.")
    return tasks
