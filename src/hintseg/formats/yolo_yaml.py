"""What a YOLO data set says about itself: `data.yaml`, or a list of class names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hintseg.errors import InputError
from hintseg.formats.finding import parts_of
from hintseg.formats.name_lists import read_names
from hintseg.formats.reader import Imported
from hintseg.io.reading import lines_of, read_text

LISTS = ("classes.txt", "obj.names", "predefined_classes.txt")
MOST_CLASSES = 10_000
SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}  # by their entry


@dataclass(frozen=True)
class Description:
    """A data set's description.

    Attributes:
        path: the file that it was read from.
        names: class number → name.
        keypoints: (number, values each: 2 or 3) of pose labels, or None.
        task: "obb" or "segment" where it says so.
        splits: name → folders or lists of images, below the data set's folder.
        absent: name → folders or lists that are not there.
        lists: the lists among them.
    """

    path: Path
    names: dict[int, str]
    keypoints: tuple[int, int] | None = None
    task: str = ""
    splits: dict[str, list[Path]] = field(default_factory=dict)
    absent: dict[str, list[str]] = field(default_factory=dict)

    @property
    def values(self) -> int:
        """Values of all key points of a row."""
        return 0 if self.keypoints is None else self.keypoints[0] * self.keypoints[1]

    @property
    def lists(self) -> set[Path]:
        """Text files that list a split's images."""
        return {path for paths in self.splits.values() for path in paths if path.suffix == ".txt"}


def describe(root: Path) -> Description | None:
    """The description of the data set in a folder; None where no file names classes."""
    for path in sorted([*root.glob("*.yaml"), *root.glob("*.yml")]):
        if "names" in (content := _read_yaml(path)):
            return _description(path, content, root)
    for path in (folder / name for name in LISTS for folder in (root, root / "labels")):
        if path.is_file():
            splits, absent = _found(_lists_of_data_files(root), root, "")
            return Description(path, dict(enumerate(read_names(path))), splits=splits, absent=absent)
    return None


def _lists_of_data_files(root: Path) -> dict[str, list[str]]:
    """Split → its lists, as Darknet's obj.data names them: "train = data/train.txt"."""
    places: dict[str, list[str]] = {}
    path = next((path for name in ("obj", "coco", "voc") if (path := root / f"{name}.data").is_file()), None)
    for line in lines_of(path) if path is not None else ():
        name, _, place = (part.strip() for part in line.partition("#")[0].partition("="))
        if name.lower() in SPLITS and place:
            places.setdefault(SPLITS[name.lower()], []).append(place)
    return places


def require_same_names(described: Description, paths: Iterable[Path]) -> None:
    """Refuse files, of sub-folders, too, that say otherwise which number is which class: InputError."""
    for path in paths:
        names = None
        if path.suffix.lower() in (".yaml", ".yml") and "names" in (content := _read_yaml(path)):
            names = _names(path, content["names"])
        elif path.name in LISTS[:2]:  # the last is what a tool offers for any images
            names = dict(enumerate(read_names(path)))
        if names is not None and names != described.names:
            raise InputError(
                f"{path}: names other classes than {described.path}, or in another order; remove one of the two, or "
                "import one folder at a time."
            )


def split_members(described: Description, split: str, found: Imported) -> list[Path]:
    """The images of a split.

    Raises:
        InputError: a list names an image that may be several.
    """
    members = []
    for path in described.splits[split]:
        if path.suffix == ".txt":
            named = [line.strip() for line in lines_of(path) if line.strip()]
            images = [found.finder.find(name, path) for name in named]
            members += [image for image in images if image is not None]
            if None in images:
                found.note(f"{path}: {images.count(None)} of the images listed do not exist.")
        else:
            members += [image for image in found.finder.images if image.is_relative_to(path)]
    return members


def _read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's entries; none of one that is no mapping, or is about something else than names."""
    from hintseg.io.yaml_text import parse_yaml

    text = read_text(path)
    if not re.search(r"\bnames\b", text):
        return {}
    content = parse_yaml(text, str(path), typed=False)  # a class may be called `no`
    return content if isinstance(content, dict) else {}


def _description(path: Path, content: dict[str, Any], root: Path) -> Description:
    places: dict[str, list[str]] = {}
    for entry, split in SPLITS.items():
        given = content.get(entry)
        for place in given if isinstance(given, list) else [given]:
            if isinstance(place, str) and place.strip():
                places.setdefault(split, []).append(place)
    splits, absent = _found(places, root, str(content.get("path") or ""))
    names, count = _names(path, content["names"]), content.get("nc")
    said = str(count).strip().removesuffix(".0")
    if said not in ("None", "", "null", "~") and not (said.isdecimal() and int(said) == len(names)):
        raise InputError(f"{path}: 'nc' is {count!r:.40}, but 'names' has {len(names)}; correct one of the two.")
    return Description(path, names, _keypoints(path, content), str(content.get("task")), splits, absent)


def _names(path: Path, names: object) -> dict[int, str]:
    rows = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(rows, dict) or not rows:
        raise InputError(f"{path}: 'names' must be a list of class names, or a mapping of numbers to them.")
    numbered: dict[int, str] = {}
    for number, name in rows.items():
        is_number = re.fullmatch(r"\d{1,9}", str(number)) is not None and int(number) < MOST_CLASSES
        if not is_number or not isinstance(name, str) or not name:
            raise InputError(f"{path}: 'names' has {number!r:.40}: {name!r:.40}, no number with a class name.")
        if int(number) in numbered:
            raise InputError(f"{path}: 'names' has the number {int(number)} twice.")
        numbered[int(number)] = name
    return dict(sorted(numbered.items()))


def _keypoints(path: Path, content: dict[str, Any]) -> tuple[int, int] | None:
    shape = content.get("kpt_shape")
    if shape is None:
        return None
    if not (isinstance(shape, list) and len(shape) == 2 and all(re.fullmatch(r"\d{1,9}", str(side)) for side in shape)):
        raise InputError(f"{path}: 'kpt_shape' must be [number of points, 2 or 3] but is {shape!r:.80}.")
    count, each = (int(side) for side in shape)
    if not (0 < count < MOST_CLASSES and each in (2, 3)):
        raise InputError(f"{path}: 'kpt_shape' must be [number of points, 2 or 3] but is {shape!r:.80}.")
    return count, each


def _found(
    places: dict[str, list[str]], root: Path, base: str
) -> tuple[dict[str, list[Path]], dict[str, list[str]]]:  # fmt: skip
    """Of the folders and lists that a description names, those that are there, and those that are not."""
    splits: dict[str, list[Path]] = {}
    absent: dict[str, list[str]] = {}
    for split, named in places.items():
        for place in named:
            if (target := _below(root, base, place)) is not None:
                splits.setdefault(split, []).append(target)
            else:
                absent.setdefault(split, []).append(place)
    return splits, absent


def _below(root: Path, base: str, place: str) -> Path | None:
    """A folder or list that a description names, wherever the data set's folder was when it was written."""
    for parts in (parts_of(f"{base}/{place}"), parts_of(place)):
        for start in range(len(parts) + 1):
            target = root.joinpath(*parts[start:])
            if target.is_dir() or (target.is_file() and target.suffix == ".txt"):
                return target if start < len(parts) or not parts else None
    return None
