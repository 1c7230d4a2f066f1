"""What is in a data set and what is wrong with it, before anything long starts."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from hintseg.errors import HintsegError, InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.digest import hint_digest, pixel_digest
from hintseg.hints.fractions import FractionCounts
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.hints.misspelt import misspelt
from hintseg.hints.stretch import contrast_warnings, lost_contrast
from hintseg.hints.suspicions import LabelMapCounts, suspicions
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.io.listing import passed_over_sentence
from hintseg.pseudo_labels.pipeline import middles, pseudo_labels


@dataclass
class Inspection:
    """Findings over a set of images.

    Attributes:
        images: images looked at.
        usable: keys whose image and hints can be read.
        hint_types: hint type → images that carry it.
        pixels: of all usable images.
        hinted_pixels: class → pixels that any hint labels.
        images_of_class: class → images whose hints name it.
        largest: longest side of the largest usable image, pixels.
        digests: usable key → digests of its pixels and of its hints, where they were asked for.
        corrections: what was done to hints that leave their image → how often.
        errors: sentences, each naming a file that cannot be used.
        warnings: sentences about what is missing.
    """

    images: int = 0
    usable: list[str] = field(default_factory=list)
    hint_types: Counter[str] = field(default_factory=Counter)
    pixels: int = 0
    hinted_pixels: Counter[int] = field(default_factory=Counter)
    images_of_class: Counter[int] = field(default_factory=Counter)
    largest: int = 0
    digests: dict[str, tuple[str, str]] = field(default_factory=dict)
    corrections: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def inspect(
    dataset: Dataset,
    keys: Iterable[str],
    hint_types: Iterable[str] = HINT_TYPES,
    progress: Callable[[int], None] | None = None,
    digests: bool = False,
) -> Inspection:
    """Decode every image and hint.

    Args:
        digests: also find those of every usable image.
        progress: called with the number of images done.
    """
    hint_types = tuple(hint_types)
    found = Inspection()
    tally: Counter[str] = Counter()
    label_maps, fractions, flat = LabelMapCounts(), FractionCounts(), list[str]()
    for number, key in enumerate(keys):
        found.images += 1
        try:
            image, valid = decoded = dataset.decoded(key)
            hints, contours = dataset.hints(key, hint_types, image.shape[:2]), dataset.contours(key)
            if digests:
                found.digests[key] = pixel_digest(decoded, contours), hint_digest(hints)
        except HintsegError as error:
            found.errors.append(str(error))
        else:
            found.usable.append(key)
            found.largest = max(found.largest, *image.shape[:2])
            found.hint_types.update(hints.types())
            found.corrections.update(hints.corrections)
            label_maps.add(hints)
            fractions.add_hints(hints, image.shape)
            if lost_contrast(dataset.path(key), dataset.shown, decoded):
                flat.append(key)
            tally["hinted"] += bool(hints.types())
            whole = decoded._replace(valid=None)
            drawn = pseudo_labels(whole, hints, len(dataset.classes), find_in_boxes=middles)
            labels = drawn.seeds
            tally["single"] += bool(drawn.candidate_classes.sum() == 1 and hints.mask is None and hints.localized())
            if valid is not None:
                tally["empty"] += not valid.any()
                tally["ignored"] += int(np.count_nonzero(labels[~valid] < UNLABELED))
                labels[~valid] = IGNORE_INDEX
            found.pixels += labels.size
            counts = np.bincount(labels.ravel(), minlength=256)[:UNLABELED]
            found.hinted_pixels.update({int(label): int(counts[label]) for label in np.flatnonzero(counts)})
            found.images_of_class.update(hints.classes())
        if progress is not None:
            progress(number + 1)
    _warn(found, dataset, tally)
    found.warnings += [f"{what}: {count}." for what, count in found.corrections.items()]
    found.warnings += fractions.sentences()
    found.warnings += suspicions(dataset, label_maps)
    found.warnings += contrast_warnings(dataset.shown, tuple(dataset.paths.values()), flat, found.images)
    return found


def require_trainable(found: Inspection, dataset: Dataset, hint_types: Iterable[str], on_error: str) -> tuple[str, ...]:
    """Keys to train on.

    Args:
        on_error: "refuse" stops at the first unusable file, "skip" leaves it out.

    Raises:
        InputError: unusable files (refuse), no hint at all, or tags alone that are not complete.
    """
    if found.errors and on_error == "refuse":
        more = f" ({len(found.errors) - 1} more; see hintseg check)" if len(found.errors) > 1 else ""
        raise InputError(f"{found.errors[0]}{more} Mend it, or leave such images out with --on-error skip.")
    if not found.usable:
        raise InputError(f"{dataset.root}: no image can be used.")
    if not found.hinted_pixels and found.images_of_class and not dataset.tags_exhaustive:
        raise InputError(
            f"{dataset.root}: there are tags alone, and dataset.json says that they are not exhaustive. Tag every "
            'class of each image and set "tags_exhaustive" to true (in the studio, tick "tags are exhaustive"), or '
            "draw a point or a stroke."
        )
    if not found.hinted_pixels and not found.images_of_class:
        wanted, said = ", ".join(hint_types), "".join(f" {sentence}" for sentence in misspelt(dataset.root))
        raise InputError(
            f"{dataset.root}: none of the {found.images} training images has a hint to learn from "
            f"(looked for {wanted}); add some, or choose other --hints.{said}"
        )
    return tuple(found.usable)


def _warn(found: Inspection, dataset: Dataset, tally: Counter[str]) -> None:
    """Sentences about all images together; `tally`: images hinted, empty, of a single class; pixels ignored."""
    missing = []
    for label, name in enumerate(dataset.classes):
        if not found.images_of_class[label] and not found.hinted_pixels[label] and label != dataset.background:
            missing.append(repr(name))
        elif 0 < found.hinted_pixels[label] < 50:
            found.warnings.append(f"class {name!r} has only {found.hinted_pixels[label]} hinted pixels.")
    if missing:
        what = f"class {missing[0]} is" if len(missing) == 1 else f"classes {', '.join(missing)} are"
        found.warnings.append(f"{what} never hinted and cannot be learned.")
    if len(dataset.classes) == 1:
        found.warnings.append(
            f"{dataset.classes[0]!r} is the only class, so there is nothing to tell it from; name more."
        )
    pointed = found.hint_types["points"] + found.hint_types["scribbles"]
    if dataset.background is not None and pointed and not found.hinted_pixels[dataset.background]:
        name = dataset.classes[dataset.background]
        found.warnings.append(
            f"the background ({name!r}) has no localized hint; it needs a click or stroke like any class."
        )
    if dataset.background is None and found.hint_types["boxes"]:
        found.warnings.append(
            "there are boxes, but no class is the background: what a box shows besides its object is taken for its "
            "class. Name the background in dataset.json (import has --background)."
        )
    if (blank := found.images - len(found.errors) - tally["hinted"]) > 0:
        found.warnings.append(f"{blank} of {found.images} images have no hint.")
    if dataset.passed_over:
        found.warnings.append(passed_over_sentence("images/", dataset.passed_over))
    if tally["empty"]:
        found.warnings.append(f"{tally['empty']} of {found.images} images hold no data at all.")
    if tally["single"] and len(dataset.classes) > 1:
        found.warnings.append(
            f"In {tally['single']} of {found.images} images only one class has hints, so all of such an image is taken "
            'for that class. Hint a second class there, or set "tags_exhaustive" to false in dataset.json (in the '
            'studio, untick "tags are exhaustive").'
        )
    if tally["ignored"]:
        found.warnings.append(f"{tally['ignored']} hinted pixels lie where their image holds no data, and are ignored.")
