"""Objectives side by side: a table, and images with truth and every objective's mask."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hintseg.apps.report.figures import RgbImage, draw_hints, overlay
from hintseg.apps.report.page import figure_row, write_page
from hintseg.hints.dataset import Dataset
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.inference.segmenter import Segmenter
from hintseg.pseudo_labels.pipeline import pseudo_labels


def write_comparison(
    path: Path, table: Sequence[Mapping[str, str]], segmenters: Mapping[str, Segmenter], dataset: Dataset, split: str,
    images: int = 6,
) -> None:  # fmt: skip
    """Write the page.

    Args:
        table: one mapping of column to text a row.
        segmenters: by row.
        dataset, split: where the images come from.
        images: how many, evenly over the split.
    """
    rows = [figure_row(shown) for shown in compared(segmenters, dataset, split, images)]
    columns = list(table[0]) if table else []
    write_page(
        path, "comparison.html", "hintseg compare", dataset.classes, dataset.colors,
        table=table, columns=columns, rows=rows, split=split,
    )  # fmt: skip


def compared(
    segmenters: Mapping[str, Segmenter], dataset: Dataset, split: str, images: int
) -> Iterator[list[tuple[RgbImage, str]]]:
    """For images spread evenly over a split: the image, its hints and truth where it has any, and each one's mask."""
    keys = dataset.keys(split)
    for key in keys[:: max(len(keys) // images, 1)][:images]:
        decoded, truth = dataset.decoded(key), dataset.mask(key)
        image = decoded.pixels
        hints = dataset.hints(key, [name for name in HINT_TYPES if name != "masks"])
        shown = [(image, key)]
        if hints.localized():
            labels = pseudo_labels(decoded, hints, len(dataset.classes)).seeds
            shown.append((draw_hints(image, labels, dataset.colors), "hints"))
        for row, segmenter in segmenters.items():
            mask = segmenter.class_map(dataset).own_labels(segmenter.predict_decoded(segmenter.decoded(dataset, key)))
            shown.append((overlay(image, mask, dataset.colors), row))
        if truth is not None:
            shown.append((overlay(image, truth, dataset.colors), "truth"))
        yield shown
