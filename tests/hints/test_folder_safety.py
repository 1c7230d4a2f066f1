"""The folder format with what editors, tools and strangers write: coding of label maps, keys, names, tables."""

import json
import os
import time
import unicodedata

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from hintseg.apps.cli.app import app
from hintseg.apps.cli.terminal import plain
from hintseg.check import inspect
from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.hints.types.points import Point
from hintseg.hints.types.points import draw as draw_points
from hintseg.hints.types.scribbles import Scribble
from hintseg.hints.types.scribbles import draw as draw_scribbles
from hintseg.io.images import read_labels, write_image
from hintseg.io.reading import parse_json, read_json, read_text

SIZE = (8, 10)
BOM = b"\xef\xbb\xbf"


@pytest.fixture
def data(tmp_path):
    """A function that makes a data set of images, dataset.json entries, and more files: name → bytes, text or JSON."""

    def make(images=("a.png",), files=None, **description):
        for name in images:
            path = tmp_path / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", SIZE[::-1]).save(path)
        described = {"classes": ["sky", "cow", "dog"], **description}
        for name, content in {"dataset.json": described, **(files or {})}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Image.Image):
                content.save(path)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return tmp_path

    return make


def saved(*values, mode=None):
    """A label map whose rows repeat the values."""
    pixels = np.resize(np.array(values, np.uint8), SIZE)
    return Image.fromarray(pixels) if mode is None else Image.fromarray(pixels).convert(mode)


def warnings_of(root):
    dataset = Dataset.open(root)
    found = inspect(dataset, dataset.keys())
    assert not found.errors, found.errors
    return "\n".join(found.warnings)


@pytest.mark.parametrize(
    ("entries", "folder", "values", "labels"),
    [
        ({}, "masks", (0, 2, 255), (0, 2, IGNORE_INDEX)),
        ({}, "scribbles", (0, 2, 255), (0, 2, UNLABELED)),
        ({"ignore_index": 0}, "masks", (0, 1, 3), (IGNORE_INDEX, 0, 2)),
        ({"ignore_index": 0}, "scribbles", (0, 1, 3), (UNLABELED, 0, 2)),
        ({"unlabeled": 0}, "masks", (0, 1, 255), (UNLABELED, 0, IGNORE_INDEX)),
        ({"unlabeled": 0}, "scribbles", (0, 1, 255), (UNLABELED, 0, UNLABELED)),
        ({"unlabeled": 0, "first_label": 0}, "scribbles", (0, 1, 2), (UNLABELED, 1, 2)),
        ({"unlabeled": 9}, "masks", (9, 0, 2), (UNLABELED, 0, 2)),
        ({"first_label": 1}, "masks", (1, 2, 3), (0, 1, 2)),
        ({"ignore_index": 250}, "masks", (250, 255, 1), (IGNORE_INDEX, IGNORE_INDEX, 1)),
    ],
)
def test_values_of_label_maps(data, entries, folder, values, labels):
    root = data(files={f"{folder}/a.png": saved(*values)}, **entries)
    dataset = Dataset.open(root)
    hints = dataset.hints("a")
    drawn = hints.mask.labels if folder == "masks" else hints.scribble_map.labels
    assert drawn.ravel()[: len(values)].tolist() == list(labels)
    dataset.save_description()
    assert Dataset.open(root).coding == dataset.coding


def test_what_values_mean_is_said_where_they_are_not_the_usual_ones(data):
    dataset = Dataset.open(data())
    assert dataset.coding.described(dataset.classes) == ""
    dataset = Dataset.open(data(ignore_index=100))
    assert (
        dataset.coding.described(dataset.classes) == "in label maps 0 is 'sky', 1 is 'cow', 2 is 'dog', 100 is ignored"
    )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"ignore_index": 1}, "'ignore_index' must be a value of no class"),
        ({"unlabeled": 2}, "'unlabeled' must be a value of no class"),
        ({"unlabeled": 255}, "are both 255"),
        ({"first_label": 2}, "'first_label' must be 0, or 1"),
        ({"unlabelledd": 0}, "did you mean 'unlabeled'"),
        ({"tags_completed": False}, "did you mean 'tags_exhaustive'"),
        ({"void": 0, "ignore_index": 0}, "'void' is the earlier name of 'ignore_index'"),
        ({"classes": ["a", "a "]}, "only by blanks"),
        ({"classes": ["\u00fc", "u\u0308"]}, "stored accents"),
        ({"classes": ["a", " "]}, "empty name"),
        ({"classes": ["a", 3]}, "is no name"),
        ({"classes": ["a\x1b[31m"]}, r"U\+001B"),
        ({"classes": ["\ud800"]}, r"U\+D800"),
        ({"classes": ["a\u202eb"]}, r"U\+202E"),
        ({"classes": ["a" * 300]}, "longer than 200"),
    ],
)
def test_descriptions_that_are_refused(data, entries, message):
    with pytest.raises(InputError, match=message):
        Dataset.open(data(**entries))


def test_a_value_beyond_the_classes_suggests_that_they_count_from_one(data):
    dataset = Dataset.open(data(files={"masks/a.png": saved(0, 3)}))
    with pytest.raises(InputError, match=r'has label 3 .* write "ignore_index": 0'):
        dataset.hints("a")


@pytest.mark.parametrize(
    ("folder", "values", "said"),
    [
        ("scribbles", (0, 0, 1), "label every pixel"),
        ("masks", (0, 255), "255 means the object"),
        ("masks", (0, 0, 1), "covers most of every mask"),
        ("scribbles", (0, 255, 1), None),
        ("masks", (0, 1, 2, 255), None),
    ],
)
def test_what_was_probably_not_meant_is_said(data, folder, values, said):
    found = warnings_of(data(files={f"{folder}/a.png": saved(*values)}))
    assert said is None or said in found
    assert said is not None or not any(word in found for word in ("every pixel", "the object", "every mask"))


@pytest.mark.parametrize("name", ["a.PNG", "a.tif", "a.TIFF", "a.bmp"])
def test_label_maps_in_other_formats(data, name):
    mask = Dataset.open(data(files={f"masks/{name}": saved(0, 1, 2)})).hints("a").mask
    assert mask.labels.ravel()[:3].tolist() == [0, 1, 2]


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_gray_label_maps_of_few_bits_keep_their_values(tmp_path, bits):
    """Pillow shows a 4-bit 1 as gray 17."""
    import struct
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 8 // bits, 1, bits, 0, 0, 0, 0)
    row = bytes([0, sum(1 << (bits * index) for index in range(8 // bits))])  # every pixel is 1
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    )
    assert read_labels(path).tolist() == [[1] * (8 // bits)]


@pytest.mark.parametrize(("mode", "message"), [("RGB", "one channel"), ("RGBA", "one channel"), ("F", "are fractions")])
def test_colors_are_no_labels(data, mode, message):
    name = "masks/a.tif" if mode == "F" else "masks/a.png"
    with pytest.raises(InputError, match=message):
        Dataset.open(data(files={name: saved(0, 1, mode=mode)})).hints("a")


def test_label_maps_that_are_not_read_are_named(data):
    files = {"masks/a.png": saved(0, 1), "masks/a.tif": saved(1), "masks/b.jpg": saved(1), "masks/c.npy": b""}
    found = warnings_of(data(files=files))
    assert "2 files were not read (1 .npy, 1 .jpg)" in found
    assert "masks/: 1 file was not read, first 'a.tif': its image has another label map" in found


@pytest.mark.parametrize(
    "line", ["s/a", "s/a.png", "images/s/a.png", "./s/a", "images/s/a", "s\\a.png", "s/a \r", "\ufeffs/a"]
)
def test_lines_of_splits(data, line):
    root = data(images=("s/a.png", "b.png"), files={"train.txt": f"{line}\n\nb\r\n"})
    assert Dataset.open(root).keys("train") == ("s/a", "b")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_composed_and_decomposed_names_are_one_key(data, form):
    disk, other = (unicodedata.normalize(kind, "K\u00fche") for kind in (form, "NFD" if form == "NFC" else "NFC"))
    files = {
        "points.json": {other: [[1, 1, 1]]}, "train.txt": other, f"masks/{other}.png": saved(0, 1),
        "tags.json": {disk: ["cow"]},
    }  # fmt: skip
    dataset = Dataset.open(data(images=(f"{disk}.png",), files=files))
    (key,) = dataset.keys("train")
    assert dataset.hints(key).types() == ("tags", "points", "masks")
    assert dataset.image(key).shape == (*SIZE, 3)


def test_keys_that_nearly_name_an_image_get_a_suggestion(data):
    root = data(files={"points.json": {"A": [[1, 1, 1]]}, "tags.json": {"a.png": [1]}, "train.txt": "A\n"})
    found = warnings_of(root)
    assert "points: 1 entry names no image, first 'A'; there is 'a'." in found
    assert "tags: 1 entry names no image, first 'a.png'; there is 'a'." in found
    assert "train.txt: 1 entry names no image, first 'A'; there is 'a'." in found


def test_a_file_name_that_is_no_text_is_counted(data):
    root = data()
    os.link(root / "images" / "a.png", os.fsencode(root / "images") + b"/caf\xe9.png")
    assert "1 with a name that is not UTF-8" in warnings_of(root)


@pytest.mark.parametrize("name", ["dataset.json", "points.json", "train.txt"])
def test_byte_order_marks(data, name):
    root = data(files={"points.json": {"a": [[1, 1, 1]]}, "train.txt": "a\r\n"})
    content = (root / name).read_bytes()
    (root / name).write_bytes(BOM + content)
    dataset = Dataset.open(root)
    assert [len(dataset.hints(key).points) for key in dataset.keys("train")] == [1]
    (root / name).write_bytes(content.decode().encode("utf-16"))
    with pytest.raises(InputError, match="UTF-16"):
        read_text(root / name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ('{"x": [{"k": 1, "k": 1}]}', "'k' stands twice"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "Infinity is no number"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("1" * 5000, "not valid JSON"),
    ],
)
def test_json_that_is_refused(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_json(tmp_path / "a.json")
    with pytest.raises(InputError, match=message):
        parse_json(text, "here")


def test_a_class_of_which_a_hint_lies_outside_is_not_absent(data):
    tables = {"boxes.json": {"a": [[20, 20, 30, 30, 1]]}, "tags.json": {"a": [0]}}
    hints = Dataset.open(data(files=tables)).hints("a")
    assert hints.absent(3).tolist() == [False, False, True]


def test_what_leaves_the_image_is_clipped_or_left_out_and_counted(data):
    boxes = [[-5, -5, 4, 4, 1], [20, 20, 30, 30, 1], [0, 0, 10, 8, 0]]
    strokes = [[1, [[-3, 2], [5, 2]]], [1, [[50, 50], [60, 60]]], [2, [[1, 1], [9, 7]]]]
    points = [[10, 2, 0], [-1, 2, 0], [9, 7, 1]]
    root = data(files={"boxes.json": {"a": boxes}, "scribbles.json": {"a": strokes}, "points.json": {"a": points}})
    hints = Dataset.open(root).hints("a")
    assert [(box.x0, box.y0, box.x1, box.y1) for box in hints.boxes] == [(0, 0, 4, 4), (0, 0, 10, 8)]
    assert len(hints.scribbles) == 2
    assert [(point.x, point.y) for point in hints.points] == [(9, 7)]
    found = warnings_of(root)
    for what in ("boxes clipped", "boxes outside", "strokes clipped", "strokes outside", "points outside"):
        assert f"{what} " in found


def slow_points(points, labels, radius):
    """Every pixel of the disc of the nearest point, the earlier of two as near; ignored where two classes share one."""
    distance = np.full(labels.shape, np.inf)
    for point in points:
        shared = [other.label for other in points if (int(other.x), int(other.y)) == (int(point.x), int(point.y))]
        rows, columns = np.indices(labels.shape)
        here = np.hypot(rows - int(point.y), columns - int(point.x))
        nearer = (here <= radius) & (here < distance)
        labels[nearer], distance[nearer] = point.label if len(set(shared)) == 1 else IGNORE_INDEX, here[nearer]


def slow_scribbles(scribbles, labels):
    """A plane a stroke; pixels of two classes are ignored."""
    import cv2

    for stroke in scribbles:
        plane = np.zeros(labels.shape, np.uint8)
        vertices = np.round(np.array(stroke.vertices)).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(plane, [np.concatenate([vertices, vertices[-1:]])], False, 1, stroke.width)
        conflict = (plane > 0) & (labels != UNLABELED) & (labels != stroke.label)
        labels[plane > 0] = stroke.label
        labels[conflict] = IGNORE_INDEX


@pytest.mark.parametrize("radius", [0, 1, 3, 6])
def test_points_and_strokes_are_drawn_as_one_by_one(radius):
    random = np.random.default_rng(radius)
    points = [Point(*random.uniform(0, 30, 2), int(random.integers(4))) for _ in range(40)]
    strokes = [
        Scribble(tuple(map(tuple, random.uniform(-5, 35, (3, 2)))), int(random.integers(4)), int(random.integers(1, 5)))
        for _ in range(20)
    ]
    for draw, slow in (
        (lambda on: draw_points(points, on, radius), lambda on: slow_points(points, on, radius)),
        (lambda on: draw_scribbles(strokes, on, radius), lambda on: slow_scribbles(strokes, on)),
    ):
        drawn, expected = (np.full((30, 30), UNLABELED, np.uint8) for _ in range(2))
        draw(drawn)
        slow(expected)
        assert (drawn == expected).all()


def test_many_hints_are_drawn_in_seconds():
    random = np.random.default_rng(0)
    labels = np.full((1000, 1000), UNLABELED, np.uint8)
    points = [Point(x, y, label % 5) for label, (x, y) in enumerate(random.uniform(0, 1000, (100_000, 2)).tolist())]
    strokes = [
        Scribble(((x, y), (y, x)), label % 5)
        for label, (x, y) in enumerate(random.uniform(0, 1000, (5000, 2)).tolist())
    ]
    start = time.process_time()
    draw_points(points, labels, 3)
    draw_scribbles(strokes, labels, 3)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (["_background_", "cow"], '"background": 0'),
        (["cow", "BG"], '"background": 1'),
        (["cow", "__ignore__"], "is learned like any other"),
        (["1", "2"], "class '1' has the index 0"),
    ],
)
def test_names_that_mean_something_elsewhere(data, classes, said):
    assert said in warnings_of(data(classes=classes))


def test_names_are_shown_as_they_stand(data):
    names = ["[red]x[/red]", "[/]", ":smile:", "<script>"]
    shown = CliRunner().invoke(app, ["check", str(data(classes=names))])
    assert shown.exit_code == 0, shown.output
    for name in names:
        assert name in shown.output + shown.stderr


def test_control_characters_are_not_sent_to_the_terminal():
    assert plain("a\x1b[31mb\ud800\u00fc\n") == "a\\x1b[31mb\\ud800\u00fc\n"


@pytest.mark.parametrize(("name", "said"), [("a.png", True), ("a.tif", False)])
def test_bands_of_label_maps_that_have_none_to_choose_are_said(data, name, said):
    found = warnings_of(data(images=(name,), files={"masks/a.png": saved(0, 1)}, bands=[2, 1, 0]))
    assert ("'bands' [2, 1, 0] in dataset.json choose channels of TIFF" in found) == said


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_mask_that_is_a_link_that_leads_nowhere_is_an_error(tmp_path, suffix):
    write_image(tmp_path / "images/a.png", np.zeros((8, 10, 3), np.uint8))
    (tmp_path / "masks").mkdir()
    (tmp_path / f"masks/a{suffix}").symlink_to("nowhere")
    (tmp_path / "points.json").write_text('{"a": [[1, 1, 1]]}')
    (tmp_path / "dataset.json").write_text('{"classes": ["a", "b"]}')
    with pytest.raises(InputError, match=f"a{suffix}: is a link that leads nowhere"):
        Dataset.open(tmp_path).hints("a")


def test_check_says_which_split_cannot_be_read(tmp_path):
    write_image(tmp_path / "images/a.png", np.zeros((8, 10, 3), np.uint8))
    (tmp_path / "points.json").write_text('{"a": [[1, 1, 1]]}')
    (tmp_path / "train.txt").write_bytes("a".encode("utf-16"))
    (tmp_path / "notes.txt").write_bytes(b"\xff")
    assert any("train.txt: is UTF-16 text" in said for said in inspect(Dataset.open(tmp_path), ["a"]).warnings)
    assert not any("notes.txt" in said for said in inspect(Dataset.open(tmp_path), ["a"]).warnings)


def test_hinted_images_of_no_split_are_said(data):
    files = {"train.txt": "a\n", "points.json": {"a": [[1, 1, 0]], "b": [[1, 1, 1]]}}
    root = data(("a.png", "b.png", "c.png"), files)
    assert "lists these images with hints or masks: 1, first 'b';" in warnings_of(root)
    (root / "val.txt").write_text("b\n")
    assert "no split" not in warnings_of(root)
