"""What others take away while the page is open, in a real browser: images, classes, masks."""

import re

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")

from tests.apps.studio.browsing import add, expect, free_port, opened, scribble, stale, stored
from tests.apps.studio.waiting import eventually


@pytest.fixture
def tabs(browser, serve, photographs):
    """Pages that ask for nothing by themselves, so many."""
    port = free_port()
    serve(photographs, port)
    return lambda count: stale(browser, port, count)


@pytest.mark.slow
def test_strokes_on_an_image_that_is_gone_wait_for_it(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        image = next((photographs / "images").glob("astronaut.*"))
        image.rename(photographs / "away")
        scribble(page, (0.1, 0.2), (0.6, 0.2))
        expect(page.locator("#notice")).to_contain_text("“astronaut” is not in the project's folder images/ any more")
        expect(page.locator("#saved")).to_have_text("NOT saved: astronaut")
        assert stored(photographs) == []
        (photographs / "away").rename(image)
        expect(page.locator("#saved")).to_have_text("saved")
        expect(page.locator("#notice")).to_be_hidden()
        assert stored(photographs) == ["dog"]


@pytest.mark.slow
def test_what_is_drawn_after_an_image_came_back_is_what_is_saved(tabs, photographs):
    (page,) = tabs(1)
    add(page, "dog")
    image = next((photographs / "images").glob("astronaut.*"))
    image.rename(photographs / "away")
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    expect(page.locator("#saved")).to_have_text("NOT saved: astronaut")
    (photographs / "away").rename(image)
    held = []
    page.route("**/api/hints/astronaut", lambda route: held.append(route))
    scribble(page, (0.1, 0.4), (0.6, 0.4))
    eventually(lambda: held or page.wait_for_timeout(10))
    page.evaluate("import('/page/js/project.js').then((module) => module.readProject())")
    page.unroute("**/api/hints/astronaut")
    held[0].continue_()
    expect(page.locator("#saved")).to_have_text("saved")
    eventually(lambda: stored(photographs) == ["dog", "dog"] or page.wait_for_timeout(10))


@pytest.mark.slow
def test_strokes_on_an_image_that_is_gone_can_be_discarded(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        next((photographs / "images").glob("astronaut.*")).unlink()
        scribble(page, (0.1, 0.2), (0.6, 0.2))
        page.click("text=Discard what was drawn")
        expect(page.locator("#notice")).to_be_hidden()
        expect(page.locator("#saved")).to_have_text("saved")


@pytest.mark.slow
def test_a_mask_that_another_tab_accepts_is_shown_as_accepted(tabs, photographs):
    one, two = tabs(2)
    two.unroute("**/api/state*")
    add(one, "dog")
    scribble(one, (0.1, 0.2), (0.6, 0.2))
    expect(one.locator("#accept")).to_be_enabled()
    one.click("#accept")
    expect(one.locator("#accept")).to_have_text("Withdraw mask")
    expect(two.locator("#accept")).to_have_text("Withdraw mask")
    one.click("#accept")
    expect(two.locator("#accept")).to_have_text("Accept mask")


@pytest.mark.slow
def test_hints_of_a_class_that_another_tab_deletes_are_named_so(tabs, photographs):
    one, two = tabs(2)
    for name in ("dog", "sky"):
        add(one, name)
    two.reload()
    expect(two.locator("#classes li")).to_have_count(2)
    one.locator("#classes .more").nth(1).click()
    one.click("#class-ask")
    one.click("#class-delete")
    expect(one.locator("#saved")).to_have_text("class deleted")
    two.locator("#classes .pick").nth(1).click()
    scribble(two, (0.1, 0.2), (0.6, 0.2))
    expect(two.locator("#notice")).to_contain_text("(1 of classes that were deleted, which cannot be added")
    two.click("text=Merge: keep both")
    expect(two.locator("#saved")).to_have_text("saved")
    one.reload()
    expect(one.locator("#notice")).to_contain_text(re.compile("Hints of “astronaut” were not saved .*1 of classes"))
    expect(one.locator("#notice-choices button")).to_have_text(["Discard them"])
    one.click("text=Discard them")
    expect(one.locator("#notice")).to_be_hidden()
    eventually(lambda: not list((photographs / "studio" / "kept").glob("*.json")))
