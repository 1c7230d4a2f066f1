"""What the page says, in a real browser: as long as it holds, and no message over another."""

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")

from tests.apps.studio.browsing import add, expect, opened, scribble, stored

HINTS = "**/api/hints/astronaut"
FULL = "the disk is full; free some space."


def refuse(page):
    def answer(route):
        route.fulfill(status=422, json={"detail": FULL}) if route.request.method == "PUT" else route.continue_()

    page.route(HINTS, answer)


def say(page, call):
    page.evaluate(f"import('/page/js/dom.js').then((module) => {{ {call} }})")


@pytest.mark.slow
def test_no_message_lies_over_another_on_a_phone(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        next((photographs / "images").glob("astronaut.*")).unlink()
        expect(page.locator("#notice")).to_be_visible()
        say(page, "module.inform('good to know'); module.complain('no');")
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(100)
        error, info, notice = (page.locator(f"#{name}").bounding_box() for name in ("error", "info", "notice"))
        assert error["y"] == 0
        assert error["y"] + error["height"] <= info["y"]
        assert info["y"] + info["height"] <= notice["y"] < 400


@pytest.mark.slow
def test_why_hints_were_refused_is_said_until_they_are_saved_or_it_is_closed(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        refuse(page)
        scribble(page, (0.1, 0.2), (0.6, 0.2))
        expect(page.locator("#error-text")).to_have_text(FULL)
        page.locator("#images button", has_text="cat").click()
        expect(page.locator("#images [aria-current=true] span")).to_have_text("cat")
        with page.expect_response(lambda response: response.request.method == "PUT"):
            scribble(page, (0.1, 0.2), (0.6, 0.2))
        expect(page.locator("#saved")).to_have_text("NOT saved: astronaut")
        expect(page.locator("#error-text")).to_have_text(FULL)
        page.click("#error-close")
        page.click("#undo")
        expect(page.locator("#hint-count")).to_have_text("Hints of this image (0)")
        expect(page.locator("#error")).to_be_hidden()
        page.locator("#images button", has_text="astronaut").click()
        expect(page.locator("#error-text")).to_have_text(FULL)
        page.unroute(HINTS)
        scribble(page, (0.1, 0.4), (0.6, 0.4))
        expect(page.locator("#saved")).to_have_text("saved")
        expect(page.locator("#error")).to_be_hidden()
        assert stored(photographs) == ["dog"] * 2


@pytest.mark.slow
def test_nobody_is_told_to_reload_the_page_while_strokes_are_not_saved(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        page.route("**/api/**", lambda route: route.fulfill(status=412, json={"detail": "another folder"}))
        expect(page.locator("#error-text")).to_contain_text("again, or reload this page to see the other folder")
        with page.expect_request(lambda request: request.method == "PUT"):
            scribble(page, (0.1, 0.2), (0.6, 0.2))
        for _ in range(2):
            expect(page.locator("#error-text")).to_contain_text("kept here and sent again. Do not reload this page")
            with page.expect_response("**/api/state*"):
                pass
            page.wait_for_timeout(100)
        page.unroute("**/api/**")
        expect(page.locator("#saved")).to_have_text("saved")
        expect(page.locator("#error")).to_be_hidden()


@pytest.mark.slow
def test_what_is_said_of_a_run_holds(browser, serve, photographs):
    begun = {"training": True, "run": "run-002", "stage": "training", "done": 1, "total": 2}
    with opened(browser, serve, photographs) as page:
        page.route("**/api/state*", lambda route: route.abort())
        expect(page.locator("#saved")).to_have_text("the server does not answer")

        def tell(module, call, state):
            page.evaluate(f"state => import('/page/js/{module}.js').then((module) => module.{call}(state))", state)

        tell("training", "showState", begun)
        tell("training", "showState", {"training": False, "model": "run-002"})  # a new server knows no training
        tell("project", "takeModel", {"run": "run-002", "model": "run-002"})
        expect(page.locator("#info-text")).to_contain_text("run-002 is finished: masks of all images come from it now")
        tell("project", "takeModel", {"run": "run-001", "model": "run-001"})
        expect(page.locator("#info")).to_be_hidden()
