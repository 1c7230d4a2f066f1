"""The page's server: FastAPI on loopback, one data set folder, nothing outside it."""

import io
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from fastapi import FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, Field

from hintseg.apps.studio.colours import COLOURS, hexadecimal
from hintseg.apps.studio.conflict import ConflictError
from hintseg.apps.studio.drawn import ClassId, DrawnHints
from hintseg.apps.studio.guard import Guard, explain_errors, new_token
from hintseg.apps.studio.lanes import Lane
from hintseg.apps.studio.listen import listen, require_port
from hintseg.apps.studio.lock import locked_folder
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.trainer import Effort, Model, Trainer
from hintseg.errors import InputError
from hintseg.formats.registry import WRITERS, export_masks
from hintseg.formats.writer import Classes
from hintseg.hints.labels import MAX_CLASSES
from hintseg.io.images import resize_longest_side, resize_nearest, write_labels
from hintseg.memory_errors import memory_explained

PAGE = Path(__file__).parent / "page"
LONGEST_SHOWN = 2048  # larger photographs are shown reduced; hints keep the photograph's own pixels
LARGEST_UPLOAD = 200 * 2**20
LANES = {"masks": 2, "images": 4, "uploads": 1, "exports": 1}  # threads of the slow work; all else has its own

IfMatch = Annotated[str | None, Header()]


class NamedClass(BaseModel):
    """A class; one without an identifier is new."""

    id: ClassId | None = None
    name: str = Field(max_length=1000)


class ClassTable(BaseModel):
    """All classes, which is background, and whether hints name all that a photograph holds (None: as it is)."""

    classes: list[NamedClass] = Field(max_length=MAX_CLASSES)
    background: ClassId | None = None
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

    @app.exception_handler(ConflictError)
    async def disagree(request: Request, error: ConflictError) -> JSONResponse:
        return JSONResponse({"detail": str(error), "current": error.current}, status_code=409)

    @app.get("/")
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    lanes = {name: Lane(name, threads) for name, threads in LANES.items()}
    app.state.lanes = lanes
    _serve_hints(app, project, model, trainer)
    _serve_images(app, project, lanes)
    _serve_masks(app, project, model, lanes["masks"])
    _serve_training(app, project, model, trainer, lanes["exports"])
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return app


def _serve_hints(app: FastAPI, project: Project, model: Model, trainer: Trainer) -> None:
    """Classes and what is drawn; nothing here computes, so that a save never waits."""

    @app.get("/api/project")
    def describe() -> dict[str, Any]:
        return project.describe() | {
            "doubts": model.doubts(),
            "run": model.run,
            "model": model.name,
            "state": trainer.state(),
        }

    @app.get("/api/state")
    def state(key: str | None = None) -> dict[str, Any]:
        project.refresh()
        versions = {"classes": project.table()["version"], "images": len(project.dataset.paths)}
        if key is not None and key in project.dataset.paths:
            versions["hints"] = project.hints_version(key)
        return trainer.state() | {
            "newest": model.run,
            "model": model.name,
            "doubts": model.doubts(),
            "versions": versions,
        }

    @app.put("/api/classes")
    def classes(body: ClassTable, if_match: IfMatch = None) -> dict[str, Any]:
        named = [(one.id, one.name) for one in body.classes]
        project.set_classes(named, body.background, body.complete, _required(if_match))
        return project.describe()

    @app.get("/api/hints/{key:path}")
    def hints(key: str) -> dict[str, Any]:
        return project.hints(key) | {"accepted": project.accepted(key) is not None}

    @app.put("/api/hints/{key:path}")
    def save(key: str, body: DrawnHints, if_match: IfMatch = None) -> dict[str, Any]:
        version = project.save_hints(key, body, _required(if_match))
        model.forget(key)
        return {"saved": True, "version": version}

    @app.delete("/api/kept/{key:path}")
    def discard(key: str, name: str) -> dict[str, bool]:
        project.forget_kept(key, name)
        return {"kept": False}


def _serve_images(app: FastAPI, project: Project, lanes: dict[str, Lane]) -> None:
    """Photographs in and out."""

    @app.post("/api/images")
    async def upload(request: Request, name: str) -> dict[str, str]:
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > LARGEST_UPLOAD:
                raise InputError(f"{name}: is larger than {LARGEST_UPLOAD // 2**20} MiB; put it into images/ by hand.")
        return {"key": await lanes["uploads"].run(request, lambda: project.add_image(name, bytes(content)))}

    @app.get("/api/image/{key:path}")
    async def image(request: Request, key: str, side: int = LONGEST_SHOWN) -> Response:
        def encoded() -> bytes:
            content = io.BytesIO()
            shown = resize_longest_side(project.dataset.image(key), min(max(side, 16), LONGEST_SHOWN))
            Image.fromarray(shown).save(content, "JPEG", quality=92)
            return content.getvalue()

        shown = await lanes["images"].run(request, encoded)
        return Response(shown, media_type="image/jpeg", headers={"Cache-Control": "max-age=600"})


def _serve_masks(app: FastAPI, project: Project, model: Model, lane: Lane) -> None:
    """What hints and networks say of a photograph."""

    @app.get("/api/mask/{key:path}")
    async def mask(request: Request, key: str, source: Literal["model", "accepted"] = "model") -> Response:
        def found() -> Response:
            tag = model.tag(key)
            labels = project.accepted(key) if source == "accepted" else model.mask(key)
            if labels is None:
                raise HTTPException(404, "no mask was accepted for this photograph")
            return _picture(_coloured(labels), tag)

        return await lane.run(request, found)

    @app.get("/api/raster/{key:path}")
    def raster(key: str) -> Response:
        found = project.dataset.hints(key, ("scribbles",)).scribble_map
        if found is None:
            raise HTTPException(404, "this photograph has no scribbles that came as a picture")
        return _picture(_coloured(found.labels))

    @app.post("/api/accept/{key:path}")
    async def accept(request: Request, key: str, if_match: IfMatch = None) -> dict[str, bool]:
        seen = _required(if_match)

        def take() -> None:
            project.require(lambda: model.tag(key) == seen)  # before anything is computed
            project.accept(key, model.mask(key), lambda: model.tag(key) == seen)

        await lane.run(request, take)
        return {"accepted": True}

    @app.delete("/api/accept/{key:path}")
    def withdraw(key: str, if_match: IfMatch = None) -> dict[str, bool]:
        seen = _required(if_match)
        return {"accepted": project.withdraw(key, lambda: model.tag(key) == seen)}

    @app.get("/api/nearest/{key:path}")
    async def nearest(request: Request, key: str, x: float, y: float) -> dict[str, Any]:
        found = await lane.run(request, lambda: model.nearest(key, (x, y)))
        if found is None:
            raise HTTPException(422, "train first: there are no training segments to compare with yet")
        segment, neighbours = found
        outline = cv2.findContours(segment.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        return {"outline": [part[:, 0].tolist() for part in outline], "neighbours": neighbours}


def _serve_training(app: FastAPI, project: Project, model: Model, trainer: Trainer, lane: Lane) -> None:
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
    async def export(request: Request, form: str = "png") -> Response:
        return await lane.run(request, lambda: _archive(project, model, form))


def serve(root: Path, host: str, port: int, weights: str, settings: tuple[str, ...] = ()) -> None:
    """Serve until interrupted; prints the address.

    Raises:
        HintsegError: the folder cannot be used.
    """
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    address = f"http://{shown}:{port}/"
    with locked_folder(root, address):
        require_port(host, port)
        project = Project.open(root)
        token = new_token(host)
        app = create_app(project, Trainer(project, weights, settings), token)
        print(f"hintseg studio: {address}{f'?token={token}' if token else ''}   (Ctrl+C ends it)", flush=True)
        try:
            listen(app, host, port)
        finally:
            for lane in app.state.lanes.values():
                lane.close()


def _required(if_match: str | None) -> str:
    """The version that a request replaces.

    Raises:
        HTTPException: it names none.
    """
    if not if_match:
        raise HTTPException(428, "say in If-Match which version this replaces; reload the page")
    return if_match.removeprefix("W/").strip('"')


def _coloured(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) labels → (h, w, 4), transparent where there is none."""
    share = min(1.0, LONGEST_SHOWN / max(labels.shape))
    small = resize_nearest(labels, (max(round(labels.shape[0] * share), 1), max(round(labels.shape[1] * share), 1)))
    table = np.zeros((256, 4), np.uint8)
    table[: len(COLOURS), :3] = [hexadecimal(colour) for colour in COLOURS]
    table[: len(COLOURS), 3] = 255
    return table[small]


def _picture(pixels: NDArray[np.uint8], tag: str = "") -> Response:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", compress_level=1)
    return Response(
        content.getvalue(), media_type="image/png", headers={"Cache-Control": "no-store", "ETag": f'"{tag}"'}
    )


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
                if labels is None and (model.name != "hints" or dataset.hints(key).localized()):
                    with memory_explained(key, "reduce the image, or cut it into tiles"):
                        labels = model.mask(key)
            except InputError as error:
                wrong.append(str(error))
                continue
            if labels is not None:
                write_labels(masks / f"{key}.png", labels, classes=dataset.classes)
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
