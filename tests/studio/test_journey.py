"""Someone who never saw a command line, in a real browser: classes, strokes, undo, training, masks, export, a crash."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hintseg.hints.dataset import Dataset
from hintseg.images import write_image

pytest.importorskip("fastapi")
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

SIZE = (96, 72)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)
# Where HINTSEG_SCREENSHOTS names a folder, the journey leaves the pictures that the docs show.
SCREENSHOTS = os.environ.get("HINTSEG_SCREENSHOTS")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as play:
        try:
            started = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium: install one, or run playwright install chromium ({str(error).splitlines()[0]})")
        yield started
        started.close()


@pytest.fixture
def serve(tiny):
    processes = []

    def start(folder, port):
        command = [
            sys.executable,
            "-m",
            "hintseg.cli.app",
            "studio",
            str(folder),
            "--port",
            str(port),
            "--weights",
            "none",
        ]
        process = subprocess.Popen([*command, *(part for setting in tiny for part in ("--set", setting))])
        processes.append(process)
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/state").close()
                return process
            except OSError:
                time.sleep(0.2)
        raise AssertionError("the server did not start")

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def photographs(tmp_path):
    """Four pictures of a bright disc before a dark, grainy ground."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    for number in range(4):
        random = np.random.default_rng(number)
        disc = (rows - 30 - 4 * number) ** 2 + (columns - 40 - 6 * number) ** 2 < 18**2
        pixels = np.where(disc[..., None], (230, 180, 60), (40, 90, 50)) + random.integers(-15, 15, (*disc.shape, 3))
        write_image(tmp_path / "my photos" / f"disc {number}.png", pixels.clip(0, 255).astype(np.uint8))
    return tmp_path / "my photos"


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


def shoot(page, name):
    if SCREENSHOTS:
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"))


@pytest.mark.slow
def test_from_photographs_to_masks(browser, serve, photographs, tmp_path):
    port = free_port()
    serve(photographs, port)
    page = browser.new_page(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#images button")).to_have_count(4)
    hand = Hand(page)
    for number, name in enumerate(("ground", "disc")):
        page.fill("#name", name)
        page.click("#add button")
        expect(page.locator("#classes li")).to_have_count(number + 1)

    # Strokes of both classes, on disk as soon as the page says so; undo and redo reach the disk, too.
    hand.choose(0)
    hand.draw((0.1, 0.9), (0.5, 0.95), (0.9, 0.9))
    hand.choose(1)
    hand.draw((0.35, 0.42), (0.5, 0.42))
    strokes = lambda: json.loads((photographs / "scribbles.json").read_text("utf-8")).get("disc 0", [])  # noqa: E731
    assert [stroke[0] for stroke in strokes()] == [0, 1]
    page.keyboard.press("Control+z")
    expect(page.locator("#redo")).to_be_enabled()
    expect(page.locator("#saved")).to_have_text("saved")
    page.wait_for_timeout(200)
    assert [stroke[0] for stroke in strokes()] == [0]
    page.keyboard.press("Control+y")
    expect(page.locator("#source")).to_contain_text("hints alone")
    page.wait_for_timeout(300)
    assert [stroke[0] for stroke in strokes()] == [0, 1]
    shoot(page, "studio-draw")

    # A point and a box by keyboard on the next photograph, one of them erased again; a ticked class.
    page.keyboard.press("ArrowRight")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("disc 1")
    page.keyboard.press("p")
    page.keyboard.press("1")
    hand.draw((0.1, 0.1))
    page.keyboard.press("b")
    page.keyboard.press("2")
    hand.draw((0.28, 0.2), (0.68, 0.75))
    hints = Dataset.open(photographs).hints("disc 1")
    assert [point.label for point in hints.points] == [0]
    assert [box.label for box in hints.boxes] == [1]
    page.keyboard.press("e")
    hand.draw((0.1, 0.1))
    page.wait_for_timeout(300)
    assert not Dataset.open(photographs).hints("disc 1").points
    page.locator("#classes input").nth(0).check()
    expect(page.locator("#saved")).to_have_text("saved")
    page.wait_for_timeout(300)
    assert [tag.label for tag in Dataset.open(photographs).hints("disc 1").tags] == [0]

    # Train, watch, look at a photograph without hints, its neighbours, accept, export.
    page.click("#train")
    expect(page.locator("#progress")).to_be_visible()
    shoot(page, "studio-train")
    expect(page.locator("#source")).to_contain_text("mask of run-001", timeout=180_000)
    page.check("#unsure")
    page.locator("#images button", has_text="disc 3").click()
    expect(page.locator("#source")).to_contain_text("mask of run-001")
    page.keyboard.press("l")
    page.mouse.click(*hand.at(0.5, 0.5))
    expect(page.locator("#neighbours figure").first).to_be_visible(timeout=30_000)
    shoot(page, "studio-look")
    page.click("#accept")
    expect(page.locator("#accept")).to_have_text("Withdraw mask")
    assert (photographs / "masks" / "disc 3.png").exists()
    with page.expect_download() as download:
        page.click("#export")
    download.value.save_as(tmp_path / "masks.zip")
    assert len(zipfile.ZipFile(tmp_path / "masks.zip").namelist()) == 4
    page.set_viewport_size({"width": 820, "height": 1180})  # a tablet
    for name in ("#train", "#export", "#accept", "[data-tool=scribble]", "#add button"):
        expect(page.locator(name)).to_be_in_viewport()
    shoot(page, "studio-tablet")
    assert not faults
    page.close()


@pytest.mark.slow
def test_a_killed_server_loses_no_stroke_that_was_shown_as_saved(browser, serve, photographs):
    port = free_port()
    server = serve(photographs, port)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(f"http://127.0.0.1:{port}/")
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
            assert len(stored["disc 0"]) == count
            # A stroke drawn while the server is away waits in the page, which says so, and is sent when it is back.
            if count == 6:
                page.mouse.move(*hand.at(0.2, 0.9))
                page.mouse.down()
                page.mouse.move(*hand.at(0.7, 0.9), steps=3)
                page.mouse.up()
                expect(page.locator("#saved")).to_have_text("NOT saved")
            server = serve(photographs, port)
    expect(page.locator("#saved")).to_have_text(re.compile("^saved$"), timeout=15_000)
    assert len(json.loads((photographs / "scribbles.json").read_text("utf-8"))["disc 0"]) == 7
    assert not [path for path in photographs.rglob(".partial-*") if path.stat().st_size]
    page.reload()
    expect(page.locator("#undo")).to_be_disabled()
    assert len(Dataset.open(photographs).hints("disc 0").scribbles) == 7
    page.close()
