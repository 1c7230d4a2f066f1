"""What the server refuses, in a real browser: it stays on the page, says why, and replaces nothing that is newer."""

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")

from tests.apps.studio.browsing import add, expect, free_port, scribble, stale, stored
from tests.apps.studio.waiting import eventually

HINTS = "**/api/hints/astronaut"
FULL = "the disk is full; free some space."


@pytest.fixture
def tabs(browser, serve, photographs):
    """Pages that know the class "dog" and ask for nothing by themselves, so many."""

    def tabs(count):
        port = free_port()
        serve(photographs, port)
        pages = stale(browser, port, count)
        add(pages[0], "dog")
        for page in pages[1:]:
            page.reload()
            expect(page.locator("#classes li")).to_have_count(1)
        return pages

    return tabs


def refuse(page, answer):
    """Let every save be answered by `answer(route)`, until the page is unrouted."""
    page.route(HINTS, lambda route: answer(route) if route.request.method == "PUT" else route.continue_())


def full(route):
    route.fulfill(status=422, json={"detail": FULL})


def taken(route):
    route.fetch()
    route.fulfill(status=500, body="no")


def line(page, height):
    scribble(page, (0.1, height), (0.6, height))


def turn(page, *names):
    for name in names:
        page.locator("#images button", has_text=name).click()
        expect(page.locator("#images [aria-current=true] span")).to_have_text(name)


def disagreeing(one, two):
    """The first page draws what is refused, the second saves, the first draws on."""
    refuse(one, full)
    line(one, 0.2)
    expect(one.locator("#saved")).to_have_text("NOT saved: astronaut")
    one.unroute(HINTS)
    line(two, 0.4)
    expect(two.locator("#saved")).to_have_text("saved")
    line(one, 0.6)
    expect(one.locator("#notice")).to_contain_text("There: 1 stroke. Here: 2 strokes")


def require_both(page, photographs):
    """Merging after another image was looked at keeps two strokes of this page and one of the other."""
    turn(page, "cat", "astronaut")
    expect(page.locator("#notice")).to_contain_text("There: 1 stroke. Here: 2 strokes")
    page.click("text=Merge: keep both")
    expect(page.locator("#saved")).to_have_text("saved")
    assert stored(photographs) == ["dog"] * 3


@pytest.mark.slow
def test_what_was_refused_first_never_replaces_what_was_drawn_since(tabs, photographs):
    one, two = tabs(2)
    disagreeing(one, two)
    two.keyboard.press("Control+z")
    expect(two.locator("#saved")).to_have_text("saved")
    one.unroute("**/api/state*")
    eventually(lambda: stored(photographs) == ["dog"] * 2 or one.wait_for_timeout(10))  # nobody disagrees any more
    expect(one.locator("#saved")).to_have_text("saved")
    expect(one.locator("#notice")).to_be_hidden()


@pytest.mark.slow
def test_what_was_refused_first_takes_no_stroke_out_of_a_conflict(tabs, photographs):
    one, two = tabs(2)
    disagreeing(one, two)
    one.unroute("**/api/state*")
    one.wait_for_timeout(5000)  # a poll, after which refused hints are sent again
    require_both(one, photographs)


@pytest.mark.slow
def test_what_is_refused_during_a_conflict_is_part_of_it(tabs, photographs):
    one, two = tabs(2)
    line(one, 0.2)
    expect(one.locator("#saved")).to_have_text("saved")
    line(two, 0.4)
    expect(two.locator("#notice")).to_contain_text("There: 1 stroke. Here: 1 stroke")
    refuse(two, full)
    line(two, 0.6)
    expect(two.locator("#error-text")).to_have_text(FULL)
    two.unroute(HINTS)
    require_both(two, photographs)


@pytest.mark.slow
def test_what_was_saved_but_answered_as_refused_is_no_conflict(tabs, photographs):
    (page,) = tabs(1)
    refuse(page, taken)
    line(page, 0.2)
    expect(page.locator("#saved")).to_have_text("NOT saved: astronaut")
    page.unroute(HINTS)
    line(page, 0.4)
    expect(page.locator("#saved")).to_have_text("saved")
    expect(page.locator("#notice")).to_be_hidden()
    assert stored(photographs) == ["dog"] * 2
