"""Answers that come late, in a real browser: they undo nothing, and are taken for no other image."""

import re

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")

from tests.apps.studio.browsing import Hand, add, expect, free_port, rows, scribble, stale, stored, table
from tests.apps.studio.waiting import eventually


@pytest.fixture
def page(browser, serve, photographs):
    port = free_port()
    serve(photographs, port)
    (page,) = stale(browser, port, 1)  # which asks for nothing by itself
    add(page, "dog")
    return page


def late(page, pattern, method="GET"):
    """What the server answered before anything else happens, and the page is to be told later."""
    held = []

    def hold(route):
        if route.request.method == method:
            held.append((route, route.fetch()))
        else:
            route.continue_()

    page.route(pattern, hold)
    return held


def wait_for(page, held, count=1):
    eventually(lambda: len(held) >= count or page.wait_for_timeout(10))


def tell(page, held, number=0):
    route, answer = held[number]
    with page.expect_response(route.request.url):
        route.fulfill(response=answer)


def begin(page, module, call):
    """Let a module of the page do something that ends later: `end` waits for it."""
    page.evaluate(f"void (window.begun = import('/page/js/{module}.js').then((module) => module.{call}))")


def end(page):
    page.evaluate("window.begun")


def is_given_up(page, part):
    return page.expect_event("requestfailed", lambda request: part in request.url)


@pytest.mark.slow
def test_a_late_answer_does_not_take_back_a_class(page, photographs):
    held = late(page, "**/api/project")
    begin(page, "project", "readProject()")
    wait_for(page, held)
    add(page, "tree")
    tell(page, held)
    wait_for(page, held, 2)  # asked again
    tell(page, held, 1)
    end(page)
    expect(page.locator("#classes li")).to_have_text(["dog", "tree"])
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    eventually(lambda: stored(photographs) == ["tree"])
    expect(page.locator("#notice")).to_be_hidden()


@pytest.mark.slow
def test_a_late_answer_does_not_take_back_what_the_list_says_of_an_image(page):
    held = late(page, "**/api/project")
    begin(page, "project", "readProject()")
    wait_for(page, held)
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    expect(page.locator("#saved")).to_have_text("saved")
    tell(page, held)
    end(page)
    expect(page.locator("#images [aria-current=true] small")).to_have_text("scribbles")


@pytest.mark.slow
def test_a_mask_that_was_accepted_meanwhile_stays_accepted(page):
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    expect(page.locator("#source")).to_have_text("from this image's hints alone")
    held = late(page, "**/api/hints/astronaut")
    begin(page, "image", "follow()")
    wait_for(page, held)
    page.click("#accept")
    expect(page.locator("#accept")).to_have_text("Withdraw mask")
    tell(page, held)
    end(page)
    expect(page.locator("#accept")).to_have_text("Withdraw mask")
    expect(page.locator("#source")).to_have_text("accepted mask")
    begin(page, "image", "open('astronaut')")  # read again
    wait_for(page, held, 2)
    page.click("#accept")
    expect(page.locator("#accept")).to_have_text("Accept mask")
    tell(page, held, 1)
    wait_for(page, held, 3)  # asked again
    tell(page, held, 2)
    end(page)
    expect(page.locator("#accept")).to_have_text("Accept mask")


@pytest.mark.slow
def test_an_image_that_does_not_open_leaves_the_mask_of_the_one_before(page):
    page.route("**/api/mask/**", lambda route: None)  # never answered
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    expect(page.locator("#source")).to_have_text("finding the mask …")
    page.unroute("**/api/mask/**")
    page.route("**/api/hints/cat", lambda route: route.fulfill(status=500, body="no"))
    page.locator("#images button", has_text="cat").click()
    expect(page.locator("#error")).to_be_visible()
    expect(page.locator("#source")).to_have_text("from this image's hints alone")


@pytest.mark.slow
def test_the_page_follows_training_also_where_another_image_was_chosen_first(browser, serve, photographs):
    port = free_port()
    serve(photographs, port)
    page = browser.new_page()
    held = []
    page.route("**/api/hints/astronaut", lambda route: held.append(route))
    page.goto(f"http://127.0.0.1:{port}/")
    wait_for(page, held)
    with page.expect_request("**/api/state*"):
        page.locator("#images button", has_text="cat").click()
    expect(page.locator("#images [aria-current=true] span")).to_have_text("cat")


@pytest.mark.slow
def test_training_that_was_just_started_is_not_over_for_an_older_answer(page):
    begun = {"training": True, "run": "run-001", "stage": "starting", "done": 0, "total": 0, "stopped": False}
    held = late(page, "**/api/state*")
    page.route("**/api/train", lambda route: route.fulfill(json=begun))
    page.route("**/api/stop", lambda route: route.fulfill(json=begun | {"training": False, "stopped": True}))
    wait_for(page, held)
    with is_given_up(page, "/api/state"):
        page.click("#train")
    expect(page.locator("#stop")).to_be_visible()
    with is_given_up(page, "/api/state"):
        page.click("#stop")
    expect(page.locator("#info")).to_contain_text("Training was stopped.")
    expect(page.locator("#train")).to_be_visible()


@pytest.mark.slow
def test_segments_that_are_found_late_are_not_shown_to_another_tool(page):
    page.route("**/api/nearest/**", lambda route: None)  # never answered
    page.click("[data-tool=look]")
    with page.expect_request("**/api/nearest/**"):
        page.mouse.click(*Hand(page).at(0.5, 0.5))
    with is_given_up(page, "/api/nearest"):
        page.click("[data-tool=scribble]")


@pytest.mark.slow
def test_a_channel_is_shown_of_its_own_image_and_as_chosen_last(page):
    page.click("#display summary")
    expect(page.locator("#channel option")).to_have_text(["all", "1", "2", "3"])
    page.route("**/api/image/astronaut?channel=0", lambda route: None)  # never answered
    with page.expect_request("**/api/image/astronaut?channel=0"):
        page.select_option("#channel", "0")
    with is_given_up(page, "/api/image/astronaut?channel=0"):
        page.locator("#images button", has_text="cat").click()
    held = late(page, "**/api/channels/cup")
    page.locator("#images button", has_text="cup").click()
    wait_for(page, held)
    page.evaluate("document.querySelector('#channel option').dataset.old = true")
    page.click("#plain")
    tell(page, held)
    expect(page.locator("#channel option[data-old]")).to_have_count(0)
    expect(page.locator("#channel")).to_have_value("")


@pytest.mark.slow
def test_no_message_moves_the_image_under_the_pen(page, photographs):
    hand = Hand(page)
    page.mouse.move(*hand.at(0.2, 0.2))
    page.mouse.down()
    page.mouse.move(*hand.at(0.5, 0.2))
    before = page.locator("#canvas").bounding_box()
    page.evaluate(
        "import('/page/js/dom.js').then((module) => { module.inform('good to know'); module.complain('no'); })"
    )
    assert page.locator("#canvas").bounding_box() == before
    page.mouse.move(*hand.at(0.8, 0.2))
    page.mouse.up()
    expect(page.locator("#info")).to_have_text(re.compile("^good to know"))
    expect(page.locator("#saved")).to_have_text("saved")
    ((_, points),) = [row[:2] for row in rows(photographs, "scribbles")]
    assert max(y for _, y in points) - min(y for _, y in points) <= 1


@pytest.mark.slow
def test_a_stroke_that_is_being_drawn_ends_on_the_image_it_began_on(page, photographs):
    held = late(page, "**/api/image/cat")
    page.locator("#images button", has_text="cat").click()
    wait_for(page, held)
    hand = Hand(page)
    page.mouse.move(*hand.at(0.2, 0.2))
    page.mouse.down()
    page.mouse.move(*hand.at(0.5, 0.2))
    tell(page, held)
    page.wait_for_timeout(200)  # for the photograph to be decoded
    page.mouse.move(*hand.at(0.8, 0.2))
    page.mouse.up()
    expect(page.locator("#images [aria-current=true] span")).to_have_text("cat")
    expect(page.locator("#saved")).to_have_text("saved")
    assert stored(photographs) == ["dog"]
    assert list(table(photographs, "scribbles")) == ["astronaut"]
