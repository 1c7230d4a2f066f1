"""Pascal VOC: annotation XML → boxes, whose pixels count from 1 and include both ends; masks → SegmentationClass."""

from collections.abc import Iterable
from pathlib import Path

from hintseg.errors import InputError
from hintseg.formats.exported import Classes, Labelled
from hintseg.formats.folder import number, read_xml, text
from hintseg.formats.imported import Imported
from hintseg.images import atomic_path, label_palette, write_labels


def matches(path: Path) -> bool:
    """Whether an XML file is VOC's (and not CVAT's, whose root is `annotations`)."""
    return read_xml(path).tag == "annotation"


def read(path: Path, found: Imported) -> None:
    """Add one annotation file.

    Raises:
        InputError: malformed, naming file and field.
    """
    root = read_xml(path)
    key = found.add_image(text(root, "filename", path), path)
    for element in root.iter("object"):
        frame = element.find("bndbox")
        if frame is None:
            raise InputError(f"{path}: an <object> has no <bndbox>.")
        x0, y0, x1, y1 = (number(frame, tag, path) for tag in ("xmin", "ymin", "xmax", "ymax"))
        found.boxes.setdefault(key, []).append([x0 - 1, y0 - 1, x1, y1, found.label(text(element, "name", path))])


def write(out: Path, items: Iterable[Labelled], classes: Classes) -> None:
    """OUT/SegmentationClass/*.png in VOC's colours, ImageSets/Segmentation/default.txt and labelmap.txt."""
    keys = []
    for item in items:
        write_labels(out / "SegmentationClass" / f"{item.key}.png", item.labels)
        keys.append(item.key)
    colours = [",".join(map(str, colour)) for colour in label_palette()[: len(classes.names)].tolist()]
    lines = [f"{name}:{colour}::" for name, colour in zip(classes.names, colours, strict=True)]
    for name, content in (("labelmap.txt", lines), ("ImageSets/Segmentation/default.txt", keys)):
        with atomic_path(out / name) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in content), "utf-8")
