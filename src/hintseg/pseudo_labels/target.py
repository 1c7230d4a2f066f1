"""WeakTarget: all hints of one image as a label map and a set of allowed classes.

Each form draws the pixels that it labels for certain, a stronger form over a weaker one (`hints/forms/registry.py`);
boxes also say where classes can be at all.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hintseg.hints.dataset import Dataset
from hintseg.hints.forms.boxes import Box
from hintseg.hints.forms.registry import FORMS
from hintseg.hints.labels import UNLABELLED, VOID
from hintseg.hints.model import ImageHints
from hintseg.io.images import resize_longest_side, resize_nearest
from hintseg.pseudo_labels.grabcut import box_centres, box_pixels, resized_boxes


class WeakTarget(NamedTuple):
    """Training target of one image.

    Attributes:
        labels: (H, W) uint8: a class, `UNLABELLED` or `VOID`. Certain.
        allowed: (C,) bool: classes that may occur in the image at all.
        present: (C,) bool: classes that do.
        likely: (H, W) uint8: `labels`, and what is only probable in boxes. Seeds for label propagation.
        possible: (C, H, W) bool: where each class may be; None where nothing restricts it.
        boxes: each holds something of its class.
    """

    labels: NDArray[np.uint8]
    allowed: NDArray[np.bool_]
    present: NDArray[np.bool_]
    likely: NDArray[np.uint8]
    possible: NDArray[np.bool_] | None = None
    boxes: tuple[Box, ...] = ()

    def unhinted(self) -> bool:
        """Whether a class may be in the image without a localized hint."""
        found = np.unique(self.likely[self.likely < len(self.allowed)])
        return bool(self.allowed.sum() > len(found))

    def says_nothing(self) -> bool:
        """No hint of any form: such an image teaches nothing and is not completed."""
        return bool(self.allowed.all() and not self.present.any() and not (self.likely < UNLABELLED).any())


def hint_labels(dataset: Dataset, key: str) -> NDArray[np.uint8]:
    """All hints of an image, drawn: (H, W) uint8 class indices, 254 where there is none, 255 where pixels are ignored.

    Raises:
        InputError: the image or its hints cannot be read.
    """
    return weak_target(dataset.hints(key), dataset.image(key).shape[:2], len(dataset.classes)).labels


def weak_target(
    hints: ImageHints, size: tuple[int, int], num_classes: int, point_radius: int = 3,
    inside: NDArray[np.uint8] | None = None, valid: NDArray[np.bool_] | None = None,
) -> WeakTarget:  # fmt: skip
    """Combine every form of one image.

    Where strokes of two classes cross, and where their points share a pixel, nobody knows: void. With boxes, a
    class lies inside its boxes and nowhere else, so a pixel where one class alone is possible is labelled.

    Args:
        size: (height, width).
        point_radius: a point is drawn as a disc of this many pixels [SPML: 6 at 512 px crops].
        inside: (H, W) uint8 of `box_seeds`; default the middle of each box.
        valid: (H, W) bool, pixels that hold data; all others are void whatever hints say. None: all do.
    """
    labels = np.full(size, UNLABELLED, dtype=np.uint8)
    for name, form in FORMS.items():
        if found := hints.by_form.get(name):
            form.draw(found, labels, point_radius)
    allowed = ~hints.absent(num_classes)
    possible = possible_classes(hints, allowed, size)
    likely = labels.copy()
    if possible is not None:
        blank = labels == UNLABELLED
        likely = box_centres(hints.boxes, size) if inside is None else inside.copy()
        certain = blank & (possible.sum(axis=0) == 1)
        labels[certain] = likely[certain] = possible.argmax(axis=0)[certain]
        likely[~blank] = labels[~blank]
    if valid is not None:
        labels[~valid] = likely[~valid] = VOID
    return WeakTarget(labels, allowed, hints.present(num_classes), likely, possible, tuple(hints.boxes))


def possible_classes(hints: ImageHints, allowed: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_] | None:
    """(C, H, W) bool: an allowed class with boxes is possible inside them, one without boxes everywhere.

    None where there are no boxes.
    """
    if not hints.boxes:
        return None
    possible = np.repeat(allowed, size[0] * size[1]).reshape(len(allowed), *size)
    for label in {box.label for box in hints.boxes}:
        possible[label] = False
    for box in hints.boxes:
        rows, columns = box_pixels(box, size, 1.0)
        possible[box.label, rows, columns] = True
    return possible


def reduce_to(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], longest_side: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Shrink image and labels together; thin strokes survive because labelled pixels win their cell."""
    small = resize_longest_side(image, longest_side)
    if small is image:
        return image, labels
    fewer = resize_nearest(labels, small.shape[:2])
    rows, columns = np.nonzero(labels < UNLABELLED)
    target = ((rows * small.shape[0]) // labels.shape[0], (columns * small.shape[1]) // labels.shape[1])
    empty = fewer[target] == UNLABELLED
    fewer[target[0][empty], target[1][empty]] = labels[rows[empty], columns[empty]]
    return small, fewer


def reduce_target(
    image: NDArray[np.uint8], target: WeakTarget, longest_side: int
) -> tuple[NDArray[np.uint8], WeakTarget]:
    """`reduce_to` for a whole target."""
    small, labels = reduce_to(image, target.labels, longest_side)
    if small is image:
        return image, target
    _, likely = reduce_to(image, target.likely, longest_side)
    possible = target.possible
    if possible is not None:
        height, width = labels.shape
        possible = np.stack([cv2.resize(plane.astype(np.uint8), (width, height)) > 0 for plane in possible])
    return small, WeakTarget(
        labels, target.allowed, target.present, likely, possible, resized_boxes(target.boxes, image.shape, small.shape)
    )
