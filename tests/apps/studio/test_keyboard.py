"""Someone without a mouse: images, classes, strokes, learned masks, a correction, accepting, export and areas."""

import csv
import json
import zipfile

import pytest

from hintseg.hints.dataset import Dataset

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")

from tests.apps.studio.browsing import add, expect, free_port, opened, rows, shown, stored
from tests.apps.studio.waiting import eventually

FOCUS = "document.activeElement"


def tab_to(page, selector):
    """Press Tab until an element has the focus: it can be reached, and nothing before it is a trap."""
    for _ in range(80):
        if page.evaluate(f"{FOCUS}.matches({json.dumps(selector)})"):
            ring = page.evaluate(f"getComputedStyle({FOCUS}.closest('.file') ?? {FOCUS}).outlineStyle")
            assert ring != "none", f"{selector} has the focus and does not show it"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {selector}")


def press(page, key, times=1):
    for _ in range(times):
        page.keyboard.press(key)


def stroke(page, label, start, end):
    """A stroke of a class, between two places in shares of the image."""
    page.keyboard.press(str(label + 1))
    width, height, scale = shown(page, "[state.view.width, state.view.height, state.view.scale]")
    step = max(10 / scale, 1)

    def go(place):
        x, y = shown(page, "state.view.cross")
        for key, way in (
            (("ArrowLeft", "ArrowRight"), place[0] * width - x),
            (("ArrowUp", "ArrowDown"), place[1] * height - y),
        ):
            press(page, key[way > 0], round(abs(way) / step))

    go(start)
    press(page, "Space")
    go(end)
    press(page, "Space")
    expect(page.locator("#saved")).to_have_text("saved")


@pytest.mark.slow
def test_a_whole_project_needs_no_mouse(browser, serve, photographs, tmp_path):
    port = free_port()
    serve(tmp_path / "project", port, weights="auto")
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.on("filechooser", lambda chooser: chooser.set_files(sorted(photographs.iterdir())))
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#steps")).to_be_visible()
    expect(page.locator("#add button")).to_be_enabled()

    tab_to(page, "#upload")
    press(page, "Enter")
    expect(page.locator("#images button")).to_have_count(5)
    expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
    tab_to(page, "#name")
    for number, name in enumerate(("ground", "cat", "cup")):
        page.keyboard.type(name)
        press(page, "Enter")
        expect(page.locator("#classes li")).to_have_count(number + 1)
    expect(page.locator("#steps")).to_be_hidden()

    # Images in their list, one stop of Tab; strokes on two of them.
    press(page, "Escape")
    press(page, "k")
    press(page, "1")
    expect(page.locator("#cross")).to_contain_text("scribble ground, space: begin")
    press(page, "PageDown")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("cat")
    stroke(page, 1, (0.3, 0.5), (0.7, 0.5))
    stroke(page, 0, (0.05, 0.05), (0.3, 0.05))
    press(page, "PageDown")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("cup")
    stroke(page, 2, (0.5, 0.35), (0.65, 0.3))
    stroke(page, 0, (0.05, 0.1), (0.2, 0.1))
    expect(page.locator("#source")).to_have_text("learned from all hints", timeout=90_000)

    # A learned mask of an image without hints, corrected and accepted.
    tab_to(page, "#images button")
    press(page, "ArrowDown")
    assert page.evaluate(f"{FOCUS}.textContent").startswith("motorcycle")
    press(page, "Enter")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("motorcycle")
    expect(page.locator("#source")).to_have_text("learned from all hints", timeout=90_000)
    before = shown(page, "state.view.tag")
    press(page, "k")
    stroke(page, 0, (0.1, 0.9), (0.6, 0.9))
    eventually(lambda: shown(page, "state.view.tag") != before)
    expect(page.locator("#source")).to_have_text("learned from all hints", timeout=90_000)
    press(page, "a")
    expect(page.locator("#accept")).to_have_text("Withdraw mask")
    assert Dataset.open(tmp_path / "project").has_mask("motorcycle")

    # Export and areas.
    tab_to(page, "#format")
    press(page, "c")  # more letters choose another one where they come slowly
    expect(page.locator("#format")).to_have_value("coco")
    tab_to(page, "#export")
    with page.expect_download() as download:
        press(page, "Enter")
    download.value.save_as(tmp_path / "masks.zip")
    assert any(name.endswith(".json") for name in zipfile.ZipFile(tmp_path / "masks.zip").namelist())
    tab_to(page, "#areas")
    press(page, "Enter")
    expect(page.locator("#areas-note")).to_contain_text("5 images measured", timeout=60_000)
    tab_to(page, "#areas-save")
    with page.expect_download() as download:
        press(page, "Space")
    download.value.save_as(tmp_path / "areas.csv")
    measured = list(csv.DictReader((tmp_path / "areas.csv").read_text("utf-8").splitlines()))
    assert {row["image"] for row in measured} == set(Dataset.open(tmp_path / "project").paths)
    press(page, "Escape")
    expect(page.locator("#areas")).to_be_focused()


@pytest.fixture
def page(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        expect(page.locator("#classes li")).to_have_count(1)
        press(page, "k")
        yield page


@pytest.mark.slow
def test_every_tool_works_at_the_cross(page, photographs):
    press(page, "p")
    press(page, "Space")
    eventually(lambda: rows(photographs, "points") == [[150, 105, 0]])
    press(page, "b")
    press(page, "ArrowLeft", 10)
    press(page, "Space")
    press(page, "Shift+ArrowRight", 20)
    press(page, "Shift+ArrowDown", 10)
    press(page, "Enter")
    eventually(lambda: rows(photographs, "boxes"))
    x0, y0, x1, y1, _ = rows(photographs, "boxes")[0]
    assert (x1 - x0, y1 - y0) == (21, 11)
    press(page, "v")  # its corner, where the cross is
    press(page, "Space")
    press(page, "Shift+ArrowDown", 5)
    press(page, "Space")
    eventually(lambda: rows(photographs, "boxes")[0][:4] == [x0, y0, x1, y1 + 5])
    press(page, "o")
    for key in ("ArrowUp", "ArrowRight", "ArrowDown"):
        press(page, "Space")
        press(page, key, 8)
    press(page, "Enter")
    expect(page.locator("#hint-list li", has_text="region")).to_have_count(1)
    press(page, "Control+z")
    expect(page.locator("#hint-list li", has_text="region")).to_have_count(0)
    press(page, "s")
    press(page, "Space")
    press(page, "ArrowRight", 10)
    press(page, "Escape")  # gives the stroke up
    press(page, "Space")
    press(page, "ArrowRight", 30)
    press(page, "Space")
    eventually(lambda: stored(photographs) == ["dog"])
    press(page, "r")
    press(page, "ArrowLeft", 15)
    press(page, "Space")
    press(page, "Space")
    eventually(lambda: stored(photographs) == ["dog", "dog"])
    press(page, "e")
    press(page, "ArrowLeft", 10)
    press(page, "Space")
    eventually(lambda: stored(photographs) == ["dog"])


@pytest.mark.slow
def test_the_image_follows_the_cross_and_a_pointer_takes_it_away(page):
    press(page, "+", 8)
    press(page, "ArrowRight", 150)
    x, _, scale = shown(page, "[state.view.x, 0, state.view.scale]")
    assert shown(page, "state.view.cross[0]") == 299
    assert 0 < x + 299 * scale < page.evaluate("document.getElementById('canvas').clientWidth")
    assert scale > 4
    page.mouse.click(500, 400)
    assert shown(page, "state.view.cross") is None
    press(page, "ArrowRight")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("cat")


@pytest.mark.slow
def test_controls_keep_their_own_keys(page):
    tab_to(page, "#brush")
    press(page, "ArrowRight")
    expect(page.locator("#width")).to_have_text("15 px")
    tab_to(page, "#heat")
    press(page, "Space")
    expect(page.locator("#heat")).to_be_checked()
    tab_to(page, "#hint-count")
    press(page, "Enter")
    expect(page.locator("details[open] #hint-count")).to_have_count(0)
    expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
    # Quick changes of the class table wait for each other.
    tab_to(page, "#background")
    press(page, "ArrowDown")
    press(page, "ArrowUp")
    press(page, "ArrowDown")
    eventually(lambda: shown(page, "state.project.background !== null"))
    expect(page.locator("#notice")).to_be_hidden()
    # The focus comes back to the class, also when its row is a new one.
    tab_to(page, "#classes .more")
    press(page, "Enter")
    tab_to(page, "#class-up")
    press(page, "Enter")
    press(page, "Escape")
    expect(page.locator("#classes .more")).to_be_focused()
