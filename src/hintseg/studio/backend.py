"""What Label Studio calls: predictions for its tasks, and training on its annotations.

Speaks the protocol of Label Studio's machine-learning backends: health, setup, predict, webhook (START_TRAINING), and
train, as releases without that webhook call it. Photographs and annotations are fetched from Label Studio itself.
"""

import json
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import URLError
from urllib.parse import parse_qs, unquote, urljoin, urlsplit
from urllib.request import Request as Call
from urllib.request import urlopen

import cv2
import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from numpy.typing import NDArray

from hintseg.errors import HintsegError, InputError
from hintseg.formats.by_name import import_dataset
from hintseg.formats.folder import parse_xml
from hintseg.formats.label_studio import brush_result
from hintseg.images import IMAGE_SUFFIXES, atomic_path, read_image
from hintseg.inference.segmenter import Segmenter
from hintseg.studio.project import Project
from hintseg.studio.trainer import Effort, Trainer, newest_run

LARGEST_DOWNLOAD = 400 * 2**20
MOST_SHARES = 200_000_000  # larger photographs get a mask but no score
TIMEOUT = 60


class LabelStudio:
    """A running Label Studio, asked as one user.

    Attributes:
        address: http://host:port.
    """

    def __init__(self, address: str, token: str) -> None:
        self.address = address.rstrip("/") + "/"
        self.token = token

    def get(self, url: str) -> bytes:
        """Fetch a path of Label Studio's or another http address; only the former sees the token.

        Raises:
            InputError: not http, unreachable, refused, or too large.
        """
        whole = urljoin(self.address, url)
        if urlsplit(whole).scheme not in ("http", "https"):
            raise InputError(f"{url}: only http and https addresses are fetched.")
        call = Call(whole)
        if urlsplit(whole).netloc == urlsplit(self.address).netloc:
            call.add_unredirected_header("Authorization", self._authorization())
        return self._open(call)

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """All annotated tasks of a project.

        Raises:
            InputError: as `get`, or the answer is no export.
        """
        tasks = json.loads(self.get(f"api/projects/{project}/export?exportType=JSON"))
        if not isinstance(tasks, list):
            raise InputError(f"{self.address}: the export of project {project} is no list of tasks.")
        return tasks

    def _authorization(self) -> str:
        """A legacy token stands for itself; a personal access token buys one that lasts minutes."""
        if self.token.count(".") != 2:
            return f"Token {self.token}"
        body = json.dumps({"refresh": self.token}).encode()
        call = Call(urljoin(self.address, "api/token/refresh"), body, {"Content-Type": "application/json"})
        return f"Bearer {json.loads(self._open(call))['access']}"

    def _open(self, call: Call) -> bytes:
        try:
            with urlopen(call, timeout=TIMEOUT) as answer:
                content: bytes = answer.read(LARGEST_DOWNLOAD + 1)
        except (URLError, OSError) as error:
            raise InputError(
                f"{call.full_url}: could not be fetched ({error}); check --url and --token, and where it is a legacy "
                "token, that Label Studio runs with --enable-legacy-api-token."
            ) from error
        if len(content) > LARGEST_DOWNLOAD:
            raise InputError(f"{call.full_url}: is larger than {LARGEST_DOWNLOAD // 2**20} MiB.")
        return content


class Backend:
    """Photographs and runs of one folder, for one Label Studio.

    Args:
        folder: photographs/, data-NNN/ with one run each.
        run: a run to predict with until the first training here.
        background: class of everything that annotated regions leave, see `import_dataset`.
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
        self.fault: str | None = None
        self._make: Callable[[Project], Trainer] = lambda project: Trainer(project, weights, settings)
        self._trainer: Trainer | None = None
        self._segmenter: Segmenter | None = None
        self._lock = threading.RLock()

    def newest(self) -> Path | None:
        """The newest finished run."""
        return newest_run(self.folder, "data-*/studio/run-*") or self.run

    @property
    def version(self) -> str:
        """What Label Studio shows beside a prediction."""
        run = self.newest()
        return "untrained" if run is None else run.name if run == self.run else run.parents[1].name

    def train(self, tasks: list[dict[str, Any]]) -> None:
        """Write the annotated tasks as a data set and start a run on it.

        Raises:
            HintsegError: a run is training, a photograph cannot be fetched, or nothing is annotated.
        """
        with self._lock:
            if self._trainer is not None and self._trainer.state()["training"]:
                raise HintsegError("a run is training already.")
            annotated = [task for task in tasks if any(one.get("result") for one in task.get("annotations", []))]
            if not annotated:
                raise InputError("no task is annotated yet.")
            rewritten = [{**task, "data": {"image": self._photograph(task).name}} for task in annotated]
            listing = self.folder / "photographs" / "annotations.json"
            with atomic_path(listing) as temporary:
                temporary.write_text(json.dumps(rewritten), "utf-8")
            number = 1 + max([int(path.name[5:]) for path in self.folder.glob("data-[0-9][0-9][0-9]")], default=0)
            out = self.folder / f"data-{number:03d}"
            import_dataset(listing, out, "label-studio", self.background)
            self._trainer = self._make(Project.open(out))
            self._trainer.start(self.effort)

    def state(self) -> dict[str, Any]:
        """Of the last training."""
        found = self._trainer.state() if self._trainer else {"training": False}
        return found | ({"error": self.fault} if self.fault else {})

    def predict(self, tasks: list[dict[str, Any]], config: str) -> list[dict[str, Any]]:
        """One prediction a task; without a run, or for a photograph that cannot be read, an empty one."""
        with self._lock:
            run = self.newest()
            if run is None:
                return [{"result": [], "score": 0.0, "model_version": self.version} for _ in tasks]
            if self._segmenter is None or self._segmenter.run != run:
                self._segmenter = Segmenter.open(run)
            control = control_tag(config)
            return [self._predict(task, control, self._segmenter) for task in tasks]

    def _predict(self, task: dict[str, Any], control: dict[str, Any], segmenter: Segmenter) -> dict[str, Any]:
        image = segmenter.read(self._photograph(task))
        score = None
        if image.shape[0] * image.shape[1] * len(segmenter.classes) <= MOST_SHARES:
            shares = segmenter.probabilities(image)
            labels, score = shares.argmax(axis=0).astype(np.uint8), round(float(shares.max(axis=0).mean()), 4)
        else:
            labels = segmenter.predict(image)
        result = [
            region
            for label, name in enumerate(segmenter.classes)
            if name in control["labels"] and (labels == label).any()
            for region in regions(labels == label, name, control)
        ]
        return {"result": result, "score": score, "model_version": self.version}

    def _photograph(self, task: dict[str, Any]) -> Path:
        """The task's photograph on disk, fetched once.

        Raises:
            InputError: the task names none, or it cannot be fetched or decoded.
        """
        values = [value for value in task.get("data", {}).values() if isinstance(value, str)]
        named = [value for value in values if _suffix(value) or value.startswith(("/", "http"))]
        if not named or not isinstance(task.get("id"), int) or not 0 <= task["id"] < 2**63:
            raise InputError(f"task {task.get('id')}: its data name no photograph.")
        path = self.folder / "photographs" / f"task-{task['id']}{_suffix(named[0]) or '.png'}"
        if not path.exists():
            content = self.studio.get(named[0])
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
                read_image(temporary)
        return path


def create_backend(backend: Backend) -> FastAPI:
    """The service; Label Studio is told its address under Settings, Model."""
    app = FastAPI(title="hintseg for Label Studio", docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(HintsegError)
    async def explain(request: Request, error: HintsegError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, status_code=422)

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
        return {"results": backend.predict(_tasks(body, "tasks"), str(body.get("label_config", "")))}

    @app.post("/webhook")
    def webhook(body: dict[str, Any]) -> dict[str, str]:
        if body.get("action") != "START_TRAINING":
            return {"status": "ignored"}
        project = body.get("project") or {}
        if not isinstance(project, dict) or not isinstance(project.get("id"), int):
            raise InputError("START_TRAINING names no project.")
        return _start(lambda: backend.train(backend.studio.tasks(project["id"])))

    @app.post("/train")
    def train(body: dict[str, Any]) -> dict[str, str]:
        tasks = _tasks(body, "annotations")
        return _start(lambda: backend.train(tasks))

    def _start(work: Callable[[], None]) -> dict[str, str]:
        # Label Studio waits for this answer, and its own server may have to serve the photographs meanwhile.
        def go() -> None:
            backend.fault = None
            try:
                work()
            except HintsegError as error:
                backend.fault = str(error)

        threading.Thread(target=go, daemon=True).start()
        return {"status": "started", "job": "hintseg"}

    return app


def control_tag(config: str) -> dict[str, Any]:
    """Where predictions go: name, image, kind and labels of the page's brush or polygon tool.

    Raises:
        InputError: not XML, or the page has neither.
    """
    root = parse_xml(config.encode(), "the labelling configuration")
    for kind in ("BrushLabels", "PolygonLabels"):
        for element in root.iter(kind):
            return {
                "from_name": element.get("name"), "to_name": element.get("toName"), "kind": kind.lower(),
                "labels": {str(label.get("value")) for label in element.iter("Label")},
            }  # fmt: skip
    raise InputError("the labelling configuration has neither BrushLabels nor PolygonLabels to put masks into.")


def regions(mask: NDArray[np.bool_], name: str, control: dict[str, Any]) -> list[dict[str, Any]]:
    """A class's mask as Label Studio's results: one brush region, or a polygon round every part."""
    named = {"from_name": control["from_name"], "to_name": control["to_name"]}
    if control["kind"] == "brushlabels":
        return [brush_result(mask, name) | named]
    height, width = mask.shape
    found = []
    for contour in cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
        corners = cv2.approxPolyDP(contour, 1.0, True)[:, 0]
        if len(corners) >= 3 and cv2.contourArea(corners) >= 16:
            points = (corners * [100 / width, 100 / height]).round(3).tolist()
            found.append(
                named
                | {"type": "polygonlabels", "original_width": width, "original_height": height, "image_rotation": 0}
                | {"value": {"points": points, "closed": True, "polygonlabels": [name]}}
            )
    return found


def _suffix(address: str) -> str | None:
    """Of an image address: the path's, or that of a file its query names."""
    parts = urlsplit(address)
    candidates = [parts.path, *(value for values in parse_qs(parts.query).values() for value in values)]
    suffixes = (PurePosixPath(unquote(candidate)).suffix.lower() for candidate in candidates)
    return next((suffix for suffix in suffixes if suffix in IMAGE_SUFFIXES), None)


def _tasks(body: dict[str, Any], field: str) -> list[dict[str, Any]]:
    tasks = body.get(field)
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise InputError(f"the field {field!r} must be a list of tasks.")
    for task in tasks:
        annotations = task.get("annotations", [])
        if not isinstance(task.get("data"), dict) or not isinstance(annotations, list):
            raise InputError(f"task {task.get('id')!r}: 'data' must be an object and 'annotations' a list.")
        if not all(isinstance(annotation, dict) for annotation in annotations):
            raise InputError(f"task {task.get('id')!r}: every annotation must be an object.")
    return tasks
