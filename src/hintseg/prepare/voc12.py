"""PASCAL VOC 2012 with SBD masks, ScribbleSup scribbles and What's-the-Point clicks → a data set folder.

    ROOT/VOCdevkit/VOC2012/           JPEGImages, SegmentationClass, ImageSets/Segmentation, Annotations
    ROOT/benchmark_RELEASE/dataset/   cls/*.mat, train.txt, val.txt: more training masks [SBD, Hariharan et al. 2011]
    ROOT/scribble_annotation/pascal_2012/*.xml          [ScribbleSup, Lin et al. 2016]
    ROOT/pascal2012_trainval_main.json                  human clicks [What's the Point, Bearman et al. 2016]

Everything but the first is optional. With SBD, `train` is the 10 582 images every paper trains on; `val` is
VOC's own. Points are the middle of each scribble [SPML], or the human clicks.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError, unknown_name
from hintseg.formats.fields import entry, number, read_xml, tables, text
from hintseg.formats.folder import find, read_lines, require_empty, required, write_folder
from hintseg.hints.dataset import Dataset
from hintseg.hints.types.hint_type import numbers
from hintseg.io.images import read_image_size, write_labels
from hintseg.io.listing import require_file
from hintseg.io.reading import read_json
from hintseg.io.staging import being_made
from hintseg.io.storage.mirror import Progress
from hintseg.io.writing import link_or_copy
from hintseg.prepare.archive import Archive, plain_key, require_size

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
LARGEST_SBD = 4 * 2**20  # bytes; they are packed, and have some thousands
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
    sbd = _folder(root, "benchmark_RELEASE/dataset", "sbd/dataset", "dataset")
    scribbles = _folder(root, "scribble_annotation/pascal_2012", "ScribbleAnnotation/pascal_2012", "pascal_2012")
    archive = Archive(root, *(part for part in (devkit, sbd, scribbles) if part is not None))
    lists = devkit / "ImageSets" / "Segmentation"
    train = _keys(required(lists, "the list of training images", "train.txt"), archive)
    val = _keys(required(lists, "the list of validation images", "val.txt"), archive)
    if sbd is not None:
        named = [required(sbd, "the list of SBD", name) for name in ("train.txt", "val.txt")]
        more = [key for path in named for key in _keys(path, archive)]
        train = list(dict.fromkeys([*train, *(key for key in more if key not in set(val))]))
    clicks = find(root, CLICKS, f"whats_the_point/data/{CLICKS}", f"data/{CLICKS}")
    if points == "clicks" and clicks is None:
        raise InputError(f"{root}: has no {CLICKS} (What's the Point), which clicks come from.")
    images = {key: _image(devkit, key, archive) for key in dict.fromkeys([*train, *val])}
    masks = {key: _mask(devkit, sbd, key, archive) for key in images}
    found: dict[str, dict[str, list[Any]]] = {"tags": {}, "boxes": {}, "scribbles": {}, "points": {}}
    if points == "clicks" and clicks is not None:
        found["points"] = _clicks(archive.file(clicks), images, train)
    for done, key in enumerate(train):
        boxes = _boxes(devkit / "Annotations" / f"{key}.xml", archive)
        found["boxes"][key] = boxes
        found["tags"][key] = sorted({box[4] for box in boxes})
        if scribbles is not None and os.path.lexists(drawn := scribbles / f"{key}.xml"):
            found["scribbles"][key] = _strokes(archive.file(drawn), images[key])
            if points == "scribbles":
                found["points"][key] = [
                    [*vertices[len(vertices) // 2], label] for label, vertices in found["scribbles"][key]
                ]
        if progress is not None:
            progress("hints", done + 1, len(train), {})
    with being_made(out):
        for done, (key, path) in enumerate(masks.items()):
            _write_mask(path, images[key], out / "masks" / f"{key}.png")
            if progress is not None:
                progress("masks", done + 1, len(images), {})
        return write_folder(out, CLASSES, 0, images, {"train": train, "val": val}, found)


def _folder(root: Path, *candidates: str) -> Path | None:
    """An optional part; refused where it is no folder."""
    path = find(root, *candidates)
    if path is not None and not path.is_dir():
        raise InputError(f"{path}: is no folder, or a link that leads nowhere; unpack the archive there, or remove it.")
    return path


def _keys(path: Path, archive: Archive) -> list[str]:
    return [plain_key(key, path) for key in read_lines(archive.file(path))]


def _image(devkit: Path, key: str, archive: Archive) -> Path:
    path = devkit / "JPEGImages" / f"{key}.jpg"
    if not os.path.lexists(path):
        raise InputError(f"{path}: no such file, though a list names it; is the devkit unpacked whole?")
    return archive.file(path)


def _mask(devkit: Path, sbd: Path | None, key: str, archive: Archive) -> Path:
    """VOC's own mask, whose borders are ignored, before SBD's, which has none."""
    own = devkit / "SegmentationClass" / f"{key}.png"
    if os.path.lexists(own):
        return archive.file(own)
    path = None if sbd is None else sbd / "cls" / f"{key}.mat"
    if path is None or not os.path.lexists(path):
        raise InputError(f"{own}: no such file, and SBD has no mask for it either.")
    return archive.file(path)


def _write_mask(path: Path, image: Path, target: Path) -> None:
    if path.suffix == ".png":
        require_size(path, read_image_size(path), image)
        link_or_copy(path, target)
        return
    labels = read_sbd(path)
    require_size(path, labels.shape, image)
    write_labels(target, labels)


def read_sbd(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8 labels of an SBD class file, `GTcls.Segmentation` of a MATLAB 5 archive; InputError: any other."""
    from scipy.io import loadmat

    require_file(path)
    if path.stat().st_size > LARGEST_SBD:
        raise InputError(f"{path}: is larger than an SBD class file can be; unpack the archive again.")
    try:
        content = loadmat(path, variable_names=["GTcls"])["GTcls"]
        labels = np.asarray(content["Segmentation"][0, 0])
        known = bool(np.isin(labels, [*range(len(CLASSES)), 255]).all())
    except Exception as error:  # a damaged archive raises almost anything
        raise InputError(f"{path}: is no SBD class file (GTcls.Segmentation); unpack the archive again.") from error
    if labels.ndim != 2 or not known:
        raise InputError(f"{path}: GTcls.Segmentation is no map of the {len(CLASSES)} classes.")
    return labels.astype(np.uint8)


def _boxes(path: Path, archive: Archive) -> list[list[float]]:
    """VOC boxes count pixels from 1 and include both ends."""
    if not os.path.lexists(path):
        raise InputError(f"{path}: no such file; VOC's Annotations give boxes and tags.")
    boxes = []
    for element in read_xml(archive.file(path)).iter("object"):
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
        rows, where = [], f"{path}, image {key}"
        for click in tables(entry({key: content.get(key, [])}, key, list, str(path)), where):
            x, y, label = (int(value) for value in numbers([click.get(name) for name in ("x", "y", "cls")], 3, where))
            if not 1 <= label < len(CLASSES):
                raise InputError(f"{where}: cls {label} is not in 1..{len(CLASSES) - 1}.")
            if 0 <= x < width and 0 <= y < height:
                rows.append([x, y, label])
        if rows:
            table[key] = rows
    return table


def _label(name: str, path: Path) -> int:
    if name not in CLASSES:
        raise InputError(f"{path}: {name!r} is no VOC class.")
    return CLASSES.index(name)
