"""The page's own files: a fixed list, each with the type that a browser insists on for modules."""

from pathlib import Path

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse

PAGE = Path(__file__).parent / "page"
# Not from the system's table, which on some machines calls JavaScript plain text; a browser then refuses modules.
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


def serve_page(app: FastAPI) -> None:
    """Answer / and /page/…; what is not among the files of the page when the server starts does not exist."""
    files = {path.relative_to(PAGE).as_posix(): path for path in PAGE.rglob("*") if path.suffix in TYPES}

    @app.get("/")
    def page() -> FileResponse:
        return _answer(files["index.html"])

    @app.get("/page/{name:path}")
    def file(name: str) -> FileResponse:
        if name not in files:
            raise HTTPException(404, "the page has no such file")
        return _answer(files[name])


def _answer(path: Path) -> FileResponse:
    """One file, asked for anew every time: modules of two versions do not fit together."""
    return FileResponse(path, media_type=TYPES[path.suffix], headers={"Cache-Control": "no-cache"})
