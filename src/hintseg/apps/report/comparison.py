"""Objectives side by side: a table, and images with truth and every objective's mask."""

import html
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hintseg.apps.report.figures import Picture, hints_over, overlay
from hintseg.apps.report.html import legend, page, picture_row
from hintseg.hints.dataset import Dataset
from hintseg.hints.forms.registry import FORMS
from hintseg.inference.segmenter import Segmenter
from hintseg.io.writing import atomic_path
from hintseg.pseudo_labels.target import weak_target


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
    columns = list(table[0]) if table else []
    head = "".join(f"<th>{html.escape(column.replace('_', ' '))}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(row[column])}</td>" for column in columns) + "</tr>" for row in table
    )
    parts = [
        "<h1>hintseg compare</h1>",
        f"<p>Mean IoU in percent on {html.escape(split)}; completed: training masks; one network and one budget.</p>",
        f"<table><tr>{head}</tr>{body}</table>",
        legend(dataset.classes),
    ]
    parts += [picture_row(pictures) for pictures in compared(segmenters, dataset, split, images)]
    with atomic_path(path) as temporary:
        temporary.write_text(page("hintseg compare", parts), "utf-8")


def compared(
    segmenters: Mapping[str, Segmenter], dataset: Dataset, split: str, images: int
) -> Iterator[list[tuple[Picture, str]]]:
    """For images spread evenly over a split: the image, its hints and truth where it has any, and each one's mask."""
    keys = dataset.keys(split)
    for key in keys[:: max(len(keys) // images, 1)][:images]:
        image, truth = dataset.image(key), dataset.mask(key)
        hints = dataset.hints(key, [form for form in FORMS if form != "masks"])
        pictures = [(image, key)]
        if hints.localized():
            labels = weak_target(hints, image.shape[:2], len(dataset.classes)).likely
            pictures.append((hints_over(image, labels), "hints"))
        for row, segmenter in segmenters.items():
            mask = segmenter.predict_picture(segmenter.picture(dataset, key))
            pictures.append((overlay(image, segmenter.class_map(dataset).own_labels(mask)), row))
        if truth is not None:
            pictures.append((overlay(image, truth), "truth"))
        yield pictures
