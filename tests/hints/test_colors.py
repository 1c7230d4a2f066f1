"""Colors that somebody chose in the studio, wherever masks of the data set are shown."""

import json
import re

import PIL.Image
import pytest
from tests.apps.cli.test_cli import hintseg, trained  # noqa: F401  fixtures

from hintseg.hints.colors import by_name, chosen_colors, with_palette
from hintseg.inference.run_config import RunConfig
from hintseg.io.palette import class_colors, label_palette

ROSE = "#ff0066"


@pytest.fixture
def chosen(scenes):
    """The tiny data set; its second class, square, has a color of its own."""
    (scenes.root / "studio").mkdir()
    (scenes.root / "studio/classes.json").write_text(json.dumps({"square": "a1", "gone": "b2"}))
    (scenes.root / "studio/appearance.json").write_text(
        json.dumps({"order": [], "colors": {"a1": ROSE, "b2": "#000000", "c3": "no color"}})
    )
    return scenes


def color_of(path, label):
    return tuple(PIL.Image.open(path).getpalette()[3 * label : 3 * label + 3])


def test_colors_go_by_the_name_of_a_class(chosen):
    assert chosen.colors == (class_colors()[0], ROSE, class_colors()[2])
    assert chosen_colors(chosen.root, ["disc", "ground"]) == ()
    assert by_name({"cow": ROSE}, ["grass", "cow"]) == (class_colors()[0], ROSE)


@pytest.mark.parametrize("text", ["[]", "{", '{"order": 1, "colors": 2}', '{"colors": {}}'])
def test_damaged_choices_are_none(chosen, text):
    (chosen.root / "studio/appearance.json").write_text(text)
    assert chosen.colors == ()


def test_chosen_colors_leave_the_others_of_the_palette():
    palette, changed = label_palette(), label_palette(["#010203"])
    assert changed[0].tolist() == [1, 2, 3]
    assert (changed[1:] == palette[1:]).all()


@pytest.mark.slow
def test_masks_reports_and_exports_have_them(chosen, hintseg, trained, tmp_path):  # noqa: F811
    rose, report = (255, 0, 102), (trained / "report.html").read_text("utf-8")
    assert RunConfig.load(trained / "run.json").colors[1] == ROSE
    assert re.search(r"rgb\(255,0,102\)\"></i>square", report)
    photographs, masks = chosen.root / "images", tmp_path / "masks"
    assert hintseg("predict", trained, photographs, "--out", masks)[0] == 0
    assert color_of(masks / "scene 5 ä.png", 1) == rose
    assert hintseg("complete", chosen.root, "--method", "harmonic", "--out", tmp_path / "grown")[0] == 0
    assert color_of(next((tmp_path / "grown").glob("*.png")), 1) == rose
    code, _, error = hintseg(
        "export", trained, "--masks", masks, "--images", photographs, "--format", "png", "--out", tmp_path / "out"
    )
    assert code == 0, error
    assert color_of(next((tmp_path / "out").rglob("*.png")), 1) == rose


def test_a_run_with_other_colors_is_damaged(chosen, hintseg, trained):  # noqa: F811
    content = json.loads((trained / "run.json").read_text("utf-8"))
    for colors in (["red", "green", "blue"], [ROSE], [1, 2, 3]):
        (trained / "run.json").write_text(json.dumps(content | {"colors": colors}))
        code, _, error = hintseg("report", trained)
        assert (code, "is damaged" in error) == (2, True)
    del content["colors"]  # as older versions wrote it
    (trained / "run.json").write_text(json.dumps(content))
    assert RunConfig.load(trained / "run.json").colors == ()
    (trained / "run.json").write_text(json.dumps(content | {"colours": [ROSE, "#000000", "#ffffff"]}))
    assert RunConfig.load(trained / "run.json").colors == (ROSE, "#000000", "#ffffff")


def test_colors_under_their_earlier_key_are_read(chosen):
    path = chosen.root / "studio/appearance.json"
    path.write_text(path.read_text("utf-8").replace("colors", "colours"), "utf-8")
    assert chosen_colors(chosen.root, ["ground", "square"])[1] == ROSE


def test_a_color_that_somebody_chose_is_no_other_classes_and_later_classes_change_none():
    palette = class_colors()
    two = with_palette([palette[1], None])
    assert two == [palette[1], palette[0]]
    three = with_palette([palette[1], None, None])
    assert three[:2] == two
    assert len(set(with_palette([palette[5], *[None] * 20]))) == 21
