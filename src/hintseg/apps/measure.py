"""How much of each image each class covers: pixels, percent, and square metres where the raster has a scale."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hintseg.apps.batch_inference.mask_folders import classes_of_masks, data_set_of_masks
from hintseg.errors import InputError
from hintseg.hints.keys import by_key
from hintseg.hints.labels import UNLABELED
from hintseg.inference.run_config import RunConfig
from hintseg.io.georeference import pixel_area
from hintseg.io.images import classes_of_label_map, read_image_size, read_labels
from hintseg.io.listing import list_images
from hintseg.io.storage.results import AREAS


class Area(NamedTuple):
    """What one class covers of one image.

    Attributes:
        image: its name.
        class_name: of the class; every class is listed, also those that cover nothing.
        pixels: of the mask.
        percent: of the pixels that have a class; ignored ones count nowhere.
        square_metres: None where the image has no scale.
    """

    image: str
    class_name: str
    pixels: int
    percent: float
    square_metres: float | None


def areas(
    image: str, labels: NDArray[np.uint8], classes: Sequence[str], pixel_square_metres: float | None = None
) -> list[Area]:
    """The areas of all classes in one mask.

    Args:
        image: its name.
        labels: (H, W) uint8; values that are no class are ignored.
        classes: names by label.
        pixel_square_metres: of a pixel of the mask; None: unknown.
    """
    counts = np.bincount(labels[labels < UNLABELED].ravel(), minlength=len(classes))[: len(classes)]
    total = max(int(counts.sum()), 1)
    return [
        Area(
            image, name, int(count), round(100 * int(count) / total, 4),
            None if pixel_square_metres is None else round(int(count) * pixel_square_metres, 6),
        )
        for name, count in zip(classes, counts, strict=True)
    ]  # fmt: skip


def mask_pixel_area(labels: NDArray[np.uint8], image: Path | None) -> float | None:
    """Square metres of a mask's pixel, by the image that it is of; None where that has no scale."""
    area = None if image is None else pixel_area(image)
    if area is None or image is None:
        return None
    height, width = read_image_size(image)
    return area * height * width / labels.size


def measure_masks(folder: Path, images: Path | None = None) -> Iterator[Area]:
    """Areas of all masks of a run folder, or of a folder of masks.

    Args:
        folder: with run.json, or with masks.
        images: folder of the images that the masks are of, for their scale; default the run's or the data set's, and
            masks that are GeoTIFFs have their own.

    Raises:
        InputError: no masks, or nobody says which classes they hold.
    """
    masks, classes, home = folder, None, images
    if (folder / "run.json").exists():
        described = RunConfig.load(folder / "run.json")
        masks, classes = folder / "masks", described.classes
        if not masks.is_dir():
            raise InputError(
                f"{masks}: no such folder; make masks with hintseg complete or predict, and give their folder."
            )
        home = images or described.dataset(folder, None).root / "images"
    classes = classes_of_masks(masks) or classes
    if classes is None:
        raise _no_masks(masks)
    data_set = data_set_of_masks(masks)
    if home is None and data_set is not None:
        home = data_set.root / "images"
    originals = by_key(list_images(home)) if home is not None and home.is_dir() else {}
    found = by_key(list_images(masks))
    if not found:
        raise InputError(f"{masks}: holds no masks; make them with hintseg complete or predict.")
    for name, path in found.items():
        if data_set is None:
            labels, names = read_labels(path), classes_of_label_map(path) or classes
        else:
            labels, names = data_set.coding.decode(data_set.coding.read(path, classes), True, path), classes
        yield from areas(name, labels, names, mask_pixel_area(labels, originals.get(name, path)))


def _no_masks(folder: Path) -> InputError:
    """Why a folder cannot be measured."""
    if not folder.is_dir():
        return InputError(f"{folder}: no such folder; give a run, or a folder of masks.")
    if (folder / "images").is_dir() or (folder / "dataset.json").exists():
        return InputError(f"{folder}: is a data set; give its masks: {folder / 'masks'}.")
    return InputError(
        f"{folder}: no file says which classes these masks hold; give a folder of masks that hintseg wrote, or masks/ "
        "of a data set. Images are measured by their masks: make these with hintseg predict, and give their folder."
    )


def as_csv(rows: Iterable[Area]) -> str:
    """The table as text: image, class, pixels, percent, square_metres; the last is empty where there is no scale."""
    text = io.StringIO()
    text.write(f"{AREAS}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return text.getvalue()
