"""The page's server: FastAPI on loopback, one data set folder, nothing outside it."""

import io
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, Field

from hintseg.errors import InputError
from hintseg.exhausted import memory_explained
from hintseg.formats.by_name import WRITERS, export_masks
from hintseg.formats.exported import Classes
from hintseg.images import reduced, repeated, write_labels
from hintseg.studio.guard import Guard, explain_errors, new_token
from hintseg.studio.listen import listen
from hintseg.studio.project import COLOURS, DrawnHints, Project, hexadecimal
from hintseg.studio.trainer import Effort, Model, Trainer

PAGE = Path(__file__).parent / "page"
LONGEST_SHOWN = 2048  # larger photographs are shown reduced; hints keep the photograph's own pixels
LARGEST_UPLOAD = 200 * 2**20


class ClassNames(BaseModel):
    """All class names, which is background, and whether hints name all that a photograph holds (None: as it is)."""

    names: list[str] = Field(max_length=254)
    background: int | None = None
    complete: bool | None = None


class Start(BaseModel):
    """How long to train."""

    effort: Effort = "quick"


def create_app(project: Project, trainer: Trainer, token: str | None = None) -> FastAPI:
    """The server of one project.

    Args:
        token: needed once as ?token=…, kept as a cookie; None serves loopback names alone.
    """
    app = FastAPI(title="hintseg studio", docs_url=None, redoc_url=None, openapi_url=None)
    model = Model(project, trainer)

    app.add_middleware(Guard, token=token, uploads={"/api/images": LARGEST_UPLOAD})
    explain_errors(app)

    @app.get("/")
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    _serve_hints(app, project, model, trainer)
    _serve_masks(app, project, model)
    _serve_training(app, project, model, trainer)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return app


def _serve_hints(app: FastAPI, project: Project, model: Model, trainer: Trainer) -> None:
    """Classes, photographs and what is drawn on them."""

    @app.get("/api/project")
    def describe() -> dict[str, Any]:
        return project.describe() | {"doubts": model.doubts(), "run": model.run, "state": trainer.state()}

    @app.get("/api/state")
    def state() -> dict[str, Any]:
        return trainer.state() | {"newest": model.run, "doubts": model.doubts()}

    @app.put("/api/classes")
    def classes(body: ClassNames) -> dict[str, Any]:
        project.set_classes(body.names, body.background, body.complete)
        return project.describe()

    @app.post("/api/images")
    async def upload(request: Request, name: str) -> dict[str, str]:
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > LARGEST_UPLOAD:
                raise InputError(f"{name}: is larger than {LARGEST_UPLOAD // 2**20} MiB; put it into images/ by hand.")
        return {"key": project.add_image(name, bytes(content))}

    @app.get("/api/image/{key:path}")
    def image(key: str, side: int = LONGEST_SHOWN) -> Response:
        content = io.BytesIO()
        shown = reduced(project.dataset.image(key), min(max(side, 16), LONGEST_SHOWN))
        Image.fromarray(shown).save(content, "JPEG", quality=92)
        return Response(content.getvalue(), media_type="image/jpeg", headers={"Cache-Control": "max-age=600"})

    @app.get("/api/hints/{key:path}")
    def hints(key: str) -> dict[str, Any]:
        return project.hints(key) | {"accepted": project.accepted(key) is not None}

    @app.put("/api/hints/{key:path}")
    def save(key: str, body: DrawnHints) -> dict[str, bool]:
        project.save_hints(key, body)
        model.forget(key)
        return {"saved": True}


def _serve_masks(app: FastAPI, project: Project, model: Model) -> None:
    """What hints and networks say of a photograph."""

    @app.get("/api/mask/{key:path}")
    def mask(key: str, source: Literal["model", "hints", "accepted"] = "model") -> Response:
        labels = project.accepted(key) if source == "accepted" else model.mask(key, source)
        if labels is None:
            raise HTTPException(404, "no mask was accepted for this photograph")
        return _picture(_coloured(labels))

    @app.get("/api/raster/{key:path}")
    def raster(key: str) -> Response:
        found = project.dataset.hints(key, ("scribbles",)).scribble_map
        if found is None:
            raise HTTPException(404, "this photograph has no scribbles that came as a picture")
        return _picture(_coloured(found.labels))

    @app.post("/api/accept/{key:path}")
    def accept(key: str) -> dict[str, bool]:
        project.accept(key, model.mask(key, "model"))
        return {"accepted": True}

    @app.delete("/api/accept/{key:path}")
    def withdraw(key: str) -> dict[str, bool]:
        project.withdraw(key)
        return {"accepted": False}

    @app.get("/api/nearest/{key:path}")
    def nearest(key: str, x: float, y: float) -> dict[str, Any]:
        found = model.nearest(key, (x, y))
        if found is None:
            raise HTTPException(409, "train first: there are no training segments to compare with yet")
        segment, neighbours = found
        outline = cv2.findContours(segment.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        return {"outline": [part[:, 0].tolist() for part in outline], "neighbours": neighbours}


def _serve_training(app: FastAPI, project: Project, model: Model, trainer: Trainer) -> None:
    """Runs, and taking masks away."""

    @app.post("/api/train")
    def train(body: Start) -> dict[str, Any]:
        trainer.start(body.effort)
        return trainer.state()

    @app.post("/api/stop")
    def stop() -> dict[str, Any]:
        trainer.stop()
        return trainer.state()

    @app.get("/api/export")
    def export(form: str = "png") -> Response:
        return _archive(project, model, form)


def serve(root: Path, host: str, port: int, weights: str, settings: tuple[str, ...] = ()) -> None:
    """Serve until interrupted; prints the address.

    Raises:
        HintsegError: the folder cannot be used.
    """
    require_port(host, port)
    project = Project.open(root)
    token = new_token(host)
    app = create_app(project, Trainer(project, weights, settings), token)
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    print(f"hintseg studio: http://{shown}:{port}/{f'?token={token}' if token else ''}   (Ctrl+C ends it)", flush=True)
    listen(app, host, port)


def require_port(host: str, port: int) -> None:
    """Raise where the address cannot be listened on.

    Raises:
        InputError: the port is taken, or the host is not this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise InputError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port.") from error


def _coloured(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) labels → (h, w, 4), transparent where there is none."""
    share = min(1.0, LONGEST_SHOWN / max(labels.shape))
    small = repeated(labels, (max(round(labels.shape[0] * share), 1), max(round(labels.shape[1] * share), 1)))
    table = np.zeros((256, 4), np.uint8)
    table[: len(COLOURS), :3] = [hexadecimal(colour) for colour in COLOURS]
    table[: len(COLOURS), 3] = 255
    return table[small]


def _picture(pixels: NDArray[np.uint8]) -> Response:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", compress_level=1)
    return Response(content.getvalue(), media_type="image/png", headers={"Cache-Control": "no-store"})


def _archive(project: Project, model: Model, form: str) -> Response:
    """Masks of all photographs as a zip: palette PNGs, or another tool's annotations."""
    if form != "png" and form not in WRITERS:
        raise InputError(f"{form!r} is no format; known: png, {', '.join(WRITERS)}.")
    dataset = project.dataset
    with tempfile.TemporaryDirectory() as folder:
        masks, wrong = Path(folder) / "masks", []
        for key in dataset.keys(None):
            try:
                labels = project.accepted(key)
                if labels is None and (model.run is not None or dataset.hints(key).placed()):
                    with memory_explained(key, "reduce the image, or cut it into tiles"):
                        labels = model.mask(key, "model")
            except InputError as error:
                wrong.append(str(error))
                continue
            if labels is not None:
                write_labels(masks / f"{key}.png", labels)
        if not masks.is_dir():
            raise InputError(wrong[0] if wrong else "there is no mask to export yet; draw hints or train first.")
        if form != "png":
            classes = Classes(tuple(dataset.classes), dataset.background)
            export_masks(dict(dataset.paths), masks, Path(folder) / "out", form, classes)
        chosen = masks if form == "png" else Path(folder) / "out"
        if wrong:
            (chosen / "left-out.txt").write_text("\n".join(wrong) + "\n", "utf-8", "replace")
        packed = shutil.make_archive(str(Path(folder) / "packed"), "zip", chosen)
        headers = {"Content-Disposition": f'attachment; filename="masks-{form}.zip"'}
        return Response(Path(packed).read_bytes(), media_type="application/zip", headers=headers)
