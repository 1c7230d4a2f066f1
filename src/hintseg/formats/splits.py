"""Splits that annotations say: by lists (`train.txt`, an image a line), by names of annotation files or of folders."""

import re
from collections import Counter, defaultdict
from pathlib import Path

from hintseg.errors import InputError
from hintseg.formats.finding import ImageFinder
from hintseg.formats.reader import Imported
from hintseg.hints.splits import split_among, split_named, words_of
from hintseg.io.reading import lines_of

MAPS = frozenset({"segmentationclass", "masks"})  # folders of label maps, in small letters


def read_split_lists(folder: Path, found: Imported) -> None:
    """Add the splits that text files of a folder list; images that were not read are counted and said."""
    for path in sorted(folder.glob("*.txt")):
        _read_list(path, found)


def find_splits(found: Imported) -> None:
    """Add the splits of images of which the format says none: of lists below `root`, then of names.

    The name of a file about several images counts before the folder of an image, and this before that of a file. Names
    hold images out, folders' unless they would hold out all; what is not held out is trained on.
    """
    if not found.splits:
        _read_lists_below(found)
    listed = set().union(*found.splits.values())
    files = files_by_image(found)
    several = Counter(where for where, _ in found.said)
    by_folder: dict[str, str] = {}
    for key, path in found.images.items():
        if key in listed:
            continue
        # A file about one image may be called like it, whatever that says.
        own = path.stem.casefold()
        about = [where for where in files[key] if several[where] > 1 or own not in where.stem.casefold()]
        by_file = [split for where in about if (split := split_among(words_of(where.stem)))]
        folders = [split for where in (path, *files[key]) if (split := _split_of_folders(where, found.root))]
        split = next(iter((*by_file, *folders)), "train")
        if split != "train" and by_file:
            found.split(split, key)
        elif split != "train":
            by_folder[key] = split
    if len(by_folder) < len(found.images):
        for key, split in by_folder.items():
            found.split(split, key)
    counts = {name: len(set(keys) - listed) for name, keys in found.splits.items() if name != "train"}
    if told := ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count):
        found.note(f"images are held out, as the names of their folders or annotation files say: {told}.")
    for name, keys in found.splits.items():
        if name != "train" and (shared := set(keys) & set(found.splits.get("train", ()))):
            found.note(f"{len(shared)} images of {name} are in train, too, and trained on; list them once.")


def files_by_image(found: Imported) -> defaultdict[str, list[Path]]:
    """KEY → the annotation files that name it."""
    files: defaultdict[str, list[Path]] = defaultdict(list)
    for where, key in found.said:
        files[key].append(where)
    return files


def split_of(path: Path, root: Path) -> str | None:
    """The split that a file's name, or else its folder's, says: `instances_val2017.json`, `valid/labels.json`."""
    below = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    names = (below.stem, *(folder.name for folder in below.parents))
    return next(filter(None, (split_among(words_of(name)) for name in names)), None)


def _split_of_folders(path: Path, root: Path) -> str | None:
    """The split that the innermost folder says which says one."""
    folders = reversed(path.relative_to(root).parts[:-1]) if path.is_relative_to(root) else ()
    return next(filter(None, map(split_named, folders)), None)


def _read_lists_below(found: Imported) -> None:
    """Read the lists of one folder; where several folders have some, none is read, and a note says so."""
    stems = {path.stem for path in found.images.values()}
    named = [path for path in found.finder.files if path.suffix.lower() == ".txt" and split_named(path.stem)]
    lists = [path for path in named if path.stem not in stems or not _is_label_file(path)]
    folders = sorted({path.parent for path in lists})
    if len(folders) > 1:
        found.note(
            f"lists of splits lie in {len(folders)} folders ({', '.join(map(str, folders[:3]))}) and are not read; "
            "keep those of one folder, or write train.txt and val.txt into the data set."
        )
    for path in lists if len(folders) == 1 else ():
        _read_list(path, found, surely=False)


def _is_label_file(path: Path) -> bool:
    """Whether a text file is YOLO's, of boxes or polygons."""
    return any(re.fullmatch(r"\s*\d+(\s+[-+.\deE]+){4,}\s*", line) for line in lines_of(path))


def _read_list(path: Path, found: Imported, surely: bool = True) -> None:
    """Add the split of a list.

    Args:
        surely: whether the format says that it is one; else it says how many images it names, and counts if most of
            its lines do.

    Raises:
        InputError: a name may be several of the annotated images, and the list is surely one.
    """
    split = split_named(path.stem)
    if split is None:
        return
    finder = ImageFinder(found.root, list(found.images.values()))
    keys = {path: key for key, path in found.images.items()}
    lines = list(filter(None, map(str.strip, lines_of(path))))
    try:
        images = [_image(line, path, finder) for line in lines]
    except InputError as error:
        if surely:
            raise
        found.note(f"{error} The list is not read.")
        return
    named = [keys[image] for image in images if image is not None]
    if not surely and 2 * len(named) <= len(lines):
        found.note(f"{path}: {len(lines) - len(named)} of its {len(lines)} lines name no annotated image; not read.")
        return
    for key in named:
        found.split(split, key)
    if not surely:
        found.note(f"{path}: lists {len(set(named))} images of {split}.")
    if missing := len(lines) - len(named):
        found.note(f"{path}: {missing} of the images listed are not among the annotated ones.")


def _image(line: str, path: Path, finder: ImageFinder) -> Path | None:
    """A name, or one followed by numbers or the name of its label map."""
    for name in dict.fromkeys((line, line.split()[0])):
        if (image := finder.find(name, path, without=MAPS)) is not None:
            return image
    return None
