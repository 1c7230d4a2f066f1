"""COCO: polygons and RLE masks → regions; boxes without a mask → boxes; visible keypoints → points.

An annotation with a `segmentation` of polygons or run lengths is a region and its `bbox` says nothing more, but for an
upright rectangle that `isbbox` calls a box (COCO Annotator); one without any place is a tag. Where regions overlap,
crowds lie lowest, and smaller ones lie over larger ones. `ignore: 1` makes a region ignored.
Categories that no annotation uses become no classes. Files or folders called train, val or test become splits.
Written, every class of an image is one annotation with run lengths, the background's too; or every connected area is
one with a polygon, which people can correct in other tools.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import mul
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError, why
from hintseg.formats import lvis
from hintseg.formats.fields import annotations_in, entry, required_id, tables
from hintseg.formats.frames import Frame
from hintseg.formats.outlines import outlines
from hintseg.formats.polygons import Filled, filled_together
from hintseg.formats.reader import FARTHEST, Imported
from hintseg.formats.rle import covered, decode_rle, encode_rle, sample_rle
from hintseg.formats.shapes import declared_size, label_used, note_repeated, rectangle, turned
from hintseg.formats.writer import Classes, Labeled, extent
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.hints.types.hint_type import numbers
from hintseg.io.writing import write_text

Part = tuple[Any, list[int], int]  # segmentation, x, y, width and height of its box, and its pixels
TOGETHER = 64  # annotations whose polygons are filled at once
LARGER = 4  # times as many cells as its image: a mask is sampled, not unpacked


def matches(path: Path) -> bool:
    """Whether a JSON file is COCO's."""
    content = annotations_in(path)
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= set(content)


def read(path: Path, found: Imported) -> None:
    """Add one annotation file.

    Raises:
        InputError: malformed, naming file and field, or made for panoptic segmentation or captions.
    """
    content = annotations_in(path)
    annotations = tables(entry(content, "annotations", list, str(path)), f"{path}, annotations")
    _require_instances(annotations, path)
    names = _by_id(content, "categories", "name", path)
    named = {number: str(category["name"]) for number, category in names.items()}
    rows = [_row(annotation, named, f"{path}, annotations[{row}]") for row, annotation in enumerate(annotations)]
    label_used(found, path, named.values(), {name for _, name in rows})
    lvis.add_file_names(content.get("images"))
    images = _by_id(content, "images", "file_name", path)
    unknown = next((row for row, (image, _) in enumerate(rows) if image not in images), None)
    if unknown is not None:
        raise InputError(
            f"{path}, annotations[{unknown}]: the field 'image_id' is {rows[unknown][0]}, which no image has."
        )
    keys = _add_images(images, found, path)
    _note_rectangles(annotations, path, found)
    lvis.read_verified(images, keys, named, rows, found, path)
    empty = len(keys.keys() - {image for image, _ in rows})
    if empty:
        found.note(f"{empty} images have no annotation in {path.name}; they are unlabeled.")
    drawn = [row for row, (image, _) in enumerate(rows) if found.is_readable(keys[image])]
    drawn.sort(key=lambda row: _depth(annotations[row]))
    for start in range(0, len(drawn), TOGETHER):
        together = drawn[start : start + TOGETHER]
        pixels = _fill_together([(keys[rows[row][0]], annotations[row]) for row in together], found)
        for row, filled in zip(together, pixels, strict=True):
            image, name = rows[row]
            _add(annotations[row], keys[image], found.label(name), found, f"{path}, annotations[{row}]", filled)


def _depth(annotation: dict[str, Any]) -> tuple[bool, float]:
    """Painted first: crowds, which lie round single objects, then the larger, which would hide the smaller."""
    return not annotation.get("iscrowd"), -_area(annotation)


def _area(annotation: dict[str, Any]) -> float:
    """Pixels of a region; 0 where it cannot be drawn. Many files say nothing of it, or 0."""
    segmentation, area = annotation.get("segmentation"), annotation.get("area")
    if not segmentation:
        return 0.0
    try:
        if isinstance(segmentation, dict):
            if isinstance(area, int | float) and 0 < area < 1e18:
                return float(area)
            return float(covered(segmentation))
        return sum(map(_ring_area, _rings(annotation)))
    except (IndexError, TypeError, ValueError, OverflowError):
        return 0.0  # what is wrong is said where it is drawn


def _ring_area(ring: list[float]) -> float:
    x, y = ring[::2], ring[1::2]
    return abs(sum(map(mul, x, y[1:] + y[:1])) - sum(map(mul, y, x[1:] + x[:1]))) / 2


def write(out: Path, items: Iterable[Labeled], classes: Classes) -> None:
    """OUT/annotations.json with run lengths."""
    _write(out, items, classes, lambda mask: [(encode_rle(mask), list(extent(mask)), int(mask.sum()))])


def write_polygons(out: Path, items: Iterable[Labeled], classes: Classes) -> None:
    """OUT/annotations.json with polygons."""

    def parts(mask: NDArray[np.bool_]) -> Iterator[Part]:
        for ring, pixels in outlines(mask):
            low, high = ring.min(axis=0), ring.max(axis=0)
            yield [ring.ravel().tolist()], [*low.tolist(), *(high - low).tolist()], pixels

    _write(out, items, classes, parts)


def _write(
    out: Path, items: Iterable[Labeled], classes: Classes, parts: Callable[[NDArray[np.bool_]], Iterable[Part]]
) -> None:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, item in enumerate(items, start=1):
        height, width = item.labels.shape
        images.append({"id": number, "file_name": item.name, "height": height, "width": width})
        for label, mask in classes.masks(item.labels):
            annotations += [
                {"image_id": number, "category_id": label + 1, "iscrowd": 0}
                | {"segmentation": segmentation, "bbox": box, "area": area}
                for segmentation, box, area in parts(mask)
            ]
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(classes.names)]
    numbered = [{"id": number, **one} for number, one in enumerate(annotations, start=1)]
    content = {"images": images, "annotations": numbered, "categories": categories}
    write_text(out / "annotations.json", json.dumps(content, ensure_ascii=False))


def _require_instances(annotations: list[dict[str, Any]], path: Path) -> None:
    for annotation in annotations[:1]:
        if "segments_info" in annotation:
            raise InputError(
                f"{path}: is COCO's panoptic format, which is not read; give the instances file, or make label maps of "
                "it with panopticapi's converters and import these."
            )
        if "caption" in annotation and "category_id" not in annotation:
            raise InputError(f"{path}: holds captions, which say nothing of classes; give the instances file.")


def _by_id(content: object, name: str, needed: str, path: Path) -> dict[str, dict[str, Any]]:
    """Rows of a list by their ids, numbers or text; InputError where malformed, or one id is of two things."""
    found: dict[str, dict[str, Any]] = {}
    for row, value in enumerate(tables(entry(content, name, list, str(path)), f"{path}, {name}")):
        where = f"{path}, {name}[{row}]"
        entry(value, needed, str, where)
        known = found.setdefault(required_id(value, "id", where), value)
        if known[needed] != value[needed]:
            raise InputError(f"{where}: the id {value['id']!r:.80} is also that of {known[needed]!r:.80}.")
    return found


def _row(annotation: dict[str, Any], categories: dict[str, str], where: str) -> tuple[str, str]:
    """Id of an annotation's image, and name of its category."""
    image, category = required_id(annotation, "image_id", where), required_id(annotation, "category_id", where)
    if category not in categories:
        raise InputError(f"{where}: the field 'category_id' is {category}, which no category has.")
    return image, categories[category]


def _add_images(images: dict[str, dict[str, Any]], found: Imported, path: Path) -> dict[str, str]:
    keys = {}
    for number, image in images.items():
        size = declared_size(image.get("height"), image.get("width"), f"{path}, image {number}")
        keys[number] = found.add_image(image["file_name"], path, size)
    note_repeated(found, keys.values(), path)
    return keys


def _rings(annotation: dict[str, Any]) -> list[Any]:
    """The polygons of a `segmentation` that is a list of them, or a single one."""
    segmentation = annotation.get("segmentation")
    if not isinstance(segmentation, list) or not segmentation:
        return []
    return segmentation if isinstance(segmentation[0], list) else [segmentation]


def _fill_together(annotations: Sequence[tuple[str, dict[str, Any]]], found: Imported) -> list[dict[int, Filled]]:
    """For each annotation, with its image's key, the pixels of its small polygons by their number."""
    filled: list[dict[int, Filled]] = [{} for _ in annotations]
    places, sizes, polygons = [], [], []
    for row, (key, annotation) in enumerate(annotations):
        for number, ring in enumerate(_rings(annotation)):
            try:
                vertices = np.array(ring, np.float64).reshape(-1, 2)
            except (TypeError, ValueError, OverflowError):
                continue  # what is wrong is said where it is drawn
            if len(vertices) >= 3 and np.abs(vertices).max() < FARTHEST:
                places.append((row, number))
                sizes.append(found.frame(key).size)
                polygons.append(found.frame(key).moved(vertices))
    together = filled_together(sizes, polygons) if polygons else None
    for (row, number), pixels in zip(places, together, strict=True) if together is not None else ():
        filled[row][number] = pixels
    return filled


def _add(
    annotation: dict[str, Any], key: str, label: int, found: Imported, where: str, filled: dict[int, Filled]
) -> None:
    ignored = annotation.get("ignore") in (1, True, "1", "true")
    is_box = annotation.get("isbbox") is True and _is_upright_rectangle(annotation) and not ignored
    drawn = not is_box and _add_region(annotation, key, IGNORE_INDEX if ignored else label, found, where, filled)
    if ignored:
        if not drawn:
            found.leave_out("annotation without a region that is marked to be ignored", key)
        return
    written = annotation.get("keypoints")
    points = numbers(written, None, f"{where}, keypoints") if written else []
    if len(points) % 3:
        raise InputError(f"{where}: the field 'keypoints' has {len(points)} values, not three a point.")
    has_extent = drawn or is_box or annotation.get("bbox")
    for x, y, visible in zip(points[::3], points[1::3], points[2::3], strict=True):
        if visible == 1:
            found.leave_out("key point that is hidden behind something", "" if has_extent else key, label)
        elif visible > 1:
            found.add_point(key, x, y, label)
    if is_box and not annotation.get("bbox"):
        ring = numbers(_rings(annotation)[0], None, f"{where}, segmentation")
        found.add_rotated_box(key, np.array(ring).reshape(-1, 2), label)
    elif annotation.get("bbox") and not drawn:
        x, y, width, height = numbers(annotation["bbox"], 4, f"{where}, bbox")
        attributes = annotation.get("attributes")
        angle = attributes.get("rotation") if isinstance(attributes, dict) else None
        if not angle:
            found.add_box(key, x, y, x + width, y + height, label)
        else:
            (degrees,) = numbers([angle], 1, f"{where}, attributes.rotation")
            corners = rectangle(x, y, x + width, y + height)
            found.add_rotated_box(key, turned(corners, (x + width / 2, y + height / 2), degrees), label)
    elif not drawn and not any(points[2::3]):
        found.add_tag(key, label)
        found.mark_incomplete(key, label)  # it is not said where: perhaps outside all boxes


def _is_upright_rectangle(annotation: dict[str, Any]) -> bool:
    """Whether its one polygon has the four corners of its own extent, and nothing else."""
    rings = _rings(annotation)
    polygon = rings[0] if len(rings) == 1 else None
    if not isinstance(polygon, list) or len(polygon) not in (8, 10):
        return False
    if not all(isinstance(value, int | float) for value in polygon):
        return False
    x, y = polygon[::2], polygon[1::2]
    corners = [(left, top) for left in (min(x), max(x)) for top in (min(y), max(y))]
    return sorted(set(zip(x, y, strict=True))) == sorted(corners)


def _note_rectangles(annotations: list[dict[str, Any]], path: Path, found: Imported) -> None:
    """Say it where a file's only regions are rectangles: some tools write boxes so."""
    regions = [row for row in annotations if row.get("segmentation") and row.get("isbbox") is not True]
    if regions and all(map(_is_upright_rectangle, regions)):
        found.note(
            f"every polygon of {path.name} is an upright rectangle, and all pixels in it are taught as certain; if "
            "these are boxes, export them from the other tool as boxes, without 'segmentation', and import again."
        )


def _add_region(
    annotation: dict[str, Any], key: str, label: int, found: Imported, where: str, filled: dict[int, Filled]
) -> bool:
    """Draw the `segmentation`; whether there was one that can be."""
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        try:
            mask = _mask(segmentation, found.frame(key))
            vanished = not mask.any() and covered(segmentation) > 0  # between the pixels that were sampled
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: the field 'segmentation' is no run-length mask ({why(error)}).") from error
        if vanished:
            found.leave_out("mask that covers no pixel of its image", key, label)
        else:
            found.paint(key, mask, label, where)
        return True
    if not segmentation:
        return False
    if not isinstance(segmentation, list):
        raise InputError(f"{where}: the field 'segmentation' is neither polygons nor run lengths.")
    drawn = False
    for number, polygon in enumerate(_rings(annotation)):
        corners = numbers(polygon, None, f"{where}, segmentation")
        if len(corners) < 6 or len(corners) % 2:
            found.leave_out("polygon of fewer than three corners", key, None if label == IGNORE_INDEX else label)
        else:
            drawn |= found.fill(key, np.array(corners).reshape(-1, 2), label, filled.get(number))
    return drawn


def _mask(rle: dict[str, Any], frame: Frame) -> NDArray[np.bool_]:
    """A run-length mask of the declared size or of the image's; a far larger one is never unpacked."""
    if math.prod(frame.declared) > LARGER * math.prod(frame.size) and rle["size"] == list(frame.declared):
        return sample_rle(rle, frame.declared, *frame.shown())
    return decode_rle(rle, frame.declared, frame.size)
