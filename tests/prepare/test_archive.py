"""Archives from strangers: names that lead elsewhere, links, pipes, damaged parts. Each is one sentence, in time."""

import json
import os
import shutil

import numpy as np
import pytest
from scipy.io import savemat

from hintseg.errors import InputError
from hintseg.formats.rle import encode_rle
from hintseg.io.images import write_image, write_labels
from hintseg.prepare.archive import plain_key
from hintseg.prepare.densepose import prepare_densepose
from hintseg.prepare.voc12 import prepare_voc12

SIZE = (48, 64)
IMAGE = np.zeros((*SIZE, 3), np.uint8)
LEADING_OUT = (
    "../../../../victim/precious", "../precious", "/tmp/precious", "a/b", "..", ".", "a\\..\\b", "C:b", "a\0b", ".a",
    "", "a\u2028b", "a" * 300, "a ", "a.", 5, None, ["a"],
)  # fmt: skip


@pytest.mark.parametrize("name", LEADING_OUT)
def test_no_name_leads_out_of_its_folder(name):
    with pytest.raises(InputError, match="is no plain file name"):
        plain_key(name, "a list")


def test_names_of_benchmarks_are_plain():
    for name in ("2007_000032", "COCO_train2014_000000000009", "a-b.c", "é"):
        assert plain_key(name, "a list") == name


@pytest.fixture
def voc(tmp_path):
    """One image with VOC's own mask, one with SBD's, scribbles and clicks."""
    root = tmp_path / "root"
    devkit, sbd = root / "VOCdevkit/VOC2012", root / "benchmark_RELEASE/dataset"
    for name, text in (("train", "a\n"), ("val", "")):
        write(devkit / f"ImageSets/Segmentation/{name}.txt", text)
        write(sbd / f"{name}.txt", "b\n")
    for key in ("a", "b"):
        write_image(devkit / f"JPEGImages/{key}.jpg", IMAGE)
        write(devkit / f"Annotations/{key}.xml", "<annotation/>")
    write(root / "scribble_annotation/pascal_2012/a.xml", "<annotation/>")
    write_labels(devkit / "SegmentationClass/a.png", np.zeros(SIZE, np.uint8))
    save_mat(sbd / "cls/b.mat", np.ones(SIZE, np.uint8))
    write(root / "pascal2012_trainval_main.json", "{}")
    return root


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def save_mat(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"GTcls": {"Segmentation": labels}})


LISTS = ("VOCdevkit/VOC2012/ImageSets/Segmentation", "benchmark_RELEASE/dataset")


@pytest.mark.parametrize("place", [f"{folder}/{name}.txt" for folder in LISTS for name in ("train", "val")])
@pytest.mark.parametrize("key", ["../../../victim/precious", "/tmp/precious", "..\\precious", "a/../../b"])
def test_a_list_that_leads_out_is_refused_before_anything_is_written(voc, tmp_path, place, key):
    for path in (tmp_path / "victim/precious", voc / "victim/precious"):
        for suffix in (".png", ".jpg", ".xml", ".mat"):
            write(path.with_suffix(suffix), "my own")
    write(voc / place, f"{key}\n")
    with pytest.raises(InputError, match="is no plain file name"):
        prepare_voc12(voc, tmp_path / "a/out")
    assert {path.read_text() for path in tmp_path.glob("victim/*")} == {"my own"}
    assert not (tmp_path / "a").exists()


FILES = (
    "VOCdevkit/VOC2012/JPEGImages/a.jpg", "VOCdevkit/VOC2012/SegmentationClass/a.png",
    "VOCdevkit/VOC2012/Annotations/a.xml", "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt",
    "benchmark_RELEASE/dataset/cls/b.mat", "benchmark_RELEASE/dataset/train.txt",
    "scribble_annotation/pascal_2012/a.xml", "pascal2012_trainval_main.json",
)  # fmt: skip


@pytest.mark.parametrize("place", FILES)
@pytest.mark.parametrize("kind", ["outside", "nowhere", "pipe", "folder"])
def test_a_file_that_is_none_or_lies_elsewhere_is_refused(voc, tmp_path, place, kind):
    path = voc / place
    path.rename(tmp_path / path.name)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / (path.name if kind == "outside" else "nowhere"))
    with pytest.raises(InputError, match=f"{path.name}: (is a (folder|pipe|link)|a link leads)"):
        prepare_voc12(voc, tmp_path / "out", "clicks" if path.suffix == ".json" else "scribbles")
    assert not (tmp_path / "out").exists()


def test_folders_of_the_archive_that_lie_elsewhere(voc, tmp_path):
    shutil.move(voc / "VOCdevkit", tmp_path / "elsewhere")
    (voc / "VOCdevkit").symlink_to(tmp_path / "elsewhere")
    prepare_voc12(voc, tmp_path / "out")
    images = tmp_path / "elsewhere/VOC2012/JPEGImages"
    images.rename(tmp_path / "private")
    images.symlink_to(tmp_path / "private")
    with pytest.raises(InputError, match="out of the archive"):
        prepare_voc12(voc, tmp_path / "other")
    shutil.rmtree(voc / "benchmark_RELEASE/dataset")
    (voc / "benchmark_RELEASE/dataset").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="dataset: is no folder, or a link that leads nowhere"):
        prepare_voc12(voc, tmp_path / "other")


@pytest.mark.parametrize(
    ("clicks", "message"),
    [
        ({"a": 5}, "the field 'a' is missing or malformed"),
        ({"a": [5]}, "5 is no object"),
        ({"a": [{"x": "left", "y": 1, "cls": 1}]}, "'left' is no number"),
        ({"a": [{"x": 1, "y": 1}]}, "None is no number"),
        ({"a": [{"x": 1, "y": 1, "cls": 99}]}, "cls 99 is not in"),
        ([], "must map image names"),
    ],
)
def test_malformed_clicks_are_named(voc, tmp_path, clicks, message):
    write(voc / "pascal2012_trainval_main.json", json.dumps(clicks))
    with pytest.raises(InputError, match=message):
        prepare_voc12(voc, tmp_path / "out", "clicks")
    write(voc / "pascal2012_trainval_main.json", '{"a": [{"x": 1e999, "y": 1, "cls": 1}]}')
    with pytest.raises(InputError, match="is no number that a coordinate can be"):
        prepare_voc12(voc, tmp_path / "out", "clicks")


def test_a_mask_of_another_size_is_refused(voc, tmp_path):
    save_mat(voc / "benchmark_RELEASE/dataset/cls/b.mat", np.ones((9, 7), np.uint8))
    with pytest.raises(InputError, match=r"b.mat: is 7×9 but .* is 64×48"):
        prepare_voc12(voc, tmp_path / "out")
    write_labels(voc / "VOCdevkit/VOC2012/SegmentationClass/a.png", np.zeros((9, 7), np.uint8))
    with pytest.raises(InputError, match=r"a.png: is 7×9 but .* is 64×48"):
        prepare_voc12(voc, tmp_path / "other")


@pytest.mark.parametrize("labels", [np.full(SIZE, 99, np.uint8), np.full(SIZE, np.nan), np.zeros((2, 3, 4)), "text"])
def test_an_archive_of_no_labels_is_named(voc, tmp_path, labels):
    save_mat(voc / "benchmark_RELEASE/dataset/cls/b.mat", labels)
    with pytest.raises(InputError, match=r"b.mat: (GTcls.Segmentation is no map|is no SBD class file)"):
        prepare_voc12(voc, tmp_path / "out")


PERSON = {"id": 1, "image_id": 1, "bbox": [1, 1, 10, 10], "dp_masks": [], "dp_x": [], "dp_y": [], "dp_I": []}
HALF = encode_rle(np.tri(256, dtype=np.bool_))


def densepose(root, image=None, person=None):
    write_image(root / "train2014/a.jpg", IMAGE)
    images = [{"id": 1, "file_name": "a.jpg", "height": SIZE[0], "width": SIZE[1], **(image or {})}]
    for name, listed in (("train", images), ("minival", [])):
        content = {"images": listed, "annotations": [{**PERSON, **(person or {})}]}
        write(root / f"annotations/densepose_coco_2014_{name}.json", json.dumps(content))
    return root


@pytest.mark.parametrize("name", [*LEADING_OUT, "../a.jpg", "/a.jpg", "..jpg"])
def test_file_names_of_densepose_are_plain(tmp_path, name):
    with pytest.raises(InputError, match=r"is no plain file name|'file_name' is missing or malformed"):
        prepare_densepose(densepose(tmp_path / "root", {"file_name": name}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("image", "person", "message"),
    [
        ({"height": "48"}, {}, "the field 'height' is missing or malformed"),
        ({"height": -48}, {}, "is 64×-48 but"),
        ({"height": 96, "width": 128}, {}, "is 128×96 but"),
        ({"id": [1]}, {}, "the field 'id' is missing or malformed"),
        ({}, {"image_id": {}}, "the field 'image_id' is missing or malformed"),
        ({}, {"bbox": [100, 100, 90, 90], "dp_masks": [HALF]}, "does not lie in its image"),
        ({}, {"bbox": [1, 1, 1e5, 1e5], "dp_masks": [HALF]}, "does not lie in its image"),
        ({}, {"bbox": [1, 1, 0, 9]}, "does not lie in its image"),
        ({}, {"bbox": None}, "None is no list of 4 numbers"),
        ({}, {"dp_masks": 5}, "'dp_masks' is missing or malformed"),
        ({}, {"dp_masks": [7]}, "annotation 1 is malformed"),
        ({}, {"dp_masks": [HALF] * 15}, "15 dp_masks"),
        ({}, {"dp_masks": [{"size": [20000, 20000], "counts": [400000000]}]}, "not of 256 × 256"),
        ({}, {"dp_x": [1], "dp_y": [1], "dp_I": [25]}, "malformed points"),
        ({}, {"dp_x": [1], "dp_y": [1], "dp_I": [-1]}, "malformed points"),
        ({}, {"dp_x": [1], "dp_y": [], "dp_I": [1]}, "malformed points"),
        ({}, {"dp_x": ["a"], "dp_y": [1], "dp_I": [1]}, "'a' is no number"),
    ],
)
def test_malformed_densepose_is_named(tmp_path, image, person, message):
    with pytest.raises(InputError, match=message):
        prepare_densepose(densepose(tmp_path / "root", image, person), tmp_path / "out")


def test_densepose_images_that_lie_elsewhere_are_refused(tmp_path):
    root = densepose(tmp_path / "root")
    (root / "train2014/a.jpg").rename(tmp_path / "private.jpg")
    (root / "train2014/a.jpg").symlink_to(tmp_path / "private.jpg")
    with pytest.raises(InputError, match="out of the archive"):
        prepare_densepose(root, tmp_path / "out")
