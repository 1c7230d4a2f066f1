"""Waiting times in the studio's page, measured in a browser: from a stroke to its mask, to the next image, to "saved".

300 photographs of 640 × 426, whose features are there; masks by the model that learns while one draws.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.record import write

SIZE = (640, 426)
ADDRESS = "http://127.0.0.1:8809"
# Notes of every answer when all of it has arrived, and two frames later, when it is on the screen.
CLOCK = """
const fetched = window.fetch;
window.answers = [];
window.fetch = async (...asked) => {
  const [address, options] = asked, begun = performance.now();
  const answer = await fetched(...asked), copy = answer.clone();
  copy.arrayBuffer().then(() => {
    const one = { address: String(address), method: options?.method ?? "GET", begun, ended: performance.now() };
    requestAnimationFrame(() => requestAnimationFrame(() => answers.push({ ...one, shown: performance.now() })));
  }).catch(() => {});
  return answer;
};
for (const kind of ["pointerup", "keydown"]) addEventListener(kind, () => { window.done = performance.now(); }, true);
"""
AFTER = """([method, part]) => answers.findLast((one) => one.method === method && one.address.includes(part)
  && one.begun >= window.done)"""
MASK_AFTER_SAVE = """() => {
  const saved = answers.find((one) => one.method === "PUT" && one.begun >= window.done);
  return saved && answers.find((one) => one.address.includes("/api/mask/") && one.begun >= saved.begun);
}"""


def photographs(folder: Path, count: int) -> None:
    """Crops of the photographs that scikit-image installs, enlarged."""
    import cv2
    import numpy as np
    from skimage import data

    from hintseg.io.images import write_image

    sources = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    random = np.random.default_rng(0)
    for number in range(count):
        source = sources[number % len(sources)]
        height = int(source.shape[0] * random.uniform(0.6, 1))
        width = min(height * SIZE[0] // SIZE[1], source.shape[1])
        top = int(random.integers(0, source.shape[0] - height + 1))
        left = int(random.integers(0, source.shape[1] - width + 1))
        crop = cv2.resize(source[top : top + height, left : left + width], SIZE, interpolation=cv2.INTER_AREA)
        write_image(folder / f"{number:03d}.png", np.ascontiguousarray(crop))


def answered(path: str) -> Any:
    """What the server says."""
    with urllib.request.urlopen(f"{ADDRESS}{path}") as answer:
        content = answer.read()
    return json.loads(content) if answer.headers.get_content_type() == "application/json" else content


@contextmanager
def asking(keys: list[str]) -> Iterator[None]:
    """Others ask for masks meanwhile, four at a time."""
    stop = threading.Event()

    def ask(own: list[str]) -> None:
        while not stop.is_set():
            for key in own:
                if not stop.is_set():
                    answered(f"/api/mask/{key}?source=model")

    threads = [threading.Thread(target=ask, args=(keys[first::4],)) for first in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class Page:
    """A user's hand at the studio's page."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.add_init_script(CLOCK)
        page.goto(f"{ADDRESS}/")
        for number, name in enumerate(("upper", "lower"), start=1):
            page.fill("#name", name)
            page.click("#add button")
            page.wait_for_function("(count) => document.querySelectorAll('#classes li').length === count", arg=number)

    def since(self, script: str, wish: list[str] | None = None) -> dict[str, float]:
        """Seconds from the hand's last act to the answer that `script` finds: until it arrived, and was shown."""
        self.page.wait_for_function(script, arg=wish, timeout=60_000)
        found, done = self.page.evaluate(script, wish), self.page.evaluate("window.done")
        return {name: (found[name] - done) / 1000 for name in ("ended", "shown")}

    def stroke(self, label: int, at: float, settled: bool = True) -> tuple[float, float]:
        """Seconds until a stroke is saved, and until the mask that follows it is shown."""
        area = self.page.locator("#canvas").bounding_box()
        self.page.locator("#classes .pick").nth(label).click()
        self.page.mouse.move(area["x"] + 0.3 * area["width"], area["y"] + at * area["height"])
        self.page.mouse.down()
        self.page.mouse.move(area["x"] + 0.7 * area["width"], area["y"] + at * area["height"], steps=8)
        self.page.mouse.up()
        saved = self.since(AFTER, ["PUT", "/api/hints/"])["ended"]
        return saved, self.since(MASK_AFTER_SAVE)["shown"] if settled else float("nan")

    def next_image(self) -> tuple[float, float]:
        """Seconds until the next image is shown, and until its mask is."""
        self.page.locator("#canvas").focus()
        self.page.keyboard.press("PageDown")
        image = self.since(AFTER, ["GET", "/api/image/"])["shown"]
        return image, self.since(AFTER, ["GET", "/api/mask/"])["shown"]


def measure(page: Page, images: int) -> dict[str, list[float]]:
    """Strokes on twelve images while nothing else happens, then on six while others ask for masks."""
    page.stroke(0, 0.2)
    page.stroke(1, 0.8)
    while (known := len(answered("/api/state")["uncertain"])) < images - 1:
        print(f"{known} of {images} images known", flush=True)
        time.sleep(10)
    found: dict[str, list[float]] = {name: [] for name in ("save", "mask", "image", "image_mask", "busy_save")}
    for _ in range(12):
        image, mask = page.next_image()
        found["image"].append(image)
        found["image_mask"].append(mask)
        for label, height in ((0, 0.25), (1, 0.75)):
            saved, shown = page.stroke(label, height)
            found["save"].append(saved)
            found["mask"].append(shown)
    with asking([f"{number:03d}" for number in range(max(images - 48, images // 2), images)]):
        for number in range(12):
            found["busy_save"].append(page.stroke(number % 2, 0.1 + 0.07 * number, settled=False)[0])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--images", type=int, default=300)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        photographs(Path(folder) / "photos", options.images)
        command = [sys.executable, "-m", "hintseg.apps.cli.app", "studio", f"{folder}/photos", "--no-open"]
        server = subprocess.Popen([*command, "--port", ADDRESS.rpartition(":")[2], "--weights", options.weights])
        try:
            for _ in range(200):
                try:
                    answered("/api/state")
                    break
                except OSError:
                    time.sleep(0.2)
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
                found = measure(Page(browser.new_page(viewport={"width": 1280, "height": 800})), options.images)
                browser.close()
        finally:
            server.terminate()
            server.wait()
    named = {
        "mask": "stroke to its mask on the screen",
        "save": "stroke to saved",
        "busy_save": "stroke to saved while others ask for 48 masks",
        "image": "next image on the screen",
        "image_mask": "next image's mask on the screen",
    }
    rows = [
        {
            "measured": text,
            "seconds": round(statistics.median(found[name]), 3),
            "slowest_seconds": round(max(found[name]), 3),
            "times": len(found[name]),
            "images": options.images,
        }
        for name, text in named.items()
    ]
    print(*rows, sep="\n")
    print(write("studio", rows))


if __name__ == "__main__":
    main()
