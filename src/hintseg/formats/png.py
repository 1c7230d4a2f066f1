"""Label maps as PNG → masks: index colours or grey values, or colours that CVAT's labelmap.txt names.

Maps lie in `SegmentationClass/`, `masks/` or their like, images anywhere else below the same folder under the same
names. Class names come from `labelmap.txt` (`name:r,g,b::`, a line each) or `classes.txt` (a name a line, in order
of the values).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.formats.finding import images_below
from hintseg.formats.imported import Imported
from hintseg.hints.description import read_text
from hintseg.hints.labels import VOID
from hintseg.images import read_image, read_labels

FOLDERS = ("SegmentationClass", "masks", "labels", "annotations")
INSTANCES = "SegmentationObject"  # maps of objects, which nobody needs here
COLOURS, NAMES = "labelmap.txt", "classes.txt"
BORDER = (224, 224, 192)  # VOC's colour of what is void

Colour = tuple[int, int, int]


def maps_below(root: Path) -> list[Path]:
    """The label maps of the first folder of `FOLDERS` that holds any."""
    return next(filter(None, (sorted((root / name).rglob("*.png")) for name in FOLDERS)), [])


def matches(root: Path) -> bool:
    """Whether a folder holds label maps and says what their values mean."""
    return bool(maps_below(root)) and any((root / name).is_file() for name in (COLOURS, NAMES))


def read_root(root: Path, found: Imported) -> None:
    """Add every image below `root` that has a label map.

    Raises:
        InputError: no map, no class names, a value or colour without a name, a map of another size than its image, or
            two maps or images of one name.
    """
    paths = maps_below(root)
    if not paths:
        raise InputError(f"{root}: has no label maps; looked for PNG files in {', '.join(FOLDERS)}.")
    maps = _by_stem(paths)
    colours, values = {}, []
    if (root / COLOURS).is_file():
        colours = _colours(root / COLOURS, found)
    elif (root / NAMES).is_file():
        values = [found.label(line.strip()) for line in read_text(root / NAMES).splitlines() if line.strip()]
    else:
        raise InputError(f"{root}: has no class names; looked for {COLOURS} and {NAMES}.")
    other = {*FOLDERS, INSTANCES}
    images = _by_stem([path for path in images_below(root) if not other & set(path.relative_to(root).parts)])
    for stem, path in maps.items():
        if stem not in images:
            raise InputError(f"{path}: there is no image of this name below {root}.")
        key = found.add_image(str(images[stem].relative_to(root)), root / NAMES)
        labels = _by_colour(path, colours) if colours else _by_index(path, values)
        for label in np.unique(labels[labels != VOID]).tolist():
            found.paint(key, labels == label, label, str(path))
        found.whole.add(key)


def _colours(path: Path, found: Imported) -> dict[Colour, int]:
    colours: dict[Colour, int] = {BORDER: VOID}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, *rest = line.split(":")
        try:
            red, green, blue = (int(value) for value in rest[0].split(","))
        except (ValueError, IndexError):
            raise InputError(f"{path}, line {number}: {line!r:.80} is not name:red,green,blue.") from None
        colours[red, green, blue] = found.label(name.strip())
    return colours


def _by_stem(paths: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if found.setdefault(path.stem, path) != path:
            raise InputError(f"{path}: {found[path.stem]} has the same name; rename one of the two.")
    return found


def _by_index(path: Path, classes: list[int]) -> NDArray[np.uint8]:
    labels = read_labels(path)
    strange = labels[(labels >= len(classes)) & (labels != VOID)]
    if strange.size:
        raise InputError(f"{path}: has the value {strange[0]}, but {NAMES} names 0..{len(classes) - 1} (255 is void).")
    table = np.full(256, VOID, np.uint8)
    table[: len(classes)] = classes
    return table[labels]


def _by_colour(path: Path, colours: dict[Colour, int]) -> NDArray[np.uint8]:
    picture = read_image(path)
    codes = picture.astype(np.int64) @ [1 << 16, 1 << 8, 1]
    labels = np.full(codes.shape, VOID, np.uint8)
    for code in np.unique(codes).tolist():
        colour = (code >> 16, code >> 8 & 255, code & 255)
        if colour not in colours:
            raise InputError(f"{path}: has the colour {colour}, which {COLOURS} does not name.")
        labels[codes == code] = colours[colour]
    return labels
