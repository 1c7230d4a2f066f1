"""Import in the page: files come in one by one, are read, reported, and taken when the user says so."""

from typing import Any

from fastapi import FastAPI, Request
from pydantic import Field

from hintseg.apps.studio.conflict import IfMatch, required_version
from hintseg.apps.studio.drawn import Body
from hintseg.apps.studio.importing.reading import Read, read_upload
from hintseg.apps.studio.importing.taking import Existing, take
from hintseg.apps.studio.importing.upload import Upload, remove_stale
from hintseg.apps.studio.lanes import Lane
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.trainer import Model
from hintseg.errors import InputError

MOST = 4  # imports at once; pages that were closed leave theirs behind
FILES = "/api/import/file"  # the one path whose bodies are files, not JSON


class Wish(Body):
    """How annotations are to be read; see `read_upload`."""

    reader: str = Field("auto", max_length=40)
    background: str = Field("", max_length=200)
    unlabeled: str = Field("", max_length=200)


class Decision(Body):
    """What becomes of images that have hints already."""

    existing: Existing = "keep"


class Imports:
    """Those that pages have begun: their files, and what was read of them."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.progress = {"done": 0, "total": 0}
        self._uploads: dict[str, Upload] = {}
        self._results: dict[str, Read] = {}
        self._taken: set[str] = set()  # right now: their files are needed

    def begin(self) -> str:
        """The name of a new one; the oldest go where there are too many."""
        for older in list(self._uploads)[: max(len(self._uploads) - MOST + 1, 0)]:
            self.forget(older)
        remove_stale(self.project.root, set(self._uploads))
        upload = Upload(self.project.root)
        self._uploads[upload.name] = upload
        return upload.name

    def upload(self, name: str) -> Upload:
        """Its files. InputError: it is over."""
        if name not in self._uploads:
            raise InputError(
                "this import is over or was begun by an earlier server; reload the page, look whether its hints are "
                "there, or choose the files again."
            )
        return self._uploads[name]

    def read(self, name: str, upload: Upload, wish: Wish) -> dict[str, Any]:
        """What taking it would do."""
        self._results.pop(name, None)
        try:
            self.project.refresh()
            found = read_upload(
                self.project, upload, wish.reader, wish.background.strip(), wish.unlabeled.strip(), self._note
            )
        finally:
            self.progress.update(done=0, total=0)
        if name in self._uploads:  # else it was given up meanwhile
            self._results[name] = found
        return found.report(self.project)

    def result(self, name: str) -> Read:
        """What was read of it. InputError: nothing yet."""
        if name not in self._results:
            raise InputError("this import was not read yet; read it, then take it.")
        return self._results[name]

    def take(self, name: str, result: Read, existing: Existing, seen: str) -> dict[str, Any]:
        """Take what was read into the project; see `taking.take`."""
        self._taken.add(name)
        try:
            self.upload(name)  # else it was given up meanwhile
            return take(self.project, result, existing, seen)
        finally:
            self._taken.discard(name)

    def forget(self, name: str) -> None:
        """Remove its files, but for one that is being taken."""
        if name in self._taken:
            return
        self._results.pop(name, None)
        if (upload := self._uploads.pop(name, None)) is not None:
            upload.remove()

    def _note(self, stage: str, done: int, total: int, numbers: dict[str, float]) -> None:
        self.progress.update(done=done, total=total)


def serve_import(app: FastAPI, project: Project, model: Model, lane: Lane) -> None:
    """Begin, upload, read, take, give up."""
    imports = Imports(project)

    @app.post("/api/import")
    def begin() -> dict[str, str]:
        return {"import": imports.begin()}

    @app.post(FILES)
    async def add(request: Request, name: str, into: str) -> dict[str, bool]:
        await imports.upload(into).add(name, request.stream())
        return {"added": True}

    @app.post("/api/import/{name}/read")
    async def read(request: Request, name: str, body: Wish) -> dict[str, Any]:
        upload = imports.upload(name)
        return await lane.run(request, lambda: imports.read(name, upload, body))

    @app.post("/api/import/{name}/take")
    async def take_all(request: Request, name: str, body: Decision, if_match: IfMatch = None) -> dict[str, Any]:
        seen = required_version(if_match)
        result = imports.result(name)
        found = await lane.run(request, lambda: imports.take(name, result, body.existing, seen))
        for key in found["keys"]:
            model.ranking.forget(key)
        imports.forget(name)
        return found | project.describe()

    @app.delete("/api/import/{name}")
    def give_up(name: str) -> dict[str, bool]:
        imports.forget(name)
        return {"removed": True}

    @app.get("/api/importing")
    def importing() -> dict[str, Any]:
        return dict(imports.progress)
