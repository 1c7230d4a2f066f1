"""axe-core finds no fault in any state of the page, light and dark."""

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")
pytest.importorskip("axe_playwright_python")

from axe_playwright_python.sync_playwright import Axe
from tests.apps.studio.browsing import add, expect, free_port, opened, scribble


def faults(page):
    """What axe-core finds beyond trifles: rule and element."""
    found = Axe().run(page).response["violations"]
    return [(rule["id"], node["target"]) for rule in found if rule["impact"] != "minor" for node in rule["nodes"]]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_empty_project_has_no_fault(browser, serve, tmp_path, scheme):
    port = free_port()
    serve(tmp_path / "new", port)
    page = browser.new_page(color_scheme=scheme)
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#steps")).to_be_visible()
    assert faults(page) == []


@pytest.mark.slow
def test_no_state_of_a_project_has_a_fault(browser, serve, photographs):
    (photographs / "damaged.png").write_bytes(b"\x89PNG\r\n")
    with opened(browser, serve, photographs) as page:

        def check(state):
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                found = faults(page)
                assert found == [], f"{state}, {scheme}"

        check("an image without classes")
        for number, name in enumerate(("dog", "tree")):
            add(page, name)
            expect(page.locator("#classes li")).to_have_count(number + 1)
            scribble(page, (0.1, 0.2 + 0.5 * number), (0.6, 0.2 + 0.5 * number))
            expect(page.locator("#saved")).to_have_text("saved")
        expect(page.locator("#source")).to_have_text("from this image's hints alone")
        page.keyboard.press("k")
        check("drawn, with a cross")
        page.keyboard.press("?")
        check("keys")
        page.keyboard.press("Escape")
        page.locator("#classes .more").first.click()
        page.click("#class-ask")
        expect(page.locator("#class-delete")).to_be_enabled()
        check("a class")
        page.keyboard.press("Escape")
        page.click("#areas")
        expect(page.locator("#areas-note")).to_contain_text("images measured")
        check("areas")
        page.keyboard.press("Escape")
        page.click("#display summary")
        check("how the image is shown")
        page.click("#import")
        check("import")
        page.keyboard.press("Escape")
        page.locator("#images .damaged button").click()
        expect(page.locator("#error")).to_be_visible()
        check("an error")
        page.route("**/api/hints/astronaut", lambda route: route.fulfill(status=422, json={"detail": "full"}))
        scribble(page, (0.1, 0.9), (0.6, 0.9))
        expect(page.locator("#saved")).to_have_text("NOT saved: astronaut")
        check("not saved")
        page.unroute("**/api/hints/astronaut")
        page.click("#undo")
        expect(page.locator("#saved")).to_have_text("saved")
        page.click("#train")
        expect(page.locator("#stop")).to_be_visible()
        check("training")
        expect(page.locator("#info")).to_contain_text("run-001 is finished", timeout=120_000)
        page.keyboard.press("l")
        page.keyboard.press("k")
        page.keyboard.press("Space")
        expect(page.locator("#neighbors button").first).to_be_visible()
        check("trained, with neighbors")
        page.set_viewport_size({"width": 400, "height": 800})
        check("a phone")
