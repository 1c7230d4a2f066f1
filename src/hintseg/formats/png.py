"""Label maps → masks: index colors, gray values, or colors that `labelmap.txt` and its like name.

Maps lie in `SegmentationClass/`, `masks/` or their like, images anywhere else below the same folder under the same
names. `labelmap.txt` (`name:r,g,b::`, a line each), `class_dict.csv` or `label_colors.txt` say which color is which
class; without one the values are classes, which `classes.txt` names, one a line. Ignored are 255, what is transparent,
and what a TIFF marks as no data. Written, masks have the classes' colors, and `labelmap.txt` names them.
"""

import csv
import io
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from hintseg.errors import ConfigError, InputError
from hintseg.formats import label_colors
from hintseg.formats.finding import MAPS, files_below
from hintseg.formats.label_colors import Color, means_background, means_nothing
from hintseg.formats.name_lists import read_names, unclear_order
from hintseg.formats.reader import Imported
from hintseg.formats.splits import read_split_lists
from hintseg.formats.writer import Classes, Labeled, require_lines
from hintseg.hints.label_maps import LABEL_SUFFIXES
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.io.images import UNSET, read_label_map, upright_mask, write_labels
from hintseg.io.pillow import is_tiff, opened_image
from hintseg.io.places import require_same_place
from hintseg.io.rasters import NODATA, read_header
from hintseg.io.samples import as_sample
from hintseg.io.writing import write_text

FOLDERS = ("SegmentationClass", "SegmentationClassPNG", "masks", "labels", "annotations", "mask", "label", "gt")
LOSSY = (".jpg", ".jpeg", ".jfif", ".webp")
ENDS = ("_L", "_mask", "_label", "_labels", "_gt")  # of a map's name beside its image's
OPEN = 0.97  # of all pixels: as much of one value looks like nothing drawn


def maps_below(root: Path) -> dict[Path, list[Path]]:
    """The folders of `FOLDERS` that hold label maps → these."""
    found: dict[Path, list[Path]] = {}
    for name in FOLDERS:
        folder = root / name
        paths = files_below(folder) if folder.is_dir() and not any(map(folder.samefile, found)) else []
        if maps := [path for path in paths if path.suffix.lower() in LABEL_SUFFIXES]:
            found[folder] = maps
    return found


def matches(root: Path) -> bool:
    """Whether a folder holds label maps and says what their values mean."""
    return bool(maps_below(root)) and label_colors.meanings_file(root) is not None


def read_root(root: Path, found: Imported) -> None:
    """Add every image below `root` that has a label map.

    Raises:
        InputError: no map, maps in two folders, no class names, a value or color without a name, a map of another
            size than its image, or two maps of one image.
        ConfigError: `found.unlabeled` is no value or class of the maps.
    """
    folders, meanings = maps_below(root), label_colors.meanings_file(root)
    if not folders:
        suffixes = ", ".join(LABEL_SUFFIXES)
        raise InputError(f"{root}: has no label maps; looked for {suffixes} files in {', '.join(FOLDERS)}.")
    if len(folders) > 1:
        both = " and ".join(f"{folder.name}/" for folder in folders)
        raise InputError(f"{root}: holds label maps in {both}; which are meant? Keep one of these folders there.")
    ((folder, paths),) = folders.items()
    if meanings is None:
        raise InputError(f"{root}: has no class names; looked for {', '.join(label_colors.FILES)}.")
    for path in files_below(folder):
        if path.suffix.lower() in LOSSY:
            found.leave_out("label map in a format that changes values (JPEG, WebP)")
    keys: dict[str, Path] = {}
    for path in paths:
        key = _image_of(path, found)
        if keys.setdefault(key, path) != path:
            raise InputError(f"{path}: {keys[key]} has the same name; rename one of the two.")
    for key, path in keys.items():
        if found.is_readable(key):
            require_same_place(path, found.images[key])
    colors = label_colors.read_colors(meanings)
    if colors is None:
        names = read_names(meanings)
        if (sentence := unclear_order(names)) is not None:
            found.note(f"{meanings}: {sentence}")
        _add_by_index(keys, names, meanings, found)
    else:
        _add_by_color(keys, colors, meanings, found)
    for folder in (root, root / "ImageSets" / "Segmentation"):
        read_split_lists(folder, found)


def _image_of(path: Path, found: Imported) -> str:
    variants = [path.stem, *(path.stem.removesuffix(end) for end in ENDS if path.stem.endswith(end))]
    for name in variants:
        if found.finder.find(name, path, without=MAPS) is not None:
            return found.add_image(name, path, without=MAPS)
    raise InputError(f"{path}: there is no image of this name below {found.root}.")


def _opaque_labels(path: Path, class_values: Collection[int]) -> tuple[NDArray[np.uint8], bool]:
    """A label map, ignored where it is transparent or there is no data; whether that is anywhere."""
    stored = read_label_map(path)
    return stored.labels(path, class_values), stored.nodata is not None or bool(stored.clear)


def _add_by_index(keys: dict[str, Path], names: list[str], meanings: Path, found: Imported) -> None:
    first = _first_value(names, meanings, found)
    nothing_drawn = {name for name in names if means_nothing(name)} | {found.unlabeled}
    meant = {v: name for v, name in enumerate(names, start=first) if not {str(v), name} & nothing_drawn}
    read = {key: _opaque_labels(path, meant) for key, path in keys.items()}
    maps = {key: labels for key, (labels, _) in read.items()}
    says_ignored = sum(marked for _, marked in read.values())  # so that 255 is no class, either
    if says_ignored:
        found.note(f"what is transparent or marked as no data in {says_ignored} label maps is unlabeled.")
    counts = sum((np.bincount(labels.ravel(), minlength=256) for labels in maps.values()), np.zeros(256, np.int64))
    table = np.full(256, IGNORE_INDEX, np.uint8)
    for value, name in meant.items():
        table[value] = found.label(name)
    known = range(first, first + len(names))
    given = found.unlabeled or ""
    nothing = {IGNORE_INDEX, *([int(given)] if given.isdecimal() else [])}
    strange = [value for value in np.flatnonzero(counts).tolist() if value not in known and value not in nothing]
    if strange:
        path = next(path for key, path in keys.items() if (maps[key] == strange[0]).any())
        raise InputError(
            f"{path}: has the value {strange[0]}, but {meanings.name} names {known[0]}..{known[-1]} (255 is ignored); "
            "where 0 means that nothing was drawn, import with --unlabeled 0."
        )
    is_binary = bool(counts[IGNORE_INDEX]) and not counts[1:IGNORE_INDEX].any() and not says_ignored
    if is_binary and len(names) == 1 and counts[0] and found.unlabeled != "0":
        raise InputError(
            f"{next(iter(keys.values())).parent}: its label maps hold only 0 and 255, but {meanings.name} names one "
            "class, so it is unclear which of the two it is; name 'background' before it, or import with "
            "--unlabeled 0 if 0 means that nothing was drawn."
        )
    others = names[1 - first :] if first >= 0 else []  # of the values from 1
    is_object = len(others) == 1 and not means_nothing(others[0]) and found.unlabeled in (None, "0")
    if is_binary and is_object and not found.unlabeled and not (means_background(names[0]) or means_nothing(names[0])):
        raise InputError(
            f"{next(iter(keys.values())).parent}: its label maps hold only 0 and 255, but {meanings.name} names 0 "
            f"{names[0]!r}, so it is unclear whether 255 is {names[1]!r}; write 1 instead of 255 if it is, and import "
            "with --unlabeled 255 if nothing was drawn there."
        )
    if is_binary and is_object:
        table[IGNORE_INDEX] = found.label(names[-1])
        found.note(f"the label maps hold only 0 and 255; 255 is read as {names[-1]!r}.")
    elif counts[0] > (OPEN if means_background(names[-first]) else 0.5) * counts.sum() and found.unlabeled is None:
        found.note(
            f"{counts[0] / counts.sum():.0%} of the label maps is 0, read as {names[-first]!r}; where 0 means that "
            "nothing was drawn, import with --unlabeled 0."
        )
    for key, labels in maps.items():
        found.paint_map(key, table[labels], str(keys[key]))


def _first_value(names: list[str], meanings: Path, found: Imported) -> int:
    """The value of the first name: 1 where 0 is unlabeled, unless the first name is one for that."""
    if not names:
        raise InputError(f"{meanings}: names no class.")
    if found.unlabeled is not None and found.unlabeled.isdecimal() and found.unlabeled not in names:
        found.unlabeled = str(int(found.unlabeled))  # not "00"
    if [name.casefold() for name in names[:2]] == ["__ignore__", "_background_"]:
        return -1  # LabelMe's labels.txt, whose background has the value 0
    first = int(found.unlabeled == "0" and not (means_nothing(names[0]) or means_background(names[0])))
    if first:
        found.note(f"0 is unlabeled, so that {names[0]!r}, the first name of {meanings.name}, is the value 1.")
    if first + len(names) > IGNORE_INDEX:
        raise InputError(f"{meanings}: names {len(names)} classes, more than a label map can hold.")
    given = found.unlabeled
    if given is not None and given not in names and not (given.isdecimal() and int(given) <= IGNORE_INDEX):
        raise ConfigError(f"--unlabeled: {given!r} is no class of {meanings} and no value from 0 to {IGNORE_INDEX}.")
    return first


def _add_by_color(keys: dict[str, Path], colors: list[tuple[str, Color]], meanings: Path, found: Imported) -> None:
    if found.unlabeled is not None and found.unlabeled not in (name for name, _ in colors):
        raise ConfigError(f"--unlabeled: {found.unlabeled!r} is no class of {meanings}; name one, as it has colors.")
    labels_of = {_code(label_colors.BORDER): IGNORE_INDEX}
    for name, color in colors:
        nothing = means_nothing(name) or name == found.unlabeled
        labels_of[_code(color)] = IGNORE_INDEX if nothing else found.label(name)
    clear = 0
    for key, path in keys.items():
        codes, transparent, nodata = _codes(path)
        if wrong := [
            code for code in np.unique(codes[nodata]).tolist() if labels_of.get(code, IGNORE_INDEX) != IGNORE_INDEX
        ]:
            name = found.classes[labels_of[wrong[0]]]
            raise InputError(f"{path}: marks as no data (GDAL_NODATA) what is {name!r} in {meanings.name}; {UNSET}.")
        transparent = transparent | nodata
        clear += bool(transparent.any())
        labels = np.full(codes.shape, IGNORE_INDEX, np.uint8)
        for code in np.unique(codes[~transparent]).tolist():
            if code not in labels_of:
                color = (code >> 16, code >> 8 & 255, code & 255)
                raise InputError(f"{path}: has the color {color}, which {meanings.name} does not name.")
            labels[(codes == code) & ~transparent] = labels_of[code]
        found.paint_map(key, labels, str(path))
    if clear:
        found.note(f"what is transparent or marked as no data in {clear} label maps is unlabeled.")


def _code(color: Color) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


def _codes(path: Path) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Color of each pixel as one number, where it is transparent, and where a TIFF says that there is no data."""
    mask = upright_mask(path, read_header(path)) if is_tiff(path) else None
    with opened_image(path) as image:
        image.load()  # which turns TIFF files upright
        upright = ImageOps.exif_transpose(image)
        value = as_sample(getattr(image, "tag_v2", {}).get(NODATA), np.dtype(np.uint8))
        stored = np.array(upright)
        pixels = np.array(upright.convert("RGBA"), np.int64)
    stored = stored.reshape(*stored.shape[:2], -1)[..., :3]
    nodata = np.zeros(stored.shape[:2], np.bool_) if value is None else (stored == value).all(axis=2)
    codes: NDArray[np.int64] = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    return codes, (pixels[..., 3] == 0) | (False if mask is None else ~mask), nodata


def write(out: Path, items: Iterable[Labeled], classes: Classes) -> None:
    """OUT/masks/KEY.png in the classes' colors, labelmap.txt, and classes.csv with value, name and color.

    Raises:
        InputError: a class name that labelmap.txt cannot hold.
    """
    require_lines(classes.names, "labelmap.txt", label_colors.COMMENT)
    palette = label_colors.distinct_palette(classes.colors)
    for item in items:
        labels = np.where(item.labels < UNLABELED, item.labels, np.uint8(IGNORE_INDEX))
        write_labels(out / "masks" / f"{item.key}.png", labels, palette, classes=classes.names)
    label_colors.write_labelmap(out / "labelmap.txt", classes.names, palette)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["value", "class", "color"])
    for label, name in enumerate(classes.names):
        writer.writerow([label, name, "#" + "".join(f"{part:02x}" for part in palette[label].tolist())])
    write_text(out / "classes.csv", table.getvalue())
