"""Splits that folders of annotations carry as lists: `train.txt`, `val.txt`, `test.txt`, an image a line."""

from pathlib import Path

from hintseg.formats.reader import Imported
from hintseg.formats.shapes import SPLITS
from hintseg.io.reading import lines_of


def read_split_lists(folder: Path, found: Imported) -> None:
    """Add the splits that text files of a folder list; images that were not read are counted and said."""
    keys = {path: key for key, path in found.images.items()}
    for path in sorted(folder.glob("*.txt")):
        if path.stem not in SPLITS:
            continue
        missing = 0
        for line in filter(None, map(str.strip, lines_of(path))):
            image = _image(line, path, found)
            if image in keys:
                found.split(SPLITS[path.stem], keys[image])
            else:
                missing += 1
        if missing:
            found.note(f"{path}: {missing} of the images listed are not among the annotated ones.")


def _image(line: str, path: Path, found: Imported) -> Path | None:
    """A name, or one followed by numbers or the name of its label map."""
    for name in dict.fromkeys((line, line.split()[0])):
        if (image := found.finder.find(name, path, without=frozenset({"segmentationclass", "masks"}))) is not None:
            return image
    return None
