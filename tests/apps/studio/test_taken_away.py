"""What others take away while the page is open, in a real browser: images, classes, masks."""

import re

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")

from tests.apps.studio.browsing import add, expect, free_port, opened, scribble, shown, stale, stored
from tests.apps.studio.waiting import eventually

from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_labels


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
        expect(page.locator("#notice-choices button.main")).to_have_count(0)
        page.click("text=Discard what was drawn")
        expect(page.locator("#notice-choices button")).to_have_count(0)
        expect(page.locator("#notice-text")).to_contain_text("Its hints stay")
        expect(page.locator("#saved")).to_have_text("saved")


@pytest.mark.slow
def test_a_mask_that_another_tab_accepts_is_shown_as_accepted(tabs, photographs):
    one, two = tabs(2)
    two.unroute("**/api/state*")
    add(one, "dog")
    scribble(one, (0.1, 0.2), (0.6, 0.2))
    expect(one.locator("#source")).to_have_text("from this image's hints alone")
    one.click("#accept")
    expect(one.locator("#accept")).to_have_text("Withdraw mask")
    expect(two.locator("#accept")).to_have_text("Withdraw mask")
    one.click("#accept")
    expect(two.locator("#accept")).to_have_text("Accept mask")


def tabs_of_which_one_deletes_sky(tabs):
    """Both knew the classes dog and sky; the second does not know yet."""
    one, two = tabs(2)
    for name in ("dog", "sky"):
        add(one, name)
    two.reload()
    expect(two.locator("#classes li")).to_have_count(2)
    one.locator("#classes .more").nth(1).click()
    one.click("#class-ask")
    one.click("#class-delete")
    expect(one.locator("#saved")).to_have_text("class deleted")
    return one, two


@pytest.mark.slow
def test_hints_of_a_class_that_another_tab_deletes_are_named_so(tabs, photographs):
    one, two = tabs_of_which_one_deletes_sky(tabs)
    two.locator("#classes .pick").nth(1).click()
    scribble(two, (0.1, 0.2), (0.6, 0.2))
    expect(two.locator("#notice")).to_contain_text("(1 of classes that were deleted, which cannot be added")
    two.locator("#classes .pick").nth(0).click()
    scribble(two, (0.1, 0.6), (0.6, 0.6))
    expect(two.locator("#notice")).to_contain_text("Here: 2 strokes (1 of classes")
    two.click("text=Merge: keep both")
    expect(two.locator("#saved")).to_have_text("saved")
    assert stored(photographs) == ["dog"]
    one.reload()
    said = "Hints of “astronaut” were not saved .*: 1 stroke \\(1 of classes"  # the other one was
    expect(one.locator("#notice")).to_contain_text(re.compile(said))
    expect(one.locator("#notice-choices button")).to_have_text(["Discard them"])
    one.click("text=Discard them")
    expect(one.locator("#notice")).to_be_hidden()
    eventually(lambda: not list((photographs / "studio" / "kept").glob("*.json")))


@pytest.mark.slow
def test_a_change_of_a_class_that_another_tab_deleted_can_only_be_forgotten(tabs, photographs):
    _, two = tabs_of_which_one_deletes_sky(tabs)
    two.locator("#classes .more").nth(1).click()
    two.fill("#class-name", "cloud")
    two.keyboard.press("Enter")
    expect(two.locator("#notice")).to_contain_text("rename “sky” to “cloud”. That class is gone.")
    expect(two.locator("#notice-choices button")).to_have_text(["Reload: keep theirs only"])
    two.click("#notice-choices button")
    expect(two.locator("#notice")).to_be_hidden()
    expect(two.locator("#classes li")).to_have_count(1)
    assert list(Dataset.open(photographs).classes) == ["dog"]


@pytest.mark.slow
def test_no_class_takes_the_place_of_the_chosen_one_that_another_tab_deletes(tabs, photographs):
    one, two = tabs(2)
    two.unroute("**/api/state*")
    for name in ("dog", "sky"):
        add(one, name)
    expect(two.locator("#classes li")).to_have_count(2)
    two.locator("#classes .pick").nth(1).click()
    one.locator("#classes .more").nth(1).click()
    one.click("#class-ask")
    one.click("#class-delete")
    expect(two.locator("#info-text")).to_contain_text("The class “sky”, which you had chosen, was deleted.")
    expect(two.locator("#classes .pick[aria-pressed=true]")).to_have_count(0)
    scribble(two, (0.1, 0.2), (0.6, 0.2))
    expect(two.locator("#error-text")).to_have_text("choose a class first, under “Classes”")
    assert shown(two, "state.hints.drawn.strokes.length") == 0
    two.locator("#classes .pick").nth(0).click()
    expect(two.locator("#info")).to_be_hidden()
    scribble(two, (0.1, 0.4), (0.6, 0.4))
    expect(two.locator("#saved")).to_have_text("saved")
    assert stored(photographs) == ["dog"]


@pytest.mark.slow
def test_the_mask_follows_classes_that_another_tab_deletes(tabs):
    one, two = tabs(2)
    for name, height in (("dog", 0.2), ("sky", 0.8)):
        add(one, name)
        scribble(one, (0.1, height), (0.6, height))
    expect(one.locator("#saved")).to_have_text("saved")
    two.reload()
    expect(two.locator("#accept")).to_be_enabled()
    eventually(lambda: shown(two, "state.view.tag !== null"))
    before = shown(two, "state.view.tag")
    one.locator("#classes .more").nth(1).click()
    one.click("#class-ask")
    one.click("#class-delete")
    expect(one.locator("#saved")).to_have_text("class deleted")
    two.locator("#classes .pick").nth(0).click()
    scribble(two, (0.1, 0.5), (0.6, 0.5))
    expect(two.locator("#notice")).to_contain_text("was changed elsewhere")
    eventually(lambda: shown(two, "state.view.tag") not in (None, before))


@pytest.mark.slow
def test_what_cannot_be_saved_lets_nothing_else_begin(tabs):
    (page,) = tabs(1)
    add(page, "dog")
    page.route("**/api/hints/**", lambda route: route.abort() if route.request.method == "PUT" else route.continue_())
    begun = []
    page.on("request", lambda request: begun.append(request.url) if request.method == "POST" else None)
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    expect(page.locator("#error")).to_contain_text("the server does not answer")
    for button in ("#train", "#export"):
        page.click(button)
        expect(page.locator("#error")).to_contain_text("nothing else can begin")
    page.unroute("**/api/hints/**")
    expect(page.locator("#saved")).to_have_text("saved")
    assert [url for url in begun if "train" in url or "export" in url] == []


@pytest.mark.slow
def test_masks_follow_what_the_model_learns_in_another_tab(browser, serve, photographs):
    port = free_port()
    serve(photographs, port, weights="auto")
    one, two = stale(browser, port)
    two.unroute("**/api/state*")
    add(one, "dog")
    scribble(one, (0.1, 0.2), (0.6, 0.2))
    expect(two.locator("#source")).to_have_text("learned from all hints")
    seen = "state.view.tag"
    eventually(lambda: shown(two, seen) is not None)
    before = shown(two, seen)
    one.keyboard.press("ArrowRight")
    expect(one.locator("#images [aria-current=true] span")).to_have_text("cat")
    scribble(one, (0.1, 0.4), (0.6, 0.4))
    expect(one.locator("#saved")).to_have_text("saved")
    eventually(lambda: shown(two, seen) not in (None, before))


@pytest.mark.slow
def test_a_server_that_is_away_damages_no_image(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        scribble(page, (0.1, 0.2), (0.6, 0.2))
        expect(page.locator("#source")).to_have_text("from this image's hints alone")
        page.route("**/api/**", lambda route: route.abort())
        expect(page.locator("#saved")).to_have_text("the server does not answer")
        page.click("#next")
        expect(page.locator("#error")).to_contain_text("the server does not answer")
        for listed in ("accepted", "all"):  # so that the small images are asked for anew
            page.select_option("#filter", listed)
        expect(page.locator("#images li")).to_have_count(5)
        expect(page.locator("#images img").nth(1)).to_have_js_property("naturalWidth", 0)
        page.wait_for_timeout(500)
        assert "damaged" not in page.locator("#images").inner_text()
        page.unroute("**/api/**")
        expect(page.locator("#saved")).to_have_text("saved")
        expect(page.locator("#error")).to_be_hidden()
        expect(page.locator("#source")).to_have_text("from this image's hints alone")
        loaded = "[...document.querySelectorAll('#images img')].every((one) => one.naturalWidth)"
        eventually(lambda: page.evaluate(loaded))
        assert "damaged" not in page.locator("#images").inner_text()


@pytest.mark.slow
def test_a_table_that_is_broken_and_mended_on_disk_damages_no_image_and_loses_no_stroke(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        scribble(page, (0.1, 0.2), (0.6, 0.2))
        eventually(lambda: stored(photographs) == ["dog"])
        table = photographs / "scribbles.json"
        sound = table.read_text("utf-8")
        table.write_text(sound[:-3], "utf-8")
        page.click("#next")
        expect(page.locator("#error")).to_contain_text("scribbles.json")
        assert "damaged" not in page.locator("#images").inner_text()
        scribble(page, (0.1, 0.6), (0.6, 0.6))
        expect(page.locator("#saved")).to_have_text("NOT saved: astronaut")
        table.write_text(sound, "utf-8")
        expect(page.locator("#saved")).to_have_text("saved")
        assert stored(photographs) == ["dog", "dog"]
        expect(page.locator("#error")).to_be_hidden()
        page.click("#next")
        expect(page.locator("#images [aria-current=true] span")).to_have_text("cat")


@pytest.mark.slow
def test_the_list_follows_what_another_tab_does_to_images_that_are_not_open(tabs):
    one, two = tabs(2)
    two.unroute("**/api/state*")
    add(one, "dog")
    one.keyboard.press("Escape")
    one.keyboard.press("ArrowRight")
    expect(one.locator("#images [aria-current=true] span")).to_have_text("cat")
    scribble(one, (0.1, 0.2), (0.6, 0.2))
    other = two.locator("#images li", has_text="cat").locator("small")
    expect(other).to_contain_text("scribbles")
    two.select_option("#filter", "hinted")
    expect(two.locator("#images li", has_text="cat")).to_have_count(1)
    expect(one.locator("#accept")).to_be_enabled()
    one.click("#accept")
    expect(other).to_contain_text("accepted")


@pytest.mark.slow
def test_an_image_that_is_renamed_or_replaced_on_disk_is_seen(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        expect(page.locator("#images li", has_text="cat")).to_have_count(1)
        (old,) = (photographs / "images").glob("cat.*")
        old.rename(old.with_stem("tiger"))
        expect(page.locator("#images li", has_text="tiger")).to_have_count(1)
        expect(page.locator("#images li", has_text="cat")).to_have_count(0)
        content = old.with_stem("tiger").read_bytes()
        old.with_stem("tiger").write_bytes(content[: len(content) // 2])
        tiger = page.locator("#images li", has_text="tiger")
        tiger.locator("button").click()
        expect(tiger).to_contain_text("damaged")
        old.with_stem("other").write_bytes(content)
        old.with_stem("other").replace(old.with_stem("tiger"))
        expect(tiger).not_to_contain_text("damaged")


@pytest.mark.slow
def test_a_conflict_follows_what_others_go_on_doing(tabs, photographs):
    one, two = tabs(2)
    add(one, "dog")
    two.reload()
    expect(two.locator("#classes li")).to_have_count(1)
    scribble(one, (0.1, 0.2), (0.6, 0.2))
    expect(one.locator("#source")).to_have_text("from this image's hints alone")
    one.click("#accept")
    expect(one.locator("#accept")).to_have_text("Withdraw mask")
    two.locator("#classes .pick").nth(0).click()
    scribble(two, (0.1, 0.5), (0.6, 0.5))
    expect(two.locator("#notice")).to_contain_text("There: 1 stroke")
    expect(two.locator("#saved")).to_have_text("NOT saved: astronaut changed elsewhere")
    two.unroute("**/api/state*")
    expect(two.locator("#accept")).to_have_text("Withdraw mask")
    one.click("#accept")
    expect(one.locator("#accept")).to_have_text("Accept mask")
    scribble(one, (0.1, 0.8), (0.6, 0.8))
    expect(two.locator("#notice")).to_contain_text("There: 2 strokes")
    expect(two.locator("#accept")).to_have_text("Accept mask")
    two.click("text=Merge: keep both")
    expect(two.locator("#saved")).to_have_text("saved")
    assert stored(photographs) == ["dog"] * 3


@pytest.mark.slow
def test_a_map_that_another_program_writes_meanwhile_is_not_taken_for_none(tabs, photographs):
    noise = np.random.default_rng(0).integers(0, 2, (630, 900)).astype(np.uint8)  # too fine to be listed
    source = photographs / "images" / "astronaut.png"
    with Image.open(source) as image:
        image.resize((900, 630)).save(source)
    (page,) = tabs(1)
    add(page, "dog")
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    expect(page.locator("#saved")).to_have_text("saved")
    page.reload()
    expect(page.locator("#hint-count")).to_have_text("Hints of this image (1)")
    page.locator("#classes .pick").nth(0).click()
    write_labels(photographs / "scribbles" / "astronaut.png", np.where(noise, np.uint8(0), np.uint8(255)))
    scribble(page, (0.1, 0.6), (0.6, 0.6))
    expect(page.locator("#notice")).to_contain_text("was changed elsewhere")
    page.keyboard.press("Control+z")
    page.wait_for_timeout(1500)
    expect(page.locator("#notice")).to_contain_text("was changed elsewhere")
    assert (photographs / "scribbles" / "astronaut.png").exists()
