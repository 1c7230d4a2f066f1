"""CVAT for images 1.1: tag, box, polygon, mask, polyline → scribble, points.

Its points are pixels of the image; several points of one `<points>` are several hints of its class. Written,
every class of an image is one mask.
"""

from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.formats.exported import Classes, Labelled, extent
from hintseg.formats.folder import read_xml
from hintseg.formats.imported import Imported
from hintseg.hints.description import as_coordinate
from hintseg.images import atomic_path, read_image_size


def matches(path: Path) -> bool:
    """Whether an XML file is CVAT's."""
    return read_xml(path).tag == "annotations"


def read(path: Path, found: Imported) -> None:
    """Add one annotation file.

    Raises:
        InputError: malformed, naming file and field.
    """
    root = read_xml(path)
    for name in root.iterfind("meta//labels/label/name"):
        found.label(str(name.text))
    for image in root.iter("image"):
        where = f"{path}, image {image.get('name')!r}"
        key = found.add_image(_attribute(image, "name", where), path)
        for shape in image:
            _add(shape, key, found, where)


def write(out: Path, items: Iterable[Labelled], classes: Classes) -> None:
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
            flat = mask[y : y + h, x : x + w].ravel()
            edges = np.flatnonzero(np.diff(flat)) + 1
            runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
            rle = ", ".join(map(str, [0, *runs] if flat[0] else runs))
            SubElement(
                image, "mask", label=classes.names[label], source="auto", occluded="0", rle=rle,
                left=str(x), top=str(y), width=str(w), height=str(h), z_order="0",
            )  # fmt: skip
    with atomic_path(out / "annotations.xml") as temporary:
        temporary.write_bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _add(shape: Element, key: str, found: Imported, where: str) -> None:
    label = found.label(_attribute(shape, "label", f"{where}, <{shape.tag}>"))
    place = f"{where}, <{shape.tag}> of {found.classes[label]!r}"
    if shape.tag == "tag":
        found.tags.setdefault(key, []).append(label)
    elif shape.tag == "box":
        corners = [_number(shape, name, place) for name in ("xtl", "ytl", "xbr", "ybr")]
        found.boxes.setdefault(key, []).append([*corners, label])
    elif shape.tag == "polygon":
        found.fill(key, _vertices(shape, place), label)
    elif shape.tag == "polyline":
        found.scribbles.setdefault(key, []).append([label, _vertices(shape, place).tolist()])
    elif shape.tag == "points":
        found.points.setdefault(key, []).extend([x, y, label] for x, y in _vertices(shape, place).tolist())
    elif shape.tag == "mask":
        found.paint(key, _mask(shape, read_image_size(found.images[key]), place), label, place)
    else:
        found.lost[f"CVAT <{shape.tag}>"] += 1


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
    inside = 0 <= left <= left + width <= size[1] and 0 <= top <= top + height <= size[0]
    if not inside or min(runs) < 0 or sum(runs) != width * height:
        raise InputError(f"{where}: the fields 'rle', 'left', 'top', 'width', 'height' do not fit together.")
    mask = np.zeros(size, dtype=np.bool_)
    filled = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    mask[top : top + height, left : left + width] = filled
    return mask


def _attribute(element: Element, name: str, where: str) -> str:
    value = element.get(name)
    if not value:
        raise InputError(f"{where}: the field {name!r} is missing.")
    return value


def _number(element: Element, name: str, where: str) -> float:
    value = _attribute(element, name, where)
    try:
        return as_coordinate(value)
    except ValueError:
        raise InputError(f"{where}: the field {name!r} is {value!r}, not a number.") from None
