"""Pascal VOC: annotation XML → boxes, whose pixels count from 1 and include both ends; masks ↔ SegmentationClass.

`ImageSets/Segmentation` (where there are masks) or `ImageSets/Main` say what the splits are.
"""

from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from hintseg.formats import png
from hintseg.formats.fields import number, read_xml, text
from hintseg.formats.label_colors import COMMENT, write_labelmap
from hintseg.formats.reader import Imported
from hintseg.formats.shapes import rectangle, require_own_file, turned
from hintseg.formats.splits import read_split_lists
from hintseg.formats.writer import Classes, Labeled, require_lines
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.io.images import write_labels
from hintseg.io.palette import voc_palette
from hintseg.io.writing import write_text


def matches(path: Path) -> bool:
    """Whether an XML file is VOC's (and not CVAT's, whose root is `annotations`)."""
    return read_xml(path).tag == "annotation"


def read(path: Path, found: Imported) -> None:
    """Add one annotation file; InputError, with file and field, where it is malformed."""
    root = read_xml(path)
    name = text(root, "filename", path)
    folder = (root.findtext("folder") or "").strip()
    if folder and not (path.parent / name).is_file():
        name = f"{folder}/{name}"
    size, declared = root.find("size"), None
    if size is not None:
        declared = (int(number(size, "height", path)), int(number(size, "width", path)))
    key = found.add_image(name, path, declared)
    require_own_file(found, key, path, "<filename>")
    for element in root.iter("object"):
        if (element.findtext("deleted") or "").strip() != "1":  # LabelMe of MIT keeps what was deleted
            _add(element, key, found, path)


def read_rest(paths: list[Path], found: Imported) -> None:
    """Add the masks and splits that lie beside folders of annotation files.

    Raises:
        InputError: malformed masks, naming file and value.
    """
    for base in sorted({found.root, *(path.parent.parent for path in paths if path.parent != found.root)}):
        masked = png.matches(base)
        if masked:
            png.read_root(base, found)
        elif png.maps_below(base):
            found.note(f"{base}: its masks are not read; labelmap.txt must say which color is which class.")
        sets = [
            base / "ImageSets" / name for name in (("Segmentation", "Main") if masked else ("Main", "Segmentation"))
        ]
        read_split_lists(next((folder for folder in sets if folder.is_dir()), base), found)


def write(out: Path, items: Iterable[Labeled], classes: Classes) -> None:
    """OUT/SegmentationClass/*.png in VOC's colors, ImageSets/Segmentation/default.txt and labelmap.txt.

    Value 0, black, is the background class, since every tool takes it for that; without one nothing has it.

    Raises:
        InputError: a class name that labelmap.txt cannot hold.
    """
    require_lines(classes.names, "labelmap.txt", COMMENT)
    values = _values(classes)
    names = [""] * (max(values) + 1)  # of value 0 where no class has it
    table = np.full(256, IGNORE_INDEX, np.uint8)
    for label, value in enumerate(values):
        table[label], names[value] = value, classes.names[label]
    keys = []
    for item in items:
        write_labels(out / "SegmentationClass" / f"{item.key}.png", table[item.labels], voc_palette(), classes=names)
        keys.append(item.key)
    write_labelmap(out / "labelmap.txt", classes.names, voc_palette()[values])
    write_text(out / "ImageSets" / "Segmentation" / "default.txt", "".join(f"{key}\n" for key in keys))


def _values(classes: Classes) -> list[int]:
    """The value of each class: 0 for the background, then counting from 1."""
    others = [label for label in range(len(classes.names)) if label != classes.background]
    return [0 if label == classes.background else 1 + others.index(label) for label in range(len(classes.names))]


def _add(element: Element, key: str, found: Imported, path: Path) -> None:
    label = found.label(text(element, "name", path))
    frame, rotated = element.find("bndbox"), element.find("robndbox")
    if rotated is not None:
        x, y, w, h, angle = (number(rotated, tag, path) for tag in ("cx", "cy", "w", "h", "angle"))
        corners = rectangle(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        found.add_rotated_box(key, turned(corners, (x, y), float(np.degrees(angle))), label)
    elif frame is not None:
        x0, x1, y0, y1 = (number(frame, tag, path) for tag in ("xmin", "xmax", "ymin", "ymax"))
        found.add_box(key, min(x0, x1) - 1, min(y0, y1) - 1, max(x0, x1), max(y0, y1), label)
        if element.find("polygon") is not None:
            found.leave_out("VOC polygon, of which the box was taken")
    else:
        found.leave_out("VOC object without a box", key, label)
