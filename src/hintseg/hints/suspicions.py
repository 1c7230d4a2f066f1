"""What a data set says that its author probably did not mean."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.keys import near_key
from hintseg.hints.label_maps import passed_over_label_maps
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.hints.misspelt import misspelt
from hintseg.hints.model import ImageHints
from hintseg.hints.names import is_background_name, is_ignored_name, names_alike
from hintseg.hints.splits import HELD_OUT, is_held_out
from hintseg.io.pillow import has_bands

COMMON_SPLITS = ("train", *HELD_OUT)


@dataclass
class LabelMapCounts:
    """Label images that were looked at.

    Attributes:
        scribbles: images in `scribbles/`.
        covering: of these, such as leave no pixel open and are mostly class 0.
        masks: images in `masks/`.
        zero_and_ignored: of these, such as hold class 0 and ignored pixels, and nothing else.
        with_zero: of these, such as are mostly class 0 and hold another class.
    """

    scribbles: int = 0
    covering: int = 0
    masks: int = 0
    zero_and_ignored: int = 0
    with_zero: int = 0

    def add(self, hints: ImageHints) -> None:
        """Count the images of one image."""
        if hints.scribble_map is not None:
            self.scribbles += 1
            counts = _counts(hints.scribble_map.labels)
            self.covering += bool(2 * counts[0] > counts.sum() and not counts[UNLABELED:].any())
        if hints.mask is not None:
            self.masks += 1
            counts = _counts(hints.mask.labels)
            others = counts[1:UNLABELED].any()
            self.zero_and_ignored += bool(counts[0] and counts[IGNORE_INDEX] and not others)
            self.with_zero += bool(2 * counts[0] > counts.sum() and others)


def suspicions(dataset: Dataset, counted: LabelMapCounts) -> Iterator[str]:
    """Sentences about label maps, names, tables and splits."""
    yield from _of_label_maps(dataset, counted)
    yield from _of_names(dataset)
    yield from _of_bands(dataset)
    yield from misspelt(dataset.root)
    for folder, listed in dataset.label_maps.items():
        yield from passed_over_label_maps(folder, listed)
    for table, keys in dataset.hint_keys().items():
        if lost := sorted(keys - dataset.paths.keys()):
            yield f"{table}: {_entries(len(lost))} no image, first {lost[0]!r}{near_key(lost[0], dataset.paths)}."
    yield from _of_splits(dataset)


def _of_label_maps(dataset: Dataset, counted: LabelMapCounts) -> Iterator[str]:
    name = dataset.classes[0]
    if dataset.first_label or dataset.unlabeled == 0:
        return
    if counted.covering:
        yield (
            f"scribbles/: {counted.covering} of {counted.scribbles} label maps label every pixel, mostly as 0 "
            f'({name!r}); if 0 means that nothing was drawn, write "unlabeled": 0 into dataset.json.'
        )
    if counted.zero_and_ignored:
        other = f"1: {dataset.classes[1]!r}" if len(dataset.classes) > 1 else "1, a second one in dataset.json"
        yield (
            f"masks/: {counted.zero_and_ignored} of {counted.masks} masks hold 0 ({name!r}) and 255 only, and 255 is "
            f"ignored; if 255 means the object, write its class ({other}) instead."
        )
    if counted.masks and counted.with_zero == counted.masks and dataset.background != 0 and not _is_rest(name):
        yield (
            f"masks/: 0, which is {name!r}, covers most of every mask; if 0 means ignored or unlabeled, write "
            f'"ignore_index": 0 or "unlabeled": 0 into dataset.json; if it means the background, name that class first.'
        )


def _of_names(dataset: Dataset) -> Iterator[str]:
    for label, name in enumerate(dataset.classes):
        if dataset.background is None and is_background_name(name):
            yield (
                f"class {name!r} is not taken as the background; if it is, "
                f'write "background": {label} into dataset.json.'
            )
        if is_ignored_name(name):
            yield (
                f"class {name!r} is learned like any other; if its pixels shall be ignored, take it out of the classes "
                'and write its value as "ignore_index" into dataset.json.'
            )
        if name.isdecimal() and int(name) != label:
            yield f"class {name!r} has the index {label}; numbers in hints are indices, names stand in quotes."
    for one, other in names_alike(dataset.classes):
        yield (
            f"classes {one!r} and {other!r} differ in case only and are learned as two; if they are one, give its "
            "hints one name."
        )


def _of_bands(dataset: Dataset) -> Iterator[str]:
    others = [path for path in dataset.paths.values() if dataset.view.bands and not has_bands(path)]
    if others:
        yield (
            f"'bands' {list(dataset.view.bands)} in dataset.json choose channels of TIFF files and 16-bit color "
            f"images; {len(others)} of {len(dataset.paths)} images are neither, and are shown as they are, first "
            f"{others[0].name!r:.80}."
        )


def _of_splits(dataset: Dataset) -> Iterator[str]:
    listed = set[str]()
    for split in dataset.splits:
        try:
            keys = dataset.keys(split)
        except InputError as error:
            if split in COMMON_SPLITS:  # else it may be no list of images
                yield str(error)
            continue
        listed.update(keys)
        lost = [key for key in keys if key not in dataset.paths]
        if lost and (split in COMMON_SPLITS or len(lost) < len(keys)):
            near = near_key(lost[0], dataset.paths)
            yield f"{split}.txt: {_entries(len(lost))} no image, first {lost[0]!r:.80}{near}."
    hinted = dataset.paths.keys() & set[str]().union(*dataset.hint_keys().values())
    if "train" in dataset.splits and (left := sorted(hinted - listed)):
        yield (
            f"no split (train.txt, val.txt, …) lists these images with hints or masks: {len(left)}, first "
            f"{left[0]!r:.80}; nothing is trained or measured on them."
        )
    held_out = filter(is_held_out, reversed(dataset.splits))  # val before test
    for one, other in combinations(("train", *held_out), 2):
        yield from _of_two_splits(dataset, one, other)


def _of_two_splits(dataset: Dataset, one: str, other: str) -> Iterator[str]:
    try:
        first, second = set(dataset.keys(one)), dataset.keys(other)
    except InputError:
        return
    if shared := [key for key in second if key in first]:
        whole = "" if one in dataset.splits else f", since without {one}.txt there is nothing else to train on"
        yield f"{other}.txt: {len(shared)} of {len(second)} images are in {one}, too{whole}; first {shared[0]!r:.80}."


def _entries(count: int) -> str:
    return "1 entry names" if count == 1 else f"{count} entries name"


def _is_rest(name: str) -> bool:
    return is_background_name(name) or is_ignored_name(name)


def _counts(labels: NDArray[np.uint8]) -> NDArray[np.intp]:
    return np.bincount(labels.ravel(), minlength=256)
