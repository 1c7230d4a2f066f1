"""LabelMe: polygon and circle → region, rectangle → box, point(s) → points, line(strip) → scribble, flags → tags."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.formats.imported import Imported, entry
from hintseg.hints.description import read_json
from hintseg.hints.forms.form import numbers


def matches(path: Path) -> bool:
    """Whether a JSON file is LabelMe's."""
    content = read_json(path)
    return isinstance(content, dict) and {"shapes", "imagePath"} <= set(content)


def read(path: Path, found: Imported) -> None:
    """Add one annotation file.

    Raises:
        InputError: malformed, naming file and field.
    """
    content = read_json(path)
    key = found.add_image(entry(content, "imagePath", str, str(path)), path)
    flags = content.get("flags")
    for name, present in entry(content, "flags", dict, str(path)).items() if flags else ():
        if present is True:
            found.tags.setdefault(key, []).append(found.label(name))
    for row, shape in enumerate(entry(content, "shapes", list, str(path))):
        _add(shape, key, found, f"{path}, shapes[{row}]")


def _add(shape: dict[str, Any], key: str, found: Imported, where: str) -> None:
    label = found.label(entry(shape, "label", str, where))
    rows = entry(shape, "points", list, where)
    vertices = np.array([numbers(pair, 2, f"{where}, points") for pair in rows]).reshape(-1, 2)
    kind = entry(shape, "shape_type", str, where) if "shape_type" in shape else "polygon"
    needed = {"polygon": 3, "rectangle": 2, "circle": 2, "point": 1, "points": 1, "line": 2, "linestrip": 2}
    if kind not in needed:
        found.lost[f"LabelMe shape {kind!r}"] += 1
        return
    if len(vertices) < needed[kind]:
        raise InputError(f"{where}: the field 'points' has {len(vertices)} points; a {kind} needs {needed[kind]}.")
    if kind == "polygon":
        found.fill(key, vertices, label)
    elif kind == "circle":
        found.fill(key, _circle(vertices[0], vertices[1]), label)
    elif kind == "rectangle":
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        found.boxes.setdefault(key, []).append([*low.tolist(), *high.tolist(), label])
    elif kind in ("point", "points"):
        found.points.setdefault(key, []).extend([x, y, label] for x, y in vertices.tolist())
    else:
        found.scribbles.setdefault(key, []).append([label, vertices.tolist()])


def _circle(centre: NDArray[np.float64], edge: NDArray[np.float64]) -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return centre + np.hypot(*(edge - centre)) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
