"""COCO 2014 with DensePose annotations → a data set folder of 14 body parts and background.

    ROOT/train2014/*.jpg, ROOT/val2014/*.jpg
    ROOT/annotations/densepose_coco_2014_train.json, _minival.json, and if present _valminusminival.json

Points are DensePose's surface points, whose 24 charts are merged to the 14 parts of its masks. A person of
whom nobody annotated the parts is ignored in the masks. [DensePose, Güler et al. 2018]
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError, why
from hintseg.formats.fields import entry, required_id, tables
from hintseg.formats.folder import find, require_empty, required, write_folder
from hintseg.formats.rle import decode_polygons, decode_rle
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.hints.types.hint_type import numbers
from hintseg.io.images import resize_nearest, write_labels
from hintseg.io.reading import read_json
from hintseg.io.staging import being_made
from hintseg.io.storage.mirror import Progress
from hintseg.prepare.archive import Archive, plain_key, require_size

CLASSES = (
    "background", "torso", "right hand", "left hand", "left foot", "right foot", "right thigh", "left thigh",
    "right leg", "left leg", "left arm", "right arm", "left forearm", "right forearm", "head",
)  # fmt: skip
# Part of each of the 24 surface charts (dp_I); chart 0 is none.
PART_OF_CHART = (0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14, 14)
SIDE = 256  # points and masks are given on a grid of the person's box
SLACK = 2  # pixels by which a box may leave its image


def prepare_densepose(root: Path, out: Path, progress: Progress | None = None) -> Dataset:
    """Write the folder data set: `train`, `val` (minival) and, where annotated, `valminusminival`.

    Raises:
        InputError: a part is missing or malformed, naming what was looked for, or `out` is not empty.
    """
    require_empty(out)
    folder = required(root, "the DensePose annotations", "annotations", "annotations/DensePose_COCO", "DensePose_COCO")
    archive = Archive(root, folder)
    found = {
        "train": required(folder, "training annotations", "densepose_coco_2014_train.json"),
        "val": required(folder, "validation annotations", "densepose_coco_2014_minival.json"),
        "valminusminival": find(folder, "densepose_coco_2014_valminusminival.json"),
    }
    files = {split: archive.file(path) for split, path in found.items() if path is not None}
    annotated = {split: _content(path) for split, path in files.items()}
    images: dict[str, Path] = {}
    for split, content in annotated.items():
        for key, (image, _) in content.items():
            if key in images:
                raise InputError(f"{files[split]}: the image {key} is in another split, too; take it out of one.")
            images[key] = archive.file(required(root, f"image {key}", f"train2014/{key}.jpg", f"val2014/{key}.jpg"))
            require_size(files[split], _declared(image, files[split]), images[key])
    points: dict[str, list[Any]] = {}
    with being_made(out):
        for split, content in annotated.items():
            where = files[split]
            for done, (key, (image, people)) in enumerate(content.items()):
                labels = np.zeros(_declared(image, where), np.uint8)
                # Nobody looked at this person's parts: ignored, unless another person lies over it.
                for person in sorted(people, key=lambda person: "dp_masks" in person):
                    _draw(person, labels, where)
                write_labels(out / "masks" / f"{key}.png", labels)
                if split == "train":
                    points[key] = [row for person in people for row in _points(person, labels.shape, where)]
                if progress is not None:
                    progress(split, done + 1, len(content), {})
        splits = {split: list(content) for split, content in annotated.items()}
        return write_folder(out, CLASSES, 0, images, splits, {"points": points})


Content = dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]


def _content(path: Path) -> Content:
    """Key → description and annotations, of images with any DensePose annotation.

    Raises:
        InputError: malformed, or two images of one name.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not {"images", "annotations"} <= content.keys():
        raise InputError(f"{path}: is no COCO annotation file (it has no images and annotations).")
    people: dict[str, list[dict[str, Any]]] = {}
    for row, annotation in enumerate(tables(entry(content, "annotations", list, str(path)), f"{path}, annotations")):
        people.setdefault(required_id(annotation, "image_id", f"{path}, annotations[{row}]"), []).append(annotation)
    found: Content = {}
    for row, image in enumerate(tables(entry(content, "images", list, str(path)), f"{path}, images")):
        where = f"{path}, images[{row}]"
        own = people.get(required_id(image, "id", where), [])
        if any("dp_masks" in person for person in own):
            name = plain_key(entry(image, "file_name", str, where), where)
            key = plain_key(Path(name).stem, where)
            if key in found:
                raise InputError(f"{where}: the image {name} is listed twice; keep one of the two.")
            found[key] = image, own
    return found


def _declared(image: dict[str, Any], path: Path) -> tuple[int, int]:
    where = f"{path}, image {image['file_name']}"
    return entry(image, "height", int, where), entry(image, "width", int, where)


def _draw(person: dict[str, Any], labels: NDArray[np.uint8], path: Path) -> None:
    """Parts of one person, or ignored."""
    where = f"{path}: annotation {person.get('id')!r:.40}"
    try:
        if "dp_masks" not in person:
            labels[decode_polygons(person["segmentation"], labels.shape)] = IGNORE_INDEX
            return
        parts = np.zeros((SIDE, SIDE), np.uint8)
        masks = entry(person, "dp_masks", list, where)
        if len(masks) >= len(CLASSES):
            raise ValueError(f"{len(masks)} dp_masks")
        for part, rle in enumerate(masks, start=1):
            if rle:
                parts[decode_rle(rle, (SIDE, SIDE))] = part
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise InputError(f"{where} is malformed ({why(error)}).") from error
    x, y, width, height = _box(person, labels.shape, where)
    x0, y0 = round(x), round(y)
    parts = resize_nearest(parts, (max(round(y + height) - y0, 1), max(round(x + width) - x0, 1)))
    top, left = max(y0, 0), max(x0, 0)
    inside = parts[top - y0 : labels.shape[0] - y0, left - x0 : labels.shape[1] - x0]
    window = labels[top : top + inside.shape[0], left : left + inside.shape[1]]
    window[inside > 0] = inside[inside > 0]


def _box(person: dict[str, Any], size: tuple[int, ...], where: str) -> list[float]:
    """x, y, width and height of a box; InputError where it does not lie in its image, but for rounding."""
    x, y, width, height = box = numbers(person.get("bbox"), 4, f"{where}, bbox")
    if min(x, y) < -SLACK or min(width, height) <= 0 or x + width > size[1] + SLACK or y + height > size[0] + SLACK:
        raise InputError(f"{where} has the bbox {box}, which does not lie in its image of {size[1]}×{size[0]}.")
    return box


def _points(person: dict[str, Any], size: tuple[int, ...], path: Path) -> list[list[int]]:
    if "dp_masks" not in person:
        return []
    where = f"{path}: annotation {person.get('id')!r:.40}"
    x, y, width, height = _box(person, size, where)
    columns, lines, charts = (numbers(person.get(name), None, f"{where}, {name}") for name in ("dp_x", "dp_y", "dp_I"))
    if not len(columns) == len(lines) == len(charts) or any(chart not in range(25) for chart in charts):
        raise InputError(f"{where} has malformed points (dp_x, dp_y, dp_I: as many of each, and charts from 0 to 24).")
    rows = [
        [int(x + column * width / SIDE), int(y + line * height / SIDE), PART_OF_CHART[int(chart)]]
        for column, line, chart in zip(columns, lines, charts, strict=True)
    ]
    return [row for row in rows if 0 <= row[0] < size[1] and 0 <= row[1] < size[0] and row[2] > 0]
