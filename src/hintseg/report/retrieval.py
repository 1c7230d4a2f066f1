"""A clicked segment and its nearest training segments, as a picture and as JSON."""

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.images import atomic_path, label_palette, write_image
from hintseg.inference.retrieval import Neighbour
from hintseg.inference.segmenter import Segmenter
from hintseg.report.figures import shrink

TILE = 200


def save_retrieval(
    segmenter: Segmenter,
    image: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    found: list[Neighbour],
    out: Path,
    name: str,
) -> tuple[Path, Path]:
    """Write NAME.png and NAME.json; returns both paths.

    Raises:
        InputError: the training images have moved.
    """
    query = image.copy()
    query[~mask] = query[~mask] // 3
    tiles = [_tile(query, None)]
    dataset = segmenter.dataset()
    for neighbour in found[:19]:
        picture = dataset.image(neighbour.key).copy()
        height, width = picture.shape[:2]
        x0, y0, x1, y1 = (
            round(share * side) for share, side in zip(neighbour.box, (width, height, width, height), strict=True)
        )
        dark = picture // 3
        dark[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
        tiles.append(_tile(dark, neighbour.label))
    while len(tiles) % 5:
        tiles.append(np.full((TILE, TILE, 3), 255, dtype=np.uint8))
    rows = [np.hstack(tiles[start : start + 5]) for start in range(0, len(tiles), 5)]
    picture_path, listing = out / f"{name}.png", out / f"{name}.json"
    write_image(picture_path, np.vstack(rows))
    content = [
        {**neighbour._asdict(), "class": segmenter.classes[neighbour.label], "image": str(dataset.path(neighbour.key))}
        for neighbour in found
    ]
    with atomic_path(listing) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")
    return picture_path, listing


def _tile(picture: NDArray[np.uint8], label: int | None) -> NDArray[np.uint8]:
    small = shrink(picture, TILE - 12)
    tile = np.full((TILE, TILE, 3), 255, dtype=np.uint8)
    if label is not None:
        tile[:] = label_palette()[label]
    top, left = (TILE - small.shape[0]) // 2, (TILE - small.shape[1]) // 2
    tile[top : top + small.shape[0], left : left + small.shape[1]] = small
    return cv2.copyMakeBorder(tile[2:-2, 2:-2], 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))
