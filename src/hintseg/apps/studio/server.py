"""The page's server: FastAPI on loopback, one data set folder, nothing outside it."""

import io
from collections.abc import Hashable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from PIL import Image
from pydantic import Field

from hintseg.apps.studio.accepted import accepted_tag
from hintseg.apps.studio.browser import has_desktop, open_when_listening
from hintseg.apps.studio.channels import channel_image, count_channels
from hintseg.apps.studio.conflict import ConflictError, IfMatch, required_version
from hintseg.apps.studio.drawn import Body, ClassId, DrawnHints, version_of
from hintseg.apps.studio.export import archive
from hintseg.apps.studio.guard import Guard, explain_errors, new_token
from hintseg.apps.studio.importing.serve import FILES, serve_import
from hintseg.apps.studio.importing.upload import LARGEST
from hintseg.apps.studio.kept import keep_outside
from hintseg.apps.studio.lanes import Lane
from hintseg.apps.studio.listen import listen, require_port
from hintseg.apps.studio.lock import locked_folder
from hintseg.apps.studio.page_files import serve_page
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.serve_masks import LONGEST_SHOWN, serve_acceptance, serve_masks
from hintseg.apps.studio.tables import mark, types_by_image
from hintseg.apps.studio.trainer import Effort, Model, Trainer
from hintseg.errors import HintsegError, InputError
from hintseg.hints.labels import MAX_CLASSES
from hintseg.io.images import resize_longest_side
from hintseg.version import __version__

LARGEST_UPLOAD = 200 * 2**20
LANES = {
    "masks": 2,
    "images": 4,
    "uploads": 1,
    "exports": 1,
    "imports": 1,
}  # threads of the slow work; all else has its own

Channel = Annotated[int | None, Query(ge=0)]
SeenImage = Annotated[str | None, Header()]


class NamedClass(Body):
    """A class; one without an identifier is new."""

    id: ClassId | None = None
    name: str = Field(max_length=1000)
    color: str | None = Field(None, max_length=7)


class ClassTable(Body):
    """All classes, which is background, whether hints name all in an image, and the order (None: as it is)."""

    classes: list[NamedClass] = Field(max_length=MAX_CLASSES)
    background: ClassId | None = None
    complete: bool | None = None
    order: list[ClassId] | None = Field(None, max_length=MAX_CLASSES)


class Start(Body):
    """How long to train."""

    effort: Effort = "quick"


def create_app(project: Project, trainer: Trainer, token: str | None = None) -> FastAPI:
    """The server of one project.

    Args:
        token: needed once as ?token=…, kept as a cookie; None serves loopback names alone.
    """
    app = FastAPI(title="hintseg studio", docs_url=None, redoc_url=None, openapi_url=None)
    model = Model(project, trainer)

    uploads = {"/api/images": LARGEST_UPLOAD, FILES: LARGEST}
    app.add_middleware(Guard, token=token, uploads=uploads, folder=project.identity)
    explain_errors(app)

    @app.exception_handler(ConflictError)
    async def disagree(request: Request, error: ConflictError) -> JSONResponse:
        return JSONResponse({"detail": str(error), "current": error.current}, status_code=409)

    lanes = {name: Lane(name, threads) for name, threads in LANES.items()}
    app.state.lanes = lanes
    _serve_hints(app, project, model, trainer)
    _serve_state(app, project, model, trainer)
    _serve_images(app, project, lanes)
    serve_masks(app, project, model, lanes["masks"])
    serve_acceptance(app, project, model, lanes["masks"])
    serve_import(app, project, model, lanes["imports"])
    _serve_training(app, project, model, trainer, lanes["exports"])
    serve_page(app)
    return app


def _serve_state(app: FastAPI, project: Project, model: Model, trainer: Trainer) -> None:
    """What pages ask for every few seconds: whether others changed something, and how far training is."""

    @lru_cache(64)
    def mask_version(key: str, *_seen: Hashable) -> str | None:
        with suppress(HintsegError):  # said where the mask is asked for
            return accepted_tag(project, key) if project.dataset.has_mask(key) else model.tag(key)
        return None

    @app.get("/api/state")
    def state(key: str | None = None, seen: str | None = None) -> dict[str, Any]:
        project.refresh()
        folder = version_of(project.marks)
        versions: dict[str, Any] = {"classes": project.table()["version"], "images": len(project.dataset.paths)}
        versions["folder"] = folder
        if key is not None and key in project.dataset.paths:
            image = project.image_version(key)
            versions |= {"hints": project.hints_version(key), "accepted": project.dataset.has_mask(key), "image": image}
            mask = project.dataset.label_path("masks", key)  # whose folder does not change where it is written in place
            versions["mask"] = mask_version(key, project.marks, model.loaded, image, mask and mark(mask))
        return trainer.state() | {
            "newest": model.run,
            "model": model.name,
            "unlearned": model.unlearned(),
            "uncertain": model.uncertain(),
            "versions": versions,
            "hint_types": None if seen == folder else types_by_image(project.dataset),
        }


def _serve_hints(app: FastAPI, project: Project, model: Model, trainer: Trainer) -> None:
    """Classes and what is drawn; nothing here computes, so that a save never waits."""

    @app.get("/api/project")
    def describe() -> dict[str, Any]:
        return project.describe() | {
            "uncertain": model.uncertain(),
            "run": model.run,
            "model": model.name,
            "unlearned": model.unlearned(),
            "state": trainer.state(),
        }

    @app.put("/api/classes")
    def classes(body: ClassTable, if_match: IfMatch = None) -> dict[str, Any]:
        named = [(one.id, one.name) for one in body.classes]
        colors = {one.id: one.color for one in body.classes if one.id is not None and one.color is not None}
        project.set_classes(named, body.background, body.complete, required_version(if_match), body.order, colors)
        return project.describe()

    @app.get("/api/classes/{identifier}")
    def uses(identifier: str) -> dict[str, Any]:
        return project.uses(identifier)._asdict()

    @app.delete("/api/classes/{identifier}")
    def delete(identifier: str, if_match: IfMatch = None) -> dict[str, Any]:
        copy = project.delete_class(identifier, required_version(if_match))
        return project.describe() | {"copy": copy}

    @app.get("/api/hints/{key:path}")
    def hints(key: str) -> dict[str, Any]:
        image = project.image_version(key)
        return project.hints(key) | {"accepted": project.dataset.has_mask(key), "image": image}

    @app.put("/api/hints/{key:path}")
    def save(key: str, body: DrawnHints, if_match: IfMatch = None, hintseg_image: SeenImage = None) -> dict[str, Any]:
        if hintseg_image not in (None, project.image_version(key)):
            try:
                project.dataset.image(key)
            except InputError as error:
                why = "What you drew is on this page alone; mend the file, then change its hints once more."
                raise InputError(f"{error} {why}") from error
            with project.locked() as dataset:
                keep_outside(dataset, key, body, dict(zip(project.identifiers, dataset.classes, strict=True)))
            raise InputError(
                f"{key}: its image file was replaced since this was drawn. Look whether it still fits; your next "
                "change of this image saves it."
            )
        version = project.save_hints(key, body, required_version(if_match))
        model.ranking.forget(key)
        return {"saved": True, "version": version}

    @app.delete("/api/kept/{key:path}")
    def discard(key: str, name: str) -> dict[str, bool]:
        project.forget_kept(key, name)
        return {"kept": False}


def _serve_images(app: FastAPI, project: Project, lanes: dict[str, Lane]) -> None:
    """Images in and out."""

    @app.post("/api/images")
    async def upload(request: Request, name: str) -> dict[str, str]:
        content = await request.body()
        return {"key": await lanes["uploads"].run(request, lambda: project.add_image(name, content))}

    @app.get("/api/image/{key:path}")
    async def image(request: Request, key: str, side: int = LONGEST_SHOWN, channel: Channel = None) -> Response:
        def encoded() -> bytes:
            content, dataset = io.BytesIO(), project.dataset
            pixels = dataset.image(key) if channel is None else channel_image(dataset, key, channel)
            shown = resize_longest_side(pixels, min(max(side, 16), LONGEST_SHOWN))
            Image.fromarray(shown).save(content, "JPEG", quality=92)
            return content.getvalue()

        def answer() -> Response:
            how = [project.dataset.path(key), project.root / "dataset.json", project.root / "images"]
            tag = f'"{version_of([__version__, [mark(path) for path in how], side, channel])}"'
            headers = {"Cache-Control": "no-cache", "ETag": tag}  # kept by browsers, and asked for again
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers=headers)
            return Response(encoded(), media_type="image/jpeg", headers=headers)

        return await lanes["images"].run(request, answer)

    @app.get("/api/channels/{key:path}")
    async def channels(request: Request, key: str) -> dict[str, int]:
        return {"count": await lanes["images"].run(request, lambda: count_channels(project.dataset, key))}


def _serve_training(app: FastAPI, project: Project, model: Model, trainer: Trainer, lane: Lane) -> None:
    """Runs, and taking masks away."""
    exported: dict[str, Any] = {"stage": "", "done": 0, "total": 0}  # of the export under way

    def note(stage: str, done: int, total: int) -> None:
        exported.update(stage=stage, done=done, total=total)

    @app.post("/api/train")
    def train(body: Start) -> dict[str, Any]:
        trainer.start(body.effort)
        return trainer.state() | {"model": model.name}

    @app.post("/api/stop")
    def stop() -> dict[str, Any]:
        trainer.stop()
        return trainer.state() | {"model": model.name}

    @app.get("/api/export")
    async def export(request: Request, writer: str = "png", images: bool = False) -> Response:
        def made() -> Response:
            try:
                return archive(project, model, writer, images, note)
            finally:
                note("", 0, 0)  # not before its turn, when another's is noted

        return await lane.run(request, made)

    @app.get("/api/exporting")
    def exporting() -> dict[str, Any]:
        return dict(exported)


def serve(
    root: Path, host: str, port: int, weights: str, settings: tuple[str, ...] = (), open_page: bool = False
) -> None:
    """Serve until interrupted; prints the address.

    Args:
        open_page: in the browser, where there is a desktop.

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
        page = f"{address}?token={token}" if token else address
        print(f"hintseg studio: {page}   (Ctrl+C ends it)", flush=True)
        if open_page and has_desktop():
            open_when_listening(page, shown, port)
        try:
            listen(app, host, port)
        finally:
            for lane in app.state.lanes.values():
                lane.close()
