"""Import in a real browser: COCO's polygons are corrected like one's own, exported, and equal elsewhere."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import UNLABELED
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.io.images import write_labels

pytest.importorskip("fastapi")
pytest.importorskip("playwright.sync_api")

from tests.apps.studio.browsing import SIZE, Hand, add, expect, free_port, opened, scribble, shoot, table
from tests.apps.studio.waiting import eventually

WIDTH, HEIGHT = SIZE


def polygon(*places):
    return [[round(side * end, 1) for x, y in places for side, end in ((x, WIDTH), (y, HEIGHT))]]


def coco(**polygons):
    """COCO annotations: image name → (class, polygon) pairs."""
    names = sorted({name for shapes in polygons.values() for name, _ in shapes})
    images = [
        {"id": number, "file_name": f"{key}.png", "width": WIDTH, "height": HEIGHT}
        for number, key in enumerate(polygons)
    ]
    annotations = [
        {"image_id": number, "category_id": names.index(name), "segmentation": shape, "iscrowd": 0}
        for number, shapes in enumerate(polygons.values())
        for name, shape in shapes
    ]
    numbered = [{"id": number, **one} for number, one in enumerate(annotations)]
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    return {"images": images, "annotations": numbered, "categories": categories}


def chosen(name, content):
    return {"name": name, "mimeType": "application/json", "buffer": json.dumps(content).encode()}


HALVES = {
    "astronaut": [
        ("sky", polygon((0, 0), (0.4, 0), (0.4, 1), (0, 1))),
        ("person", polygon((0.6, 0.1), (0.9, 0.1), (0.9, 0.9), (0.6, 0.9))),
    ],
    "cat": [("sky", polygon((0, 0), (1, 0), (1, 0.2)))],
}


def import_(page, *files):
    page.click("#import")
    page.set_input_files("#import-files", list(files))
    expect(page.locator("#import-take")).to_be_enabled()


def regions(folder, key="astronaut"):
    found = Dataset.open(folder).hints(key, ("scribbles",)).scribble_map
    return None if found is None else found.labels


@pytest.mark.slow
def test_imported_polygons_are_corrected_like_ones_own(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        import_(page, chosen("annotations.json", coco(**HALVES)))
        expect(page.locator("#import-state")).to_have_text(
            "2 images, none of them new here; strokes or regions in 2. 2 classes, 2 of them new: person, sky."
        )
        page.click("#import-take")
        expect(page.locator("#import-dialog")).to_be_hidden()
        expect(page.locator("#info-text")).to_contain_text("Imported: 2 images with their hints.")
        expect(page.locator("#hint-count")).to_have_text("Hints of this image (2)")
        expect(page.locator("#saved")).to_have_text("saved")
        before = regions(photographs)
        assert {name: (before == label).any() for label, name in enumerate(("person", "sky"))} == {
            "person": 1,
            "sky": 1,
        }
        # A part is rubbed out, and comes back.
        page.locator("#canvas").focus()
        page.keyboard.press("r")
        Hand(page).draw((0.1, 0.5), (0.3, 0.5))
        eventually(lambda: (regions(photographs) != before).any())
        rubbed = regions(photographs)
        assert set(before[rubbed != before].tolist()) == {1}
        rows, columns = np.nonzero(rubbed != before)
        assert abs(rows.mean() / HEIGHT - 0.5) < 0.03
        assert abs(columns.mean() / WIDTH - 0.2) < 0.03
        page.keyboard.press("Control+z")
        eventually(lambda: (regions(photographs) == before).all())
        page.keyboard.press("Control+y")
        eventually(lambda: (regions(photographs) == rubbed).all())
        # One is erased as a whole, from the list; a stroke of another class corrects what lies below.
        page.locator("#hint-list li", has_text="region, person").locator("button").click()
        eventually(lambda: not (regions(photographs) == 0).any())
        page.keyboard.press("s")
        Hand(page).choose(0)
        scribble(page, (0.1, 0.2), (0.3, 0.2))
        eventually(lambda: table(photographs, "scribbles").get("astronaut"))
        page.keyboard.press("e")
        page.mouse.click(*Hand(page).at(0.2, 0.8))
        eventually(lambda: regions(photographs) is None)
        # The image that was left is gone back to.
        page.keyboard.press("ArrowRight")
        expect(page.locator("#images [aria-current=true] span")).to_have_text("cat")
        for _ in range(3):
            page.keyboard.press("Control+z")
        expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
        eventually(lambda: regions(photographs) is not None and (regions(photographs) == rubbed).all())
        assert not table(photographs, "scribbles").get("astronaut")


@pytest.mark.slow
def test_an_import_asks_before_it_touches_what_was_drawn(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        scribble(page, (0.1, 0.1), (0.3, 0.1))
        eventually(lambda: table(photographs, "scribbles"))
        drawn = table(photographs, "scribbles")
        import_(page, chosen("annotations.json", coco(**HALVES)))
        expect(page.locator("#import-existing legend")).to_have_text(
            "1 image has hints or an accepted mask here already (astronaut):"
        )
        assert page.locator("[name=existing]:checked").get_attribute("value") == "keep"
        page.click("#import-close")
        assert regions(photographs, "cat") is None
        import_(page, chosen("annotations.json", coco(**HALVES)))
        page.click("#import-take")
        expect(page.locator("#info-text")).to_contain_text("1 image with hints was kept as it is.")
        assert table(photographs, "scribbles") == drawn
        assert regions(photographs) is None
        assert regions(photographs, "cat") is not None
        import_(page, chosen("annotations.json", coco(astronaut=HALVES["astronaut"])))
        page.check("[name=existing][value=replace]")
        page.click("#import-take")
        expect(page.locator("#hint-count")).to_have_text("Hints of this image (2)")
        assert not table(photographs, "scribbles")
        assert regions(photographs) is not None


def drop(page, place, text):
    page.evaluate(
        """([place, text]) => {
          const data = new DataTransfer();
          data.items.add(new File([text], "annotations.json", { type: "application/json" }));
          const drop = new DragEvent("drop", { dataTransfer: data, cancelable: true, bubbles: true });
          document.getElementById(place).dispatchEvent(drop);
        }""",
        [place, text],
    )


@pytest.mark.slow
def test_what_cannot_be_imported_is_said_in_the_dialog(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        page.click("#import")
        page.set_input_files("#import-files", [chosen("annotations.json", coco(dog=HALVES["cat"]))])
        expect(page.locator("#import-state")).to_contain_text("names the image 'dog.png'")
        expect(page.locator("#import-take")).to_be_disabled()
        # Files that are dropped on the dialog or the page are read like chosen ones.
        for place in ("import-dialog", "frame"):
            drop(page, place, json.dumps(coco(cat=HALVES["cat"])))
            expect(page.locator("#import-state")).to_contain_text("1 image")
            expect(page.locator("#import-take")).to_be_enabled()
            page.keyboard.press("Escape")
            expect(page.locator("#import-dialog")).to_be_hidden()
        eventually(lambda: not list((photographs / "studio" / "import").iterdir()))


@pytest.mark.slow
def test_regions_are_sent_only_when_they_change(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        import_(page, chosen("annotations.json", coco(**HALVES)))
        page.click("#import-take")
        expect(page.locator("#hint-count")).to_have_text("Hints of this image (2)")
        sent = []
        page.on("request", lambda one: sent.append(one.post_data_json["regions"]) if one.method == "PUT" else None)
        before = regions(photographs)
        for row in (0.2, 0.4):
            scribble(page, (0.1, row), (0.3, row))
            expect(page.locator("#saved")).to_have_text("saved")
        eventually(lambda: len(table(photographs, "scribbles").get("astronaut", [])) == 2)
        assert len(sent[0]) == 2
        assert sent[1] is None
        page.locator("#canvas").focus()
        page.keyboard.press("r")
        Hand(page).draw((0.1, 0.8), (0.3, 0.8))
        eventually(lambda: (regions(photographs) != before).any())
        # Another program takes a region away; the page sees it, and saves what it then shows.
        (photographs / "scribbles" / "astronaut.png").unlink()
        expect(page.locator("#hint-count")).to_have_text("Hints of this image (2)")
        page.keyboard.press("s")
        scribble(page, (0.1, 0.6), (0.3, 0.6))
        eventually(lambda: len(table(photographs, "scribbles")["astronaut"]) == 3)
        assert regions(photographs) is None


@pytest.mark.slow
def test_undo_goes_back_through_images_and_not_over_what_others_drew(browser, serve, photographs):
    with opened(browser, serve, photographs) as page:
        add(page, "dog")
        scribble(page, (0.1, 0.1), (0.3, 0.1))
        scribble(page, (0.1, 0.3), (0.3, 0.3))
        eventually(lambda: len(table(photographs, "scribbles").get("astronaut", [])) == 2)
        page.keyboard.press("ArrowRight")
        expect(page.locator("#images [aria-current=true] span")).to_have_text("cat")
        scribble(page, (0.1, 0.1), (0.3, 0.1))
        eventually(lambda: "cat" in table(photographs, "scribbles"))
        page.keyboard.press("Control+z")
        eventually(lambda: "cat" not in table(photographs, "scribbles"))
        expect(page.locator("#images [aria-current=true] span")).to_have_text("cat")
        page.keyboard.press("Control+z")
        eventually(lambda: len(table(photographs, "scribbles")["astronaut"]) == 1)
        expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
        page.keyboard.press("Control+y")
        page.keyboard.press("Control+y")
        eventually(lambda: "cat" in table(photographs, "scribbles"))
        assert len(table(photographs, "scribbles")["astronaut"]) == 2
        expect(page.locator("#images [aria-current=true] span")).to_have_text("cat")
        expect(page.locator("#saved")).to_have_text("saved")
        # Another program changes the first image: there is nothing to go back to on it.
        theirs = table(photographs, "scribbles")
        theirs["astronaut"] = theirs["astronaut"][:1]
        (photographs / "scribbles.json").write_text(json.dumps(theirs), "utf-8")
        page.keyboard.press("Control+z")
        eventually(lambda: "cat" not in table(photographs, "scribbles"))
        page.keyboard.press("Control+z")
        expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
        expect(page.locator("#undo")).to_be_disabled()
        assert table(photographs, "scribbles")["astronaut"] == theirs["astronaut"]


def packed(path, images, annotations):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("project/annotations.json", json.dumps(annotations))
        for image in images:
            archive.write(image, f"project/images/{image.name}")
    return path


def download(page, tmp_path, writer):
    page.select_option("#format", writer)
    with page.expect_download(timeout=120_000) as got:
        page.click("#export")
    got.value.save_as(tmp_path / f"{writer}.zip")
    return tmp_path / f"{writer}.zip"


@pytest.mark.slow
def test_a_coco_project_is_corrected_trained_exported_and_equal_elsewhere(browser, serve, photographs, tmp_path):
    archive = packed(tmp_path / "coco.zip", [photographs / f"{key}.png" for key in HALVES], coco(**HALVES))
    here, there = tmp_path / "here", tmp_path / "there"
    ports = free_port(), free_port()
    serve(here, ports[0])
    page = browser.new_page(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"http://127.0.0.1:{ports[0]}/")
    page.click("#import")
    page.set_input_files("#import-files", archive)
    expect(page.locator("#import-state")).to_contain_text("2 images, 2 of them new here; strokes or regions in 2.")
    shoot(page, "studio-import")
    page.click("#import-take")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
    expect(page.locator("#hint-count")).to_have_text("Hints of this image (2)")
    # Corrected: a part of one polygon goes, and belongs to the other class from now on.
    page.locator("#canvas").focus()
    page.keyboard.press("r")
    Hand(page).draw((0.1, 0.8), (0.35, 0.8))
    page.keyboard.press("s")
    Hand(page).choose(0)
    scribble(page, (0.1, 0.8), (0.35, 0.8))
    eventually(lambda: table(here, "scribbles").get("astronaut"))
    page.click("#train")
    expect(page.locator("#source")).to_contain_text("mask of run-001", timeout=400_000)
    page.check("#with-images")
    maps = zipfile.ZipFile(download(page, tmp_path, "png"))
    polygons = download(page, tmp_path, "coco-polygons")
    page.close()
    labels = {key: np.array(Image.open(io.BytesIO(maps.read(f"masks/{key}.png")))) for key in HALVES}
    drawn = Dataset.open(here).hints("astronaut")
    certain = np.full((HEIGHT, WIDTH), UNLABELED, np.uint8)
    HINT_TYPES["scribbles"].draw(drawn.by_type["scribbles"], certain, 0)
    assert (labels["astronaut"] == certain)[certain < UNLABELED].mean() > 0.95

    serve(there, ports[1])
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"http://127.0.0.1:{ports[1]}/")
    page.click("#import")
    page.set_input_files("#import-files", polygons)
    expect(page.locator("#import-state")).to_contain_text("2 images, 2 of them new here")
    expect(page.locator("#import-notes li")).to_have_count(1)
    expect(page.locator("#import-notes")).to_contain_text("no class is the background")
    page.click("#import-take")
    expect(page.locator("#images [aria-current=true] span")).to_have_text("astronaut")
    assert Dataset.open(there).classes == Dataset.open(here).classes
    for key in HALVES:
        assert (there / "images" / f"{key}.png").read_bytes() == (photographs / f"{key}.png").read_bytes()
        assert np.array_equal(regions(there, key), labels[key])
    assert faults == []


@pytest.mark.slow
def test_an_accepted_mask_is_edited_as_regions(browser, serve, photographs):
    (photographs / "images").mkdir()
    for path in photographs.glob("*.png"):
        path.rename(photographs / "images" / path.name)
    (photographs / "dataset.json").write_text('{"classes": ["sky", "person"]}', "utf-8")
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:, WIDTH // 2 :] = 1
    labels[:2] = 255
    write_labels(photographs / "masks" / "astronaut.png", labels)
    labels[:2] = UNLABELED  # as regions hold it
    with opened(browser, serve, photographs) as page:
        expect(page.locator("#source")).to_have_text("accepted mask")
        page.click("#edit")
        expect(page.locator("#hint-count")).to_have_text("Hints of this image (2)")
        expect(page.locator("#info-text")).to_contain_text(f"{2 * WIDTH} ignored pixels are unlabeled now")
        expect(page.locator("#edit")).to_be_hidden()
        assert np.array_equal(regions(photographs), labels)
        page.locator("#canvas").focus()
        page.keyboard.press("r")
        Hand(page).draw((0.2, 0.5), (0.3, 0.5))
        eventually(lambda: (regions(photographs) == UNLABELED).any())
        assert not (photographs / "masks" / "astronaut.png").exists()
        expect(page.locator("#accept")).to_have_text("Accept mask")
