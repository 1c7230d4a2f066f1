"""Masks → scribbles, points, boxes and tags, as a person might have drawn them; one seed, one result.

For experiments: what would fewer or other hints have given?
"""

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.functional.shapes import distance_to_border
from hintseg.hints.labels import UNLABELED
from hintseg.hints.types.boxes import Box
from hintseg.hints.types.points import Point
from hintseg.hints.types.scribbles import Scribble, draw_stroke
from hintseg.hints.types.tags import Tag

Style = Literal["skeleton", "interior", "border"]

Region = NDArray[np.bool_]


def simulate_scribbles(
    mask: NDArray[np.uint8], style: Style = "skeleton", coverage: float = 1.0, width: int = 3, seed: int = 0
) -> NDArray[np.uint8]:
    """Draw one stroke into every connected region.

    Args:
        mask: (H, W) uint8 labels; values ≥ 254 are left alone.
        style: "skeleton" follows the region's middle, "interior" runs straight through its depth,
            "border" runs parallel to the outline.
        coverage: fraction of each stroke's length that is kept, from its middle; 0 leaves a dot.
        width: of the stroke, pixels.
        seed: of the choices.

    Returns:
        (H, W) uint8 label map, `UNLABELED` elsewhere; strokes never leave their region.
    """
    random = np.random.default_rng(seed)
    result = np.full(mask.shape, UNLABELED, dtype=np.uint8)
    for label, region in _regions(mask, smallest=30):
        path = _STYLES[style](region, random)
        keep = max(round(len(path) * min(max(coverage, 0.0), 1.0)), 1)
        start = (len(path) - keep) // 2
        stroke = np.zeros(mask.shape, dtype=np.uint8)
        vertices = tuple(map(tuple, path[start : start + keep, ::-1].tolist()))
        draw_stroke(Scribble(vertices, label, width), stroke)
        result[stroke.astype(bool) & region] = label
    return result


def simulate_points(mask: NDArray[np.uint8], seed: int = 0) -> tuple[Point, ...]:
    """One click into every connected region, likelier in its depth."""
    random = np.random.default_rng(seed)
    points = []
    for label, region in _regions(mask, smallest=30):
        depth = distance_to_border(region)
        rows, columns = np.nonzero(depth >= 0.5 * depth.max())
        pick = int(random.integers(len(rows)))
        points.append(Point(int(columns[pick]), int(rows[pick]), label))
    return tuple(points)


def simulate_boxes(mask: NDArray[np.uint8], background: int | None = None) -> tuple[Box, ...]:
    """The tight box of every connected region but the background's."""
    boxes = []
    for label, region in _regions(mask, smallest=30):
        if label != background:
            rows, columns = np.nonzero(region)
            boxes.append(Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1, label))
    return tuple(boxes)


def simulate_tags(mask: NDArray[np.uint8], background: int | None = None) -> tuple[Tag, ...]:
    """The classes present, but for the background."""
    labels = np.unique(mask[mask < UNLABELED]).tolist()
    return tuple(Tag(label) for label in labels if label != background)


def _regions(mask: NDArray[np.uint8], smallest: int) -> list[tuple[int, Region]]:
    regions = []
    for label in np.unique(mask[mask < UNLABELED]).tolist():
        count, components = cv2.connectedComponents((mask == label).astype(np.uint8), connectivity=8)
        for component in range(1, count):
            region = components == component
            if region.sum() >= smallest:
                regions.append((int(label), region))
    return regions


def _skeleton(region: Region, random: np.random.Generator) -> NDArray[np.int64]:
    """The longest path of the medial axis, found by walking twice to the farthest cell."""
    from skimage.graph import MCP
    from skimage.morphology import skeletonize

    axis = skeletonize(region)
    if not axis.any():
        axis = distance_to_border(region) == distance_to_border(region).max()
    cells = np.argwhere(axis)
    start = tuple(cells[int(random.integers(len(cells)))])
    costs = np.where(axis, 1.0, np.inf)
    for _ in range(2):
        walk = MCP(costs, fully_connected=True)
        distance, _ = walk.find_costs([start])
        distance = np.where(np.isfinite(distance), distance, -1)
        end = tuple(int(side) for side in np.unravel_index(int(distance.argmax()), distance.shape))
        path = np.array(walk.traceback(end))
        start = end
    return path


def _interior(region: Region, random: np.random.Generator) -> NDArray[np.int64]:
    """From the deepest point to another deep point, bent along the cheapest way through the depth."""
    from skimage.graph import route_through_array

    depth = distance_to_border(region)
    deep = np.argwhere(depth >= 0.5 * depth.max())
    start = np.unravel_index(int(depth.argmax()), depth.shape)
    end = deep[int(random.integers(len(deep)))]
    costs = np.where(region, 1.0 / np.maximum(depth, 0.5), 1e6)
    path, _ = route_through_array(costs, start, tuple(end))
    return np.array(path)


def _border(region: Region, random: np.random.Generator) -> NDArray[np.int64]:
    """A contour inside the region, a quarter of its depth away from the outline."""
    depth = distance_to_border(region)
    inner = (depth >= max(0.25 * float(depth.max()), 1.0)).astype(np.uint8)
    contours, _ = cv2.findContours(inner, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    longest = max(contours, key=len)[:, 0, ::-1]
    return np.roll(longest, int(random.integers(len(longest))), axis=0)


_STYLES: dict[str, Callable[[Region, np.random.Generator], NDArray[np.int64]]] = {
    "skeleton": _skeleton,
    "interior": _interior,
    "border": _border,
}
