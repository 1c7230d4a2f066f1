"""What changes behind an open page, in a real browser: the server, its folder, an image file, a table, a training."""

import signal

import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")

from tests.apps.studio.browsing import Hand, add, expect, free_port, opened, scribble, shown, stored, table
from tests.apps.studio.waiting import eventually

from hintseg.hints.dataset import Dataset


def first(folder):
    return next((folder / "images").glob("astronaut.*"))


@pytest.mark.slow
def test_a_page_writes_into_no_other_folder(browser, serve, photographs, tmp_path):
    other = tmp_path / "other"
    (other / "images").mkdir(parents=True)
    Image.new("RGB", (300, 210), "green").save(other / "images" / "astronaut.png")
    port = free_port()
    server = serve(photographs, port)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
    add(page, "dog")
    server.kill()
    server.wait()
    another = serve(other, port)
    scribble(page, (0.1, 0.2), (0.6, 0.2))
    expect(page.locator("#error-text")).to_contain_text("this address serves another folder now")
    expect(page.locator("#saved")).to_have_text("NOT saved")
    assert not (other / "scribbles.json").exists()
    another.kill()
    another.wait()
    serve(photographs, port)
    eventually(lambda: page.wait_for_timeout(10) or table(photographs, "scribbles"))
    expect(page.locator("#error")).to_be_hidden()
    assert stored(photographs) == ["dog"]


@pytest.mark.slow
def test_an_image_that_was_written_anew_is_shown_anew(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        small = page.locator("#images [aria-current=true] img")
        before = small.get_attribute("src")
        Image.new("RGB", (200, 140), "green").save(first(photographs))
        expect(page.locator("#info-text")).to_contain_text("The image file of “astronaut” was written anew")
        assert shown(page, "[state.view.width, state.view.photo.width]") == [200, 200]
        expect(small).not_to_have_attribute("src", before)


@pytest.mark.slow
def test_what_was_drawn_on_the_image_before_is_looked_at_first(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        page.route("**/api/state*", lambda route: route.abort())
        Image.new("RGB", (300, 210), "green").save(first(photographs))
        scribble(page, (0.1, 0.2), (0.6, 0.2))
        expect(page.locator("#error-text")).to_contain_text("its image file was replaced since this was drawn")
        page.unroute("**/api/state*")
        expect(page.locator("#info-text")).to_contain_text("was written anew")
        expect(page.locator("#saved")).to_have_text("NOT saved: astronaut")
        for name in ("cat", "astronaut"):
            page.locator("#images button", has_text=name).click()
            expect(page.locator("#images [aria-current=true] span")).to_have_text(name)
        expect(page.locator("#error-text")).to_contain_text("its image file was replaced since this was drawn")
        scribble(page, (0.1, 0.4), (0.6, 0.4))
        expect(page.locator("#saved")).to_have_text("saved")
        assert stored(photographs) == ["dog", "dog"]


def outside(page, photographs, *drawn):
    """Draws in the open image, makes its file smaller, and draws again before the page sees that."""
    for draw in drawn:
        draw(page, 0.7, 0.8)
        expect(page.locator("#saved")).to_have_text("saved")
    page.route("**/api/state*", lambda route: route.abort())
    Image.new("RGB", (150, 105), "green").save(first(photographs))
    for draw in drawn:
        draw(page, 0.3, 0.8)
    expect(page.locator("#error-text")).to_contain_text("its image file was replaced since this was drawn")
    page.unroute("**/api/state*")
    expect(page.locator("#info-text")).to_contain_text("Not all hints of “astronaut” can be shown")


def stroke(page, start, end):
    page.click("[data-tool=scribble]")
    scribble(page, (start, 0.2), (end, 0.2))


def box(page, start, end):
    page.click("[data-tool=box]")
    scribble(page, (start, 0.1), (end, 0.9))


def point(page, start, end):
    page.click("[data-tool=point]")
    for place in (start, end):
        page.mouse.click(*Hand(page).at(place, 0.3))


@pytest.mark.slow
@pytest.mark.parametrize(
    "drawn", [(stroke,), (point,), (box,), (stroke, point, box)], ids=["stroke", "point", "box", "all"]
)
def test_the_next_change_of_an_image_that_became_smaller_saves_what_fits(browser, serve, photographs, drawn):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        outside(page, photographs, *drawn)
        kept = shown(page, "['strokes', 'points', 'boxes'].map((type) => state.hints.drawn[type].length)")
        page.click("[data-tool=scribble]")
        scribble(page, (0.1, 0.1), (0.3, 0.1))
        expect(page.locator("#saved")).to_have_text("saved")
        expect(page.locator("#error")).to_be_hidden()
        expect(page.locator("#info")).to_be_hidden()  # it said what the next change does
        hints = Dataset.open(photographs).hints("astronaut")
        assert hints.corrections == ()
        assert [len(one) for one in (hints.scribbles, hints.points, hints.boxes)] == [kept[0] + 1, *kept[1:]]
        assert kept == [int(one in drawn) for one in (stroke, point, box)]
        copies = photographs / "studio" / "kept" / "outside"
        assert list(copies.glob("*.json"))
        assert list(copies.glob("*/*.json"))
        scribble(page, (0.1, 0.3), (0.3, 0.3))
        expect(page.locator("#saved")).to_have_text("saved")
        page.keyboard.press("Control+z")
        page.keyboard.press("Control+z")
        expect(page.locator("#hint-count")).to_have_text(f"Hints of this image ({sum(kept)})")
        expect(page.locator("#saved")).to_have_text("saved")


@pytest.mark.slow
def test_a_notice_of_a_map_that_cannot_be_shown_goes_when_the_map_is_mended(browser, serve, photographs):
    mapped = photographs / "scribbles" / "astronaut.png"
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        scribble(page, (0.1, 0.2), (0.6, 0.2))
        expect(page.locator("#saved")).to_have_text("saved")
        with Image.open(first(photographs)) as image:
            size = image.size
        mapped.parent.mkdir()
        Image.new("L", size, 0).save(mapped)
        expect(page.locator("#hint-count")).to_have_text("Hints of this image (2)")
        content = mapped.read_bytes()
        mapped.write_bytes(content[:60])
        expect(page.locator("#info-text")).to_contain_text("scribble map left out, as it cannot be read")
        mapped.write_bytes(content)
        expect(page.locator("#info")).to_be_hidden()
        expect(page.locator("#hint-count")).to_have_text("Hints of this image (2)")


def reduce_image(folder):
    with Image.open(first(folder)) as image:
        smaller = image.resize((image.width * 3 // 4, image.height * 3 // 4))
    smaller.save(first(folder))


def cut_mask(folder):
    mask = folder / "masks" / "astronaut.png"
    mask.write_bytes(mask.read_bytes()[:60])


@pytest.mark.slow
def test_an_image_that_was_mended_is_shown_with_its_mask(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        scribble(page, (0.1, 0.2), (0.6, 0.2))
        expect(page.locator("#source")).to_have_text("from this image's hints alone")
        content = first(photographs).read_bytes()
        first(photographs).write_bytes(content[:100])
        expect(page.locator("#images [aria-current=true] small")).to_contain_text("damaged")
        page.click("#accept")
        expect(page.locator("#error-text")).to_contain_text("there is no mask to accept")
        first(photographs).write_bytes(content)
        expect(page.locator("#source")).to_have_text("from this image's hints alone")
        expect(page.locator("#images [aria-current=true] small")).to_have_text("scribbles")


@pytest.mark.slow
@pytest.mark.parametrize("damage", [reduce_image, cut_mask])
def test_an_accepted_mask_that_cannot_be_shown_can_be_withdrawn(browser, serve, photographs, damage):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        scribble(page, (0.1, 0.2), (0.3, 0.2))
        expect(page.locator("#source")).to_have_text("from this image's hints alone")
        page.click("#accept")
        expect(page.locator("#source")).to_have_text("accepted mask")
        expect(page.locator("#edit")).to_be_visible()
        damage(photographs)
        page.reload()
        expect(page.locator("#source")).to_contain_text("Or withdraw the mask: a copy stays in studio/kept.")
        expect(page.locator("#edit")).to_be_hidden()
        page.click("#accept")
        expect(page.locator("#source")).to_have_text("from this image's hints alone")
        expect(page.locator("#accept")).to_have_text("Accept mask")
        expect(page.locator("#error")).to_be_hidden()
    assert not (photographs / "masks" / "astronaut.png").exists()
    assert len(list((photographs / "studio" / "kept" / "masks").glob("astronaut-*.png"))) == 1


@pytest.mark.slow
def test_a_page_that_opens_on_a_damaged_table_begins_when_it_is_mended(browser, serve, photographs):
    port = free_port()
    serve(photographs, port)
    (photographs / "scribbles.json").write_text("{", "utf-8")
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#error-text")).to_contain_text("scribbles.json")
    (photographs / "scribbles.json").unlink()
    expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
    expect(page.locator("#error")).to_be_hidden()


@pytest.mark.slow
def test_how_training_ended_stays_until_it_is_closed(browser, serve, photographs):
    died = {"training": False, "run": "run-001", "stopped": False, "error": "the disk is full."}
    begun = died | {"training": True, "stage": "starting", "done": 0, "total": 0, "error": None}
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        show = "state => import('/page/js/training.js').then((module) => module.showState(state))"
        page.evaluate(show, begun)
        page.evaluate(show, died)
        scribble(page, (0.1, 0.2), (0.6, 0.2))
        expect(page.locator("#saved")).to_have_text("saved")
        page.locator("#images button", has_text="cat").click()
        expect(page.locator("#images [aria-current=true] span")).to_have_text("cat")
        expect(page.locator("#info-text")).to_have_text("Training ended: the disk is full.")


@pytest.mark.slow
def test_a_server_that_hangs_is_told(browser, serve, photographs):
    port = free_port()
    server = serve(photographs, port)
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
    server.send_signal(signal.SIGSTOP)
    try:
        expect(page.locator("#saved")).to_have_text("the server does not answer", timeout=60_000)
    finally:
        server.send_signal(signal.SIGCONT)
    expect(page.locator("#saved")).to_have_text("saved")
