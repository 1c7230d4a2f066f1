"""Curves and confusion matrices of the report."""

import re

import numpy as np

from hintseg.apps.report.charts import chart, confusion, curves
from hintseg.apps.report.page import write_page


def test_a_curve_stands_on_axes_with_numbers():
    drawn = chart("loss", [(step, 4 - step / 100) for step in range(301)])
    names = [tick.name for tick in drawn.ticks]
    assert names[0] == "0"  # values from zero, steps from zero
    assert float(names[2]) > 3.9
    assert names[3:] == ["0", "300"]
    heights = [float(point.split(",")[1]) for point in drawn.line.split()]
    assert heights == sorted(heights)  # the loss falls, and y points down
    assert 50 <= len(heights) <= 70


def test_negative_values_and_single_points_are_drawn():
    drawn = chart("log likelihood", [(0, -2.0), (1, -1.0)])
    assert [tick.name for tick in drawn.ticks[:3]] == ["-2", "-1", "0"]
    assert len(chart("one", [(0, 0.0)]).line.split()) == 1


def test_columns_that_begin_late_have_charts_too(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("iteration,seconds,loss,mean_iou_val\n0,0.5,2,\n1,0.7,1,0.4\n", "utf-8")
    charts, seconds = curves(path)
    assert [one.name for one in charts] == ["loss", "mean_iou_val"]
    assert seconds == 0.6
    assert curves(tmp_path / "none.csv") == ([], None)


def test_cells_are_fractions_of_the_true_class():
    drawn = confusion(np.array([[3, 1, 0], [0, 0, 0]]), ["cell", "a very long name of a class"])
    assert [cell.opacity for cell in drawn.cells] == [0.75, 0.25, 0, 0]
    assert drawn.cells[1].title == "cell predicted as a very long name of a class: 25.0 %"
    assert drawn.rows[1].name == "a very long nam…"


def test_names_are_data_on_a_page(tmp_path):
    path = tmp_path / "page.html"
    wicked = '<script>alert("x")</script>'
    write_page(
        path, "run.html", wicked, [wicked], summary=wicked, evaluations=[], training=[wicked], predictions=[],
        neighbors=[], charts=[], seconds=None, configuration=wicked,
    )  # fmt: skip
    text = path.read_text("utf-8")
    assert "<script" not in text
    assert len(re.findall("&lt;script&gt;", text)) == 6
