"""The page in a real browser: classes, lists, uncertainty, on a desk and on a phone."""

import csv
import json
import re
import shutil

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")

from tests.apps.studio.browsing import add, expect, opened, scribble, shown, stored
from tests.apps.studio.waiting import eventually


@pytest.fixture
def page(browser, serve, photographs):
    (photographs / "a damaged one with quite a long name, as people give them.png").write_bytes(b"\x89PNG\r\n")
    with opened(browser, serve, photographs) as page:
        yield page


def names(page):
    return page.locator("#classes .pick b").all_text_contents()


@pytest.mark.slow
def test_classes_are_moved_colored_hidden_and_deleted(page, photographs):
    for name in ("dog", "tree", "sky"):
        add(page, name)
        expect(page.locator("#classes .pick b", has_text=name)).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#classes .pick").nth(1).click()
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    eventually(lambda: stored(photographs) == ["tree"])

    # Moved on the page alone; the number keys follow.
    page.locator("#classes .more").nth(2).click()
    page.click("#class-up")
    page.click("#class-up")
    page.click("#class-cancel")
    eventually(lambda: names(page) == ["sky", "dog", "tree"])
    assert json.loads((photographs / "dataset.json").read_text("utf-8"))["classes"] == ["dog", "tree", "sky"]
    page.locator("#canvas").focus()
    page.keyboard.press("1")
    expect(page.locator("#classes .pick[aria-pressed=true]")).to_have_text("sky")

    # Renamed and colored at once; not to the name of another class.
    page.locator("#classes .more").nth(2).click()
    page.fill("#class-name", "sky")
    page.click("#class-form button.main")
    expect(page.locator("#class-uses")).to_contain_text("“sky” is another class already")
    page.fill("#class-name", "bush")
    page.locator("#class-color").fill("#ff00ff")
    page.click("#class-form button.main")
    eventually(lambda: names(page) == ["sky", "dog", "bush"])
    color = "getComputedStyle(document.querySelectorAll('#classes .swatch')[2]).backgroundColor"
    eventually(lambda: page.evaluate(color) == "rgb(255, 0, 255)")
    eventually(lambda: stored(photographs) == ["bush"])

    # Hidden, with its strokes.
    first = "(() => { const pen = new OffscreenCanvas(1, 1).getContext('2d'); if (state.view.mask) pen.drawImage(state.view.mask, 0, 0); return [...pen.getImageData(0, 0, 1, 1).data]; })()"  # noqa: E501
    eventually(lambda: shown(page, first) == [255, 0, 255, 255])
    pixels = "document.getElementById('canvas').toDataURL()"
    page.locator("#classes .eye").nth(2).hover()  # no brush over the image
    before = page.evaluate(pixels)
    page.locator("#classes .eye").nth(2).click()
    assert page.evaluate(pixels) != before
    page.locator("#classes .eye").nth(2).click()
    eventually(lambda: page.evaluate(pixels) == before)

    # Deleted only after it was said what goes with it; the other classes keep their hints.
    page.locator("#classes .pick").nth(0).click()
    scribble(page, (0.1, 0.8), (0.6, 0.8))
    eventually(lambda: stored(photographs) == ["bush", "sky"])
    page.locator("#classes .more").nth(2).click()
    expect(page.locator("#class-delete")).to_be_disabled()
    page.dblclick("#class-ask")
    expect(page.locator("#class-uses")).to_contain_text("1 hint on 1 image")
    assert names(page) == ["sky", "dog", "bush"]
    page.click("#class-delete")
    eventually(lambda: names(page) == ["sky", "dog"])
    assert stored(photographs) == ["sky"]
    eventually(lambda: shown(page, "state.hints.drawn.strokes.length") == 1)
    expect(page.locator("#undo")).to_be_disabled()
    scribble(page, (0.1, 0.5), (0.6, 0.5))
    expect(page.locator("#saved")).to_have_text("saved")
    assert stored(photographs) == ["sky", "sky"]


@pytest.mark.slow
def test_drawing_goes_on_where_hints_name_a_class_that_is_renamed(browser, serve, photographs):
    (photographs / "dataset.json").write_text('{"classes": ["dog", "tree"]}', "utf-8")
    (photographs / "points.json").write_text('{"astronaut": [[5, 5, "tree"]]}', "utf-8")
    with opened(browser, serve, photographs) as page:
        page.locator("#classes .pick").nth(1).click()
        page.locator("#classes .more").nth(1).click()
        page.fill("#class-name", "bush")
        page.route(
            "**/api/hints/astronaut", lambda route: route.continue_() if route.request.method == "PUT" else None
        )  # what follows from the name is not there yet
        page.click("#class-form button.main")
        eventually(lambda: names(page) == ["dog", "bush"])
        assert "bush" in (photographs / "points.json").read_text("utf-8")
        scribble(page, (0.1, 0.2), (0.6, 0.2))
        expect(page.locator("#saved")).to_have_text("saved")
        assert stored(photographs) == ["bush"]
        expect(page.locator("#notice")).to_be_hidden()


@pytest.mark.slow
def test_a_stroke_never_gets_another_class_than_the_one_just_added(page, photographs):
    add(page, "dog")
    held = []
    page.route("**/api/classes", lambda route: held.append(route))
    page.fill("#name", "tree")
    page.click("#add button")
    eventually(lambda: held or page.wait_for_timeout(10))
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    expect(page.locator("#error-text")).to_contain_text("the new class is still being saved")
    held[0].continue_()
    expect(page.locator("#classes .pick[aria-pressed=true]")).to_have_text("tree")
    scribble(page, (0.1, 0.4), (0.6, 0.4))
    eventually(lambda: stored(photographs) == ["tree"])
    expect(page.locator("#error")).to_be_hidden()


@pytest.mark.slow
def test_an_answer_about_one_class_lets_no_other_be_deleted(page):
    for name in ("dog", "tree"):
        add(page, name)
        expect(page.locator("#classes .pick b", has_text=name)).to_be_visible()
    held = []
    page.route("**/api/classes/*", lambda route: held.append(route))
    page.locator("#classes .more").nth(0).click()
    page.click("#class-ask")
    page.click("#class-cancel")
    page.locator("#classes .more").nth(1).click()
    eventually(lambda: held or page.wait_for_timeout(10))
    with page.expect_response("**/api/classes/*"):
        held[0].continue_()
    page.wait_for_timeout(200)
    expect(page.locator("#class-uses")).to_be_empty()
    expect(page.locator("#class-delete")).to_be_disabled()
    page.click("#class-ask")
    eventually(lambda: len(held) == 2 or page.wait_for_timeout(10))
    held[1].continue_()
    expect(page.locator("#class-delete")).to_be_enabled()
    expect(page.locator("#class-uses")).to_have_text("No hint and no mask uses this class.")


@pytest.mark.slow
def test_images_are_found_and_damaged_ones_are_marked_and_skipped(page):
    rows = page.locator("#images span")
    expect(rows).to_have_count(6)
    damaged = page.locator("#images li.damaged")
    expect(damaged).to_contain_text("damaged: cannot be read")
    box = damaged.locator("span").bounding_box()
    assert box["width"] <= 190
    assert page.evaluate("document.querySelector('#images .damaged span').scrollWidth") <= box["width"] + 1
    page.fill("#search", "cu")
    assert rows.all_text_contents() == ["astronaut", "cup"]
    expect(page.locator("#listed")).to_have_text("2 of 6 images are listed")
    page.fill("#search", "")
    add(page, "dog")
    expect(page.locator("#classes li")).to_have_count(1)  # a stroke before is refused: name a class first
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    expect(page.locator("#saved")).to_have_text("saved")
    page.select_option("#filter", "hinted")
    expect(rows).to_have_text(["astronaut"])
    page.select_option("#filter", "unhinted")
    expect(rows).to_have_count(6)  # the open one stays
    page.select_option("#filter", "all")
    page.locator("#canvas").focus()
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
    expect(page.locator("#error")).to_be_hidden()


@pytest.mark.slow
def test_a_damaged_image_says_why_until_it_opens(page, photographs):
    row = page.locator("#images li.damaged button")
    row.click()
    expect(page.locator("#error-text")).to_contain_text("a damaged one")
    expect(row).to_have_attribute("title", page.locator("#error-text").text_content())
    page.click("#error-close")
    expect(page.locator("#error")).to_be_hidden()
    (file,) = (photographs / "images").glob("a damaged one*")
    file.unlink()
    shutil.copyfile(photographs / "images" / "cup.png", file)
    row.click()
    expect(page.locator("#images [aria-current=true] span")).to_contain_text("a damaged one")
    expect(page.locator("#images li.damaged")).to_have_count(0)


@pytest.mark.slow
def test_where_there_is_no_mask_none_is_accepted(page):
    page.click("#accept")
    expect(page.locator("#error-text")).to_contain_text("no mask yet: name your classes, then draw")


@pytest.mark.slow
def test_the_next_most_uncertain_image_is_a_key_away(page):
    places = {
        key: {"uncertainty": worth, "x": 150, "y": 100}
        for key, worth in (("cup", 0.1), ("cat", 0.3), ("astronaut", 0.4))
    }

    def uncertain(route):
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"uncertain": places})

    page.route("**/api/state*", uncertain)
    expect(page.locator("#hottest")).to_be_enabled()
    page.locator("#canvas").focus()
    current = page.locator("#images [aria-current=true] span")
    for key in ("cat", "cup", "astronaut", "cat", "cup"):
        page.keyboard.press("n")
        expect(current).to_have_text(key)
    page.locator("#images span", has_text="cat").click()
    expect(current).to_have_text("cat")
    page.keyboard.press("n")
    expect(current).to_have_text("astronaut")  # not the one below cat
    page.keyboard.press("u")
    expect(page.locator("#heat-note")).to_contain_text("there is no model yet")


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1280, 800), (1024, 768), (400, 800)])
def test_nothing_is_cut_off(page, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    area = page.locator("#canvas").bounding_box()
    assert area["width"] > 0.45 * size[0]
    assert area["height"] > 0.4 * size[1]
    for name in ("#train", "#export", "#accept", "#next", "#add button", "[data-tool=box]"):
        page.locator(name).scroll_into_view_if_needed()
        expect(page.locator(name)).to_be_in_viewport()
    shown_buttons = "[...document.querySelectorAll('button')].filter((one) => one.offsetParent)"
    assert min(page.evaluate(f"{shown_buttons}.map((one) => one.offsetHeight)")) >= 30
    page.locator("#help").scroll_into_view_if_needed()
    page.click("#help")
    expect(page.locator("#keys-title")).to_be_in_viewport()  # read from its beginning


@pytest.mark.slow
def test_areas_are_shown_and_saved(page, photographs, tmp_path):
    for name in ("dog", "tree, old"):
        add(page, name)
        expect(page.locator("#classes .pick b", has_text=name)).to_be_visible()
    page.locator("#classes .pick").nth(0).click()
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    page.locator("#classes .pick").nth(1).click()
    scribble(page, (0.1, 0.8), (0.6, 0.8))
    expect(page.locator("#saved")).to_have_text("saved")
    page.click("#areas")
    expect(page.locator("#areas-note")).to_contain_text("1 of 6 images measured. Left out:")
    expect(page.locator("#areas-table tbody tr")).to_have_count(2)
    expect(page.locator("#areas-table tbody tr").nth(0)).to_contain_text("from this image's hints alone")
    with page.expect_download() as download:
        page.click("#areas-save")
    download.value.save_as(tmp_path / "areas.csv")
    rows = list(csv.DictReader((tmp_path / "areas.csv").read_text("utf-8").splitlines()))
    assert [(row["image"], row["class"]) for row in rows] == [("astronaut", "dog"), ("astronaut", "tree, old")]
    assert sum(int(row["pixels"]) for row in rows) == 300 * 210
    assert sum(float(row["percent"]) for row in rows) == pytest.approx(100, abs=0.01)
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.querySelector('#areas-dialog').offsetWidth") <= 400
    assert page.evaluate("document.querySelector('#areas-table tbody tr').offsetHeight") < 60  # no number is broken
    page.set_viewport_size({"width": 1280, "height": 800})
    page.click("#areas-close")
    # What goes wrong is said in the dialog, and what was measured until then can be saved.
    page.route("**/api/areas/cat", lambda route: route.abort())
    page.click("#areas")
    expect(page.locator("#areas-note")).to_have_text("the server does not answer")
    expect(page.locator("#areas-save")).to_be_enabled()
    expect(page.locator("#error")).to_be_hidden()


@pytest.mark.slow
def test_what_is_not_saved_is_said_until_it_is(page, photographs, tmp_path):
    add(page, "dog")
    expect(page.locator("#classes .pick b", has_text="dog")).to_be_visible()
    page.route("**/api/hints/astronaut", lambda route: route.fulfill(status=422, json={"detail": "full"}))
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    expect(page.locator("#saved")).to_have_text("NOT saved: astronaut")
    shutil.copyfile(photographs / "images" / "cup.png", tmp_path / "mug.png")
    page.set_input_files("#upload", tmp_path / "mug.png")
    expect(page.locator("#images span", has_text="mug")).to_have_count(1)
    expect(page.locator("#saved")).to_have_text("NOT saved: astronaut")
    page.unroute("**/api/hints/astronaut")
    scribble(page, (0.1, 0.5), (0.6, 0.5))
    expect(page.locator("#saved")).to_have_text("saved")
    # An accepted mask can be taken away; classes that change elsewhere color the mask anew.
    expect(page.locator("#source")).to_have_text("from this image's hints alone")
    page.click("#accept")
    expect(page.locator("#accept")).to_have_attribute("title", re.compile("^take the accepted mask away"))
    change = """async () => {
        const found = await (await fetch("/api/project")).json();
        const body = { classes: found.classes.map(({ id, name }) => ({ id, name, color: "#ff00ff" })), background: null };
        await fetch("/api/classes", { method: "PUT", headers: { "If-Match": found.version, "Content-Type": "application/json" }, body: JSON.stringify(body) });
    }"""  # noqa: E501
    with page.expect_response("**/api/mask/astronaut*"):
        page.evaluate(change)


@pytest.mark.slow
def test_a_bar_that_moves_time_that_is_left_and_what_stop_keeps(page):
    expect(page.locator("#saved")).to_have_text("nothing drawn yet")
    states = [
        {"training": True, "run": "run-001", "stage": "starting", "done": 0, "total": 0, "part": 0.0, "left": None},
        {"training": True, "run": "run-001", "stage": "fitting", "done": 1, "total": 2, "part": 0.6, "left": 12},
        {"training": True, "run": "run-001", "stage": "features", "done": 1, "total": 2, "part": 0.2, "left": 200},
        {"training": False, "run": "run-001", "stage": "features", "done": 1, "total": 2, "stopped": True},
    ]
    current = [0]

    def answer(route):
        given = route.fetch()
        route.fulfill(response=given, json=given.json() | states[current[0]])

    page.route("**/api/state*", answer)
    bar, stage = page.locator("#bar"), page.locator("#stage")
    expect(stage).to_have_text("starting")
    assert bar.get_attribute("value") is None  # moves by itself
    current[0] = 1
    expect(stage).to_have_text("fitting 1 of 2, about 15 s left")
    assert float(bar.get_attribute("value")) == 0.6
    current[0] = 2
    expect(stage).to_have_text("features 1 of 2, about 3 min left")
    assert float(bar.get_attribute("value")) == 0.6
    current[0] = 3
    expect(page.locator("#info")).to_contain_text("All hints and accepted masks stay")
    page.click("#info-close")
    # Stopped when it was done already: it serves, and that is said.
    current[0] = 2
    expect(page.locator("#progress")).to_be_visible()
    states[3] |= {"model": "run-001", "newest": "run-001"}
    current[0] = 3
    expect(page.locator("#info")).to_contain_text("run-001 is finished: masks of all images come from it now")
    # Classes that it learned were deleted meanwhile: it does not serve.
    current[0] = 2
    expect(page.locator("#info")).to_contain_text("run-001 is not used any more")
    states[3] |= {"model": "instant", "newest": None, "stopped": False}
    current[0] = 3
    expect(page.locator("#info")).to_contain_text("run-001 is finished, but not used")
    # The same by a server that was started anew after the run was done.
    current[0] = 2
    expect(page.locator("#progress")).to_be_visible()
    page.click("#info-close")
    states[3].pop("run")
    current[0] = 3
    expect(page.locator("#info")).to_contain_text("run-001 is finished, but not used")
    page.click("#info-close")
    page.wait_for_timeout(5000)
    expect(page.locator("#info")).to_be_hidden()


@pytest.mark.slow
def test_an_export_says_how_far_it_is_and_what_it_left_out(page):
    add(page, "dog")
    expect(page.locator("#classes .pick b", has_text="dog")).to_be_visible()
    held, saves, done = [], [], [0]

    def progress(route):
        done[0] = min(done[0] + 1, 3)
        route.fulfill(json={"stage": "masks", "done": done[0], "total": 6})

    page.route("**/api/hints/*", lambda route: saves.append(route))
    page.route("**/api/exporting", progress)
    page.route("**/api/export?*", lambda route: held.append(route))
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    page.click("#export")
    page.click("#areas")
    expect(page.locator("#areas-note")).to_have_text("saving what was drawn …")
    page.click("#areas-close")
    page.wait_for_timeout(300)
    assert not held
    saves[0].continue_()
    expect(page.locator("#info")).to_contain_text("Exporting: finding masks, image 4 of 6, about")
    expect(page.locator("#export")).to_be_disabled()
    answer = held[0].fetch()
    assert answer.headers["left-out"] == "0"
    with page.expect_download():
        held[0].fulfill(response=answer, headers=answer.headers | {"left-out": "1"})
    expect(page.locator("#info")).to_contain_text("1 image could not be exported")
    expect(page.locator("#export")).to_be_enabled()
    add(page, "dog")
    expect(page.locator("#info")).to_contain_text("“dog” is a class already")
