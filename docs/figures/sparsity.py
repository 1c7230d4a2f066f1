"""Mean IoU by what is left of each stroke, from paper/results/sparsity.json.

Figure of the paper: scribbles of 100, 80, 50, 30 and 0 % of their length.
"""

import statistics
from pathlib import Path

from benchmarks.tables import load
from docs.figures.drawing import Curve, curves


def draw_sparsity(path: Path) -> None:
    """A curve a recipe, with the standard deviation over seeds."""
    rows = load("sparsity")["rows"]
    lines = []
    for recipe in dict.fromkeys(row["recipe"] for row in rows):
        own = sorted((row for row in rows if row["recipe"] == recipe), key=lambda row: row["coverage"])
        scores = [row["mean_iou"] for row in own]
        lines.append(Curve(
            recipe, [100 * row["coverage"] for row in own], [statistics.mean(score) for score in scores],
            [statistics.stdev(score) if len(score) > 1 else 0 for score in scores],
        ))  # fmt: skip
    curves(path, lines, "length of each stroke that is left, %", "mean IoU, %")
