"""What readers hand over: found images, declared sizes, hints that fit."""

import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hintseg.check import inspect
from hintseg.errors import InputError
from hintseg.formats.finish import finish
from hintseg.formats.reader import Imported
from hintseg.formats.registry import _write, import_dataset
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.io.images import read_image, write_image

NFC = unicodedata.normalize("NFC", "Kühe_é")
NFD = unicodedata.normalize("NFD", NFC)


def photograph(path, width=64, height=48, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (120, 90, 60)).save(path, **more)
    return path


def found_in(root, *names):
    for name in names:
        photograph(root / name)
    return Imported(root)


@pytest.mark.parametrize(
    ("files", "where", "name", "expected"),
    [
        (["a/1.jpg", "b/1.jpg"], "x.json", "b/1.jpg", "b/1.jpg"),
        (["photos/a/1.jpg", "photos/b/1.jpg"], "x.json", "b/1.jpg", "photos/b/1.jpg"),
        (["photos/a/1.jpg", "photos/b/1.jpg"], "x.json", "C:\\Users\\me\\b\\1.jpg", "photos/b/1.jpg"),
        (["photos/a/1.jpg", "photos/b/1.jpg"], "x.json", "https://host/d/b/1.jpg?sig=x/y", "photos/b/1.jpg"),
        (["photos/a b/1.jpg", "photos/b/1.jpg"], "x.json", "s3://bucket/a%20b/1.jpg", "photos/a b/1.jpg"),
        (["a/1.jpg", "b/1.jpg"], "b/x.json", "1.jpg", "b/1.jpg"),
        (["a/1.jpg", "b/1.jpg"], "b/x.json", "./1.jpg", "b/1.jpg"),
        (["img/a/1.jpg", "img/b/1.jpg"], "ann/b/x.xml", "1.jpg", "img/b/1.jpg"),
        (["train/images/1.jpg", "valid/images/1.jpg"], "valid/labels/1.txt", "1", "valid/images/1.jpg"),
        (["images/1.jpg", "other/1.jpg"], "x.json", "1.jpg", "images/1.jpg"),
        (["photos/1.png", "masks/1.png"], "x.json", "1.png", "photos/1.png"),
        (["photos/1.png", "masks/1.png"], "x.json", "masks/1.png", "masks/1.png"),
        (["a.JPG"], "x.json", "a.jpg", "a.JPG"),
        (["a.JPG", "a.jpg"], "x.json", "a.jpg", "a.jpg"),
        (["001.v2.jpg"], "x.json", "001.v2", "001.v2.jpg"),
        ([NFD + ".jpg"], "x.json", NFC + ".jpg", NFD + ".jpg"),
        ([NFC + ".jpg"], "x.json", NFD + ".jpg", NFC + ".jpg"),
        (["what? #2.jpg"], "x.json", "what? #2.jpg", "what? #2.jpg"),
    ],
)
def test_the_image_that_is_meant_is_found(tmp_path, files, where, name, expected):
    found = found_in(tmp_path, *files)
    key = found.add_image(name, tmp_path / where)
    assert found.images[key] == tmp_path / expected


@pytest.mark.parametrize(
    ("files", "names", "message"),
    [
        (["a/1.jpg", "b/1.jpg"], ["1.jpg"], r"may be .*a/1.jpg or .*b/1.jpg"),
        (["a/1.JPG", "b/1.Jpg"], ["1.jpg"], r"may be .*a/1.JPG or .*b/1.Jpg"),
        (["x/1.jpg"], ["a/1.jpg", "b/1.jpg"], "are two images"),
        (["x/1.jpg"], ["a/1.jpg", "1.jpg"], "are two images"),
        (["x/1.jpg"], ["1.jpg", "a\\1.jpg"], "are two images"),
        (["1.jpg"], ["1.JPG", "1.jpg"], "are two images"),
        ([f"{NFC}.jpg", f"{NFD}.jpg"], [f"{NFC}.jpg", f"{NFD}.jpg"], "are two images"),
        (["1.jpg", "1.png"], ["1.jpg", "1.png"], "has the same name"),
        ([".hidden.jpg"], [".hidden.jpg"], "lies nowhere below"),
        ([], ["a.jpg"], "lies nowhere below"),
        ([], ["\x00"], "lies nowhere below"),
        ([], [""], "lies nowhere below"),
        ([], ["x" * 5000], "lies nowhere below"),
    ],
)
def test_what_may_be_another_image_is_refused(tmp_path, files, names, message):
    found = found_in(tmp_path, *files)
    for name in names[:-1]:
        found.add_image(name, tmp_path / "x.json")
    with pytest.raises(InputError, match=message):
        found.add_image(names[-1], tmp_path / "x.json")


@pytest.mark.parametrize("again", ["1.jpg", "./1.jpg", "1.jpg?signed=2", "1%2Ejpg"])
def test_one_image_may_be_named_twice(tmp_path, again):
    found = found_in(tmp_path, "1.jpg")
    assert found.add_image("1.jpg", tmp_path / "x.json") == found.add_image(again, tmp_path / "x.json")


@pytest.mark.parametrize(
    ("image", "files", "refused"),
    [
        ("train/1.jpg", ["train/a.json", "valid/a.json"], True),
        ("images/1.jpg", ["notes/boxes_train.json", "notes/boxes_val.json"], True),
        ("a/1.jpg", ["a/x.json", "b/x.json"], True),
        ("images/1.jpg", ["notes/boxes_train.json", "notes/masks_train.json"], False),
        ("a/1.jpg", ["x.json", "a/x.json", "a/notes/x.json"], False),
    ],
)
def test_annotation_files_of_two_folders_or_splits_do_not_share_an_image(tmp_path, image, files, refused):
    found = found_in(tmp_path, image)
    for name in files:
        found.add_image("1.jpg", tmp_path / name)
    if refused:
        with pytest.raises(InputError, match=r"both name the image '1.jpg', but there is only .*1.jpg"):
            finish(found)
    else:
        finish(found)


def test_a_suffix_that_is_no_images_is_named(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.heic: its suffix is none"):
        Imported(tmp_path).add_image("a.heic", tmp_path / "x.json")


def test_keys_carry_folders_only_where_names_repeat(tmp_path):
    found = found_in(tmp_path, "p/a/1.jpg", "p/b/1.jpg", "p/b/2.jpg")
    keys = [found.add_image(name, tmp_path / "x.json") for name in ("a/1.jpg", "b/1.jpg", "2.jpg")]
    for number, key in enumerate(keys):
        found.add_box(key, 1, 1, 9, 9, found.label(f"class {number}"))
        found.split("train", key)
    finish(found)
    assert list(found.images) == list(found.boxes) == found.splits["train"] == ["a/1", "b/1", "b/2"]
    alone = found_in(tmp_path / "p" / "a", "deep/3.jpg")
    alone.add_image("3.jpg", tmp_path / "x.json")
    finish(alone)
    assert list(alone.images) == ["3"]


def test_links_are_followed_and_end(tmp_path):
    photograph(tmp_path / "blobs" / "3f2a.jpg")
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    os.symlink("../../blobs/3f2a.jpg", root / "images" / "a.jpg")
    photograph(tmp_path / "elsewhere" / "b.jpg")
    os.symlink(tmp_path / "elsewhere", root / "linked")
    os.symlink("..", root / "images" / "loop")
    os.symlink(root, root / "again")
    os.symlink("nowhere.jpg", root / "broken.jpg")
    found = Imported(root)
    for name in ("a.jpg", "linked/b.jpg"):
        found.add_tag(found.add_image(name, root / "x.json"), found.label("cow"))
    finish(found)
    dataset = _write(found, tmp_path / "out", None)
    assert not (tmp_path / "out" / "images" / "a.jpg").is_symlink()
    assert inspect(dataset, dataset.keys()).errors == []
    with pytest.raises(InputError, match="nowhere below"):
        found.add_image("broken.jpg", root / "x.json")


@pytest.mark.parametrize(
    ("size", "declared", "factor"),
    [((64, 48), (128, 96), 0.5), ((64, 48), (64, 48), 1), ((64, 48), (32, 24), 2), ((33, 25), (100, 75), 1 / 3)],
)
def test_hints_are_scaled_to_the_image(tmp_path, size, declared, factor):
    photograph(tmp_path / "a.png", *size)
    found = Imported(tmp_path)
    key = found.add_image("a.png", tmp_path / "x.json", declared[::-1])
    cow = found.label("cow")
    found.add_box(key, 8, 6, 16, 12, cow)
    found.add_point(key, 8, 6, cow)
    found.add_stroke(key, [[8, 6], [16, 12]], cow, 8)
    found.fill(key, [[8, 6], [24, 6], [24, 18], [8, 18]], cow)
    mask = np.zeros(declared[::-1], np.bool_)
    mask[: declared[1] // 2] = True
    assert (found.regions[key] == cow).sum() == pytest.approx(16 * 12 * factor**2, rel=0.25)
    found.paint(key, mask, found.label("sky"), "x")
    finish(found)
    assert found.boxes["a"][0][:4] == pytest.approx([8 * factor, 6 * factor, 16 * factor, 12 * factor], abs=0.2)
    assert found.points["a"][0][:2] == pytest.approx([8 * factor, 6 * factor], abs=0.2)
    assert found.scribbles["a"][0][1][1] == pytest.approx([16 * factor, 12 * factor], abs=0.2)
    assert found.scribbles["a"][0][2] == pytest.approx(8 * factor, abs=0.2)
    assert found.regions["a"].shape == size[::-1]
    assert (found.regions["a"] == 1).mean() == pytest.approx(0.5, abs=0.05)
    assert bool(found.notes) == (factor != 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("factor", [1, 2])
def test_hints_on_the_stored_image_are_turned_with_it(tmp_path, orientation, factor):
    stored = np.zeros((20, 32, 3), np.uint8)
    stored[4:8, 6:16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    if orientation < 5 and orientation != 1:
        pytest.skip("the declared size does not tell which of the two was annotated")
    found = Imported(tmp_path)
    key = found.add_image("a.png", tmp_path / "x.json", (20 * factor, 32 * factor))
    cow = found.label("cow")
    found.fill(key, np.array([[6, 4], [16, 4], [16, 8], [6, 8]]) * factor, cow)
    expected = read_image(tmp_path / "a.png")[..., 0] > 0
    np.testing.assert_array_equal(found.regions[key] == cow, expected)
    del found.regions[key]
    found.paint(key, np.kron(stored[..., 0], np.ones((factor, factor))) > 0, cow, "x")
    np.testing.assert_array_equal(found.regions[key] == cow, expected)
    found.add_point(key, 6 * factor, 4 * factor, cow)
    x, y, _ = found.points[key][0]
    assert expected[int(y), int(x)]
    found.add_box(key, 6 * factor, 4 * factor, 16 * factor, 8 * factor, cow)
    rows, columns = np.nonzero(expected)
    assert found.boxes[key][0][:4] == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("declared", [(48, 65), (64, 64), (64, 48), (1, 1000)])
def test_another_shape_is_refused_with_both_sizes(tmp_path, declared):
    found = found_in(tmp_path, "a.png")
    if declared == (48, 65):
        found.add_image("a.png", tmp_path / "x.json", declared)  # a pixel is rounding
        return
    with pytest.raises(InputError, match=rf"a\.png: is 64×48, but .*x\.json .* {declared[1]}×{declared[0]}"):
        found.add_image("a.png", tmp_path / "x.json", declared)


def test_what_lies_outside_is_clipped_or_left_out(tmp_path):
    found = found_in(tmp_path, "a.png")
    key, cow = found.add_image("a.png", tmp_path / "x.json"), found.label("cow")
    for box in ((70, 10, 80, 20), (5, 5, 5, 9), (np.nan, 1, 2, 3), (1, 1, np.inf, 3), (1e9, 0, 1, 1)):
        found.add_box(key, *box, cow)
    found.add_box(key, 60, 40, 80, 90, cow)
    found.add_box(key, 20, 30, 10, 10, cow)
    found.add_rotated_box(key, [[30, 10], [40, 20], [30, 30], [20, 20]], cow)
    assert [row[:4] for row in found.boxes[key]] == [[60, 40, 64, 48], [10, 10, 20, 30], [20, 10, 40, 30]]
    for point in ((70, 5), (-3, 5), (np.nan, 1)):
        found.add_point(key, *point, cow)
    for point in ((64, 48), (-0.2, 3), (63.9, 0)):
        found.add_point(key, *point, cow)
    assert [row[:2] for row in found.points[key]] == [[63.5, 47.5], [0, 3], [63.9, 0]]
    for line in ([[70, 5], [80, 5]], []):
        found.add_stroke(key, line, cow)
    found.add_stroke(key, [[-10, 5], [100, 5]], cow, 0.2)
    found.add_stroke(key, [[64, 48]], cow, 1000)
    assert found.scribbles[key] == [[cow, [[0, 5], [64, 5]], 1], [cow, [[64, 48]], 200]]
    for polygon in ([[1, 1], [2, 2]], [[1, 1], [9, 1], [5, 1]], [[70, 5], [80, 5], [80, 9]], [[np.inf, 1]] * 3):
        found.fill(key, polygon, cow)
    found.paint(key, np.zeros((48, 64), np.bool_), cow, "x")
    assert key not in found.regions
    assert sum(found.lost.values()) == 5 + 3 + 2 + 4 + 1
    found.fill(key, [[0, 0], [64, 0], [64, 48], [0, 48]], cow)
    found.fill(key, [[0, 0], [10, 0], [10, 10], [0, 10]], IGNORE_INDEX)
    assert ((found.regions[key] == IGNORE_INDEX).sum(), (found.regions[key] == UNLABELED).sum()) == (100, 0)
    finish(found)
    dataset = _write(found, tmp_path / "out", None)
    assert inspect(dataset, dataset.keys()).errors == []


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\ud800", "a\x1b[31m", "a\u2028b", "\x85"])
def test_class_names_that_cannot_be_shown_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"empty name|cannot be shown"):
        Imported(tmp_path).label(name)


@pytest.mark.parametrize(
    "name", ["#weed", "crop: maize", "a\u00a0b", "می\u200cخواهم", "🐄", "[red]x[/red]", "<b>", "1"]
)
def test_class_names_that_can_be_shown_are_kept(tmp_path, name):
    found = Imported(tmp_path)
    assert found.classes[found.label(name)] == name


def test_composed_and_decomposed_names_are_one_class(tmp_path):
    found = Imported(tmp_path)
    assert found.label(NFC) == found.label(NFD)


def test_an_image_that_cannot_be_read_costs_itself(tmp_path):
    found = found_in(tmp_path, "a.png", "b.png")
    (tmp_path / "b.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    for name in "ab":
        key = found.add_image(f"{name}.png", tmp_path / "x.json", (48, 64))
        found.add_box(key, 1, 1, 9, 9, found.label("cow"))
        found.fill(key, [[1, 1], [9, 1], [9, 9]], 0)
        found.paint(key, np.ones((48, 64), np.bool_), 0, "x")
    finish(found)
    assert list(found.images) == list(found.boxes) == ["a"]
    assert found.lost == {"image that cannot be read": 1}
    assert "b.png" in found.notes[0]
    alone = Imported(tmp_path)
    alone.add_image("b.png", tmp_path / "x.json")
    with pytest.raises(InputError, match=r"b\.png"):
        finish(alone)


def test_images_that_cannot_be_read_do_not_count_among_those_of_some_classes(tmp_path):
    found = found_in(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "b.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    for name, listed in (("a", "cow"), ("b", "cow"), ("c", "dog")):
        where = tmp_path / f"{name}.json"
        found.add_image(f"{name}.png", where)
        found.listed[where] = [listed]
        found.label(listed)
    finish(found)
    assert any(note.startswith("2 of 2 images come from annotation files that list only some") for note in found.notes)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b\n"])
def test_names_of_splits(tmp_path, name):
    found = Imported(tmp_path)
    with pytest.raises(InputError, match="no name of a split"):
        found.split(name, "a")


def test_a_huge_folder_of_other_files_costs_little(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    for number in range(300):
        (tmp_path / f"{number}.txt").touch()
    found = Imported(tmp_path)
    found.add_image("a.png", Path("x.json"))
    assert found.finder.images == [tmp_path / "a.png"]


@pytest.mark.parametrize("name", ["a.json", "a.xml"])
@pytest.mark.parametrize("times", [1, 2])
def test_that_one_file_lists_an_image_twice_is_said(tmp_path, name, times):
    photograph(tmp_path / "in" / "1.png")
    box = {"category_id": 0, "bbox": [1, 1, 5, 5]}
    coco = {"images": [{"id": row, "file_name": "1.png"} for row in range(times)]}
    coco |= {"annotations": [box | {"id": row, "image_id": row} for row in range(times)]}
    coco |= {"categories": [{"id": 0, "name": "x"}]}
    image = '<image name="1.png"><box label="x" xtl="1" ytl="1" xbr="5" ybr="5"/></image>'
    xml = f"<annotations>{image * times}</annotations>"
    (tmp_path / "in" / name).write_text(json.dumps(coco) if name == "a.json" else xml)
    _, found = import_dataset(tmp_path / "in", tmp_path / "out")
    assert any("listed more than once" in note for note in found.notes) == (times == 2)
