"""CVAT for images 1.1 and for video 1.1: tag, box, polygon, ellipse, mask, polyline → scribble, points, skeleton.

Coordinates are pixels of the image; several points of one `<points>`, and the visible ones of a skeleton, are several
hints of its class. A turned box becomes the box round it. Shapes are painted in the order of `z_order`, then of the
file. Of a video's tracks those frames are taken that the file lists, keyframes and what CVAT put between them; the
frames are images called `frame_000000` and on. Labels that no shape uses become no classes. `subset` names the split.
Written, every class of an image is one mask, the background's too.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.formats.fields import read_xml
from hintseg.formats.reader import Imported
from hintseg.formats.rle import run_lengths
from hintseg.formats.shapes import declared_size, ellipse, label_used, note_repeated, placed, rectangle, turned
from hintseg.formats.writer import Classes, Labeled, extent
from hintseg.hints.splits import split_among, words_of
from hintseg.hints.types.hint_type import as_coordinate
from hintseg.io.writing import atomic_path

Shape = tuple[Element, str | None]  # and the name of its class


def matches(path: Path) -> bool:
    """Whether an XML file is CVAT's."""
    return read_xml(path).tag == "annotations"


def read(path: Path, found: Imported) -> None:
    """Add one annotation file; InputError, with file and field, where it is malformed."""
    root = read_xml(path)
    used = {shape.get("label") or "" for image in root.iter("image") for shape in image}
    used |= {track.get("label") or "" for track in root.iter("track")}
    listed = [name.text or "" for name in root.iterfind("meta//labels/label/name")]
    label_used(found, path, [name for name in listed if name], used - {""})
    keys: dict[str, tuple[str | None, str | None]] = {}
    repeated = []
    for image in root.iter("image"):
        where = f"{path}, image {image.get('name')!r}"
        size = declared_size(image.get("height"), image.get("width"), where)
        key = found.add_image(_attribute(image, "name", where), path, size)
        repeated.append(key)
        place = image.get("task_id"), image.get("subset")
        if keys.setdefault(key, place) != place:
            raise InputError(
                f"{where}: is listed in two tasks or subsets, which are two images, but there is only "
                f"{found.images[key]}; add the missing image, or export every task by itself."
            )
        if (subset := image.get("subset")) and subset.lower() != "default":
            found.split(split_among(words_of(subset)) or re.sub(r"[^\w.-]+", "_", subset), key)
        _add_shapes([(shape, shape.get("label")) for shape in image], key, found, where)
    note_repeated(found, repeated, path)
    _read_tracks(root, path, found)


def write(out: Path, items: Iterable[Labeled], classes: Classes) -> None:
    """OUT/annotations.xml."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    labels = SubElement(SubElement(SubElement(root, "meta"), "task"), "labels")
    for name in classes.names:
        SubElement(SubElement(labels, "label"), "name").text = name
    for number, item in enumerate(items):
        height, width = item.labels.shape
        image = SubElement(root, "image", id=str(number), name=item.name, width=str(width), height=str(height))
        for label, mask in classes.masks(item.labels):
            x, y, w, h = extent(mask)
            rle = ", ".join(map(str, run_lengths(mask[y : y + h, x : x + w].ravel())))
            SubElement(
                image, "mask", label=classes.names[label], source="auto", occluded="0", rle=rle,
                left=str(x), top=str(y), width=str(w), height=str(h), z_order="0",
            )  # fmt: skip
    with atomic_path(out / "annotations.xml") as temporary:
        temporary.write_bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _read_tracks(root: Element, path: Path, found: Imported) -> None:
    tasks = sorted({task for track in root.iter("track") if (task := track.get("task_id")) is not None})
    if len(tasks) > 1:
        raise InputError(
            f"{path}: has tracks of several tasks ({', '.join(tasks)}), whose frames have the same numbers; export "
            "every task by itself."
        )
    frames: dict[int, list[Shape]] = defaultdict(list)
    between: list[tuple[str, int, int]] = []  # frames between which a track gives no shape, though it goes on
    for track in root.iter("track"):
        where = f"{path}, track {track.get('id')}"
        for shape in track:
            if shape.get("outside") != "1":
                frames[int(_number(shape, "frame", where))].append((shape, track.get("label")))
        shown = sorted((int(_number(shape, "frame", where)), shape.get("outside") != "1") for shape in track)
        for (frame, is_shown), (following, _) in pairwise(shown):
            if is_shown:
                between.append((track.get("label") or "", frame, following))
    size = next(iter(root.iterfind("meta//original_size")), None)
    declared = None if size is None else declared_size(size.findtext("height"), size.findtext("width"), str(path))
    for number, shapes in sorted(frames.items()):
        where = f"{path}, frame {number}"
        try:
            key = found.add_image(f"frame_{number:06d}", path, declared)
        except InputError as error:
            raise InputError(
                f"{error} A video's frames are images called frame_000000 and on, which CVAT exports with the "
                "annotations (Save images)."
            ) from error
        if (earlier := found.written_by.setdefault(key, path)) != path:
            raise InputError(
                f"{path}: is about the same frame as {earlier} ({found.images[key]}); import one video at a time."
            )
        _add_shapes(shapes, key, found, where)
        for name in {name for name, first, last in between if name and first < number < last}:
            found.leave_out("track between its key frames", key, found.label(name))
    if frames:
        found.note(f"{path.name} is about a video: only frames for which it lists a shape were taken.")


def _add_shapes(shapes: list[Shape], key: str, found: Imported, where: str) -> None:
    """Shapes of one image, the lowest first."""
    if not found.is_readable(key):
        return
    for shape, name in sorted(shapes, key=lambda pair: _number(pair[0], "z_order", where, "0")):
        if not name:
            raise InputError(f"{where}, <{shape.tag}>: the field 'label' is missing.")
        _add(shape, name, key, found, where)


def _add(shape: Element, name: str, key: str, found: Imported, where: str) -> None:
    place = f"{where}, <{shape.tag}> of {name!r:.80}"
    label = found.label(name)
    if shape.tag not in ("tag", "box", "polygon", "ellipse", "mask", "polyline", "points", "skeleton"):
        found.leave_out(f"CVAT <{shape.tag}>", key, label)
    elif shape.tag == "tag":
        found.add_tag(key, label)
    elif shape.tag == "box":
        x0, y0, x1, y1 = (_number(shape, name, place) for name in ("xtl", "ytl", "xbr", "ybr"))
        degrees = _number(shape, "rotation", place, "0")
        corners = turned(rectangle(x0, y0, x1, y1), ((x0 + x1) / 2, (y0 + y1) / 2), degrees)
        found.add_rotated_box(key, corners, label)
    elif shape.tag == "polygon":
        found.fill(key, _vertices(shape, place), label)
    elif shape.tag == "ellipse":
        x, y, radius_x, radius_y = (_number(shape, name, place) for name in ("cx", "cy", "rx", "ry"))
        found.fill(key, ellipse(x, y, radius_x, radius_y, _number(shape, "rotation", place, "0")), label)
    elif shape.tag == "polyline":
        found.add_stroke(key, _vertices(shape, place), label)
    elif shape.tag == "points":
        _add_points(shape, key, label, found, place)
    elif shape.tag == "skeleton":
        for part in shape.iter("points"):
            is_there = part.get("outside") != "1"
            if not is_there or part.get("occluded") == "1":
                found.leave_out("key point that is hidden behind something", *((key, label) if is_there else ()))
            else:
                _add_points(part, key, label, found, place)
    else:
        found.paint(key, _mask(shape, found.frame(key).declared, place), label, place)


def _add_points(shape: Element, key: str, label: int, found: Imported, where: str) -> None:
    for x, y in _vertices(shape, where).tolist():
        found.add_point(key, x, y, label)


def _vertices(shape: Element, where: str) -> NDArray[np.float64]:
    written = _attribute(shape, "points", where)
    try:
        vertices = np.array([[as_coordinate(value) for value in pair.split(",")] for pair in written.split(";")])
        return vertices.reshape(len(vertices), 2)
    except ValueError as error:
        raise InputError(f"{where}: the field 'points' must be 'x,y;x,y;…' but is {written!r:.80}.") from error


def _mask(shape: Element, size: tuple[int, int], where: str) -> NDArray[np.bool_]:
    """Run lengths along rows of a rectangle, zeros first."""
    left, top, width, height = (int(_number(shape, name, where)) for name in ("left", "top", "width", "height"))
    try:
        runs = [int(run) for run in _attribute(shape, "rle", where).split(",")]
    except ValueError as error:
        raise InputError(f"{where}: the field 'rle' must be numbers between commas.") from error
    modest = max(abs(left), abs(top), width, height) <= 2 * max(size)
    if not modest or min(width, height, *runs) < 0 or sum(runs) != width * height:
        raise InputError(f"{where}: the fields 'rle', 'left', 'top', 'width', 'height' do not fit together.")
    return placed(np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width), left, top, size)


def _attribute(element: Element, name: str, where: str) -> str:
    value = element.get(name)
    if not value:
        raise InputError(f"{where}: the field {name!r} is missing.")
    return value


def _number(element: Element, name: str, where: str, absent: str | None = None) -> float:
    """A field as a number; `absent`, where it may be, stands for none."""
    value = _attribute(element, name, where) if absent is None else element.get(name) or absent
    try:
        return as_coordinate(value)
    except ValueError:
        raise InputError(f"{where}: the field {name!r} is {value!r}, not a number.") from None
