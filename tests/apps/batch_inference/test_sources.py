"""Going on with masks whose images were replaced, edited, copied or made by an earlier version in the meantime."""

import json
import os
import shutil
from pathlib import Path

import cv2
import fsspec
import numpy as np
import pytest
import tifffile
from PIL import Image

from hintseg.apps.batch_inference import complete as completion
from hintseg.apps.batch_inference import output as outputs
from hintseg.apps.batch_inference.complete import complete_masks
from hintseg.apps.batch_inference.input_images import InputImage, find_images
from hintseg.apps.batch_inference.output import Output, Prediction
from hintseg.apps.batch_inference.sources import recorded_marks, source_mark
from hintseg.hints.dataset import Dataset
from hintseg.io.images import read_image, read_labels
from hintseg.io.storage.outputs import is_made_here


def compute(path: Path) -> Prediction:
    return Prediction(read_image(path)[:, :, 0])


def write(path, value):
    """A photograph with a place, so that masks of every kind can be made of it."""
    rasterio = pytest.importorskip("rasterio")
    path.parent.mkdir(exist_ok=True)
    shape = {"count": 1, "height": 4, "width": 5, "dtype": "uint8", "transform": (1, 0, 5, 0, -1, 9)}
    with rasterio.open(path, "w", driver="GTiff", **shape) as target:
        target.write(np.full((1, 4, 5), value, np.uint8))


@pytest.fixture
def images(tmp_path):
    for value, name in enumerate("abc"):
        write(tmp_path / "photos" / f"{name}.tif", value)
    return find_images([tmp_path / "photos"])


def masks_of(output, folder):
    if output.kind == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        rows = [row for shard in folder.glob("*.parquet") for row in parquet.read_table(shard).to_pylist()]
        return {row["name"]: cv2.imdecode(np.frombuffer(row["mask"], np.uint8), cv2.IMREAD_COLOR) for row in rows}
    return {path.stem: read_labels(path).max() for path in folder.glob(f"*{output.suffix}")}


@pytest.mark.parametrize("cluster", [False, True])
@pytest.mark.parametrize("kind", ["png", "geotiff", "parquet"])
def test_an_image_that_was_replaced_is_done_again(images, tmp_path, caplog, kind, cluster):
    """Also by one of the same size and time, which a time stamp alone would not tell."""
    output = Output(str(tmp_path / "masks"), kind)
    output.claim("one", images)
    output.write_all(images, compute, keep=False)
    before, place = masks_of(output, tmp_path / "masks"), Path(images[1].source)
    state = place.stat()
    write(place, 9)
    os.utime(place, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert place.stat().st_size == state.st_size
    kept = output.claim("one", images, resume=True, clear=cluster)
    assert kept == {"a", "c"}
    assert "1 of 3 masks are out of date (e.g. b)" in caplog.text
    output.write_all([image for image in images if image.name not in kept], compute, keep=cluster)
    after = masks_of(output, tmp_path / "masks")
    assert sorted(after) == ["a", "b", "c"]
    assert [np.array_equal(before[name], after[name]) for name in "abc"] == [True, False, True]
    assert output.claim("one", images, resume=True) == {"a", "b", "c"}


@pytest.mark.parametrize("kind", ["png", "geotiff"])
def test_a_mask_whose_probabilities_are_gone_is_done_again(images, tmp_path, kind):
    output = Output(str(tmp_path / "masks"), kind, ("ground", "disc"), soft=True)
    output.claim("one", images)
    soft = np.zeros((2, 4, 5), np.float16)
    output.write_all(images, lambda path: compute(path)._replace(probabilities=soft), keep=False)
    assert output.claim("one", images, resume=True) == {"a", "b", "c"}
    (tmp_path / "masks" / "b.npz").unlink()
    assert output.claim("one", images, resume=True) == {"a", "c"}


@pytest.mark.parametrize("kind", ["png", "geotiff", "parquet"])
def test_a_plain_copy_of_the_images_is_not_done_again(images, tmp_path, caplog, kind):
    output = Output(str(tmp_path / "masks"), kind)
    output.claim("one", images)
    output.write_all(images, compute, keep=False)
    (tmp_path / "copy").mkdir()
    for image in images:
        shutil.copyfile(image.source, tmp_path / "copy" / Path(image.source).name)
    assert output.claim("one", find_images([tmp_path / "copy"]), resume=True) == {"a", "b", "c"}
    assert not caplog.records


@pytest.mark.parametrize("kind", ["png", "parquet"])
def test_masks_of_an_earlier_version_are_kept_and_said_to_be_unsure(images, tmp_path, monkeypatch, caplog, kind):
    output = Output(str(tmp_path / "masks"), kind)
    output.claim("one", images)
    monkeypatch.setattr(outputs, "source_mark", lambda address: "" if kind == "png" else None)
    output.write_all(images[:2], compute, keep=False)
    monkeypatch.undo()
    output.write_all(images[2:], compute, keep=False)
    write(Path(images[0].source), 9)
    assert output.claim("one", images, resume=True) == {"a", "b", "c"}
    assert "2 of 3 masks do not say of which image they were made" in caplog.text


def test_remote_images_are_told_by_what_the_store_says(monkeypatch):
    store = fsspec.filesystem("memory")
    for name in "ab":
        store.pipe(f"/changing/{name}.png", cv2.imencode(".png", np.zeros((4, 5), np.uint8))[1].tobytes())
    images, output = find_images(["memory://changing"]), Output("memory://changed")
    output.claim("one", images)
    output.write_all(images, compute, keep=False)
    fetched, fetch = [], store.get_file
    monkeypatch.setattr(store, "get_file", lambda path, *rest: (fetched.append(path), fetch(path, *rest)))
    assert output.claim("one", images, resume=True) == {"a", "b"}
    store.pipe("/changing/a.png", b"another")
    assert output.claim("one", images, resume=True) == {"b"}
    assert not [path for path in fetched if path.startswith("/changing/")]  # no image is fetched to compare it


def test_an_image_that_never_could_be_read_is_tried_again_by_a_cluster(images, tmp_path):
    pytest.importorskip("pyarrow")
    output, broken = Output(str(tmp_path / "masks"), "parquet"), [InputImage(str(tmp_path / "photos/x.tif"), "x")]
    output.claim("one", broken, clear=True)
    assert output.write_all(broken, compute, keep=True) != [None]
    write(tmp_path / "photos/x.tif", 3)
    assert output.claim("one", broken, resume=True, clear=True) == frozenset()
    assert output.write_all(broken, compute, keep=True) == [None]


def test_the_mark_of_a_source_does_not_hide_that_a_mask_was_edited(images, tmp_path):
    classes = ("light, source abc", "c, pixels deadbeef", *"defghij")
    for kind, name in (("png", "a.png"), ("geotiff", "a.tif")):
        output = Output(str(tmp_path / "masks"), kind, classes)
        output.write_all(images[:1], compute, keep=False)
        assert is_made_here(str(tmp_path / "masks" / name))
        assert recorded_marks([str(tmp_path / "masks" / name)]) == [source_mark(images[0].source)]
    content = (tmp_path / "masks/a.png").read_bytes()
    (tmp_path / "masks/a.png").write_bytes(content.replace(b", pixels ", b", pixels 0"))
    assert not is_made_here(str(tmp_path / "masks/a.png"))


@pytest.fixture
def hinted(tmp_path):
    (tmp_path / "data/images").mkdir(parents=True)
    for name in "ab":
        tifffile.imwrite(tmp_path / f"data/images/{name}.tif", np.arange(48 * 64, dtype=np.uint16).reshape(48, 64))
    (tmp_path / "data/dataset.json").write_text('{"classes": ["x", "y"]}')
    (tmp_path / "data/points.json").write_text(json.dumps({key: [[5, 5, 0], [50, 40, 1]] for key in "ab"}))
    return tmp_path / "data"


def complete(root, out, resume=True):
    """Names of the masks that a completion writes."""
    dataset, before = Dataset.open(root), {path: path.stat().st_ino for path in out.glob("*.png")}
    wrong = list(complete_masks(None, dataset, dataset.keys(), ("points",), "harmonic", str(out), resume=resume))
    assert wrong == [None] * len(dataset.keys())
    return {path.stem for path in out.glob("*.png") if before.get(path) != path.stat().st_ino}


def test_completion_does_a_replaced_image_again(hinted, tmp_path):
    out = tmp_path / "out"
    for path in hinted.glob("images/*.tif"):
        tifffile.imwrite(path, tifffile.imread(path).astype(np.uint8))
    assert complete(hinted, out, resume=False) == {"a", "b"}
    assert complete(hinted, out) == set()
    tifffile.imwrite(hinted / "images/a.tif", np.full((48, 64), 7, np.uint8))
    assert complete(hinted, out) == {"a"}
    assert complete(hinted, out) == set()


def test_the_mask_beside_a_tiff_counts_as_part_of_it(images, tmp_path):
    before = [source_mark(image.source) for image in images]
    beside = tmp_path / "photos/a.tif.msk"
    for value in (0, 255):
        tifffile.imwrite(beside, np.full((4, 5), value, np.uint8))
        now = [source_mark(image.source) for image in images]
        assert [one == other for one, other in zip(before, now, strict=True)] == [False, True, True]
        before[0] = now[0]
    beside.rename(tmp_path / "photos/b.jpg.msk")
    Image.new("RGB", (5, 4)).save(tmp_path / "photos/b.jpg")
    mark = source_mark(str(tmp_path / "photos/b.jpg"))
    (tmp_path / "photos/b.jpg.msk").unlink()
    assert source_mark(str(tmp_path / "photos/b.jpg")) == mark  # of others none is read


def test_a_hint_file_that_cannot_be_read_costs_its_own_image_alone(hinted, tmp_path, monkeypatch):
    for name in ("masks/unrelated.bin", "scribbles/a.png"):
        (hinted / name).parent.mkdir()
        (hinted / name).write_bytes(b"x")

    def unreadable(path):
        if path.parent.name in ("masks", "scribbles"):
            raise PermissionError(13, "Permission denied")
        return "content"

    monkeypatch.setattr(completion, "digest", unreadable)
    dataset, out = Dataset.open(hinted), tmp_path / "out"
    wrong = list(complete_masks(None, dataset, dataset.keys(), ("points", "scribbles"), "harmonic", str(out)))
    assert ["a.png" in str(each) for each in wrong] == [True, False]
    assert [path.name for path in out.glob("*.png")] == ["b.png"]


def test_completion_does_all_again_where_a_replaced_image_changes_how_the_others_are_shown(hinted, tmp_path):
    out = tmp_path / "out"
    complete(hinted, out, resume=False)
    assert complete(hinted, out) == set()
    tifffile.imwrite(hinted / "images/a.tif", 20 * tifffile.imread(hinted / "images/a.tif"))
    assert complete(hinted, out) == {"a", "b"}
    assert complete(hinted, out) == set()


@pytest.mark.parametrize(("kind", "left"), [("png", 0), ("png", -40), ("png", -4), ("geotiff", 0), ("geotiff", -48)])
def test_cut_masks_are_made_again(images, tmp_path, kind, left):
    output = Output(str(tmp_path / "masks"), kind)
    output.claim("one", images)
    output.write_all(images, compute, keep=False)
    mask = tmp_path / "masks" / f"a{output.suffix}"
    whole = mask.read_bytes()
    mask.write_bytes(whole[:left] or b"\0" * (kind == "png" and len(whole)))
    assert output.claim("one", images, resume=True) == {"b", "c"}
    output.write_all(images[:1], compute, keep=False)
    assert mask.read_bytes() == whole


def test_what_was_edited_is_not_taken_for_cut(images, tmp_path):
    for kind, name in (("png", "a.png"), ("geotiff", "a.tif")):
        output = Output(str(tmp_path / kind), kind)
        output.write_all(images[:1], compute, keep=False)
        path = tmp_path / kind / name
        if kind == "png":
            content = path.read_bytes()
            path.write_bytes(content.replace(b", pixels ", b", pixels 0") + b"\n")
        else:
            with tifffile.TiffFile(path) as file:
                software = file.pages.first.tags["Software"].value
            tifffile.imwrite(path, np.ones((2, 4, 5), np.uint8), software=software, photometric="minisblack")
        assert not is_made_here(str(path))


def test_a_damaged_mask_says_nothing_of_those_read_beside_it(images, tmp_path):
    output = Output(str(tmp_path / "masks"), "geotiff")
    output.write_all(images[:1], compute, keep=False)
    whole = (tmp_path / "masks/a.tif").read_bytes()
    for number in range(60):
        (tmp_path / f"masks/{number}.tif").write_bytes(whole if number % 2 else whole[:12] + whole[:-60])
    for _ in range(5):
        marks = recorded_marks([str(tmp_path / f"masks/{number}.tif") for number in range(60)])
        assert marks[1::2] == [source_mark(images[0].source)] * 30
