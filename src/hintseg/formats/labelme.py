"""LabelMe: polygon, circle, mask → region, rectangle → box, point(s) → points, line(strip) → scribble, flags → tags.

Shapes of tools that write the same files (X-AnyLabeling) are known, too. A turned rectangle becomes the box round it.
`__ignore__` is LabelMe's name of what is ignored. Where regions overlap, a later shape lies over an earlier one.
"""

import base64
import binascii
import json
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hintseg.errors import InputError, why
from hintseg.formats.fields import annotations_in, entry
from hintseg.formats.outlines import outlines
from hintseg.formats.reader import Imported
from hintseg.formats.shapes import declared_size, ellipse, placed, rectangle, require_own_file
from hintseg.formats.writer import Classes, Labeled
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.hints.types.hint_type import numbers
from hintseg.io.writing import write_text

IGNORED = "__ignore__"
NEEDED = {
    "polygon": 3, "quadrilateral": 3, "rectangle": 2, "oriented_rectangle": 3, "rotation": 3, "circle": 2, "mask": 2,
    "point": 1, "points": 1, "line": 2, "linestrip": 2,
}  # fmt: skip
BOXES = ("rectangle", "oriented_rectangle", "rotation")


def matches(path: Path) -> bool:
    """Whether a JSON file is LabelMe's."""
    content = annotations_in(path)
    return isinstance(content, dict) and {"shapes", "imagePath"} <= set(content)


def read(path: Path, found: Imported) -> None:
    """Add one annotation file; InputError, with file and field, where it is malformed."""
    content = annotations_in(path)
    name = entry(content, "imagePath", str, str(path))
    size = declared_size(content.get("imageHeight"), content.get("imageWidth"), str(path))
    if content.get("imageData") and not found.has_image(name, path):
        raise InputError(
            f"{path}: holds the image {name!r:.80} in itself, which lies nowhere below {found.root}; write it beside "
            "with labelme_export_json."
        )
    key = found.add_image(name, path, size)
    require_own_file(found, key, path, "'imagePath'")
    if not found.is_readable(key):
        return
    flags = content.get("flags")
    for name, present in entry(content, "flags", dict, str(path)).items() if flags else ():
        if present is True and not _is_ignored(name):
            found.add_tag(key, found.label(name))
    shapes = content.get("shapes")
    for row, shape in enumerate(entry(content, "shapes", list, str(path)) if shapes is not None else ()):
        _add(shape, key, found, f"{path}, shapes[{row}]")


def _is_ignored(name: str) -> bool:
    return name.strip().casefold() == IGNORED


def _add(shape: dict[str, Any], key: str, found: Imported, where: str) -> None:
    name = entry(shape, "label", str, where)
    rows = entry(shape, "points", list, where)
    vertices = np.array([numbers(pair, 2, f"{where}, points") for pair in rows]).reshape(-1, 2)
    # The first versions had polygons alone, and did not say so.
    kind = entry(shape, "shape_type", str, where) if shape.get("shape_type") is not None else "polygon"
    if kind not in NEEDED or len(vertices) < NEEDED[kind]:
        reason = f"{kind} of fewer than {NEEDED[kind]} points" if kind in NEEDED else f"LabelMe shape {kind!r:.80}"
        found.leave_out(reason, key, None if _is_ignored(name) else found.label(name))
    elif _is_ignored(name):
        _ignore(shape, kind, vertices, key, found, where)
    elif kind in BOXES:
        found.add_rotated_box(key, vertices, found.label(name))
    elif kind in ("point", "points"):
        label = found.label(name)
        for x, y in vertices.tolist():
            found.add_point(key, x, y, label)
    elif kind in ("line", "linestrip"):
        found.add_stroke(key, vertices, found.label(name))
    else:
        _fill(shape, kind, vertices, key, found.label(name), found, where)


def _ignore(
    shape: dict[str, Any], kind: str, vertices: NDArray[np.float64], key: str, found: Imported, where: str
) -> None:
    """An area of which nothing is to be learnt; points and lines have none."""
    if kind == "rectangle" and len(vertices) == 2:
        (x0, y0), (x1, y1) = vertices.tolist()
        vertices = rectangle(x0, y0, x1, y1)
    if kind in ("point", "points", "line", "linestrip"):
        found.leave_out(f"{kind} called {IGNORED}", key)
    else:
        _fill(shape, kind, vertices, key, IGNORE_INDEX, found, where)


def _fill(
    shape: dict[str, Any], kind: str, vertices: NDArray[np.float64], key: str, label: int, found: Imported, where: str
) -> None:
    if kind == "mask":
        found.paint(key, _mask(shape, vertices, found.frame(key).declared, where), label, where)
    elif kind == "circle":
        radius = float(np.hypot(*(vertices[1] - vertices[0])))
        found.fill(key, ellipse(vertices[0, 0], vertices[0, 1], radius, radius), label)
    else:
        found.fill(key, vertices, label)


def _mask(shape: dict[str, Any], vertices: NDArray[np.float64], size: tuple[int, int], where: str) -> NDArray[np.bool_]:
    """A PNG in base64 of the rectangle that the two points, both inclusive, span; what leaves the image is cut off."""
    low = np.round(vertices.min(axis=0)).astype(np.int64)
    span = np.round(vertices.max(axis=0)).astype(np.int64) - low + 1
    try:
        with Image.open(BytesIO(base64.b64decode(entry(shape, "mask", str, where))), formats=("PNG",)) as image:
            if (np.abs(image.size - span) > 1).any():  # versions differ by one
                raise InputError(
                    f"{where}: its mask is {image.width}×{image.height}, but its points span {span[0]}×{span[1]}."
                )
            pixels = np.array(image.convert("L")) > 0
    except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{where}: the field 'mask' is no PNG image in base64 ({why(error)}).") from error
    left, top = low.tolist()
    return placed(pixels, left, top, size)


def write(out: Path, items: Iterable[Labeled], classes: Classes) -> None:
    """OUT/KEY.json, to lie beside the image, with a polygon for every connected area of a class.

    Raises:
        InputError: a class has the name of what is ignored.
    """
    if IGNORED in classes.names:
        raise InputError(f"the class name {IGNORED!r} means in LabelMe what is ignored; rename the class.")
    for item in items:
        height, width = item.labels.shape
        shapes = [
            {"label": classes.names[label], "points": ring.astype(float).tolist(), "group_id": None}
            | {"description": "", "shape_type": "polygon", "flags": {}}
            for label, mask in classes.masks(item.labels)
            for ring, _ in outlines(mask)
        ]
        content = {
            "version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": Path(item.name).name, "imageData": None,
            "imageHeight": height, "imageWidth": width,
        }  # fmt: skip
        write_text(out / f"{item.key}.json", json.dumps(content, ensure_ascii=False))
