"""Pascal VOC annotation XML → boxes; their pixels count from 1 and include both ends."""

from pathlib import Path

from hintseg.errors import InputError
from hintseg.formats.folder import number, read_xml, text
from hintseg.formats.imported import Imported


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
