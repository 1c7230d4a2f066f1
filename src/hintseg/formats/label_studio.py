"""Label Studio's JSON export: choices → tags, rectangles → boxes, key points → points, the rest → regions.

Positions are percent of the image. A turned rectangle becomes the box round it. Later regions lie over earlier ones.
Regions of other types (bitmasks, vectors, cuboids) are left out; a tag keeps their classes from counting as absent.
Of several annotators of an image see `annotators`; of how images are named, `addresses`. Choices are tags where their
control names classes of shapes, too, or is the only control of a file without shapes; other choices say something
else ("occluded", "blurred"), as those about one region do. Written, masks are predictions that a person can correct:
tasks for the labeling page beside them, whose images are local files below a folder images/.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError, why
from hintseg.formats.addresses import Addresses
from hintseg.formats.annotators import merge, sheet
from hintseg.formats.brush import decode_brush, encode_brush
from hintseg.formats.fields import annotations_in, entry, tables
from hintseg.formats.reader import Imported
from hintseg.formats.shapes import declared_size, ellipse, rectangle, turned
from hintseg.formats.writer import Classes, Labeled
from hintseg.hints.types.hint_type import numbers
from hintseg.io.writing import write_text

NUMBER = (int, float)
LOCAL = "/data/local-files/?d="  # where Label Studio serves files of its own machine
README = """\
Label Studio shows the images of tasks.json from a folder that holds them below images/: this one, where the images came
along, or the project's.

1. Start Label Studio with the variables LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and
   LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=<that folder>.
2. Make a project, and paste labeling-page.xml under Settings, Labeling Interface, Code.
3. Add <that folder>/images under Settings, Cloud Storage, as source storage of the kind Local files; do not sync it.
4. Import tasks.json. The masks are predictions: submit each task, corrected or not, to make annotations of them.
"""
LABELS = ("rectanglelabels", "polygonlabels", "keypointlabels", "brushlabels", "ellipselabels", "labels")
SHAPES = (*LABELS, "rectangle", "polygon", "keypoint", "brush", "ellipse")
ANSWERS = ("choices", "textarea", "rating", "number", "datetime", "taxonomy", "pairwise", "ranker")  # are no regions
VIDEO = ("videorectangle", "timelinelabels")


def matches(path: Path) -> bool:
    """Whether a JSON file is Label Studio's."""
    content = annotations_in(path)
    return isinstance(content, list) and bool(content) and all(isinstance(task, dict) for task in content) and (
        all("data" in task and "annotations" in task for task in content)
        or all({"annotation_id", "annotator", "lead_time"} <= set(task) for task in content)  # JSON-MIN, to refuse
    )  # fmt: skip


def read(path: Path, found: Imported) -> None:
    """Add one export.

    Raises:
        InputError: malformed, naming file and field, of the format JSON-MIN, or about videos.
    """
    content = annotations_in(path)
    if not isinstance(content, list):
        raise InputError(f"{path}: is no list of tasks.")
    tasks = tables(content, str(path))
    if tasks and "data" not in tasks[0] and "annotation_id" in tasks[0]:
        raise InputError(f"{path}: is Label Studio's JSON-MIN, which leaves out what is needed; export as JSON.")
    done = [_annotations(task, f"{path}, task {task.get('id', row)}") for row, task in enumerate(tasks)]
    controls, used = _tag_controls(result for annotations in done for results in annotations for result in results)
    found.listed[path] = sorted(used)  # another file may be of a project with other classes
    addresses = Addresses(path, found)
    for row, (task, annotations) in enumerate(zip(tasks, done, strict=True)):
        _read_task(task, annotations, controls, addresses, found, f"{path}, task {task.get('id', row)}")
    empty = sum(not any(annotations) for annotations in done)
    if empty:
        found.note(f"{empty} tasks have no annotation in {path.name} (predictions are not read); they are unlabeled.")


def write(out: Path, items: Iterable[Labeled], classes: Classes) -> None:
    """OUT/tasks.json, and OUT/labeling-page.xml and OUT/README.txt, which say how Label Studio shows them."""
    tasks = []
    for item in items:
        named = {"from_name": "brush", "to_name": "image"}
        results = [
            {"id": f"mask{label}"} | named | brush_result(mask, classes.names[label])
            for label, mask in classes.masks(item.labels)
        ]
        prediction = {"model_version": "hintseg", "result": results}
        tasks.append(
            {"data": {"image": LOCAL + quote(f"images/{item.name}")}, "annotations": [], "predictions": [prediction]}
        )
    write_text(out / "tasks.json", json.dumps(tasks, ensure_ascii=False))
    write_text(out / "labeling-page.xml", _page(classes))
    write_text(out / "README.txt", README)


def _page(classes: Classes) -> str:
    page = Element("View")
    SubElement(page, "Image", name="image", value="$image")
    brush = SubElement(page, "BrushLabels", name="brush", toName="image")
    for label, name in enumerate(classes.names):
        color = {"background": classes.colors[label]} if classes.colors else {}
        SubElement(brush, "Label", {"value": name} | color)
    return tostring(page, encoding="unicode")


def brush_result(mask: NDArray[np.bool_], name: str) -> dict[str, Any]:
    """A class's mask as a brush region, but for the names of the page's tags."""
    height, width = mask.shape
    return {
        "type": "brushlabels", "original_width": width, "original_height": height, "image_rotation": 0,
        "value": {"format": "rle", "rle": encode_brush(mask), "brushlabels": [name]},
    }  # fmt: skip


def _annotations(task: dict[str, Any], where: str) -> list[list[dict[str, Any]]]:
    """Results of every annotation that was not cancelled."""
    return [
        tables(entry(annotation, "result", list, where), f"{where}, result")
        for annotation in tables(entry(task, "annotations", list, where), f"{where}, annotations")
        if not annotation.get("was_cancelled")
    ]


def _tag_controls(results: Iterable[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """Names of the controls whose choices are classes of images, and of all classes."""
    classes: set[str] = set()
    choices: dict[str, set[str]] = defaultdict(set)
    for result in results:
        value = result.get("value")
        if isinstance(value, dict) and result.get("type") == "choices" and not _is_place(value):
            choices[str(result.get("from_name"))] |= _names(value, "choices")
        elif isinstance(value, dict):
            classes |= {name for kind in _kinds(result) for name in _names(value, kind) if _is_region(result)}
    alone = not classes and len(choices) == 1
    controls = {control for control, names in choices.items() if alone or names & classes}
    return controls, classes.union(*(choices[control] for control in controls))


def _names(value: dict[str, Any], kind: str) -> set[str]:
    names = value.get(kind)
    return {str(name) for name in names} if isinstance(names, list) else set()


def _kinds(result: dict[str, Any]) -> tuple[str, ...]:
    """Fields of a result's value that may hold its classes: types that are not read call theirs like themselves."""
    return (*LABELS, str(result["type"])) if _is_other_region(result) else LABELS


def _is_region(result: dict[str, Any]) -> bool:
    value = result.get("value")
    is_range = isinstance(value, dict) and "start" in value  # of text or sound
    return not is_range and (result.get("type") in SHAPES or _is_other_region(result))


def _is_other_region(result: dict[str, Any]) -> bool:
    """Whether something of a type that is not read may be a region: all that is no answer."""
    kind = result.get("type")
    is_known = not isinstance(kind, str) or kind in (*SHAPES, *ANSWERS)
    return not is_known and isinstance(result.get("value"), dict)


def _is_place(value: dict[str, Any]) -> bool:
    return any(name in value for name in ("x", "points", "rle"))


def _read_task(
    task: dict[str, Any], annotations: list[list[dict[str, Any]]], controls: set[str], addresses: Addresses,
    found: Imported, where: str,
) -> None:  # fmt: skip
    data = entry(task, "data", dict, where)
    if any(result.get("type") in VIDEO for results in annotations for result in results):
        raise InputError(f"{where}: is about a video, which is not read; annotate single frames as images.")
    images = addresses.of_task(data, where)
    drawn: dict[str, list[list[dict[str, Any]]]] = {image: [[] for _ in annotations] for image in images.values()}
    incomplete: set[str | None] = set()
    for number, results in enumerate(annotations):
        regions = {str(result.get("id")) for result in results if _is_region(result)}
        for result in results:
            image = addresses.of_result(result, images, data)
            is_region = _is_region(result)
            if not is_region and _has_place(result) and not _names_region(result, regions):
                incomplete |= drawn.keys() if image is None else {image}  # an answer about a region of no class
            if result.get("type") == "choices" and (_has_place(result) or _names_region(result, regions)):
                found.leave_out("Label Studio choice about one region")
            elif not is_region and result.get("type") != "choices":
                found.leave_out(f"Label Studio {result.get('type')!r:.80}")
            elif image is None:
                found.leave_out("result of a Label Studio task of which it is not known to which image it belongs")
                incomplete |= drawn.keys()
            elif result["type"] == "choices" and str(result.get("from_name")) not in controls:
                found.leave_out("Label Studio choice that may not be a class")
            else:
                drawn[image][number].append(result)
    for image, sheets in drawn.items():
        key = _read_image(image, sheets, addresses, found, where)
        if image in incomplete:
            found.mark_incomplete(key, None)


def _has_place(result: dict[str, Any]) -> bool:
    value = result.get("value")
    return isinstance(value, dict) and _is_place(value)


def _names_region(result: dict[str, Any], regions: set[str]) -> bool:
    return any(str(result[name]) in regions for name in ("id", "parentID") if result.get(name) is not None)


def _read_image(
    image: str, sheets: list[list[dict[str, Any]]], addresses: Addresses, found: Imported, where: str
) -> str:
    """Add what is drawn on an image; its key."""
    sizes = {
        declared_size(result.get("original_height"), result.get("original_width"), where)
        for results in sheets for result in results
    } - {None}  # fmt: skip
    if len(sizes) > 1:
        raise InputError(f"{where}: was drawn on images of several sizes ({sizes}); one of them is not {image!r:.80}.")
    key = addresses.add(image, next(iter(sizes), None), where)
    if not found.is_readable(key):
        return key
    if len(sheets) == 1:
        _add_all(sheets[0], key, found, where)
        return key
    drawn = [sheet(found) for _ in sheets]
    for results, one in zip(sheets, drawn, strict=True):
        _add_all(results, key, one, where)
    merge(found, key, drawn)
    return key


def _add_all(results: list[dict[str, Any]], key: str, found: Imported, where: str) -> None:
    # Where shapes and their classes have controls of their own, a shape comes twice: with and without its class.
    named = {str(result["id"]) for result in results if "id" in result and _has_class(result, where)}
    for result in results:
        is_twin = result["type"] != "choices" and str(result.get("id")) in named and not _has_class(result, where)
        if not is_twin:
            _add(result, key, found, f"{where}, result {result.get('id')}")


def _has_class(result: dict[str, Any], where: str) -> bool:
    value = entry(result, "value", dict, where)
    return any(kind in value for kind in _kinds(result))


def _add(result: dict[str, Any], key: str, found: Imported, where: str) -> None:
    value = entry(result, "value", dict, where)
    if result["type"] == "choices":
        for name in entry(value, "choices", list, where):
            found.add_tag(key, found.label(str(name)))
        return
    kind = next((name for name in LABELS if name in value), None)
    is_read = result["type"] in SHAPES and (result["type"] != "labels" or _is_place(value))
    if is_read:
        names = [] if kind is None else entry(value, kind, list, where)
    else:
        names = sorted(name for kind in _kinds(result) for name in _names(value, kind))
    labels = [found.label(str(name)) for name in names]
    if result.get("is_positive") is False:  # a click of a smart tool
        found.leave_out("key point that says where a class is not", key, labels[0] if labels else None, None)
        return
    if is_read and len(labels) == 1 and not result.get("image_rotation"):
        _draw(value, result["type"], key, labels[0], found, where)
        return
    turned_on_page = "Label Studio shape on an image that was turned on the page"
    reasons = {0: "Label Studio shape without a class", 1: turned_on_page}
    reason = reasons.get(len(labels), "Label Studio shape of several classes")
    if not is_read:
        reason = f"Label Studio {result['type']!r:.80}"
    found.leave_out(reason, key, labels[0] if labels else None)
    for label in labels[1:]:
        found.add_tag(key, label)


def _draw(value: dict[str, Any], kind: str, key: str, label: int, found: Imported, where: str) -> None:
    height, width = found.frame(key).declared
    scale = [width / 100, height / 100]

    def take(*names: str) -> list[float]:
        return numbers([entry(value, name, NUMBER, where) for name in names], len(names), where)

    (degrees,) = numbers([value.get("rotation") or 0], 1, f"{where}, rotation")
    if kind.startswith("brush") or "rle" in value:
        if value.get("format") != "rle":
            raise InputError(f"{where}: the field 'format' of a brush must be 'rle'.")
        try:
            mask = decode_brush(entry(value, "rle", list, where), height, width)
        except ValueError as error:
            raise InputError(f"{where}: the field 'rle' is no mask of {width}×{height} ({why(error)}).") from error
        found.paint(key, mask, label, where)
    elif kind.startswith("polygon") or "points" in value:
        corners = [numbers(pair, 2, f"{where}, points") for pair in entry(value, "points", list, where)]
        if value.get("closed") is False:
            found.leave_out("polygon that was not closed", key, label)
        elif len(corners) < 3:
            found.leave_out("polygon of fewer than three corners", key, label)
        else:
            found.fill(key, np.array(corners).reshape(-1, 2) * scale, label)
    elif kind.startswith("ellipse") or "radiusX" in value:
        x, y, radius_x, radius_y = np.array(take("x", "y", "radiusX", "radiusY")) * [*scale, *scale]
        found.fill(key, ellipse(x, y, radius_x, radius_y, degrees), label)
    elif kind.startswith("keypoint") or "height" not in value:  # a point's width is that of its dot
        x, y = np.array(take("x", "y")) * scale
        found.add_point(key, x, y, label)
    else:
        x, y, w, h = np.array(take("x", "y", "width", "height")) * [*scale, *scale]
        found.add_rotated_box(key, turned(rectangle(x, y, x + w, y + h), (x, y), degrees), label)
