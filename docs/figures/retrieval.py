"""Contextual retrieval: segments of a new image, and the training segments nearest to each, with what surrounds them.

Figure of the paper [SPML, section 3.4].
"""

from pathlib import Path

import cv2
import numpy as np
from docs.figures.drawing import Panel, panels
from numpy.typing import NDArray

from hintseg import Segmenter
from hintseg.hints.dataset import Dataset
from hintseg.inference.retrieval import Neighbor, nearest_to_click
from hintseg.io.images import resize_nearest
from hintseg.network.tta import image_maps, middle_scale

SHOWN, AN_IMAGE = 4, 2  # neighbors of a segment, and at most so many of one image
TILE = 200  # pixels of a side
AROUND = 2.5  # side of a tile, in sides of the segment

Box = tuple[int, int, int, int]


def draw_retrieval(
    path: Path, segmenter: Segmenter, dataset: Dataset, key: str, clicks: list[tuple[float, float]]
) -> None:
    """A row a click, (x, y) in fractions of the image: its segment, then the nearest ones, with their cosines."""
    image, recipe = dataset.image(key), segmenter.recipe
    scale = middle_scale(recipe.inference.scales)
    embeddings = image_maps(segmenter.network, segmenter.as_in_training(image), scale=scale).embeddings
    rows = []
    for click in clicks:
        mask, found = nearest_to_click(
            embeddings, segmenter.index, segmenter.description.keys, click, recipe.segments.inference_grid, 10_000
        )
        rows.append(
            [Panel("of a new image", tile(image, box_of(resize_nearest(mask.astype(np.uint8), image.shape[:2]))))]
        )
        for neighbor in apart(found):
            title = f"{neighbor.key}: {segmenter.classes[neighbor.label]}, {neighbor.similarity:.2f}"
            rows[-1].append(Panel(title, tile(*_place(dataset, neighbor))))
    panels(path, rows)


def apart(found: list[Neighbor]) -> list[Neighbor]:
    """The nearest segments, at most `AN_IMAGE` of one image, so that more than one context is seen."""
    chosen: list[Neighbor] = []
    for neighbor in found:
        if sum(one.key == neighbor.key for one in chosen) < AN_IMAGE:
            chosen.append(neighbor)
    return chosen[:SHOWN]


def box_of(mask: NDArray[np.uint8]) -> Box:
    """x0, y0, x1, y1 of what is not zero."""
    rows, columns = np.nonzero(mask)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def tile(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """A segment's surroundings, TILE × TILE, with a frame around it; gray where the image ends."""
    x0, y0, x1, y1 = box
    side = max(round(AROUND * max(x1 - x0, y1 - y0)), 120)
    left, top = (x0 + x1 - side) // 2, (y0 + y1 - side) // 2
    framed = cv2.rectangle(image.copy(), (x0, y0), (x1 - 1, y1 - 1), (255, 220, 0), max(side // 60, 1))
    padded = cv2.copyMakeBorder(framed, side, side, side, side, cv2.BORDER_CONSTANT, value=(200, 200, 200))
    return cv2.resize(padded[top + side : top + 2 * side, left + side : left + 2 * side], (TILE, TILE))


def _place(dataset: Dataset, neighbor: Neighbor) -> tuple[NDArray[np.uint8], Box]:
    image = dataset.image(neighbor.key)
    height, width = image.shape[:2]
    x0, y0, x1, y1 = neighbor.box
    return image, (round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height))
