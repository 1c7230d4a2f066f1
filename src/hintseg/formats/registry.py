"""Formats by name, one line each, and reading a folder or file of any of them."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import ConfigError, InputError, unknown_name
from hintseg.formats import coco, cvat, geotiff, label_studio, labelme, png, voc, yolo
from hintseg.formats.finding import files_below
from hintseg.formats.finish import finish, ignore_background_in_boxes
from hintseg.formats.folder import require_empty, write_folder
from hintseg.formats.label_colors import means_background
from hintseg.formats.names import is_showable
from hintseg.formats.reader import Imported
from hintseg.formats.writer import Classes, Labeled
from hintseg.hints.coding import LabelCoding
from hintseg.hints.dataset import Dataset
from hintseg.hints.label_maps import list_label_maps, passed_over_label_maps
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.io.images import read_image_size, write_labels
from hintseg.io.listing import composed
from hintseg.io.staging import being_made
from hintseg.io.storage.mirror import Progress

log = logging.getLogger("hintseg")


class Format(NamedTuple):
    """How annotation files of one kind are told apart and read."""

    suffix: str
    matches: Callable[[Path], bool]
    read: Callable[[Path, Imported], None]


FORMATS: dict[str, Format] = {
    "coco": Format(".json", coco.matches, coco.read),
    "label-studio": Format(".json", label_studio.matches, label_studio.read),
    "labelme": Format(".json", labelme.matches, labelme.read),
    "cvat": Format(".xml", cvat.matches, cvat.read),
    "voc": Format(".xml", voc.matches, voc.read),
}
FOLDERS = {"yolo": yolo.read_root, "png": png.read_root}  # told by the folder as a whole, not by a file
NAMES = ("auto", *FORMATS, *FOLDERS)
WRITERS: dict[str, Callable[[Path, Iterable[Labeled], Classes], None]] = {
    "png": png.write,
    "coco": coco.write,
    "coco-polygons": coco.write_polygons,
    "yolo": yolo.write,
    "labelme": labelme.write,
    "label-studio": label_studio.write,
    "cvat": cvat.write,
    "voc": voc.write,
    "geotiff": geotiff.write,
}


def import_dataset(
    source: Path, out: Path, name: str = "auto", background: str | None = None, progress: Progress | None = None,
    unlabeled: str | None = None,
) -> tuple[Dataset, Imported]:  # fmt: skip
    """Write a data set folder from annotations of another tool.

    Args:
        source: an annotation file, or a folder of annotations and images.
        out: a new or empty folder.
        name: one of `NAMES`.
        background: name of the class of everything that no filled region covers; None leaves it unlabeled.
        unlabeled: of label maps, the value ("0") or class that says that nothing was drawn.

    Returns:
        The data set, and what was read, with what could not be held in `lost`.

    Raises:
        InputError: nothing to read, several formats at once, or malformed, naming file and field.
        ConfigError: unknown format.
    """
    if name not in NAMES:
        raise unknown_name("format", name, NAMES)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder; give annotations to import.")
    require_empty(out)
    found = Imported(source if source.is_dir() else source.parent, unlabeled=unlabeled)
    if background is not None:
        found.label(background)
    if name == "auto" and source.is_file() and source.suffix.lower() in (".yaml", ".yml"):
        name = "yolo"
    _read(source, name, found, progress)
    if not found.images:
        wanted = "of any known format" if name == "auto" else f"of the format {name}"
        raise InputError(f"{source}: holds no annotations {wanted}; known: {', '.join(NAMES[1:])}.")
    if unlabeled is not None and not found.whole:
        raise ConfigError(f"--unlabeled: is for label maps, of which {source} has none.")
    finish(found, background)
    label = found.label(background) if background is not None else _known_background(found)
    if not found.classes:
        reasons = [*found.notes, *(f"left out: {what}, {count} times." for what, count in found.lost.items())]
        raise InputError(f"{source}: no annotation names a class, so there is nothing to learn. {' '.join(reasons)}")
    if label is not None:
        ignore_background_in_boxes(found, label)
    with being_made(out):
        return _write(found, out, label), found


def _read(source: Path, name: str, found: Imported, progress: Progress | None) -> None:
    """Add everything that a file or folder holds in one format."""
    files = annotation_files(source, name)
    kinds = sorted({kind for kind, _ in files})
    if len(kinds) > 1:
        raise InputError(
            f"{source}: holds annotations of several formats ({', '.join(kinds)}, e.g. "
            f"{', '.join(str(next(path for kind, path in files if kind == wanted)) for wanted in kinds)}); "
            "give one file, or one format with --format."
        )
    if files:
        for done, (kind, path) in enumerate(files):
            FORMATS[kind].read(path, found)
            if progress is not None:
                progress("read", done + 1, len(files), {})
        if kinds == ["voc"] and source.is_dir():
            voc.read_rest([path for _, path in files], found)
        elif name == "auto" and source.is_dir():
            _note_unread(png.maps_below(source), "label maps", "png", found)
    elif name in FOLDERS:
        FOLDERS[name](found.root, found)  # says what it looked for
    elif name in ("auto", "voc") and source.is_dir() and png.matches(source):
        png.read_root(source, found)
        _note_unread(yolo.labels_below(source), "YOLO label files", "yolo", found)
    elif name == "auto" and source.is_dir() and yolo.matches(source):
        yolo.read_root(source, found)
        _note_unread(png.maps_below(source), "label maps", "png", found)


def _note_unread(files: Mapping[Path, list[Path]], what: str, name: str, found: Imported) -> None:
    """Say that a folder holds annotations of a second kind."""
    for folder, paths in files.items():
        found.note(
            f"{folder}: its {len(paths)} {what} are not read, since other annotations lie beside them; "
            f"import with --format {name} to take these instead."
        )


def export_masks(
    images: Mapping[str, Path], masks: Path, out: Path, name: str, classes: Classes,
    progress: Progress | None = None, coding: LabelCoding | None = None,
) -> int:  # fmt: skip
    """Write masks in another tool's format.

    Args:
        images: KEY → file; those without a mask are left out, with a warning that says how many.
        masks: folder of label maps, MASKS/KEY.png or another format of `LABEL_SUFFIXES`.
        out: a new or empty folder.
        name: one of `WRITERS`.
        coding: what the values of the label maps mean; None: they are the classes.

    Returns:
        How many masks were written.

    Raises:
        ConfigError: unknown format.
        InputError: a class name that the format cannot hold, no mask at all, one of another size than its image,
            or `out` is not empty.
    """
    if name not in WRITERS:
        raise unknown_name("format", name, WRITERS)
    for label in classes.names:
        if not is_showable(label):
            raise InputError(f"the class name {label!r:.80} is empty or has letters that cannot be shown; rename it.")
    require_empty(out)
    found = list_label_maps(masks)
    for sentence in passed_over_label_maps(str(masks), found):
        log.warning("%s", sentence)
    chosen = {key: (path, found.files[composed(key)]) for key, path in images.items() if composed(key) in found.files}
    if not chosen:
        raise InputError(f"{masks}: holds no mask of any of the {len(images)} images; make masks first.")
    if missing := len(images) - len(chosen):
        log.warning("%d of %d images have no mask in %s and are left out.", missing, len(images), masks)
    written: list[str] = []

    def items() -> Iterator[Labeled]:
        for done, (key, (path, mask)) in enumerate(chosen.items()):
            if (labels := _label_map(mask, path, classes, coding)) is None:
                continue
            written.append(key)
            yield Labeled(f"{key}{path.suffix}", labels, path)
            if progress is not None:
                progress("export", done + 1, len(chosen), {})

    WRITERS[name](out, items(), classes)
    if not written:
        raise InputError(f"{masks}: none of the {len(chosen)} masks can be exported; mend the files named above.")
    return len(written)


def _label_map(
    mask: Path, image: Path, classes: Classes, coding: LabelCoding | None
) -> NDArray[np.uint8] | None:  # fmt: skip
    """Classes of a mask; None, with a warning, where it or its image cannot be read.

    Raises:
        InputError: the mask is of another size than its image, or of other classes.
    """
    try:
        size = read_image_size(image)
        labels = (coding or LabelCoding(len(classes.names))).read(mask, classes.names)
        labels = labels if coding is None else coding.decode(labels, dense=True, path=mask)
    except InputError as error:
        log.warning("%s It is left out.", error)
        return None
    if labels.shape != size:
        raise InputError(f"{mask}: is {labels.shape[1]}×{labels.shape[0]} but {image} is {size[1]}×{size[0]}.")
    largest = int(labels[labels < UNLABELED].max(initial=0))
    if largest >= len(classes.names):
        raise InputError(
            f"{mask}: has label {largest}, but there are {len(classes.names)} classes "
            f"({', '.join(classes.names)}); give the masks of these classes."
        )
    return labels


def annotation_files(source: Path, name: str) -> list[tuple[str, Path]]:
    """(format, file) of every annotation file."""
    if name in FOLDERS:
        return []
    paths = [source] if source.is_file() else [path for path in files_below(source) if "__MACOSX" not in path.parts]
    chosen = FORMATS if name == "auto" else {name: FORMATS[name]}
    files = []
    for path in paths:
        for kind, known in chosen.items():
            if path.suffix.lower() == known.suffix and known.matches(path):
                files.append((kind, path))
                break
        else:
            if source.is_file():
                what = "holds no annotations of any known format" if name == "auto" else f"is not of the format {name}"
                advice = "; unpack the archive first" if path.suffix.lower() == ".zip" else ""
                raise InputError(f"{source}: {what}{advice}; known: {', '.join(NAMES[1:])}.")
    return files


def _known_background(found: Imported) -> int | None:
    """The class whose name says that it is the background, where regions of it were drawn."""
    named = [label for label, name in enumerate(found.classes) if means_background(name)]
    if len(named) != 1 or not found.whole:
        return None
    found.note(f"{found.classes[named[0]]!r} is the background, by its name.")
    return named[0]


def _write(found: Imported, out: Path, background: int | None) -> Dataset:
    """Regions become masks where all the rest is background, else scribbles that fill an area.

    An image that has boxes, points or strokes besides is not background wherever no region lies, nor is one in which
    something was left out or not verified, or of which a tag names a class that has no region.
    """
    unfilled = 0
    for key, regions in found.regions.items():
        alone = not any(key in table for table in (found.boxes, found.points, found.scribbles))
        rest = background if alone and key not in found.whole else None
        only_named = any(not (regions == label).any() for label in found.tags.get(key, ()))
        if rest is not None and (only_named or key in found.incomplete or key in found.verified_classes):
            rest, unfilled = None, unfilled + 1
        folder = "masks" if key in found.whole or rest is not None else "scribbles"
        if folder == "scribbles" and (regions == IGNORE_INDEX).any():  # which the scribbles hold as unlabeled
            found.mark_incomplete(key, None)
        labels = np.where(regions == UNLABELED, np.uint8(IGNORE_INDEX if rest is None else rest), regions)
        write_labels(out / folder / f"{key}.png", labels, quickly=True)
    if unfilled:
        found.note(
            f"{unfilled} images are not filled with the background: in these a shape was left out, a class is named "
            "but not drawn, or not all classes were verified."
        )
    if background is None and (found.boxes or found.regions.keys() - found.whole):
        found.note(
            "no class is the background, so that every pixel is taken for one of the classes in the end; if some "
            "belong to none of them, name one with --background."
        )
    tables: dict[str, Mapping[str, list[Any]]] = {
        "tags": found.tags,
        "boxes": found.boxes,
        "points": found.points,
        "scribbles": found.scribbles,
        "verified_classes": _verified_classes(found),
    }
    return write_folder(out, found.classes, background, found.images, found.splits, tables)


def _verified_classes(found: Imported) -> dict[str, list[int]]:
    """Of images in which something was left out: the classes of which nothing more can be there.

    A class with a tag counts as there anyway, and needs no row but for boxes, which would say where it is and is not.
    Of an image without hints nothing is known, whatever its annotation files list.
    """
    hinted = set[str]().union(found.tags, found.boxes, found.points, found.scribbles, found.regions)
    rows = {key: labels for key, labels in found.verified_classes.items() if key in hinted}
    for key, missing in found.incomplete.items():
        boxed = {row[-1] for row in found.boxes.get(key, ())}
        left = missing - (set(found.tags.get(key, ())) - boxed)
        searched = found.verified_classes.get(key, range(len(found.classes)))
        if left:
            known = key in hinted and None not in left
            rows[key] = [label for label in searched if label not in left] if known else []
    return rows
