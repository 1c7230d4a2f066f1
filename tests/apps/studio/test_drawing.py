"""Tools in a real browser: the brush, the polygon, the eraser of parts, moving, and the list of hints."""

import numpy as np
import pytest

from hintseg.hints.labels import IGNORE_INDEX
from hintseg.io.images import read_labels, write_labels

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")

from tests.apps.studio.browsing import Hand, add, expect, opened, rows, scribble, shown
from tests.apps.studio.waiting import eventually


def painted(folder, label=0):
    """Where the regions of a class lie in the first photograph."""
    path = folder / "scribbles" / "astronaut.png"
    return read_labels(path) == label if path.exists() else np.zeros((210, 300), bool)


@pytest.fixture
def page(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        expect(page.locator("#classes .pick b", has_text="dog")).to_be_visible()
        page.locator("#canvas").focus()
        yield page


@pytest.mark.slow
def test_the_brush_is_as_wide_on_the_screen_at_every_zoom(page, photographs):
    scribble(page, (0.3, 0.3), (0.6, 0.3))
    eventually(lambda: len(rows(photographs, "scribbles")) == 1)
    scale = shown(page, "state.view.scale")
    for _ in range(5):
        page.keyboard.press("+")
    assert shown(page, "state.view.scale") > 3 * scale
    scribble(page, (0.4, 0.5), (0.5, 0.5))
    eventually(lambda: len(rows(photographs, "scribbles")) == 2)
    coarse, fine = (row[2] for row in rows(photographs, "scribbles"))
    assert coarse == round(14 / scale)
    assert fine < coarse / 2
    # A circle shows how wide a stroke would be.
    pixels = "document.getElementById('canvas').toDataURL()"
    page.mouse.move(*Hand(page).at(0.5, 0.2))
    before = page.evaluate(pixels)
    page.keyboard.press("]")
    eventually(lambda: page.evaluate(pixels) != before)


@pytest.mark.slow
def test_a_window_that_changes_keeps_zoom_and_place(page):
    place = "[state.view.scale, state.view.x, state.view.y]"
    width = "document.getElementById('canvas').clientWidth"
    before, wide = shown(page, place), page.evaluate(width)
    page.set_viewport_size({"width": 1000, "height": 700})
    eventually(lambda: shown(page, place)[0] < before[0])  # fitted anew
    page.keyboard.press("+")
    zoomed = shown(page, place)
    page.set_viewport_size({"width": 1280, "height": 800})
    eventually(lambda: page.evaluate(width) == wide)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert shown(page, place) == zoomed
    page.keyboard.press("0")
    assert shown(page, place) == before


@pytest.mark.slow
def test_a_polygon_is_filled_and_undone_in_one_step(page, photographs):
    page.keyboard.press("o")
    hand = Hand(page)
    for place in ((0.2, 0.2), (0.6, 0.2), (0.6, 0.7), (0.2, 0.7)):
        page.mouse.click(*hand.at(*place))
    assert rows(photographs, "scribbles") == []
    page.keyboard.press("Enter")
    eventually(lambda: painted(photographs).sum() > 0)
    found = np.argwhere(painted(photographs))
    np.testing.assert_allclose(found.min(axis=0), (0.2 * 210, 0.2 * 300), atol=2)
    np.testing.assert_allclose(found.max(axis=0), (0.7 * 210, 0.6 * 300), atol=2)
    assert len(found) == np.prod(found.max(axis=0) - found.min(axis=0) + 1)
    expect(page.locator("#hint-count")).to_have_text("Hints of this image (1)")
    page.keyboard.press("Control+z")
    eventually(lambda: painted(photographs).sum() == 0)
    # Two fingers move the image and leave the corners.
    for place in ((0.3, 0.3), (0.7, 0.3)):
        page.mouse.click(*hand.at(*place))
    fingers = [
        dict(zip("xy", hand.at(*place), strict=True), id=number)
        for number, place in enumerate(((0.4, 0.6), (0.6, 0.6)))
    ]
    touch = page.context.new_cdp_session(page)
    for kind, points in (("Start", fingers[:1]), ("Start", fingers), ("End", [])):
        touch.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    assert shown(page, "state.hand.current.corners.length") == 2
    page.keyboard.press("Escape")
    # Two corners are none.
    page.mouse.click(*hand.at(0.2, 0.2))
    page.mouse.click(*hand.at(0.4, 0.2))
    page.keyboard.press("Enter")
    expect(page.locator("#hint-count")).to_have_text("Hints of this image (0)")


MASK_COLORS = """(({ mask }) => {
  if (!mask) return 0;
  const pen = new OffscreenCanvas(mask.width, mask.height).getContext("2d");
  pen.drawImage(mask, 0, 0);
  return new Set(new Uint32Array(pen.getImageData(0, 0, mask.width, mask.height).data.buffer)).size;
})(state.view)"""


@pytest.mark.slow
def test_an_area_of_the_mask_is_filled(page, photographs):
    page.keyboard.press("f")
    hand = Hand(page)
    page.mouse.click(*hand.at(0.5, 0.1))
    expect(page.locator("#error")).to_contain_text("nothing can be filled while no mask is shown")
    add(page, "tree")
    expect(page.locator("#classes .pick b", has_text="tree")).to_be_visible()
    page.locator("#canvas").focus()
    for key, height in (("1", 0.2), ("2", 0.8)):
        page.keyboard.press("s")
        page.keyboard.press(key)
        scribble(page, (0.1, height), (0.9, height))
    expect(page.locator("#source")).to_have_text("from this image's hints alone")
    eventually(lambda: shown(page, MASK_COLORS) == 2)  # the mask of both strokes
    page.route("**/api/mask/**", lambda route: None)  # a filled area changes the mask: that of the first click stays
    page.keyboard.press("f")
    page.mouse.click(*hand.at(0.1, 0.22))
    eventually(lambda: painted(photographs, 1).sum() > 300)
    area = painted(photographs, 1)
    assert area[round(0.22 * 210), 30]
    assert not area[round(0.8 * 210), 30:270].any()
    expect(page.locator("#hint-list li", has_text="region, tree")).to_have_count(1)
    page.keyboard.press("1")  # the same area again: the region changes its class, and is not there twice
    page.mouse.click(*hand.at(0.1, 0.22))
    eventually(lambda: painted(photographs, 0).sum() == area.sum())
    assert not painted(photographs, 1).any()
    expect(page.locator("#hint-list li", has_text="region")).to_have_count(1)
    page.keyboard.press("Control+z")
    eventually(lambda: (painted(photographs, 1) == area).all())


@pytest.mark.slow
def test_a_region_that_came_from_elsewhere_can_be_deleted(page, photographs):
    scribble(page, (0.3, 0.3), (0.6, 0.3))
    eventually(lambda: rows(photographs, "scribbles"))
    expect(page.locator("#saved")).to_have_text("saved")
    labels = np.full((210, 300), IGNORE_INDEX, np.uint8)
    labels[150:180, 50:90] = 0
    write_labels(photographs / "scribbles" / "astronaut.png", labels)
    eventually(lambda: shown(page, "state.hints.drawn.regions.length") == 1)
    page.locator("#hint-list li", has_text="region").locator("button").click()
    eventually(lambda: not painted(photographs).any())
    expect(page.locator("#saved")).to_have_text("saved")


@pytest.mark.slow
def test_brightness_contrast_and_channel_change_what_is_shown_alone(page, photographs):
    pixels = "document.getElementById('canvas').toDataURL()"
    plain = page.evaluate(pixels)
    page.click("#display summary")
    expect(page.locator("#channel option")).to_have_text(["all", "1", "2", "3"])
    page.locator("#brightness").fill("40")
    bright = page.evaluate(pixels)
    assert bright != plain
    page.select_option("#channel", "0")
    eventually(lambda: page.evaluate(pixels) != bright)
    page.keyboard.press("Escape")
    page.keyboard.press("PageDown")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("cat")
    expect(page.locator("#channel")).to_have_value("0")
    page.keyboard.press("PageUp")
    page.click("#plain")
    page.click("#display summary")
    eventually(lambda: page.evaluate(pixels) == plain)
    assert rows(photographs, "scribbles") == []


@pytest.mark.slow
def test_a_part_of_a_stroke_is_rubbed_out(page, photographs):
    scribble(page, (0.1, 0.5), (0.9, 0.5))
    eventually(lambda: len(rows(photographs, "scribbles")) == 1)
    page.keyboard.press("r")
    scribble(page, (0.5, 0.3), (0.5, 0.7))
    eventually(lambda: len(rows(photographs, "scribbles")) == 2)
    left, right = rows(photographs, "scribbles")
    assert max(x for x, _ in left[1]) < 150 < min(x for x, _ in right[1])
    page.keyboard.press("Control+z")
    eventually(lambda: len(rows(photographs, "scribbles")) == 1)


@pytest.mark.slow
def test_hints_of_a_hidden_class_stay_until_it_is_shown(page, photographs):
    scribble(page, (0.2, 0.5), (0.8, 0.5))
    page.keyboard.press("p")
    page.mouse.click(*Hand(page).at(0.2, 0.2))
    eventually(lambda: rows(photographs, "scribbles") and rows(photographs, "points"))
    page.click("#classes .eye")
    for tool, start, end in (
        ("r", (0.5, 0.3), (0.5, 0.7)),
        ("v", (0.2, 0.2), (0.3, 0.2)),
        ("e", (0.4, 0.5), (0.4, 0.5)),
    ):
        page.keyboard.press(tool)
        scribble(page, start, end)
    scribble(page, (0.2, 0.2), (0.2, 0.2))
    expect(page.locator("#hint-count")).to_have_text("Hints of this image (2)")
    assert shown(page, "state.hints.past.length") == 2
    page.keyboard.press("1")
    expect(page.locator("#classes .eye.closed")).to_have_count(0)
    scribble(page, (0.2, 0.2), (0.2, 0.2))
    eventually(lambda: not rows(photographs, "points"))


@pytest.mark.slow
def test_points_and_boxes_move_and_are_deleted_from_the_list(page, photographs):
    hand = Hand(page)
    page.keyboard.press("p")
    page.mouse.click(*hand.at(0.2, 0.2))
    page.keyboard.press("b")
    scribble(page, (0.4, 0.4), (0.8, 0.8))
    eventually(lambda: rows(photographs, "boxes"))
    (before,) = rows(photographs, "boxes")
    page.keyboard.press("v")
    scribble(page, (0.2, 0.2), (0.3, 0.2))
    eventually(lambda: abs(rows(photographs, "points")[0][0] - 90) <= 2)
    scribble(page, (0.6, 0.4), (0.6, 0.5))  # by its edge
    eventually(lambda: abs(rows(photographs, "boxes")[0][1] - before[1] - 21) <= 2)
    (moved,) = rows(photographs, "boxes")
    assert moved[2] - moved[0] == before[2] - before[0]
    page.keyboard.press("s")
    scribble(page, (0.1, 0.9), (0.3, 0.9))
    page.keyboard.press("v")
    scribble(page, (0.2, 0.9), (0.2, 0.7))
    expect(page.locator("#info-text")).to_contain_text("Only points and boxes can be moved")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#info")).to_be_hidden()  # it was about that image
    page.keyboard.press("ArrowLeft")
    page.locator("#hint-list li", has_text="stroke, dog").locator("button").click()
    scribble(page, (0.4, 0.5), (0.3, 0.3))  # by its corner
    eventually(lambda: rows(photographs, "boxes")[0][2:4] == moved[2:4] and rows(photographs, "boxes")[0][0] < moved[0])
    expect(page.locator("#hint-count")).to_have_text("Hints of this image (2)")
    page.locator("#hint-list li", has_text="box, dog").locator("button").click()
    eventually(lambda: rows(photographs, "boxes") == [])
    assert len(rows(photographs, "points")) == 1
