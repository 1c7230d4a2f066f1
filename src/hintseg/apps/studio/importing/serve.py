"""Import in the page: files come in one by one, are read, reported, and taken when the user says so."""

from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from hintseg.apps.studio.conflict import IfMatch, required_version
from hintseg.apps.studio.importing.reading import Read, read_upload
from hintseg.apps.studio.importing.taking import Existing, take
from hintseg.apps.studio.importing.upload import Upload, remove_stale
from hintseg.apps.studio.lanes import Lane
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.trainer import Model
from hintseg.errors import InputError

MOST = 4  # imports at once; pages that were closed leave theirs behind
FILES = "/api/import/file"  # the one path whose bodies are files, not JSON


class Wish(BaseModel):
    """How annotations are to be read; see `read_upload`."""

    form: str = Field("auto", max_length=40)
    background: str = Field("", max_length=200)
    unlabelled: str = Field("", max_length=200)


class Decision(BaseModel):
    """What becomes of images that have hints already."""

    existing: Existing = "keep"


def serve_import(app: FastAPI, project: Project, model: Model, lane: Lane) -> None:
    """Begin, upload, read, take, give up."""
    uploads: dict[str, Upload] = {}
    results: dict[str, Read] = {}
    taken: set[str] = set()  # right now: their files are needed
    progress: dict[str, Any] = {"done": 0, "total": 0}

    def note(stage: str, done: int, total: int, numbers: dict[str, float]) -> None:
        progress.update(done=done, total=total)

    def known(name: str) -> Upload:
        if name not in uploads:
            raise InputError("this import is over or was begun by an earlier server; choose the files again.")
        return uploads[name]

    def forget(name: str) -> None:
        if name in taken:
            return
        results.pop(name, None)
        if (upload := uploads.pop(name, None)) is not None:
            upload.remove()

    @app.post("/api/import")
    def begin() -> dict[str, str]:
        for older in list(uploads)[: max(len(uploads) - MOST + 1, 0)]:
            forget(older)
        remove_stale(project.root, set(uploads))
        upload = Upload(project.root)
        uploads[upload.name] = upload
        return {"import": upload.name}

    @app.post(FILES)
    async def add(request: Request, name: str, into: str) -> dict[str, bool]:
        await known(into).add(name, request.stream())
        return {"added": True}

    @app.post("/api/import/{name}/read")
    async def read(request: Request, name: str, body: Wish) -> dict[str, Any]:
        upload = known(name)

        def work() -> dict[str, Any]:
            results.pop(name, None)
            try:
                project.refresh()
                found = read_upload(project, upload, body.form, body.background.strip(), body.unlabelled.strip(), note)
            finally:
                progress.update(done=0, total=0)
            if name in uploads:  # else it was given up meanwhile
                results[name] = found
            return found.report(project)

        return await lane.run(request, work)

    @app.post("/api/import/{name}/take")
    async def take_all(request: Request, name: str, body: Decision, if_match: IfMatch = None) -> dict[str, Any]:
        seen = required_version(if_match)
        if name not in results:
            raise InputError("this import was not read yet; read it, then take it.")
        result = results[name]

        def work() -> dict[str, Any]:
            taken.add(name)
            try:
                known(name)  # else it was given up meanwhile
                return take(project, result, body.existing, seen)
            finally:
                taken.discard(name)

        found = await lane.run(request, work)
        for key in found["keys"]:
            model.ranking.forget(key)
        forget(name)
        return found | project.describe()

    @app.delete("/api/import/{name}")
    def give_up(name: str) -> dict[str, bool]:
        forget(name)
        return {"removed": True}

    @app.get("/api/importing")
    def importing() -> dict[str, Any]:
        return dict(progress)
