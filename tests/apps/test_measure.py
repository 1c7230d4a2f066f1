"""Areas: every class of every mask, in pixels, percent and, where there is a scale, square metres."""

import csv
import json

import numpy as np
import pytest

from hintseg.apps.cli.app import app
from hintseg.apps.measure import areas, as_csv, measure_masks
from hintseg.errors import InputError, RunError
from hintseg.io.georeference import pixel_area
from hintseg.io.images import write_image, write_labels

CLASSES = ("sky", "roof, old", "grass")


def labels():
    found = np.zeros((10, 20), np.uint8)
    found[:, 10:] = 1
    found[0] = 255
    return found


def raster(path, crs, transform, size=(10, 20)):
    rasterio = pytest.importorskip("rasterio")
    profile = {"driver": "GTiff", "height": size[0], "width": size[1], "count": 3, "dtype": "uint8"}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **profile, crs=crs, transform=transform) as target:
        target.write(np.full((3, *size), 7, np.uint8))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps({"classes": list(CLASSES), "ignore_index": 255}), "utf-8")
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "images" / "a.png", np.zeros((10, 20, 3), np.uint8))
    write_labels(tmp_path / "masks" / "a.png", labels())
    return tmp_path


def test_ignored_pixels_count_nowhere_and_every_class_is_listed():
    rows = areas("a", labels(), CLASSES)
    assert [(row.class_name, row.pixels, row.percent) for row in rows] == [
        ("sky", 90, 50.0), ("roof, old", 90, 50.0), ("grass", 0, 0.0),
    ]  # fmt: skip
    assert {row.square_metres for row in rows} == {None}
    assert [row.percent for row in areas("a", np.full((2, 2), 255, np.uint8), CLASSES)] == [0, 0, 0]


def test_the_command_writes_what_the_masks_hold(folder, capsys, tmp_path):
    app(["measure", str(folder / "masks")], standalone_mode=False)
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["class"] for row in rows] == list(CLASSES)
    assert rows[1] == {"image": "a", "class": "roof, old", "pixels": "90", "percent": "50.0", "square_metres": ""}
    out = tmp_path / "results" / "areas.csv"
    app(["measure", str(folder / "masks"), "--out", str(out)], standalone_mode=False)
    assert out.read_text("utf-8") == as_csv(measure_masks(folder / "masks"))


def test_a_table_replaces_another_when_asked_and_nobody_elses(folder, tmp_path):
    out = tmp_path / "results" / "areas.csv"
    command = ["measure", str(folder / "masks"), "--out", str(out)]
    app(command, standalone_mode=False)
    before = out.read_text("utf-8")
    write_labels(folder / "masks" / "a.png", np.ones((10, 20), np.uint8))
    with pytest.raises(RunError, match="is there already; add --overwrite"):
        app(command, standalone_mode=False)
    assert out.read_text("utf-8") == before
    app([*command, "--overwrite"], standalone_mode=False)
    assert out.read_text("utf-8") == as_csv(measure_masks(folder / "masks")) != before
    for theirs in ("image,class,pixels,percent,square_metres,note\na,sky,9,1,,mine\n", "", "a,b\n1,2\n"):
        out.write_text(theirs, "utf-8")
        with pytest.raises(RunError, match="was not made by hintseg"):
            app([*command, "--overwrite"], standalone_mode=False)
        assert out.read_text("utf-8") == theirs


def test_metres_come_from_the_image_also_where_the_mask_is_smaller(folder):
    transform = pytest.importorskip("rasterio.transform").from_origin(500_000, 5_000_000, 0.5, 0.5)
    raster(folder / "images" / "b.tif", "EPSG:32633", transform, (20, 40))
    write_labels(folder / "masks" / "b.png", labels())  # half the image's size: a pixel is 1 m²
    (folder / "masks" / "a.png").unlink()
    rows = list(measure_masks(folder / "masks", folder / "images"))
    assert [row.image for row in rows] == ["b"] * 3
    assert rows[0].square_metres == pytest.approx(90.0)


@pytest.mark.parametrize(
    ("crs", "metres"),
    [("EPSG:32633", 0.25), ("EPSG:2263", 0.25 * (1200 / 3937) ** 2), ("EPSG:4326", None), (None, None)],
)
def test_a_pixel_has_an_area_in_metres_and_feet_and_none_in_degrees(tmp_path, crs, metres):
    raster(tmp_path / "a.tif", crs, pytest.importorskip("rasterio.transform").from_origin(10, 10, 0.5, 0.5))
    found = pixel_area(tmp_path / "a.tif")
    assert found is None if metres is None else found == pytest.approx(metres, rel=1e-6)


@pytest.mark.parametrize(("latitude", "fraction"), [(0.001, 0.9933), (60.0, 0.2508)])
def test_pixels_of_mercator_have_their_area_on_the_ground(tmp_path, latitude, fraction):
    """Of the ellipsoid: the product of its two radii of curvature, times cos², over the square of Mercator's radius."""
    warp = pytest.importorskip("rasterio.warp")
    (x,), (y,) = warp.transform("EPSG:4326", "EPSG:3857", [13.4], [latitude])
    raster(tmp_path / "a.tif", "EPSG:3857", pytest.importorskip("rasterio.transform").from_origin(x, y, 2, 2))
    assert pixel_area(tmp_path / "a.tif") == pytest.approx(4 * fraction, rel=1e-2)
    square, flat = np.sin(np.radians(latitude)) ** 2, 0.00669437999
    exact = (1 - flat) / (1 - flat * square) ** 2 * np.cos(np.radians(latitude)) ** 2
    assert fraction == pytest.approx(exact, rel=1e-3)


def test_rasters_whose_pixels_differ_on_the_ground_have_no_area(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("hintseg.io.georeference._said", set())
    for name in ("a", "b"):
        at = pytest.importorskip("rasterio.transform").from_origin(0, 9e6, 9e4, 9e4)
        raster(tmp_path / f"{name}.tif", "EPSG:3857", at)
        assert pixel_area(tmp_path / f"{name}.tif") is None
    assert caplog.text.count("different areas on the ground") == 1


@pytest.mark.parametrize(("crs", "corner"), [("ESRI:54009", (-18e6, 9e6)), ("EPSG:3857", (1e12, 1e12))])
def test_a_raster_that_reaches_beyond_the_earth_has_no_area(tmp_path, crs, corner):
    raster(tmp_path / "a.tif", crs, pytest.importorskip("rasterio.transform").from_origin(*corner, 2e6, 2e6))
    assert pixel_area(tmp_path / "a.tif") is None


def test_each_mask_is_measured_by_the_classes_that_it_says(folder):
    write_labels(folder / "predicted" / "a.png", labels(), classes=CLASSES)
    write_labels(folder / "predicted" / "b.png", labels(), classes=CLASSES[::-1])
    (folder / "predicted" / ".made-by.json").write_text(json.dumps({"classes": CLASSES}))
    found = {(row.image, row.class_name): row.pixels for row in measure_masks(folder / "predicted")}
    assert found["a", CLASSES[0]] == found["b", CLASSES[2]] == 90
    assert found["a", CLASSES[2]] == found["b", CLASSES[0]] == 0


def test_what_has_no_scale_or_is_no_image_has_no_metres(folder):
    assert pixel_area(folder / "images" / "a.png") is None
    assert pixel_area(folder / "dataset.json") is None


def test_masks_that_say_no_classes_are_refused(tmp_path):
    write_labels(tmp_path / "somewhere" / "a.png", labels())
    with pytest.raises(InputError, match="no file says which classes"):
        list(measure_masks(tmp_path / "somewhere"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("images", "Images are measured by their masks: make these with hintseg predict"),
        ("absent", "absent: no such folder"),
        (".", "is a data set; give its masks: .*masks"),
    ],
)
def test_what_holds_no_masks_is_told_what_to_give(folder, name, message):
    with pytest.raises(InputError, match=message):
        list(measure_masks(folder / name))
