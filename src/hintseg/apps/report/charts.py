"""Curves and confusion matrices as what a template draws."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

POINTS = 60  # of a curve, at most about this many
WIDTH, HEIGHT, LEFT, BOTTOM, EDGE = 280, 150, 44, 20, 10  # of a chart and its margins, pixels


class Text(NamedTuple):
    """A text of a drawing."""

    x: float
    y: float
    name: str
    anchor: str = "start"


class Chart(NamedTuple):
    """One value over the iterations."""

    name: str
    line: str
    axes: str
    ticks: list[Text]
    width: int = WIDTH
    height: int = HEIGHT


class Cell(NamedTuple):
    """One cell of a confusion matrix."""

    x: int
    y: int
    opacity: float
    title: str


class Confusion(NamedTuple):
    """A confusion matrix with the names of its classes."""

    width: int
    height: int
    side: int
    rows: list[Text]
    columns: list[Text]
    cells: list[Cell]


def curves(path: Path) -> tuple[list[Chart], float | None]:
    """A chart of every column of metrics.csv, and the median of the seconds an iteration took.

    A run that has no such file, as an instant one, has no charts.
    """
    try:
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError:
        return [], None
    if not rows:
        return [], None
    names = [name for name in dict.fromkeys([*rows[0], *rows[-1]]) if name not in ("iteration", "seconds")]
    seconds = [float(row["seconds"]) for row in rows if row.get("seconds")]
    points = {name: [(int(row["iteration"]), float(row[name])) for row in rows if row.get(name)] for name in names}
    return [chart(name, found) for name, found in points.items() if found], (
        round(float(np.median(seconds)), 2) if seconds else None
    )


def chart(name: str, points: Sequence[tuple[int, float]]) -> Chart:
    """Means of neighboring points, over axes that begin at zero where nothing is negative."""
    window = max(len(points) // POINTS, 1)
    steps, means = zip(
        *(
            (points[start][0], float(np.mean([value for _, value in points[start : start + window]])))
            for start in range(0, len(points), window)
        ),
        strict=True,
    )
    low, high, last = min(*means, 0.0), max(*means, 0.0), max(points[-1][0], 1)
    high = high if high > low else low + 1
    right, top, floor = WIDTH - EDGE, EDGE, HEIGHT - BOTTOM

    def across(step: float) -> float:
        return LEFT + (right - LEFT) * step / last

    def up(value: float) -> float:
        return floor - (floor - top) * (value - low) / (high - low)

    ticks = [Text(LEFT - 4, round(up(value) + 3, 1), f"{value:.3g}", "end") for value in (low, (low + high) / 2, high)]
    ends = (0, "middle"), (last, "end")
    ticks += [Text(round(across(step), 1), HEIGHT - 6, f"{step:g}", anchor) for step, anchor in ends]
    line = " ".join(f"{across(step):.1f},{up(value):.1f}" for step, value in zip(steps, means, strict=True))
    return Chart(name, line, f"M{LEFT} {top}V{floor}H{right}", ticks)


def confusion(counts: NDArray[np.int64], classes: Sequence[str]) -> Confusion:
    """Fractions of each true class.

    Args:
        counts: (C, C + 1) pixels, as `ConfusionMatrix.counts`.
    """
    shown = [name if len(name) <= 16 else name[:15] + "…" for name in classes]
    side = max(12, min(28, 420 // len(classes)))
    left, top = 8 + 6 * max(map(len, shown)), 12 + 6 * max(map(len, shown))
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = [
        Cell(
            left + column * side, top + row * side, round(float(fractions[row, column]), 3),
            f"{name} predicted as {other}: {100 * fractions[row, column]:.1f} %",
        )
        for row, name in enumerate(classes) for column, other in enumerate(classes)
    ]  # fmt: skip
    middle = side / 2 + 4
    return Confusion(
        left + side * len(classes) + top // 2, top + side * len(classes) + 2, side,
        [Text(left - 4, top + row * side + middle, name) for row, name in enumerate(shown)],
        [Text(left + column * side + middle, top - 4, name) for column, name in enumerate(shown)],
        cells,
    )  # fmt: skip
