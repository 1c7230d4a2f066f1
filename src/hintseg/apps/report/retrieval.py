"""A clicked segment and its nearest training segments, as an image and as JSON."""

import logging
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.inference.retrieval import Neighbor
from hintseg.inference.segmenter import Segmenter
from hintseg.io.images import resize_longest_side, write_image
from hintseg.io.palette import label_palette
from hintseg.io.storage.outputs import MARK
from hintseg.io.storage.results import write_result

TILE = 200
WHITE = np.full(3, 255, np.uint8)
log = logging.getLogger("hintseg")


def save_retrieval(
    segmenter: Segmenter,
    image: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    found: list[Neighbor],
    out: Path,
    name: str,
) -> tuple[Path, Path]:
    """Write NAME.png and NAME.json; returns both paths. The tile of a training image that cannot be read is empty.

    Raises:
        InputError: the data set of the training images has moved.
    """
    dataset = segmenter.dataset()
    palette = label_palette(segmenter.description.colors)
    tiles = [_tile(spotlit(image, mask), WHITE)]
    unread = set[str]()
    tiles += [_neighbor_tile(dataset, one, palette[one.label], unread) for one in found[:19]]
    while len(tiles) % 5:
        tiles.append(np.full((TILE, TILE, 3), 255, dtype=np.uint8))
    rows = [np.hstack(tiles[start : start + 5]) for start in range(0, len(tiles), 5)]
    image_path, listing = out / f"{name}.png", out / f"{name}.json"
    write_image(image_path, np.vstack(rows), MARK)
    content = [
        {**one._asdict(), "class": segmenter.classes[one.label], "image": str(dataset.paths.get(one.key, "")) or None}
        for one in found
    ]
    return image_path, write_result(listing, content, overwrite=True)


def spotlit(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The image, dark outside (H, W) bool `mask`."""
    return np.where(mask[..., None], image, image // 3)


def spotlit_neighbor(dataset: Dataset, neighbor: Neighbor) -> NDArray[np.uint8]:
    """A training image, dark outside the box of one of its segments; InputError where the image has moved."""
    image = dataset.image(neighbor.key)
    height, width = image.shape[:2]
    sides = zip(neighbor.box, (width, height, width, height), strict=True)
    x0, y0, x1, y1 = (round(fraction * side) for fraction, side in sides)
    mask = np.zeros((height, width), np.bool_)
    mask[y0:y1, x0:x1] = True
    return spotlit(image, mask)


def _neighbor_tile(
    dataset: Dataset, one: Neighbor, frame: NDArray[np.uint8], unread: set[str]
) -> NDArray[np.uint8]:  # fmt: skip
    try:
        return _tile(spotlit_neighbor(dataset, one), frame)
    except InputError as error:
        if one.key not in unread:
            log.warning("%s Its tiles stay empty.", error)
        unread.add(one.key)
        return _tile(np.full((1, 1, 3), 255, np.uint8), frame)


def _tile(image: NDArray[np.uint8], frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    small = resize_longest_side(image, TILE - 12)
    tile = np.full((TILE, TILE, 3), frame, dtype=np.uint8)
    top, left = (TILE - small.shape[0]) // 2, (TILE - small.shape[1]) // 2
    tile[top : top + small.shape[0], left : left + small.shape[1]] = small
    return cv2.copyMakeBorder(tile[2:-2, 2:-2], 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))
