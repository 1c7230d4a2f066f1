"""COCO 2014 with DensePose annotations → a data set folder of 14 body parts and background.

    ROOT/train2014/*.jpg, ROOT/val2014/*.jpg
    ROOT/annotations/densepose_coco_2014_train.json, _minival.json, and if present _valminusminival.json

Points are DensePose's surface points, whose 24 charts are merged to the 14 parts of its masks. A person of
whom nobody annotated the parts is void in the masks. [DensePose, Güler et al. 2018]
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.formats.folder import Progress, find, require_empty, required, write_folder
from hintseg.formats.rle import decode_polygons, decode_rle
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import read_json
from hintseg.hints.labels import VOID
from hintseg.io.images import resize_nearest, write_labels

CLASSES = (
    "background", "torso", "right hand", "left hand", "left foot", "right foot", "right thigh", "left thigh",
    "right leg", "left leg", "left arm", "right arm", "left forearm", "right forearm", "head",
)  # fmt: skip
# Part of each of the 24 surface charts (dp_I); chart 0 is none.
PART_OF_CHART = (0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14, 14)
SIDE = 256  # points and masks are given on a grid of the person's box


def prepare_densepose(root: Path, out: Path, progress: Progress | None = None) -> Dataset:
    """Write the folder data set: `train`, `val` (minival) and, where annotated, `valminusminival`.

    Raises:
        InputError: a part is missing or malformed, naming what was looked for, or `out` is not empty.
    """
    require_empty(out)
    folder = required(root, "the DensePose annotations", "annotations", "annotations/DensePose_COCO", "DensePose_COCO")
    files = {
        "train": required(folder, "training annotations", "densepose_coco_2014_train.json"),
        "val": required(folder, "validation annotations", "densepose_coco_2014_minival.json"),
        "valminusminival": find(folder, "densepose_coco_2014_valminusminival.json"),
    }
    images: dict[str, Path] = {}
    splits: dict[str, list[str]] = {}
    points: dict[str, list[Any]] = {}
    for split, path in files.items():
        if path is None:
            continue
        people, described = _content(path)
        splits[split] = []
        for done, (number, image) in enumerate(described.items()):
            key = Path(image["file_name"]).stem
            images[key] = required(root, f"image {key}", f"train2014/{key}.jpg", f"val2014/{key}.jpg")
            splits[split].append(key)
            labels = np.zeros((image["height"], image["width"]), np.uint8)
            # Nobody looked at this person's parts: void, unless another person lies over it.
            for person in sorted(people.get(number, ()), key=lambda person: "dp_masks" in person):
                _draw(person, labels, path)
            write_labels(out / "masks" / f"{key}.png", labels)
            if split == "train":
                points[key] = [row for person in people.get(number, ()) for row in _points(person, labels.shape, path)]
            if progress is not None:
                progress(split, done + 1, len(described), {})
    return write_folder(out, CLASSES, 0, images, splits, {"points": points})


def _content(path: Path) -> tuple[dict[int, list[dict[str, Any]]], dict[int, dict[str, Any]]]:
    """Image id → annotations, and image id → description, of images with any DensePose annotation."""
    content = read_json(path)
    try:
        described = {image["id"]: image for image in content["images"]}
        people: dict[int, list[dict[str, Any]]] = {}
        for annotation in content["annotations"]:
            people.setdefault(annotation["image_id"], []).append(annotation)
        kept = {
            number: image
            for number, image in described.items()
            if any("dp_masks" in person for person in people.get(number, ()))
        }
        for image in kept.values():
            if not {"file_name", "height", "width"} <= set(image):
                raise KeyError("file_name, height or width")
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is no COCO annotation file ({type(error).__name__}: {error}).") from error
    return people, kept


def _draw(person: dict[str, Any], labels: NDArray[np.uint8], path: Path) -> None:
    """Parts of one person, or void."""
    try:
        if "dp_masks" not in person:
            labels[decode_polygons(person["segmentation"], labels.shape)] = VOID
            return
        x, y, width, height = person["bbox"]
        parts = np.zeros((SIDE, SIDE), np.uint8)
        for part, rle in enumerate(person["dp_masks"], start=1):
            if rle:
                parts[decode_rle(rle)] = part
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path}: annotation {person.get('id')} is malformed ({error}).") from error
    x0, y0 = round(x), round(y)
    parts = resize_nearest(parts, (max(round(y + height) - y0, 1), max(round(x + width) - x0, 1)))
    top, left = max(y0, 0), max(x0, 0)
    inside = parts[top - y0 : labels.shape[0] - y0, left - x0 : labels.shape[1] - x0]
    window = labels[top : top + inside.shape[0], left : left + inside.shape[1]]
    window[inside > 0] = inside[inside > 0]


def _points(person: dict[str, Any], size: tuple[int, ...], path: Path) -> list[list[int]]:
    if "dp_masks" not in person:
        return []
    try:
        x, y, width, height = person["bbox"]
        rows = [
            [int(x + column * width / SIDE), int(y + row * height / SIDE), PART_OF_CHART[int(chart)]]
            for column, row, chart in zip(person["dp_x"], person["dp_y"], person["dp_I"], strict=True)
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path}: annotation {person.get('id')} has malformed points ({error}).") from error
    return [row for row in rows if 0 <= row[0] < size[1] and 0 <= row[1] < size[0] and row[2] > 0]
