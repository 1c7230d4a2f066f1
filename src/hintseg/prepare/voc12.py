"""PASCAL VOC 2012 with SBD masks, ScribbleSup scribbles and What's-the-Point clicks → a data set folder.

    ROOT/VOCdevkit/VOC2012/           JPEGImages, SegmentationClass, ImageSets/Segmentation, Annotations
    ROOT/benchmark_RELEASE/dataset/   cls/*.mat, train.txt, val.txt: more training masks [SBD, Hariharan et al. 2011]
    ROOT/scribble_annotation/pascal_2012/*.xml          [ScribbleSup, Lin et al. 2016]
    ROOT/pascal2012_trainval_main.json                  human clicks [What's the Point, Bearman et al. 2016]

Everything but the first is optional. With SBD, `train` is the 10 582 images every paper trains on; `val` is
VOC's own. Points are the middle of each scribble [SPML], or the human clicks.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError, unknown_name
from hintseg.formats.folder import (
    Progress,
    find,
    number,
    read_lines,
    read_xml,
    require_empty,
    required,
    text,
    write_folder,
)
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import read_json
from hintseg.io.images import read_image_size, write_labels
from hintseg.io.writing import link_or_copy

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
CLICKS = "pascal2012_trainval_main.json"
Points = Literal["scribbles", "clicks"]


def prepare_voc12(root: Path, out: Path, points: str = "scribbles", progress: Progress | None = None) -> Dataset:
    """Write the folder data set; images are hard links where the file system allows.

    Args:
        root: see the module's docstring.
        out: a new or empty folder.
        points: "scribbles", the middle of each; or "clicks".

    Raises:
        InputError: a part is missing or malformed, naming what was looked for, or `out` is not empty.
        ConfigError: unknown kind of points.
    """
    if points not in get_args(Points):
        raise unknown_name("kind of points", points, get_args(Points))
    require_empty(out)
    devkit = required(
        root, "the VOC 2012 devkit", "VOCdevkit/VOC2012/JPEGImages", "VOC2012/JPEGImages", "JPEGImages"
    ).parent
    lists = devkit / "ImageSets" / "Segmentation"
    train = read_lines(required(lists, "the list of training images", "train.txt"))
    val = read_lines(required(lists, "the list of validation images", "val.txt"))
    sbd = find(root, "benchmark_RELEASE/dataset", "sbd/dataset", "dataset")
    if sbd is not None:
        more = [key for name in ("train.txt", "val.txt") for key in read_lines(required(sbd, "the list of SBD", name))]
        train = list(dict.fromkeys([*train, *(key for key in more if key not in set(val))]))
    scribbles = find(root, "scribble_annotation/pascal_2012", "ScribbleAnnotation/pascal_2012", "pascal_2012")
    clicks = find(root, CLICKS, f"whats_the_point/data/{CLICKS}", f"data/{CLICKS}")
    if points == "clicks" and clicks is None:
        raise InputError(f"{root}: has no {CLICKS} (What's the Point), which clicks come from.")
    images = {key: _image(devkit, key) for key in dict.fromkeys([*train, *val])}
    tables: dict[str, dict[str, list[Any]]] = {"tags": {}, "boxes": {}, "scribbles": {}, "points": {}}
    if points == "clicks" and clicks is not None:
        tables["points"] = _clicks(clicks, images, train)
    for done, key in enumerate(images):
        _write_mask(devkit, sbd, key, out / "masks" / f"{key}.png")
        if progress is not None:
            progress("masks", done + 1, len(images), {})
    for done, key in enumerate(train):
        boxes = _boxes(devkit / "Annotations" / f"{key}.xml")
        tables["boxes"][key] = boxes
        tables["tags"][key] = sorted({box[4] for box in boxes})
        if scribbles is not None and (drawn := scribbles / f"{key}.xml").exists():
            tables["scribbles"][key] = _strokes(drawn, images[key])
            if points == "scribbles":
                tables["points"][key] = [
                    [*vertices[len(vertices) // 2], label] for label, vertices in tables["scribbles"][key]
                ]
        if progress is not None:
            progress("hints", done + 1, len(train), {})
    return write_folder(out, CLASSES, 0, images, {"train": train, "val": val}, tables)


def _image(devkit: Path, key: str) -> Path:
    path = devkit / "JPEGImages" / f"{key}.jpg"
    if not path.exists():
        raise InputError(f"{path}: no such file, though a list names it; is the devkit unpacked whole?")
    return path


def _write_mask(devkit: Path, sbd: Path | None, key: str, target: Path) -> None:
    """VOC's own mask, whose borders are void, before SBD's, which has none."""
    own = devkit / "SegmentationClass" / f"{key}.png"
    if own.exists():
        link_or_copy(own, target)
        return
    path = None if sbd is None else sbd / "cls" / f"{key}.mat"
    if path is None or not path.exists():
        raise InputError(f"{own}: no such file, and SBD has no mask for it either.")
    write_labels(target, read_sbd(path))


def read_sbd(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8 labels of an SBD class file, `GTcls.Segmentation` of a MATLAB 5 archive.

    Raises:
        InputError: no such archive.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content = loadmat(path, variable_names=["GTcls"])["GTcls"]
        labels = np.asarray(content["Segmentation"][0, 0])
    except (OSError, ValueError, KeyError, IndexError, TypeError, NotImplementedError, MatReadError) as error:
        raise InputError(f"{path}: is no SBD class file (GTcls.Segmentation); {type(error).__name__}.") from error
    if labels.ndim != 2 or not np.isin(labels, [*range(len(CLASSES)), 255]).all():
        raise InputError(f"{path}: GTcls.Segmentation is no map of the {len(CLASSES)} classes.")
    return labels.astype(np.uint8)


def _boxes(path: Path) -> list[list[float]]:
    """VOC boxes count pixels from 1 and include both ends."""
    if not path.exists():
        raise InputError(f"{path}: no such file; VOC's Annotations give boxes and tags.")
    boxes = []
    for element in read_xml(path).iter("object"):
        frame = element.find("bndbox")
        if frame is None:
            raise InputError(f"{path}: an object has no <bndbox>.")
        x0, y0, x1, y1 = (number(frame, tag, path) for tag in ("xmin", "ymin", "xmax", "ymax"))
        boxes.append([x0 - 1, y0 - 1, x1, y1, _label(text(element, "name", path), path)])
    return boxes


def _strokes(path: Path, image: Path) -> list[list[Any]]:
    """[[class, [[x, y], …]], …]; vertices outside the image, which ScribbleSup has some of, are moved to its edge."""
    height, width = read_image_size(image)
    strokes = []
    for polygon in read_xml(path).iter("polygon"):
        vertices = [
            [min(max(number(point, "X", path), 0), width - 1), min(max(number(point, "Y", path), 0), height - 1)]
            for point in polygon.iter("point")
        ]
        if vertices:
            strokes.append([_label(text(polygon, "tag", path), path), vertices])
    return strokes


def _clicks(path: Path, images: dict[str, Path], train: Sequence[str]) -> dict[str, list[Any]]:
    """What's the Point: image → [{"x", "y", "cls" 1 … 20}, …], pixels from 0; clicks outside the image are dropped."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: must map image names to clicks.")
    table = {}
    for key in train:
        height, width = read_image_size(images[key])
        rows = []
        for click in content.get(key, ()):
            try:
                x, y, label = int(click["x"]), int(click["y"]), int(click["cls"])
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{path}, image {key}: {click!r} is no click with x, y and cls.") from error
            if not 1 <= label < len(CLASSES):
                raise InputError(f"{path}, image {key}: cls {label} is not in 1..{len(CLASSES) - 1}.")
            if 0 <= x < width and 0 <= y < height:
                rows.append([x, y, label])
        if rows:
            table[key] = rows
    return table


def _label(name: str, path: Path) -> int:
    if name not in CLASSES:
        raise InputError(f"{path}: {name!r} is no VOC class.")
    return CLASSES.index(name)
