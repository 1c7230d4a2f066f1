"""Twelve photographs, three classes, fourteen strokes: learned masks everywhere, corrections, export, areas."""

import csv
import json
import zipfile
from importlib.resources import files

import cv2
import numpy as np
import pytest
from PIL import Image

from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_image

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")

from tests.apps.studio.browsing import SIZE, Hand, add, expect, free_port, shoot, shown

CLASSES = ("ground", "cat", "cup")
# Where strokes lie in the whole photograph, in shares of it.
STROKES = {
    "cat": [
        ("cat", (0.35, 0.5), (0.62, 0.55)),
        ("cat", (0.45, 0.25), (0.6, 0.3)),
        ("ground", (0.82, 0.3), (0.86, 0.6)),
        ("ground", (0.1, 0.2), (0.14, 0.45)),
    ],
    "cup": [
        ("cup", (0.4, 0.28), (0.6, 0.25)),
        ("cup", (0.45, 0.55), (0.6, 0.5)),
        ("ground", (0.85, 0.3), (0.85, 0.6)),
    ],
}
# Everything that the page may say of a mask, and of itself, on the way.
SAID = {
    "",
    "finding the mask …",
    "no mask yet: name your classes, then draw",
    "no mask yet: draw a stroke of every class",
    "learned from all hints",
    "from this image's hints alone",
    "accepted mask",
}
LISTEN = """
window.said = [];
document.addEventListener("DOMContentLoaded", () => {
  for (const id of ["source", "error-text", "notice-text"]) {
    const element = document.getElementById(id);
    new MutationObserver(() => window.said.push(element.textContent)).observe(element, { childList: true, characterData: true, subtree: true });
  }
});
"""  # noqa: E501


@pytest.fixture
def twelve(tmp_path):
    """Crops of two photographs, and where each lies in its photograph (left, top, share)."""
    places = {}
    for name, source in (("cat", "chelsea.png"), ("cup", "coffee.png")):
        with Image.open(files("skimage.data").joinpath(source)) as image:
            whole = np.asarray(image.convert("RGB"))
        for number in range(6):
            share = 1 - 0.04 * number
            left, top = (1 - share) * (number % 2), (1 - share) * (number // 2 % 2)
            height, width = (round(share * side) for side in whole.shape[:2])
            y, x = round(top * whole.shape[0]), round(left * whole.shape[1])
            crop = cv2.resize(whole[y : y + height, x : x + width], SIZE, interpolation=cv2.INTER_AREA)
            write_image(tmp_path / "photographs" / f"{name}-{number}.png", np.asarray(crop, np.uint8))
            places[f"{name}-{number}"] = (left, top, share)
    return places


def draw(page, place, stroke):
    name, *ends = stroke
    left, top, share = place
    page.locator("#classes .pick", has_text=name).click()
    Hand(page).draw(*(((x - left) / share, (y - top) / share) for x, y in ends))


def open_image(page, key):
    page.locator("#images button", has_text=key).click()
    expect(page.locator("#images [aria-current=true] span")).to_have_text(key)


def classes_of_mask(page):
    """Class → its part of the mask that is shown."""
    found = shown(
        page,
        """(() => {
        const pen = new OffscreenCanvas(state.view.width, state.view.height).getContext("2d");
        pen.drawImage(state.view.mask, 0, 0);
        const { data } = pen.getImageData(0, 0, state.view.width, state.view.height), counts = {};
        for (let at = 0; at < data.length; at += 4) {
          const color = "#" + [...data.slice(at, at + 3)].map((part) => part.toString(16).padStart(2, "0")).join("");
          counts[color] = (counts[color] ?? 0) + 1;
        }
        return state.project.classes.map(({ name, color }) => [name, counts[color] ?? 0]);
      })()""",
    )
    return {name: count / (SIZE[0] * SIZE[1]) for name, count in found}


@pytest.mark.slow
def test_a_first_project(browser, serve, twelve, tmp_path):
    port, project = free_port(), tmp_path / "project"
    serve(project, port, weights="auto")
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(90_000)
    page.add_init_script(LISTEN)
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"http://127.0.0.1:{port}/")
    expect(page.locator("#upload")).to_be_enabled()
    expect(page.locator("#steps li.done")).to_have_count(0)
    page.set_input_files("#upload", sorted((tmp_path / "photographs").iterdir()))
    expect(page.locator("#images button")).to_have_count(12)
    expect(page.locator("#steps li.done")).to_have_count(1)
    for number, name in enumerate(CLASSES):
        add(page, name)
        expect(page.locator("#classes li")).to_have_count(number + 1)
    expect(page.locator("#steps")).to_be_hidden()

    # Fourteen strokes on four photographs.
    drawn = 0
    for key in ("cat-0", "cup-0", "cat-3", "cup-2"):
        open_image(page, key)
        for stroke in STROKES[key.split("-")[0]]:
            draw(page, twelve[key], stroke)
            drawn += 1
    assert drawn == 14
    expect(page.locator("#source")).to_have_text("learned from all hints", timeout=60_000)
    shoot(page, "project-drawn")

    # Every photograph has a learned mask, also where nothing was drawn.
    for key in twelve:
        open_image(page, key)
        expect(page.locator("#source")).to_have_text("learned from all hints", timeout=90_000)
        found, right = classes_of_mask(page), key.split("-")[0]
        assert found[right] > 0.15, (key, found)
        assert found[right] > 4 * found[{"cat": "cup", "cup": "cat"}[right]], (key, found)
        shoot(page, f"project-{key}")

    # Five corrections: the masks follow.
    for key in ("cat-1", "cat-2", "cup-1", "cup-3", "cup-4"):
        open_image(page, key)
        expect(page.locator("#source")).to_have_text("learned from all hints", timeout=90_000)
        before = shown(page, "state.view.tag")
        draw(page, twelve[key], ("ground", (0.3, 0.93), (0.6, 0.93)))
        page.wait_for_function(f"import('/page/js/state.js').then(({{ view }}) => view.tag !== {json.dumps(before)})")
        expect(page.locator("#source")).to_have_text("learned from all hints", timeout=90_000)
    shoot(page, "project-corrected")

    # Accepted, exported, measured.
    page.keyboard.press("a")
    expect(page.locator("#accept")).to_have_text("Withdraw mask")
    assert Dataset.open(project).has_mask("cup-4")
    page.select_option("#format", "coco")
    with page.expect_download() as download:
        page.click("#export")
    download.value.save_as(tmp_path / "coco.zip")
    with zipfile.ZipFile(tmp_path / "coco.zip") as packed:
        (name,) = (name for name in packed.namelist() if name.endswith(".json"))
        coco = json.loads(packed.read(name))
    assert {one["name"] for one in coco["categories"]} == set(CLASSES)
    assert len({one["image_id"] for one in coco["annotations"]}) == len(coco["images"]) == 12
    page.click("#areas")
    expect(page.locator("#areas-note")).to_have_text("12 images measured", timeout=60_000)
    shoot(page, "project-areas")
    with page.expect_download() as download:
        page.click("#areas-save")
    download.value.save_as(tmp_path / "areas.csv")
    rows = list(csv.DictReader((tmp_path / "areas.csv").read_text("utf-8").splitlines()))
    for key in twelve:
        assert sum(int(row["pixels"]) for row in rows if row["image"] == key) == SIZE[0] * SIZE[1]
    assert set(page.evaluate("window.said")) <= SAID
    assert faults == []
