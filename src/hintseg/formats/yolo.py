"""YOLO: one text file an image, a row an object, coordinates as fractions of the image.

`class x y w h` is a box, `class x y x y x y …` a region; with `kpt_shape:` in the YAML file a box is followed by key
points. Rows of four corners are turned boxes where `task: obb` says so, regions where `task: segment` does; else all
rows together decide. Class names and splits come from `data.yaml`, or names from `classes.txt` or `obj.names`.
Written, every connected area of a class is one region, the background's, too.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.formats.finding import files_below
from hintseg.formats.name_lists import unclear_order
from hintseg.formats.outlines import outlines
from hintseg.formats.reader import Imported
from hintseg.formats.writer import Classes, Labeled
from hintseg.formats.yolo_yaml import LISTS, Description, describe, require_same_names, split_members
from hintseg.hints.types.hint_type import as_coordinate
from hintseg.io.reading import lines_of
from hintseg.io.writing import write_text

SLACK = 0.5  # of the image's side: farther outside, coordinates are no fractions
SQUARE = 0.05  # cosine of a corner that counts as right
NEARLY_ALL = 0.9  # of the rows that decide together what rows of four corners are
TRACKED = 5  # rows, so many of which end alike if they are of one track alone
LENGTHS = {"detect": (4, 5), "pose": (4, 5), "obb": (4, 5, 8, 9)}  # values of a row by task; odd: with a confidence
CUT = 1e-4  # of the image's side: that near to its edge, a tool may have cut a corner off


class _Row(NamedTuple):
    key: str
    number: int
    values: list[float]
    where: str


def matches(root: Path) -> bool:
    """Whether a folder names classes as YOLO does."""
    return describe(root) is not None


def labels_below(root: Path) -> dict[Path, list[Path]]:
    """The folder labels/ → its label files, where it has any."""
    folder = root / "labels"
    paths = files_below(folder) if folder.is_dir() else []
    labels = [path for path in paths if path.suffix.lower() == ".txt" and path.name not in LISTS]
    return {folder: labels} if labels else {}


def read_root(root: Path, found: Imported) -> None:
    """Add every image below `root` that has a label file, lies beside one that has, or is in a split.

    Raises:
        InputError: no class names, other ones in another file, or a malformed line, naming file, line and value.
    """
    described = describe(root)
    if described is None:
        raise InputError(f"{root}: has no class names; looked for 'names:' in a .yaml file, {', '.join(LISTS)}.")
    if described.path.name in LISTS and (sentence := unclear_order(list(described.names.values()))) is not None:
        found.note(f"{described.path}: {sentence}")
    files = files_below(root)
    require_same_names(described, files)
    labels = {index: found.label(name) for index, name in described.names.items()}
    rows, folders = [], set()
    written: dict[str, Path] = {}
    for path in files:
        if path.suffix.lower() != ".txt" or path.name in LISTS or path in described.lists:
            continue
        if found.finder.find(path.stem, path) is None:
            if "labels" in path.relative_to(root).parts:
                found.leave_out("label file without an image")
            continue
        key = found.add_image(path.stem, path)
        if written.setdefault(key, path) != path:
            raise InputError(
                f"{path}: {written[key]} labels the same image, {found.images[key]}; remove one of the two."
            )
        folders.add(found.images[key].parent)
        rows += _rows(path, key, described)
    _add_others(folders, described, found)
    _require_task(rows, described)
    _require_no_points(rows, described)
    turned = _are_boxes(rows, described, found)
    for row in rows:
        if row.number not in labels:
            known = f"0..{len(labels) - 1}" if list(labels) == list(range(len(labels))) else ", ".join(map(str, labels))
            raise InputError(f"{row.where}: class {row.number} is not in {known}.")
        _add(row, labels[row.number], turned, described, found)


def _rows(path: Path, key: str, described: Description) -> list[_Row]:
    rows = []
    for number, line in enumerate(lines_of(path), start=1):
        where = f"{path}, line {number}"
        if not (words := line.split()):
            continue
        try:
            index, *values = (as_coordinate(word) for word in words)
        except ValueError:
            index, values = 0.5, []
        if not index.is_integer():
            raise InputError(f"{where}: {' '.join(words)!r:.80} is no class index followed by numbers.")
        rows.append(_Row(key, int(index), values if described.keypoints else _opened(values), where))
    return rows


def _add_others(folders: set[Path], described: Description, found: Imported) -> None:
    """Images without a label file, and which splits images belong to."""
    labeled = set(found.images.values())
    members = {split: split_members(described, split, found) for split in described.splits}
    listed = {path for paths in members.values() for path in paths}
    beside = {path for path in found.finder.images if path.parent in folders}
    keys = {path: found.add_file(path) for path in sorted(labeled | listed | beside)}
    if alone := len(keys) - len(labeled):
        found.note(f"{alone} images have no label file and stay unlabeled.")
    for split, paths in members.items():
        for path in paths:
            found.split(split, keys[path])
    for split, places in described.absent.items():
        for place in places:
            found.note(
                f"{described.path}: the images of {split}, {place!r:.200}, are no folder and no .txt list below "
                f"{found.root}; list them in {split}.txt of the data set."
            )


def _add(row: _Row, label: int, turned: bool, described: Description, found: Imported) -> None:
    height, width = found.frame(row.key).declared
    count, values = len(row.values), row.values
    points: list[float] = []
    if described.keypoints is not None and count in (4 + described.values, 5 + described.values):
        points, values = values[4 : 4 + described.values], values[:4]
    elif described.keypoints is not None and count not in (4, 5):
        shape = " × ".join(map(str, described.keypoints))
        raise InputError(f"{row.where}: {count} values after the class are no box with {shape} key points (kpt_shape).")
    elif _is_pose(values):
        raise InputError(f"{row.where}: is a box with key points; write their number as kpt_shape into data.yaml.")
    if described.task == "segment" and len(values) >= 7 and len(values) % 2 and 0 <= values[-1] <= 1:
        values.pop()  # the confidence of a prediction
    if (len(values) == 5 or (turned and len(values) == 9)) and not 0 <= values.pop() <= 1:
        raise InputError(f"{row.where}: the last value is no confidence from 0 to 1.")
    if not (len(values) == 4 or (len(values) >= 6 and len(values) % 2 == 0)):
        raise InputError(
            f"{row.where}: {count} values after the class are neither a box (4) nor a polygon; in data.yaml key "
            "points need kpt_shape, and a confidence after a polygon 'task: segment'."
        )
    if any(not -SLACK <= value <= 1 + SLACK for value in values):
        raise InputError(f"{row.where}: coordinates are fractions of the image (0 to 1), but one is {max(values):g}.")
    if len(values) == 4:
        x, y, w, h = np.multiply(values, [width, height, width, height]).tolist()
        found.add_box(row.key, x - w / 2, y - h / 2, x + w / 2, y + h / 2, label)
    elif turned and len(values) == 8:
        found.add_rotated_box(row.key, _corners(row, found), label)
    else:
        found.fill(row.key, _corners(row, found), label)
    _add_points(row.key, points, label, described, found)


def _add_points(key: str, points: list[float], label: int, described: Description, found: Imported) -> None:
    """Key points that are seen: 2 says so, 1 that something hides them; without that, those at 0, 0 are none."""
    height, width = found.frame(key).declared
    step = described.keypoints[1] if described.keypoints else 2
    for x, y, *seen in (points[start : start + step] for start in range(0, len(points), step)):
        if seen == [2] or (not seen and (x or y)):
            found.add_point(key, x * width, y * height, label)
        elif seen != [0] and seen:
            found.leave_out("key point that is hidden")  # its object has a box


def _opened(values: list[float]) -> list[float]:
    """A polygon without the repetition of its first corner that some tools end it with."""
    is_closed = len(values) >= 8 and not len(values) % 2 and values[:2] == values[-2:] and not _is_pose(values)
    return values[:-2] if is_closed else values


def _is_pose(values: list[float]) -> bool:
    """Whether every third value after a box says how well a point is seen.

    No coordinate is 2; where all are 0 or 1, the points that are seen must lie in the box.
    """
    seen = values[6::3]
    if len(values) < 7 or (len(values) - 4) % 3 or not set(seen) <= {0, 1, 2}:
        return False
    x, y, width, height = values[:4]
    points = [(values[at], values[at + 1]) for at in range(4, len(values), 3) if values[at + 2]]
    inside = [abs(px - x) <= width / 2 and abs(py - y) <= height / 2 for px, py in points]
    return 2 in seen or (bool(inside) and all(inside))


def _require_task(rows: list[_Row], described: Description) -> None:
    """Refuse rows that are not what data.yaml says that they are: InputError."""
    lengths = LENGTHS.get(described.task) if described.keypoints is None else None
    for row in rows:
        if lengths is not None and len(row.values) not in lengths:
            advice = "write kpt_shape into" if described.task == "pose" else "mend the row, or the task in"
            raise InputError(
                f"{row.where}: {len(row.values)} values after the class are no row of 'task: {described.task}'; "
                f"{advice} {described.path.name}."
            )


def _require_no_points(rows: list[_Row], described: Description) -> None:
    """Refuse rows most of which may be boxes with as many key points of two values, or of two and a confidence.

    Raises:
        InputError: they, or boxes with a confidence and a track's number, would be regions that are not there.
    """
    long = [row for row in rows if len(row.values) >= 6]
    is_track = described.keypoints is None and len(long) >= TRACKED
    if is_track and all(len(row.values) % 2 == 0 and row.values[-1] == 1 for row in long):
        raise InputError(
            f"{long[0].where}: ends in 1, as all {len(long)} polygons do: rows of a track end in a confidence and a "
            "number; remove these two from every row."
        )
    if described.task in ("segment", "obb") or described.keypoints is not None or not long:
        return
    is_alike = len({len(row.values) for row in long}) == 1 and not any(_is_pose(row.values) for row in long)
    for step in (2, 3):
        if is_alike and sum(_is_box_with_points(row.values, step) for row in long) >= NEARLY_ALL * len(long):
            raise InputError(
                f"{long[0].where}: may be a polygon, or a box with key points that lie in it, as may all rows of this "
                "length; give a data.yaml with names and 'task: segment', or with names and kpt_shape."
            )

    if all(len(row.values) == 6 and row.values[5] in (0, 1) for row in long):
        raise InputError(
            f"{long[0].where}: may be a triangle, or a box with its confidence and the number of its track; remove "
            "these two, or give a data.yaml with names and 'task: segment'."
        )


def _is_box_with_points(values: list[float], step: int) -> bool:
    """Whether four values are a box inside the image, and the rest points inside the box, those at 0, 0 unseen."""
    x, y, width, height = values[:4]
    if (len(values) - 4) % step or not (width < 2 * min(x, 1 - x) + CUT and height < 2 * min(y, 1 - y) + CUT):
        return False
    points = zip(values[4::step], values[5::step], strict=True)
    return all(px == py == 0 or (abs(px - x) <= width / 2 and abs(py - y) <= height / 2) for px, py in points)


def _are_boxes(rows: list[_Row], described: Description, found: Imported) -> bool:
    """Whether rows of four corners are turned boxes.

    Where that is unclear they are, and a note says so: a region's pixels would be taught as certain.
    """
    quads = [row for row in rows if len(row.values) == 8]
    if described.task in ("obb", "segment") or described.keypoints is not None or not quads:
        return described.task == "obb"
    whole = [row for row in quads if all(CUT < value < 1 - CUT for value in row.values)]
    sides = [np.diff(corners, axis=0, append=corners[:1]) for corners in (_corners(row, found) for row in whole)]
    is_turned = any(np.abs(side).min(axis=1).max() > 1 for side in sides)
    rectangles = is_turned and sum(map(_is_rectangle, sides)) >= NEARLY_ALL * len(sides)
    polygons = sum(len(row.values) >= 6 for row in rows)
    if not rectangles and len(quads) < NEARLY_ALL * polygons:
        return False
    if not rectangles or len(quads) < polygons:
        found.note(
            f"{len(quads)} rows of four corners are taken as the boxes around them; if they outline regions, write "
            "'task: segment' into data.yaml, and 'task: obb' if they are turned boxes."
        )
    return True


def _is_rectangle(sides: NDArray[np.float64]) -> bool:
    lengths = np.hypot(*sides.T)
    cosines = (sides * np.roll(sides, -1, axis=0)).sum(axis=1)
    return bool((np.abs(cosines) <= SQUARE * lengths * np.roll(lengths, -1) + 1).all())


def _corners(row: _Row, found: Imported) -> NDArray[np.float64]:
    height, width = found.frame(row.key).declared
    return np.array(row.values).reshape(-1, 2) * [width, height]


def write(out: Path, items: Iterable[Labeled], classes: Classes) -> None:
    """OUT/labels/KEY.txt with a polygon for every connected area of a class, and data.yaml; images go to OUT/images."""
    import yaml

    for item in items:
        size = np.array(item.labels.shape[::-1])
        rows = [
            f"{label} {' '.join(f'{side:.8g}' for side in (ring / size).ravel().tolist())}\n"
            for label, mask in classes.masks(item.labels)
            for ring, _ in outlines(mask)
        ]
        write_text(out / "labels" / f"{item.key}.txt", "".join(rows))
    names = yaml.safe_dump({"names": dict(enumerate(classes.names))}, allow_unicode=True, sort_keys=False)
    asked = "# val: the folder of the images that YOLO shall measure with; other ones than those that it trains on\n"
    write_text(out / "data.yaml", f"path: .\ntrain: images\ntask: segment\n{asked}{names}")
