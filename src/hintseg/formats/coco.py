"""COCO: polygons and RLE masks → regions; boxes without a mask → boxes; visible keypoints → points.

An annotation with a `segmentation` of polygons or run lengths is a region and its `bbox` says nothing more.
Written, every class of an image is one annotation with run lengths.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from hintseg.errors import InputError
from hintseg.formats.exported import Classes, Labelled, extent
from hintseg.formats.imported import Imported, entry
from hintseg.formats.rle import decode_rle, encode_rle
from hintseg.hints.description import read_json
from hintseg.hints.forms.form import numbers
from hintseg.images import atomic_path


def matches(path: Path) -> bool:
    """Whether a JSON file is COCO's."""
    content = read_json(path)
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= set(content)


def read(path: Path, found: Imported) -> None:
    """Add one annotation file.

    Raises:
        InputError: malformed, naming file and field.
    """
    content = read_json(path)
    labels = {}
    for row, category in enumerate(entry(content, "categories", list, str(path))):
        where = f"{path}, categories[{row}]"
        labels[entry(category, "id", int, where)] = found.label(entry(category, "name", str, where))
    keys = {}
    for row, image in enumerate(entry(content, "images", list, str(path))):
        where = f"{path}, images[{row}]"
        keys[entry(image, "id", int, where)] = found.add_image(entry(image, "file_name", str, where), path)
    for row, annotation in enumerate(entry(content, "annotations", list, str(path))):
        where = f"{path}, annotations[{row}]"
        image, category = entry(annotation, "image_id", int, where), entry(annotation, "category_id", int, where)
        if image not in keys:
            raise InputError(f"{where}: the field 'image_id' is {image}, which no image has.")
        if category not in labels:
            raise InputError(f"{where}: the field 'category_id' is {category}, which no category has.")
        _add(annotation, keys[image], labels[category], found, where)


def write(out: Path, items: Iterable[Labelled], classes: Classes) -> None:
    """OUT/annotations.json."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, item in enumerate(items, start=1):
        height, width = item.labels.shape
        images.append({"id": number, "file_name": item.name, "height": height, "width": width})
        for label, mask in classes.masks(item.labels):
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": label + 1, "iscrowd": 0,
                "segmentation": encode_rle(mask), "bbox": list(extent(mask)), "area": int(mask.sum()),
            })  # fmt: skip
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(classes.names)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    with atomic_path(out / "annotations.json") as temporary:
        temporary.write_text(json.dumps(content, ensure_ascii=False), "utf-8")


def _add(annotation: dict[str, Any], key: str, label: int, found: Imported, where: str) -> None:
    segmentation = annotation.get("segmentation")
    drawn = False
    if isinstance(segmentation, dict):
        try:
            mask = decode_rle(segmentation)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: the field 'segmentation' is no run-length mask ({error}).") from error
        found.paint(key, mask, label, where)
        drawn = True
    elif segmentation:
        if not isinstance(segmentation, list):
            raise InputError(f"{where}: the field 'segmentation' is neither polygons nor run lengths.")
        for polygon in segmentation:
            corners = numbers(polygon, None, f"{where}, segmentation")
            if len(corners) < 6 or len(corners) % 2:
                raise InputError(
                    f"{where}: a polygon needs x, y of three or more corners but has {len(corners)} values."
                )
            found.fill(key, np.array(corners).reshape(-1, 2), label)
        drawn = True
    points = numbers(annotation.get("keypoints", []), None, f"{where}, keypoints")
    for x, y, visible in zip(points[::3], points[1::3], points[2::3], strict=False):
        if visible > 0:
            found.points.setdefault(key, []).append([x, y, label])
            drawn = True
    if "bbox" in annotation and not drawn:
        x, y, width, height = numbers(annotation["bbox"], 4, f"{where}, bbox")
        found.boxes.setdefault(key, []).append([x, y, x + width, y + height, label])
        drawn = True
    if not drawn:
        found.tags.setdefault(key, []).append(label)
