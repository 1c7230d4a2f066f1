"""YOLO: one text file an image, `class x y w h` as shares of the image → boxes, `class x y x y x y …` → regions.

Class names come from `data.yaml` (`names:`), `classes.txt` or `obj.names` at the top of the data set.
"""

import re
from pathlib import Path

import numpy as np

from hintseg.errors import InputError
from hintseg.formats.finding import images_below
from hintseg.formats.imported import Imported
from hintseg.hints.description import as_coordinate, read_text
from hintseg.images import read_image_size

LISTS = ("classes.txt", "obj.names", "predefined_classes.txt")


def names_of(root: Path) -> list[str] | None:
    """Class names, or None where no file gives them."""
    for path in sorted([*root.glob("*.yaml"), *root.glob("*.yml")]):
        text = read_text(path)
        inline = re.search(r"^names\s*:\s*\[(.*?)\]", text, re.M | re.S)
        if inline:
            return [name.strip().strip("'\"") for name in inline.group(1).split(",") if name.strip()]
        block = re.search(r"^names\s*:[ \t]*\n((?:[ \t]+\S.*\n?|-.*\n?)+)", text, re.M)
        if block:
            rows = [row.strip() for row in block.group(1).splitlines() if row.strip()]
            return [re.sub(r"^(-|\d+\s*:)\s*", "", row).strip("'\"") for row in rows]
    for name in LISTS:
        if (root / name).is_file():
            lines = read_text(root / name).splitlines()
            return [line.strip() for line in lines if line.strip()]
    return None


def read_root(root: Path, found: Imported) -> None:
    """Add every image below `root` that has a label file.

    Raises:
        InputError: no class names, or a malformed line, naming file, line and value.
    """
    names = names_of(root)
    if names is None:
        raise InputError(f"{root}: has no class names; looked for 'names:' in a .yaml file, {', '.join(LISTS)}.")
    classes = [found.label(name) for name in names]
    written = {path.stem: path for path in sorted(root.rglob("*.txt")) if path.name not in LISTS}
    for image in images_below(root):
        if image.stem not in written:
            continue
        key = found.add_image(str(image.relative_to(root)), root / "data.yaml")
        for number, line in enumerate(read_text(written[image.stem]).splitlines(), start=1):
            if line.strip():
                _add(line.split(), key, classes, found, f"{written[image.stem]}, line {number}")


def _add(words: list[str], key: str, classes: list[int], found: Imported, where: str) -> None:
    try:
        index, *values = int(words[0]), *(as_coordinate(word) for word in words[1:])
    except ValueError:
        raise InputError(f"{where}: {' '.join(words)!r:.80} is no class index followed by numbers.") from None
    if not 0 <= index < len(classes):
        raise InputError(f"{where}: class {index} is not in 0..{len(classes) - 1}.")
    height, width = read_image_size(found.images[key])
    if len(values) in (4, 5):  # the fifth is a confidence
        x, y, w, h = values[:4]
        box = [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]
        found.boxes.setdefault(key, []).append([*box, classes[index]])
    elif len(values) >= 6 and len(values) % 2 == 0:
        found.fill(key, np.array(values).reshape(-1, 2) * [width, height], classes[index])
    else:
        raise InputError(f"{where}: {len(values)} values after the class are neither a box (4) nor a polygon.")
