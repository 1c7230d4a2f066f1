"""A hand in a real browser, for tests of the page."""

import json
import os
import shutil
import socket
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import pytest
from PIL import Image

from hintseg.apps.demo.images import TRAINING

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
expect.set_options(timeout=30_000)  # machines that test are often busy

SIZE = (300, 210)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)
# Where HINTSEG_SCREENSHOTS names a folder, the journey leaves the pictures that the docs show; with
# HINTSEG_WEIGHTS, a file, it trains the network it would train for a user.
SCREENSHOTS = os.environ.get("HINTSEG_SCREENSHOTS")
WEIGHTS = os.environ.get("HINTSEG_WEIGHTS", "none")


def demo_strokes(key, name):
    """Strokes of a class in shares of the photograph."""
    drawn = json.loads(files("hintseg.apps.demo").joinpath("scribbles.json").read_text("utf-8"))[key]
    with Image.open(files("skimage.data").joinpath(TRAINING[key])) as image:
        width, height = image.size
    return [[(x / width, y / height) for x, y in vertices] for found, vertices in drawn if found == name]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Hand:
    """Draws on the canvas in shares of the photograph."""

    def __init__(self, page):
        self.page = page

    def at(self, x, y):
        area = self.page.locator("#canvas").bounding_box()
        scale = min(area["width"] / SIZE[0], area["height"] / SIZE[1]) * 0.97
        left, top = (
            area["x"] + (area["width"] - SIZE[0] * scale) / 2,
            area["y"] + (area["height"] - SIZE[1] * scale) / 2,
        )
        return left + x * SIZE[0] * scale, top + y * SIZE[1] * scale

    def draw(self, *places):
        self.page.mouse.move(*self.at(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.at(*place), steps=4)
        self.page.mouse.up()
        expect(self.page.locator("#saved")).to_have_text("saved")

    def choose(self, label):
        self.page.locator("#classes .pick").nth(label).click()


def table(folder, name):
    path = folder / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def rows(folder, name):
    """What a table holds of the first photograph."""
    return table(folder, name).get("astronaut", [])


def shown(page, expression):
    """What the page's modules hold."""
    return page.evaluate(f"import('/page/js/state.js').then((state) => {expression})")


def shoot(page, name):
    if SCREENSHOTS:
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.jpg"), type="jpeg", quality=85)


@contextmanager
def opened(browser, serve, folder):
    """The page of a folder with its first photograph open; nothing fails in it."""
    port = free_port()
    serve(folder, port)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
    yield page
    assert faults == []


def stale(browser, port, count=2):
    """Pages of one browser, all with the first photograph open, that do not see what others save."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    pages = [context.new_page() for _ in range(count)]
    for page in pages:
        # Pages follow each other by asking for versions; these stay as stale as a sleeping tab.
        page.route("**/api/state*", lambda route: route.fulfill(status=503))
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
    return pages


def add(page, name):
    page.fill("#name", name)
    page.click("#add button")
    expect(page.locator("#classes .pick[aria-pressed=true]")).to_have_text(name)


def scribble(page, start, end):
    hand = Hand(page)
    page.mouse.move(*hand.at(*start))
    page.mouse.down()
    page.mouse.move(*hand.at(*end), steps=4)
    page.mouse.up()


def stored(folder):
    """Class names of the strokes on disk."""
    classes = json.loads((folder / "dataset.json").read_text("utf-8"))["classes"]
    return sorted(classes[row[0]] for row in table(folder, "scribbles").get("astronaut", []))
