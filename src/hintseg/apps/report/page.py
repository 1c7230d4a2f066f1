"""Self-contained HTML pages: no link leaves them, light and dark; the templates stand beside this module."""

import base64
import io
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from hintseg.apps.report.figures import RgbImage
from hintseg.errors import RunError
from hintseg.io.images import resize_longest_side
from hintseg.io.palette import label_palette
from hintseg.io.writing import write_text

PAGE = 1150  # pixels that a row of images may take
HEAD = 1000  # bytes of a page that say who made it


class Figure(NamedTuple):
    """An image of a page, as a data address, with its size and caption."""

    source: str
    width: int
    height: int
    caption: str


Row = list[Figure] | str  # images side by side, or the sentence that says why there are none


def require_page(path: Path) -> None:
    """Refuse to write over a page that hintseg did not make: RunError."""
    if not path.exists():
        return
    head = b""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(HEAD)
    if b'content="hintseg"' not in head and b"<title>hintseg" not in head:
        raise RunError(f"{path}: was not made by hintseg and is not written over; move it away.")


def write_page(
    path: Path, template: str, title: str, classes: Sequence[str], colors: Sequence[str] = (), **content: Any
) -> None:
    """Fill a template of this package; what it holds is escaped. RunError as of `require_page`."""
    require_page(path)
    text = _environment().get_template(template).render(title=title, legend=_legend(classes, colors), **content)
    write_text(path, text)


def figure_row(captioned: Iterable[tuple[RgbImage, str]]) -> list[Figure]:
    """Images with captions, small enough to stand side by side."""
    captioned = list(captioned)
    side = min(360, max(180, PAGE // len(captioned) - 10))
    figures = []
    for image, caption in captioned:
        small = resize_longest_side(image, side)
        figures.append(Figure(_data_uri(small), small.shape[1], small.shape[0], caption))
    return figures


@cache
def _environment() -> Environment:
    loader = PackageLoader("hintseg.apps.report")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["percent"] = lambda value: f"{100 * value:.1f}"
    return environment


def _legend(classes: Sequence[str], colors: Sequence[str]) -> list[tuple[str, str]]:
    """Every class with its color."""
    palette = label_palette(colors)
    return [(name, ",".join(map(str, palette[label]))) for label, name in enumerate(classes)]


def _data_uri(image: RgbImage) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
