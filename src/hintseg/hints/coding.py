"""Which value of a label map means which class.

A pixel's value is the class index plus `first_label`. The values of `ignore_index` and `unlabeled` mean no class;
where one of them is 0, classes count from 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hintseg.errors import InputError
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.hints.names import is_unnamed, plain_name
from hintseg.io.images import read_label_map


@dataclass(frozen=True)
class LabelCoding:
    """Values of label maps.

    Attributes:
        num_classes: how many classes there are.
        ignore_index: value of ignored pixels in masks, beside 255.
        unlabeled: value of pixels that nobody labeled, in masks and scribbles; None: there is none in masks.
        first_label: value of the first class.
    """

    num_classes: int
    ignore_index: int = IGNORE_INDEX
    unlabeled: int | None = None
    first_label: int = 0

    @cached_property
    def _tables(self) -> dict[bool, NDArray[np.uint8]]:
        """Dense or not → label by value; meaningless where `known` is false."""
        tables = {}
        for dense in (True, False):
            table = (np.arange(256) - self.first_label).clip(0).astype(np.uint8)
            table[[255, self.ignore_index]] = IGNORE_INDEX if dense else UNLABELED
            if self.unlabeled is not None:
                table[self.unlabeled] = UNLABELED
            tables[dense] = table
        return tables

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """(256,) bool: whether a value means anything."""
        known = np.zeros(256, np.bool_)
        known[self.first_label : self.first_label + self.num_classes] = True
        known[[255, self.ignore_index]] = True
        if self.unlabeled is not None:
            known[self.unlabeled] = True
        return known

    @cached_property
    def class_values(self) -> frozenset[int]:
        """Values that mean a class."""
        values = range(self.first_label, self.first_label + self.num_classes)
        return frozenset(values) - {self.ignore_index, self.unlabeled}

    def read(
        self, path: Path, classes: Sequence[str], correct: Callable[[str], None] = lambda what: None
    ) -> NDArray[np.uint8]:
        """Values of a label map; 255 where its file says that there is no data, or all is transparent.

        Args:
            path: the image.
            classes: names by label; where hintseg wrote the image, its values must mean the same.
            correct: takes what is done to the image.

        Raises:
            InputError: it cannot be read, was written for other classes, or marks the value of a class as no data.
        """
        found = read_label_map(path)
        if found.classes is not None:
            self._require_own(found.values, found.classes, tuple(classes), path)
        meant = (self.ignore_index, self.unlabeled)  # without the file's say
        clear = tuple(value for value in found.clear if value not in meant)
        if clear:
            correct("label maps whose transparent pixels are taken as ignored or unlabeled")
        nodata = None if found.nodata in meant else found.nodata
        return found._replace(clear=clear, nodata=nodata).labels(path, self.class_values)

    def _require_own(
        self, values: NDArray[np.uint8], told: tuple[str, ...], classes: tuple[str, ...], path: Path
    ) -> None:
        if is_unnamed(told) or is_unnamed(classes):  # matched by number, as classes of runs are
            return
        for value in sorted(self.class_values & set(np.unique(values).tolist())):
            there, here = told[value] if value < len(told) else "no class", classes[value - self.first_label]
            if plain_name(there).casefold() != plain_name(here).casefold():
                raise InputError(
                    f"{path}: was written by hintseg for other classes "
                    f"({', '.join(told)}; its {value} is {there!r:.80}) "
                    f"than these ({', '.join(classes)}; {value} is {here!r:.80}); write it anew for this data set, "
                    "or import it with a classes.txt that names its values as this data set does."
                )

    def decode(self, values: NDArray[np.uint8], dense: bool, path: Path) -> NDArray[np.uint8]:
        """Label map of an image; what it leaves open is `UNLABELED`, or `IGNORE_INDEX` in a dense one.

        Raises:
            InputError: a value means nothing.
        """
        wrong = np.flatnonzero((np.bincount(values.ravel(), minlength=256) > 0) & ~self.known)
        if wrong.size:
            raise InputError(self._unknown(int(wrong[0]), path, dense))
        return self._tables[dense][values]

    def encode(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image of a label map; what it leaves open becomes 255, or the value of unlabeled in it.

        Raises:
            InputError: the value of a class means something else.
        """
        values = labels.astype(np.int64) + self.first_label
        taken = {self.ignore_index, IGNORE_INDEX, UNLABELED} | (
            {self.unlabeled} if self.unlabeled is not None else set()
        )
        if lost := sorted(taken & set(np.unique(values[labels < UNLABELED]).tolist())):
            raise InputError(
                f"class {lost[0] - self.first_label} has the value {lost[0]} in label maps, which means no class "
                "there; change first_label, ignore_index or unlabeled in dataset.json."
            )
        values[labels == IGNORE_INDEX] = IGNORE_INDEX
        values[labels == UNLABELED] = IGNORE_INDEX if self.unlabeled is None else self.unlabeled
        return values.astype(np.uint8)

    def described(self, classes: Sequence[str]) -> str:
        """A sentence about what values mean; empty where they are class indices and 255."""
        if not self.first_label and self.ignore_index == IGNORE_INDEX and self.unlabeled is None:
            return ""
        means = {self.first_label + label: repr(name) for label, name in enumerate(classes[:5])}
        means[self.ignore_index] = "ignored"
        if self.unlabeled is not None:
            means[self.unlabeled] = "unlabeled"
        said = ", ".join(f"{value} is {what}" for value, what in sorted(means.items()))
        return f"in label maps {said}{', …' if len(classes) > 5 else ''}"

    def _unknown(self, value: int, path: Path, dense: bool) -> str:
        last = self.first_label + self.num_classes - 1
        silent = f"{self.ignore_index} for ignored pixels" if dense else "255 for unlabeled"
        if self.unlabeled is not None:
            silent = f"{silent}, {self.unlabeled} for unlabeled" if dense else f"{self.unlabeled} for unlabeled"
        advice = ""
        if self.first_label == 0 and value == self.num_classes:
            advice = _meant(0)
        elif value == UNLABELED:
            advice = _meant(UNLABELED)
        return (
            f"{path}: has label {value} but there are {self.num_classes} classes "
            f"({self.first_label}..{last}) and {silent}{advice}."
        )


def _meant(value: int) -> str:
    entries = f'"ignore_index": {value} or "unlabeled": {value}'
    return f"; if {value} means ignored or unlabeled here, write {entries} into dataset.json"


def parse_coding(content: dict[str, Any], num_classes: int, path: Path) -> dict[str, Any]:
    """The entries 'ignore_index', 'unlabeled' and 'first_label' of dataset.json, as arguments of `LabelCoding`.

    Raises:
        InputError: one is invalid, or is the value of a class.
    """
    ignored, unlabeled = content.get("ignore_index", IGNORE_INDEX), content.get("unlabeled")
    first = content.get("first_label", int(ignored == 0 or unlabeled == 0))
    if type(first) is not int or first not in (0, 1) or first + num_classes > UNLABELED:
        raise InputError(
            f"{path}: 'first_label' must be 0, or 1 with less than {UNLABELED} classes, but is {first!r:.80}."
        )
    for name, value in (("ignore_index", ignored), ("unlabeled", unlabeled)):
        if value is None and name == "unlabeled":
            continue
        if type(value) is not int or not 0 <= value <= 255:
            raise InputError(f"{path}: {name!r} must be a value from 0 to 255 but is {value!r:.80}.")
        if first <= value < first + num_classes and not (value == 0 and "first_label" in content):
            raise InputError(
                f"{path}: {name!r} must be a value of no class (these have {first} to {first + num_classes - 1}) "
                f"but is {value}."
            )
    if unlabeled is not None and unlabeled in (ignored, IGNORE_INDEX):
        raise InputError(f"{path}: 'unlabeled' and 'ignore_index' are both {unlabeled}; they mean different things.")
    return {"ignore_index": ignored, "unlabeled": unlabeled, "first_label": first}
