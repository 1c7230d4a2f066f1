"""The one way from hints to pseudo-labels. Training, `complete`, check, report and studio all come here.

In this order:

1. `drawn`: points, strokes, regions and masks label pixels for certain, a stronger type over a weaker one;
2. `limited_by_boxes`: a class whose objects all have boxes lies inside them and nowhere else; GrabCut says where in
   them it probably is;
3. `without_invalid`: pixels that hold no data are ignored;
4. `target.reduce_labels`: to the size at which a network sees the image;
5. `cam.seeds`: where the classes are that an image's tags name and no other hint localizes (training alone);
6. `propagate.propagated`: seeds over superpixels;
7. `complete.complete_image`: a network's probabilities, limited to what 1 to 3 allow.
"""

from collections.abc import Callable, Collection, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.hints.model import ImageHints
from hintseg.hints.types.boxes import Box
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.io.samples import DecodedImage
from hintseg.pseudo_labels.grabcut import box_centers, box_pixels, box_seeds
from hintseg.pseudo_labels.target import PseudoLabels

BoxSeeds = Callable[[NDArray[np.uint8], Sequence[Box]], NDArray[np.uint8]]


def pseudo_labels(
    decoded: DecodedImage,
    hints: ImageHints,
    num_classes: int,
    point_radius: int = 3,
    find_in_boxes: BoxSeeds = box_seeds,
) -> PseudoLabels:
    """Stages 1 to 3: all hints of one image together.

    Args:
        point_radius: a point is drawn as a disc of this many pixels [SPML: 6 at 512 px crops].
        find_in_boxes: what boxes probably show; `middles` where it need not be known well.
    """
    labels = drawn(hints, decoded.pixels.shape[:2], num_classes, point_radius)
    if hints.boxes:
        inside = find_in_boxes(decoded.pixels, hints.boxes)
        labels = limited_by_boxes(labels, hints.boxes, inside, _unverified_classes(hints, num_classes))
    return labels if decoded.valid is None else without_invalid(labels, decoded.valid)


def hint_labels(dataset: Dataset, key: str) -> NDArray[np.uint8]:
    """All hints of an image, drawn: (H, W) uint8 class indices, 254 where there is none, 255 where pixels are ignored.

    Raises:
        InputError: the image or its hints cannot be read.
    """
    return pseudo_labels(dataset.decoded(key), dataset.hints(key), len(dataset.classes), find_in_boxes=middles).labels


def middles(image: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.uint8]:
    """In place of `box_seeds`: the middle of every box, whatever the image shows there."""
    return box_centers(boxes, image.shape[:2])


def drawn(hints: ImageHints, size: tuple[int, int], num_classes: int, point_radius: int = 3) -> PseudoLabels:
    """Stage 1. Where strokes of two classes cross, and where their points share a pixel, nobody knows: ignored."""
    labels = np.full(size, UNLABELED, dtype=np.uint8)
    for name, hint_type in HINT_TYPES.items():
        if found := hints.by_type.get(name):
            hint_type.draw(found, labels, point_radius)
    nothing_verified = hints.verified_classes is not None and not hints.verified_classes
    return PseudoLabels(
        labels, ~hints.absent(num_classes), hints.present(num_classes), labels, nothing_verified=nothing_verified
    )


def limited_by_boxes(
    labels: PseudoLabels, boxes: Sequence[Box], inside: NDArray[np.uint8],
    unverified: Collection[int] = (),
) -> PseudoLabels:  # fmt: skip
    """Stage 2. A pixel where one class alone is possible has it; what boxes probably show joins the seeds.

    Args:
        inside: (H, W) uint8 of `box_seeds` or `middles`.
        unverified: classes of which more than the boxes say may be anywhere, or nowhere.
    """
    possible = possible_classes(boxes, labels.candidate_classes, labels.labels.shape)
    blank, somewhere = labels.labels == UNLABELED, possible.any(axis=0)
    certain = blank & (possible.sum(axis=0) == 1)
    for label in {box.label for box in boxes}:
        if label in unverified or _lies_apart(labels.labels == label, possible[label]):
            possible[label] |= somewhere
    certain &= (possible.sum(axis=0) == 1) & ~possible[sorted(unverified)].any(axis=0)
    known, seeds = labels.labels.copy(), inside.copy()
    known[certain] = seeds[certain] = possible.argmax(axis=0)[certain]
    seeds[~blank] = known[~blank]
    return labels._replace(labels=known, seeds=seeds, possible=possible, boxes=tuple(boxes))


def _unverified_classes(hints: ImageHints, num_classes: int) -> frozenset[int]:
    """Classes that nobody verified; one with boxes only if a tag names it, too, or nothing is verified.

    Where no class is the background, those without boxes, too: they are not all that lies outside the boxes of others.
    """
    boxed = {box.label for box in hints.boxes}
    unboxed = frozenset(range(num_classes)) - boxed if hints.background is None else frozenset[int]()
    if hints.verified_classes is None:
        return unboxed
    placed = boxed - {tag.label for tag in hints.tags} if hints.verified_classes else set[int]()
    return unboxed | frozenset(range(num_classes)) - hints.verified_classes - {hints.background} - placed


def possible_classes(
    boxes: Sequence[Box], candidate_classes: NDArray[np.bool_], size: tuple[int, ...]
) -> NDArray[np.bool_]:
    """(C, H, W) bool: a candidate class with boxes is possible inside them, one without boxes everywhere."""
    possible = np.repeat(candidate_classes, size[0] * size[1]).reshape(len(candidate_classes), *size)
    for label in {box.label for box in boxes}:
        possible[label] = False
    for box in boxes:
        rows, columns = box_pixels(box, size, 1.0)
        possible[box.label, rows, columns] = True
    return possible


def _lies_apart(drawn: NDArray[np.bool_], in_boxes: NDArray[np.bool_]) -> bool:
    """Whether something drawn touches no box of its class: an object without one."""
    count, areas = cv2.connectedComponents(drawn.astype(np.uint8))
    return len({0, *np.unique(areas[in_boxes]).tolist()}) < count


def without_invalid(labels: PseudoLabels, valid: NDArray[np.bool_]) -> PseudoLabels:
    """Stage 3. Pixels without data, (H, W) bool False, are ignored whatever hints say."""
    return labels._replace(
        labels=np.where(valid, labels.labels, IGNORE_INDEX).astype(np.uint8),
        seeds=np.where(valid, labels.seeds, IGNORE_INDEX).astype(np.uint8),
    )
