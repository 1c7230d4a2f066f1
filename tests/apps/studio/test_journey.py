"""Someone who never saw a command line, in a real browser: classes, strokes, undo, training, masks, export, a crash."""

import json
import os
import re
import signal
import zipfile

import pytest

from hintseg.hints.dataset import Dataset

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")

from tests.apps.studio.browsing import (
    SCREENSHOTS,
    WEIGHTS,
    Hand,
    add,
    demo_strokes,
    expect,
    free_port,
    scribble,
    shoot,
    shown,
    stale,
    stored,
    table,
)
from tests.apps.studio.waiting import eventually


@pytest.mark.slow
def test_from_photographs_to_masks(browser, serve, photographs, tmp_path):
    port = free_port()
    serve(photographs, port)
    page = browser.new_page(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#images button")).to_have_count(5)
    expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
    hand = Hand(page)
    for number, name in enumerate(("background", "person", "cat", "cup")):
        page.fill("#name", name)
        page.click("#add button")
        expect(page.locator("#classes li")).to_have_count(number + 1)
    assert not Dataset.open(photographs).tags_exhaustive
    page.check("#complete")
    eventually(lambda: Dataset.open(photographs).tags_exhaustive)
    shoot(page, "studio-classes")

    # Strokes, on disk as soon as the page says so; undo and redo reach the disk, too.
    page.locator("#images button", has_text="cup").click()
    expect(page.locator("#images [aria-current=true] span")).to_have_text("cup")
    for label, name in ((0, "background"), (3, "cup")):
        hand.choose(label)
        for stroke in demo_strokes("cup", name):
            hand.draw(*stroke)
    strokes = lambda: [row[0] for row in table(photographs, "scribbles").get("cup", [])]  # noqa: E731
    everything = strokes()
    assert set(everything) == {0, 3}
    page.keyboard.press("Control+z")
    eventually(lambda: strokes() == everything[:-1])
    page.keyboard.press("Control+y")
    eventually(lambda: strokes() == everything)
    learned = "hints alone" if WEIGHTS == "none" else "learned from all hints"
    expect(page.locator("#source")).to_contain_text(learned, timeout=60_000)
    page.wait_for_timeout(500)
    shoot(page, "studio-draw")

    # A point and a box by keyboard on another photograph, the point erased again; a ticked class.
    page.locator("#images button", has_text="cat").click()
    expect(page.locator("#images [aria-current=true] span")).to_have_text("cat")
    page.keyboard.press("p")
    page.keyboard.press("1")
    hand.draw((0.05, 0.05))
    page.keyboard.press("b")
    page.keyboard.press("3")
    hand.draw((0.005, 0.01), (0.88, 0.99))
    hints = Dataset.open(photographs).hints("cat")
    assert [point.label for point in hints.points] == [0]
    assert [box.label for box in hints.boxes] == [2]
    expect(page.locator("#source")).to_contain_text(learned, timeout=60_000)
    page.wait_for_timeout(500)
    shoot(page, "studio-box")
    page.keyboard.press("e")
    hand.draw((0.05, 0.05))
    eventually(lambda: not table(photographs, "points"))
    page.locator("#classes input").nth(1).check()
    eventually(lambda: table(photographs, "tags") == {"cat": [1]})
    page.locator("#classes input").nth(1).uncheck()
    page.keyboard.press("s")
    for label, name in ((0, "background"), (2, "cat")):
        hand.choose(label)
        for stroke in demo_strokes("cat", name):
            hand.draw(*stroke)

    # Train, watch, look at a segment's neighbors, accept, export.
    page.click("#train")
    expect(page.locator("#progress")).to_be_visible()
    if SCREENSHOTS:
        expect(page.locator("#stage")).to_contain_text("fitting", timeout=60_000)
    shoot(page, "studio-train")
    expect(page.locator("#source")).to_contain_text("mask of run-001", timeout=400_000)
    page.check("#uncertain")
    page.locator("#images button", has_text="cat").click()
    page.keyboard.press("l")
    held = []
    page.route("**/api/nearest/cat*", lambda route: held.append(route))
    page.mouse.click(*hand.at(0.5, 0.5))
    eventually(lambda: held or page.wait_for_timeout(10))
    with page.expect_response("**/api/mask/cat*"):  # the image is read again, before the answer and after it
        page.locator("#images button", has_text="cat").click()
    held[0].continue_()
    page.unroute("**/api/nearest/cat*")
    expect(page.locator("#neighbors button").first).to_be_visible()
    with page.expect_response("**/api/mask/cat*"):
        page.locator("#images button", has_text="cat").click()
    expect(page.locator("#neighbors button").first).to_be_visible()
    expect(page.locator("#source")).to_contain_text("mask of run-001")
    shoot(page, "studio-look")
    page.click("#accept")
    expect(page.locator("#accept")).to_have_text("Withdraw mask")
    assert (photographs / "masks" / "cat.png").exists()
    page.keyboard.press("s")
    page.locator("#images button", has_text="cup").click()
    expect(page.locator("#source")).to_contain_text("mask of run-001")
    shoot(page, "studio-mask")
    with page.expect_download() as download:
        page.click("#export")
    download.value.save_as(tmp_path / "masks.zip")
    names = zipfile.ZipFile(tmp_path / "masks.zip").namelist()
    assert sum(name.startswith("masks/") for name in names) == 5
    page.set_viewport_size({"width": 820, "height": 1180})  # a tablet
    for name in ("#train", "#export", "#accept", "[data-tool=scribble]", "#add button"):
        expect(page.locator(name)).to_be_in_viewport()
    shoot(page, "studio-tablet")
    assert not faults


@pytest.mark.slow
def test_a_killed_server_loses_no_stroke_that_was_shown_as_saved(browser, serve, photographs):
    port = free_port()
    server = serve(photographs, port)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
    page.fill("#name", "ground")
    page.click("#add button")
    expect(page.locator("#classes li")).to_have_count(1)
    hand = Hand(page)
    for count in range(1, 7):
        hand.draw((0.1, 0.1 * count), (0.8, 0.1 * count))
        if count % 2 == 0:
            os.kill(server.pid, signal.SIGKILL)
            server.wait()
            stored = json.loads((photographs / "scribbles.json").read_text("utf-8"))
            assert len(stored["astronaut"]) == count
            # A stroke drawn while the server is away waits in the page, which says so, and is sent when it is back.
            if count == 6:
                page.mouse.move(*hand.at(0.2, 0.9))
                page.mouse.down()
                page.mouse.move(*hand.at(0.7, 0.9), steps=3)
                page.mouse.up()
                expect(page.locator("#saved")).to_have_text("NOT saved")
                shoot(page, "studio-away")
            server = serve(photographs, port)
    expect(page.locator("#saved")).to_have_text(re.compile("^saved$"))
    assert len(json.loads((photographs / "scribbles.json").read_text("utf-8"))["astronaut"]) == 7
    assert not [path for path in photographs.rglob(".partial-*") if path.stat().st_size]
    page.reload()
    expect(page.locator("#undo")).to_be_disabled()
    assert len(Dataset.open(photographs).hints("astronaut").scribbles) == 7


def test_no_class_can_be_added_before_the_page_knows_the_classes(browser, serve, photographs):
    port = free_port()
    serve(photographs, port)
    page = browser.new_page()
    held = []
    page.route("**/api/project*", lambda route: held.append(route))
    with page.expect_request("**/api/project*"):
        page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#add button")).to_be_disabled()
    held[0].continue_()
    expect(page.locator("#add button")).to_be_enabled()


@pytest.mark.slow
def test_two_tabs_lose_neither_classes_nor_strokes(browser, serve, photographs):
    port = free_port()
    serve(photographs, port)
    one, two = stale(browser, port)

    # Both add a class; the second page knows nothing of the first one's, and says so.
    add(one, "dog")
    expect(one.locator("#classes li")).to_have_count(1)
    scribble(one, (0.1, 0.2), (0.6, 0.2))
    expect(one.locator("#saved")).to_have_text("saved")
    two.fill("#name", "tree")
    two.click("#add button")
    expect(two.locator("#notice")).to_contain_text("add “tree”")
    expect(two.locator("#classes li")).to_have_text(["dog"])
    shoot(two, "studio-classes-changed")
    two.click("text=Merge: keep both")
    expect(two.locator("#classes li")).to_have_text(["dog", "tree"])
    expect(two.locator("#notice")).to_be_hidden()
    assert stored(photographs) == ["dog"]

    # The second page, opened before the stroke, draws: both are kept, and merged when the user says so.
    two.locator("#classes .pick").nth(1).click()
    scribble(two, (0.1, 0.5), (0.6, 0.5))
    expect(two.locator("#notice")).to_contain_text("There: 1 stroke. Here: 1 stroke.")
    expect(two.locator("#saved")).to_have_text(re.compile("^NOT saved"))
    assert stored(photographs) == ["dog"]
    scribble(two, (0.1, 0.6), (0.6, 0.6))
    expect(two.locator("#notice")).to_contain_text("Here: 2 strokes.")
    shoot(two, "studio-conflict")
    two.click("text=Merge: keep both")
    expect(two.locator("#saved")).to_have_text("saved")
    expect(two.locator("#notice")).to_be_hidden()
    assert stored(photographs) == ["dog", "tree", "tree"]
    expect(two.locator("#undo")).to_be_disabled()
    assert not list((photographs / "studio" / "kept").glob("*.json"))

    # The first page is the stale one now; it takes what is there.
    scribble(one, (0.1, 0.8), (0.6, 0.8))
    expect(one.locator("#notice")).to_contain_text("There: 3 strokes. Here: 2 strokes.")
    one.click("text=Reload: keep theirs only")
    expect(one.locator("#saved")).to_have_text("saved")
    expect(one.locator("#classes li")).to_have_text(["dog", "tree"])
    assert stored(photographs) == ["dog", "tree", "tree"]

    # A page that is closed in a conflict leaves a copy, which the next one offers.
    scribble(one, (0.2, 0.9), (0.7, 0.9))
    expect(one.locator("#saved")).to_have_text("saved")
    scribble(two, (0.2, 0.3), (0.7, 0.3))
    expect(two.locator("#notice")).to_be_visible()
    two.unroute_all(behavior="ignoreErrors")
    two.close()
    one.reload()
    expect(one.locator("#notice")).to_contain_text("Hints of “astronaut” were not saved on")
    shoot(one, "studio-kept")
    one.click("text=Add them")
    expect(one.locator("#notice")).to_be_hidden()
    eventually(lambda: len(stored(photographs)) == 5)


@pytest.mark.slow
def test_a_tab_follows_what_another_one_saves(browser, serve, photographs):
    port = free_port()
    serve(photographs, port)
    one, two = stale(browser, port)
    two.unroute("**/api/state*")
    add(one, "dog")
    scribble(one, (0.1, 0.2), (0.6, 0.2))
    expect(two.locator("#classes li")).to_have_text(["dog"])
    expect(two.locator("#saved")).to_have_text("shown as changed elsewhere")
    scribble(two, (0.1, 0.5), (0.6, 0.5))
    expect(two.locator("#saved")).to_have_text("saved")
    assert stored(photographs) == ["dog", "dog"]


@pytest.mark.slow
def test_a_photograph_whose_hints_do_not_load_is_not_drawn_on(browser, serve, photographs):
    port = free_port()
    serve(photographs, port)
    (page,) = stale(browser, port, 1)
    add(page, "dog")
    page.route("**/api/hints/cat", lambda route: route.fulfill(status=500, body="no"))
    page.locator("#images button", has_text="cat").click()
    expect(page.locator("#error")).to_be_visible()
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    expect(page.locator("#saved")).to_have_text("saved")
    assert set(table(photographs, "scribbles")) == {"astronaut"}


@pytest.mark.slow
def test_masks_that_nobody_looks_at_are_given_up(browser, serve, photographs):
    port = free_port()
    serve(photographs, port)
    (page,) = stale(browser, port, 1)
    ended = []
    page.on("requestfailed", lambda request: ended.append(request.url))
    add(page, "dog")
    page.route("**/api/mask/astronaut*", lambda route: None)  # never answered
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    expect(page.locator("#source")).to_have_text("finding the mask …")
    page.locator("#images button", has_text="cat").click()
    eventually(lambda: any("/api/mask/astronaut" in url for url in ended) or page.wait_for_timeout(50))


@pytest.mark.slow
def test_one_finger_draws_and_two_move_and_zoom(browser, serve, photographs):
    port = free_port()
    serve(photographs, port)
    context = browser.new_context(viewport={"width": 820, "height": 1180}, has_touch=True)
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
    add(page, "dog")
    expect(page.locator("#classes li")).to_have_count(1)
    hand, session = Hand(page), context.new_cdp_session(page)

    def touch(kind, *places):
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(hand.at(*place) for place in places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (0.2, 0.2))
    touch("touchMove", (0.5, 0.3))
    touch("touchMove", (0.7, 0.4))
    touch("touchEnd")
    expect(page.locator("#saved")).to_have_text("saved")
    assert stored(photographs) == ["dog"]

    scale, left = shown(page, "[state.view.scale, state.view.x]")
    touch("touchStart", (0.4, 0.5))
    touch("touchStart", (0.4, 0.5), (0.6, 0.5))
    touch("touchMove", (0.3, 0.5), (0.7, 0.5))
    touch("touchEnd")
    larger, _ = shown(page, "[state.view.scale, state.view.x]")
    assert larger > 1.5 * scale
    left = shown(page, "state.view.x")
    touch("touchStart", (0.4, 0.5), (0.6, 0.5))
    touch("touchMove", (0.5, 0.5), (0.7, 0.5))
    touch("touchEnd")
    assert shown(page, "state.view.x") > left + 5
    assert shown(page, "state.hints.drawn.strokes.length") == 1
    assert stored(photographs) == ["dog"]


@pytest.mark.slow
def test_keys_are_shown_and_photographs_sorted_by_uncertainty(browser, serve, photographs):
    port = free_port()
    serve(photographs, port)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    places = {"cup": {"uncertainty": 5, "x": 150, "y": 100}, "cat": {"uncertainty": 9, "x": 3, "y": 4}}

    def uncertain(route):
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"uncertain": places})

    for place in ("**/api/project", "**/api/state*"):
        page.route(place, uncertain)
    page.goto(f"http://127.0.0.1:{port}/")
    names = page.locator("#images button span")
    expect(names.first).to_be_visible()
    before = names.all_text_contents()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#images button", has_text="cup").click()
    expect(page.locator("#images [aria-current=true] span")).to_have_text("cup")
    pixels = "document.getElementById('canvas').toDataURL()"
    eventually(lambda: shown(page, "state.view.photo !== null"))
    plain = page.evaluate(pixels)
    page.check("#uncertain")
    expect(names.first).to_have_text("cat")
    assert names.all_text_contents() == ["cat", "cup", *(name for name in before if name not in places)]
    assert page.evaluate(pixels) != plain, "a ring"
    page.uncheck("#uncertain")
    assert page.evaluate(pixels) == plain
