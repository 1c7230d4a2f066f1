"""A row of panels with titles and, where values are shown, a scale."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

INK, ACCENT, LINE = "#1b1f24", "#0969da", "#d0d7de"  # of hintseg's pages
DIVERGING, SEQUENTIAL = "RdBu_r", "viridis"
WIDTH = 9.0  # inches


class Panel(NamedTuple):
    """A picture, or a map of values between two limits with the scale's name."""

    title: str
    values: np.ndarray
    limits: tuple[float, float] | None = None
    scale: str = ""
    colors: str = SEQUENTIAL


class Histogram(NamedTuple):
    """How values between 0 and 1 are distributed, with the names of both axes."""

    across: str
    up: str
    values: np.ndarray


class Curve(NamedTuple):
    """Points and their spread, with the names of both axes."""

    name: str
    across: Sequence[float]
    up: Sequence[float]
    spread: Sequence[float]


Drawn = Panel | Histogram


def panels(path: Path, rows: Sequence[Sequence[Drawn]], quality: int = 85) -> None:
    """Draw rows of panels of one aspect; a histogram is as wide as they."""
    from matplotlib.figure import Figure

    across, tall = len(rows[0]), [_height(row) for row in rows]
    figure = Figure(figsize=(WIDTH, sum(tall)), layout="constrained")
    axes = figure.subplots(len(rows), across, height_ratios=tall, squeeze=False)
    for row, line in zip(rows, axes, strict=True):
        for drawn, axis in zip(row, line, strict=True):
            _histogram(axis, drawn) if isinstance(drawn, Histogram) else _panel(figure, axis, drawn)
    save(figure, path, quality)


def curves(path: Path, lines: Sequence[Curve], across: str, up: str) -> None:
    """Curves over one axis, which begins at zero."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 2, WIDTH / 3.4), layout="constrained")
    axis = figure.subplots()
    for line, color in zip(lines, (ACCENT, "#bf5700", "#2a7d4f", "#6e40aa"), strict=False):
        axis.errorbar(line.across, line.up, line.spread, label=line.name, color=color, marker="o", capsize=3)
    axis.legend(frameon=False, fontsize=8)
    _labeled(axis, across, up)
    axis.set_ylim(0, 100)
    save(figure, path)


def _height(row: Sequence[Drawn]) -> float:
    """Inches."""
    for drawn in row:
        if isinstance(drawn, Panel):
            height, width = drawn.values.shape[:2]
            scale = any(isinstance(one, Panel) and one.limits is not None for one in row)
            return WIDTH / len(row) * height / width + (0.7 if scale else 0.25)
    return WIDTH / len(row) * 0.5


def _panel(figure: Any, axis: Any, panel: Panel) -> None:
    axis.set_title(panel.title, fontsize=8, color=INK)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_anchor("N")
    for side in axis.spines.values():
        side.set_visible(False)
    if panel.limits is None:
        axis.imshow(panel.values)
        return
    low, high = panel.limits
    shown = axis.imshow(panel.values, cmap=panel.colors, vmin=low, vmax=high)
    bar = figure.colorbar(shown, ax=axis, orientation="horizontal", fraction=0.05, pad=0.03)
    bar.set_label(panel.scale, fontsize=7, color=INK)
    bar.ax.tick_params(labelsize=6, colors=INK)
    bar.outline.set_visible(False)


def _histogram(axis: Any, drawn: Histogram) -> None:
    values = drawn.values.ravel()
    axis.hist(values, bins=20, range=(0, 1), weights=np.full(values.size, 1 / values.size), color=ACCENT)
    axis.set_ylim(0, 0.7)
    _labeled(axis, drawn.across, drawn.up)


def _labeled(axis: Any, across: str, up: str) -> None:
    axis.set_xlabel(across, fontsize=8, color=INK)
    axis.set_ylabel(up, fontsize=8, color=INK)
    axis.tick_params(labelsize=7, colors=INK)
    for name, side in axis.spines.items():
        side.set_visible(name in ("left", "bottom"))
        side.set_color(LINE)


def save(figure: Any, path: Path, quality: int = 85) -> None:
    """Write a JPEG, white behind it."""
    figure.savefig(path, dpi=110, facecolor="white", pil_kwargs={"quality": quality})
