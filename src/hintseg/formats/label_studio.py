"""Label Studio's JSON export: choices → tags, rectangles → boxes, key points → points, polygons and brush → regions.

Positions are percent of the image. Brush strokes are its own run lengths of an RGBA picture, of which the
alpha channel is the mask. `data` names the image by path or URL; its last part is looked for below the folder,
with and without the upload's prefix ("3f2a91bc-cow.jpg" → "cow.jpg"). Written, masks are predictions that a
person can correct: tasks for a labelling page with `<Image name="image">` and `<BrushLabels name="brush">`.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.formats.exported import Classes, Labelled
from hintseg.formats.imported import Imported, entry, tables
from hintseg.hints.description import read_json
from hintseg.hints.forms.form import numbers
from hintseg.images import atomic_path, read_image_size

NUMBER = (int, float)
KINDS = ("choices", "rectanglelabels", "keypointlabels", "polygonlabels", "brushlabels", "labels")


def matches(path: Path) -> bool:
    """Whether a JSON file is Label Studio's."""
    content = read_json(path)
    return isinstance(content, list) and bool(content) and all(isinstance(task, dict) for task in content) and all(
        "data" in task and "annotations" in task for task in content
    )  # fmt: skip


def read(path: Path, found: Imported) -> None:
    """Add one export.

    Raises:
        InputError: malformed, naming file and field.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError(f"{path}: is no list of tasks.")
    for row, task in enumerate(tables(content, str(path))):
        where = f"{path}, task {task.get('id', row)}"
        data = entry(task, "data", dict, where)
        names = [value for value in data.values() if isinstance(value, str) and re.search(r"\.\w{3,4}$", value)]
        if not names:
            raise InputError(f"{where}: the field 'data' names no image.")
        key = _image(unquote(names[0].rsplit("/", 1)[-1].rsplit("=", 1)[-1]), path, found)
        for annotation in tables(entry(task, "annotations", list, where), f"{where}, annotations"):
            if annotation.get("was_cancelled"):
                continue
            for result in tables(entry(annotation, "result", list, where), f"{where}, result"):
                _add(result, key, found, where)


def write(out: Path, items: Iterable[Labelled], classes: Classes) -> None:
    """OUT/tasks.json; the background is left to the page's own canvas."""
    tasks = []
    for item in items:
        named = {"from_name": "brush", "to_name": "image"}
        results = [
            {"id": f"mask{label}"} | named | brush_result(mask, classes.names[label])
            for label, mask in classes.masks(item.labels)
        ]
        prediction = {"model_version": "hintseg", "result": results}
        tasks.append({"data": {"image": item.name}, "annotations": [], "predictions": [prediction]})
    with atomic_path(out / "tasks.json") as temporary:
        temporary.write_text(json.dumps(tasks, ensure_ascii=False), "utf-8")


def brush_result(mask: NDArray[np.bool_], name: str) -> dict[str, Any]:
    """A class's mask as a brush region, but for the names of the page's tags."""
    height, width = mask.shape
    return {
        "type": "brushlabels", "original_width": width, "original_height": height, "image_rotation": 0,
        "value": {"format": "rle", "rle": encode_brush(mask), "brushlabels": [name]},
    }  # fmt: skip


def _image(name: str, path: Path, found: Imported) -> str:
    without = re.sub(r"^[0-9a-f]{8}-", "", name)
    try:
        return found.add_image(name, path)
    except InputError:
        if without == name:
            raise
        return found.add_image(without, path)


def _add(result: dict[str, Any], key: str, found: Imported, where: str) -> None:
    kind = result.get("type")
    place = f"{where}, result {result.get('id')}"
    if kind not in KINDS:
        found.lost[f"Label Studio {kind!r}"] += 1
        return
    value = entry(result, "value", dict, place)
    if kind == "labels":  # the control tag that gives any region its label
        kind = next((name for name in KINDS if name in value), "labels")
    labels = [found.label(str(name)) for name in entry(value, kind, list, place)]
    if kind == "choices":
        found.tags.setdefault(key, []).extend(labels)
        return
    height, width = read_image_size(found.images[key])
    for label in labels[:1]:
        if kind == "rectanglelabels":
            if value.get("rotation"):
                found.lost["Label Studio rotation of a rectangle"] += 1
            x, y, w, h = numbers(
                [entry(value, name, NUMBER, place) for name in ("x", "y", "width", "height")], 4, place
            )
            box = [x * width / 100, y * height / 100, (x + w) * width / 100, (y + h) * height / 100]
            found.boxes.setdefault(key, []).append([*box, label])
        elif kind == "keypointlabels":
            x, y = numbers([entry(value, name, NUMBER, place) for name in ("x", "y")], 2, place)
            found.points.setdefault(key, []).append([x * width / 100, y * height / 100, label])
        elif kind == "polygonlabels":
            corners = [numbers(pair, 2, f"{place}, points") for pair in entry(value, "points", list, place)]
            if len(corners) < 3:
                raise InputError(f"{place}: the field 'points' has {len(corners)} corners; a polygon needs three.")
            found.fill(key, np.array(corners).reshape(-1, 2) * [width / 100, height / 100], label)
        elif kind == "brushlabels":
            if value.get("format") != "rle":
                raise InputError(f"{place}: the field 'format' of a brush must be 'rle'.")
            try:
                mask = decode_brush(entry(value, "rle", list, place), height, width)
            except ValueError as error:
                raise InputError(f"{place}: the field 'rle' is no brush mask of {width}×{height} ({error}).") from error
            found.paint(key, mask, label, place)


def decode_brush(codes: list[int], height: int, width: int) -> NDArray[np.bool_]:
    """Label Studio's run lengths → (H, W) bool, where the alpha channel is not zero.

    The bytes are a stream of bits: 32 for the number of values, 5 for the length of a value less one, four
    times 4 for lengths of counts less one; then blocks of one bit (1: a value repeated, 0: values one by
    one), two bits (which length of count), the count less one, and the value or values.

    Raises:
        ValueError: not such a stream, or of another size.
    """
    try:
        bits = np.unpackbits(np.array(codes, dtype=np.int64).astype(np.uint8))
    except (OverflowError, TypeError) as error:
        raise ValueError("values that are no bytes") from error
    place = 0

    def take(count: int) -> int:
        nonlocal place
        if place + count > bits.size:
            raise ValueError("the stream ends too soon")
        value = 0
        for bit in bits[place : place + count].tolist():
            value = value * 2 + bit
        place += count
        return value

    total = take(32)
    if total != height * width * 4:
        raise ValueError(f"{total} values")
    word = take(5) + 1
    lengths = [take(4) + 1 for _ in range(4)]
    values = np.zeros(total, dtype=np.int64)
    done = 0
    weights = 1 << np.arange(word)[::-1]
    while done < total:
        repeated = take(1)
        count = take(lengths[take(2)]) + 1
        if done + count > total:
            raise ValueError("more values than announced")
        if repeated:
            values[done : done + count] = take(word)
        else:
            if place + count * word > bits.size:
                raise ValueError("the stream ends too soon")
            values[done : done + count] = bits[place : place + count * word].reshape(count, word) @ weights
            place += count * word
        done += count
    return values.reshape(height, width, 4)[..., 3] > 0


def encode_brush(mask: NDArray[np.bool_]) -> list[int]:
    """(H, W) bool → Label Studio's run lengths of a white picture with this alpha channel."""
    height, width = mask.shape
    values = np.repeat(mask.ravel().astype(np.uint8) * 255, 4)
    edges = np.flatnonzero(np.diff(values)) + 1
    starts = np.concatenate([[0], edges])
    counts = np.diff(np.concatenate([starts, [values.size]]))
    lengths = (3, 4, 8, 16)
    text = [f"{height * width * 4:032b}", f"{7:05b}", *(f"{length - 1:04b}" for length in lengths)]
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        while count > 0:
            part = min(count, 1 << 16)
            which = next(index for index, length in enumerate(lengths) if part <= 1 << length)
            text.append(f"1{which:02b}{part - 1:0{lengths[which]}b}{values[start]:08b}")
            count -= part
    stream = "".join(text)
    stream += "0" * (-len(stream) % 8)
    return [int(stream[index : index + 8], 2) for index in range(0, len(stream), 8)]
