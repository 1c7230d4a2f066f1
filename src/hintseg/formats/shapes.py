"""What several readers share: sizes that are declared, turned rectangles, ellipses, and names of no class."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.formats.reader import Imported
from hintseg.formats.rle import MOST_CELLS
from hintseg.hints.types.hint_type import as_coordinate

CORNERS = 64  # of the polygon that stands for an ellipse


def declared_size(height: object, width: object, where: str) -> tuple[int, int] | None:
    """(height, width) as an annotation file says; None where it does not, or says zero.

    Raises:
        InputError: one of them is no number, or they are those of no image.
    """
    sides = []
    for name, value in (("height", height), ("width", width)):
        if value is None or value == "":
            return None
        try:
            sides.append(int(as_coordinate(str(value))))
        except ValueError:
            raise InputError(f"{where}: the image's {name} is {value!r:.80}, no size of an image.") from None
    if sides[0] * sides[1] > MOST_CELLS:
        raise InputError(f"{where}: the image's size is {sides[1]}×{sides[0]}, larger than an image can be.")
    return (sides[0], sides[1]) if min(sides) > 0 else None


def turned(vertices: NDArray[np.float64], pivot: tuple[float, float], degrees: float) -> NDArray[np.float64]:
    """(N, 2) x, y turned clockwise, as seen on the screen, about a point."""
    if not degrees:
        return vertices
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array((vertices - pivot) @ np.array([[cos, sin], [-sin, cos]]) + pivot)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> NDArray[np.float64]:
    """(4, 2) x, y of its corners, all the way round."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)


def ellipse(x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0.0) -> NDArray[np.float64]:
    """(N, 2) x, y of the outline of an ellipse that is turned clockwise about its middle."""
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    outline = np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], axis=1)
    return turned(outline, (x, y), degrees)


def placed(mask: NDArray[np.bool_], left: int, top: int, size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask of (height, width) = `size` that holds a smaller one at a place; what leaves the image is cut off."""
    height, width = mask.shape
    whole = np.zeros(size, np.bool_)
    there = whole[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    there[:] = mask[max(-top, 0) :, max(-left, 0) :][: there.shape[0], : there.shape[1]]
    return whole


def label_used(found: Imported, path: Path, names: Iterable[str], used: set[str]) -> None:
    """Make classes of those names of a file's list that its annotations use; of all where there are no annotations.

    A name that nothing uses may be a heading over other classes, and would be a class that is nowhere.
    """
    found.listed[path] = list(names) or sorted(used)
    for name in found.listed[path]:
        if name in used or not used:
            found.label(name)


def require_own_file(found: Imported, key: str, path: Path, field: str) -> None:
    """Refuse a file about one image that names another than the one it is called like: one was renamed.

    Raises:
        InputError: both images are there.
    """
    earlier = found.written_by.setdefault(key, path)
    if earlier != path:
        raise InputError(f"{path}: is about the same image as {earlier} ({found.images[key]}); mend its {field}.")
    other = found.finder.namesake(path, found.images[key])
    if other is not None:
        raise InputError(
            f"{path}: names {found.images[key]}, but is called like {other}; correct its {field} or its own name, so "
            "that both say the same."
        )


def note_repeated(found: Imported, keys: Iterable[str], path: Path) -> None:
    """Say how many images one file lists more than once: entries of one name may be meant for several images."""
    repeated = [key for key, count in Counter(keys).items() if count > 1]
    if repeated:
        found.note(
            f"{len(repeated)} images are listed more than once in {path.name}, first {repeated[0]!r:.80}; each got the "
            "hints of all its entries. If these mean several images, write their folders into the names."
        )
