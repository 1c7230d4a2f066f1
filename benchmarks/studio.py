"""The studio in a browser: from the end of a stroke to "saved", and from Train to the first mask of a network."""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.record import write

SIZE = (320, 213)
PORT = 8809


def photographs(folder: Path, count: int = 20) -> None:
    """Crops of the photographs that scikit-image installs, at 320 × 213."""
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
        write_image(folder / f"{number:02d}.png", np.ascontiguousarray(crop))


def journey(page: Any, expect: Any) -> tuple[list[float], float]:
    """Two strokes on each of eight photographs, then a quick training."""
    page.goto(f"http://127.0.0.1:{PORT}/")
    for number, name in enumerate(("upper", "lower")):
        page.fill("#name", name)
        page.click("#add button")
        expect(page.locator("#classes li")).to_have_count(number + 1)
    saved = []
    for number in range(8):
        page.locator("#images button").nth(number).click()
        expect(page.locator("#images [aria-current=true] span")).to_have_text(f"{number:02d}")
        area = page.locator("#canvas").bounding_box()
        for label, height in ((0, 0.25), (1, 0.75)):
            page.locator("#classes .pick").nth(label).click()
            page.mouse.move(area["x"] + 0.3 * area["width"], area["y"] + height * area["height"])
            page.mouse.down()
            page.mouse.move(area["x"] + 0.7 * area["width"], area["y"] + height * area["height"], steps=8)
            started = time.perf_counter()
            page.mouse.up()
            expect(page.locator("#saved")).to_have_text("saved")
            saved.append(time.perf_counter() - started)
    started = time.perf_counter()
    page.click("#train")
    expect(page.locator("#source")).to_contain_text("mask of run-001", timeout=90_000)
    return saved, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="auto")
    options = parser.parse_args()
    from playwright.sync_api import expect, sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        photographs(Path(folder) / "photos")
        command = [
            sys.executable,
            "-m",
            "hintseg.apps.cli.app",
            "studio",
            f"{folder}/photos",
            "--port",
            str(PORT),
            "--no-open",
        ]
        server = subprocess.Popen([*command, "--weights", options.weights])
        try:
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/state").close()
                    break
                except OSError:
                    time.sleep(0.2)
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
                saved, trained = journey(browser.new_page(viewport={"width": 1280, "height": 800}), expect)
                browser.close()
        finally:
            server.terminate()
            server.wait()
    rows = [
        {"measured": "stroke to saved, median of 16", "seconds": round(statistics.median(saved), 3)},
        {"measured": "stroke to saved, slowest of 16", "seconds": round(max(saved), 3)},
        {"measured": "Train (quick) to the first mask, 20 photographs", "seconds": round(trained, 1)},
    ]
    print(*rows, sep="\n")
    print(write("studio", rows))


if __name__ == "__main__":
    main()
