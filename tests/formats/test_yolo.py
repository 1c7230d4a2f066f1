"""YOLO: what data.yaml says, rows of every kind, splits, images without labels."""

import numpy as np
import pytest
from tests.formats.test_reader import photograph

from hintseg.check import inspect
from hintseg.errors import InputError
from hintseg.formats.registry import import_dataset
from hintseg.formats.writer import Classes, Labeled
from hintseg.formats.yolo import write

POSE = "0 0.5 0.5 0.4 0.4 "
TURNED = "0 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.5"  # of a square image
CUT_OFF = "0 0.7 0.5 1 0.1 1 0.9 0.8 0.6"
KITE = "0 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.3"
UPRIGHT = "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5"
TRIANGLE = "0 0.1 0.1 0.5 0.1 0.5 0.5"


def data_set(root, yaml, *rows, size=(64, 48)):
    photograph(root / "images" / "a.jpg", *size)
    (root / "labels").mkdir(exist_ok=True)
    (root / "labels" / "a.txt").write_text("".join(f"{row}\n" for row in rows))
    (root / "data.yaml").write_bytes(yaml if isinstance(yaml, bytes) else yaml.encode())
    return root


def imported(root):
    dataset, found = import_dataset(root, root.parent / "out", "yolo")
    assert inspect(dataset, dataset.keys()).errors == []
    return dataset, found


@pytest.mark.parametrize(
    ("yaml", "index", "name"),
    [
        ("names:\n  0: cow\n  2: pig\n  5: dog\n", 2, "pig"),
        ("names:\n  5: dog\n  2: pig\n  0: cow\n", 5, "dog"),
        ("names:\n  0: cow  # big\n  1: dog\n", 0, "cow"),
        ("names: ['cow, brown', 'dog']\n", 0, "cow, brown"),
        ('names: {0: cow, 1: "dog: big"}\n', 1, "dog: big"),
        (b"\xef\xbb\xbfnames: ['cow', 'dog']\r\n", 1, "dog"),
        ("names: ['cow', 'cow', 'dog']\n", 2, "dog"),
        ("names: [no, yes, on]\n", 0, "no"),
        ("names:\n- 1.0\n- 1e3\n- ~\n", 1, "1e3"),
        ("names: &n\n- 'it''s'\n- '#weed'\nother: *n\n", 1, "#weed"),
        ("names: [\n  cow,\n  dog,\n]\nnc: 2\n", 1, "dog"),
    ],
)
def test_names_are_yaml(tmp_path, yaml, index, name):
    dataset, _ = imported(data_set(tmp_path / "in", yaml, f"{index} 0.5 0.5 0.4 0.4"))
    assert dataset.classes[dataset.hints("a").boxes[0].label] == name


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("names: {0: cow, 0: dog}\n", "'0' stands twice"),
        ("names: {0: cow, 00: dog}\n", "the number 0 twice"),
        ("names: {cow: 0}\n", "no number with a class name"),
        ("names: {-1: cow}\n", "no number with a class name"),
        ("names: {99999999: cow}\n", "no number with a class name"),
        ("names: [[cow]]\n", "no number with a class name"),
        ("names: cow\n", "must be a list of class names"),
        ("names: []\n", "must be a list of class names"),
        ("names: [cow\n", "is not valid YAML"),
        ("a: &a [x, x]\nnames: [cow" + 21 * ", *a" + "]\n", r"aliases \(\*name\)"),
        ("names: " + "[" * 3000, "is not valid YAML"),
        ("names: [cow]\nkpt_shape: [17]\n", "'kpt_shape' must be"),
        ("names: [cow]\nkpt_shape: [17, 4]\n", "'kpt_shape' must be"),
        ('names: ["a\\nb"]\n', "cannot be shown"),
    ],
)
def test_malformed_descriptions_are_refused(tmp_path, yaml, message):
    with pytest.raises(InputError, match=message):
        imported(data_set(tmp_path / "in", yaml, "0 0.5 0.5 0.4 0.4"))


@pytest.mark.parametrize(
    ("shape", "row", "points"),
    [
        ("[2, 3]", POSE + "0.4 0.4 2 0.6 0.6 2", 2),
        ("[4, 3]", POSE + "0.4 0.4 2 0.6 0.4 1 0.6 0.6 2 0 0 0", 2),
        ("[3, 2]", POSE + "0.5 0.45 0 0 0.6 0.6", 2),
        ("[1, 2]", POSE + "0.5 0.45", 1),
        ("[2, 3]", "0 0.5 0.5 0.4 0.4", 0),
    ],
)
def test_key_points(tmp_path, shape, row, points):
    dataset, found = imported(data_set(tmp_path / "in", f"names: [cow]\nkpt_shape: {shape}\n", row))
    box = dataset.hints("a").boxes[0]
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((19.2, 14.4, 44.8, 33.6))
    assert len(dataset.hints("a").points) == points
    assert not found.regions


@pytest.mark.parametrize(
    ("task", "rows", "regions", "boxes", "said"),
    [
        ("", [TURNED], False, [(10, 10, 90, 90)], False),
        ("", [TURNED, CUT_OFF], False, [(10, 10, 90, 90), (70, 10, 100, 90)], False),
        ("", [TURNED, "0 0.5 0.5 0.2 0.2"], False, [(10, 10, 90, 90), (40, 40, 60, 60)], False),
        ("", [*[TURNED] * 19, KITE], False, [(10, 10, 90, 90)] * 20, False),
        ("", [TURNED, KITE], False, [(10, 10, 90, 90)] * 2, True),
        ("", [KITE], False, [(10, 10, 90, 90)], True),
        ("", [CUT_OFF], False, [(70, 10, 100, 90)], True),
        ("", [UPRIGHT], False, [(10, 10, 50, 50)], True),
        ("", [UPRIGHT + " 0.1 0.1"], False, [(10, 10, 50, 50)], True),  # the ring is closed
        ("", [TRIANGLE + " 0.1 0.1"], True, [], False),
        ("", [TURNED, TRIANGLE], True, [(10, 10, 90, 90)], True),
        ("", [*[KITE] * 19, TRIANGLE], True, [(10, 10, 90, 90)] * 19, True),
        ("", [KITE, UPRIGHT, TRIANGLE], True, [], False),
        ("obb", [UPRIGHT, KITE], False, [(10, 10, 50, 50), (10, 10, 90, 90)], False),
        ("segment", [TURNED, UPRIGHT], True, [], False),
    ],
)
def test_turned_boxes(tmp_path, task, rows, regions, boxes, said):
    dataset, found = imported(data_set(tmp_path / "in", f"names: [cow]\ntask: {task}\n", *rows, size=(100, 100)))
    assert bool(found.regions) == regions
    hints = dataset.hints("a").boxes
    assert [(box.x0, box.y0, box.x1, box.y1) for box in hints] == [pytest.approx(box) for box in boxes]
    assert any("'task: segment'" in note and "'task: obb'" in note for note in found.notes) == said


@pytest.mark.parametrize("step", [2, 3])
def test_boxes_with_points_that_no_description_tells_of_are_refused(tmp_path, step):
    points = [(0.45, 0.42), (0.55, 0.5), (0.5, 0.58), (0.0, 0.0)]
    row = [0.5, 0.5, 0.2, 0.3, *(value for place in points for value in (*place, 0.73)[:step])]
    root = data_set(tmp_path / "in", "names: [cow]\n", f"0 {' '.join(map(str, row))}")
    with pytest.raises(InputError, match="may be a polygon, or a box with key points"):
        import_dataset(root, tmp_path / "out")
    if step == 2:
        (root / "data.yaml").write_text("names: [cow]\ntask: segment\n")
        import_dataset(root, tmp_path / "regions")
        (root / "data.yaml").write_text("names: [cow]\nkpt_shape: [4, 2]\n")
        assert len(import_dataset(root, tmp_path / "points")[0].hints("a").points) == 3


@pytest.mark.parametrize(
    ("rows", "refused"),
    [
        ("0 0.5 0.5 0.4 0.6 0.6 0.45", True),  # a box with one point
        ("0 0.8 0.8 0.82 0.8 0.84 0.82 0.84 0.84 0.82 0.84 0.8 0.82", False),  # that is no box inside the image
        ("0 0.5 0.5 0.4 0.6 0.6 0.45\n0 0.5 0.5 0.4 0.6 0.6 0.45 0.5 0.4", False),  # rows of two lengths
    ],
)
def test_polygons_are_told_from_boxes_with_points(tmp_path, rows, refused):
    root = data_set(tmp_path / "in", "names: [cow]\nnc:\n", rows)
    if refused:
        with pytest.raises(InputError, match="may be a polygon, or a box with key points"):
            import_dataset(root, tmp_path / "out")
    else:
        import_dataset(root, tmp_path / "out")


def test_one_point_beside_its_box_does_not_make_regions_of_all(tmp_path):
    rows = ["0 0.5 0.5 0.2 0.3 0.45 0.42 0.55 0.5"] * 19 + ["0 0.5 0.5 0.2 0.3 0.45 0.42 0.7 0.5"]
    with pytest.raises(InputError, match="may be a polygon, or a box with key points"):
        import_dataset(data_set(tmp_path / "in", "names: [cow]\n", *rows), tmp_path / "out")


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("", "0 0.5 0.5 0.2 0.3 0.91 1", "may be a triangle, or a box with its confidence and the number of its track"),
        ("detect", "0 0.5 0.5 0.2 0.3 0.91 1", "6 values after the class are no row of 'task: detect'; mend the row"),
        ("detect", TRIANGLE, "are no row of 'task: detect'"),
        ("obb", TRIANGLE, "are no row of 'task: obb'"),
        ("segment", "\n".join([TRIANGLE + " 0.9 1"] * 5), "ends in 1, as all 5 polygons do"),
        ("obb", UPRIGHT + " 0.9 1", "10 values after the class are no row of 'task: obb'"),
        ("obb", UPRIGHT + " 7", "the last value is no confidence"),
        ("pose", POSE + "0.4 0.4 0.6 0.6", "are no row of 'task: pose'; write kpt_shape into data.yaml"),
    ],
)
def test_rows_of_another_kind_than_the_task_are_refused(tmp_path, task, row, message):
    root = data_set(tmp_path / "in", f"names: [cow]\ntask: {task}\n", row)
    with pytest.raises(InputError, match=rf"a\.txt, line 1: .*{message}"):
        import_dataset(root, tmp_path / "out")


def test_a_polygon_may_have_a_confidence_where_the_task_says_that_it_is_one(tmp_path):
    root = data_set(tmp_path / "in", "names: [cow]\ntask: segment\n", TRIANGLE + " 0.9", size=(100, 100))
    with_it = imported(root)[0].hints("a").scribble_map.labels
    without = data_set(tmp_path / "other" / "in", "names: [cow]\ntask: segment\n", TRIANGLE, size=(100, 100))
    assert np.array_equal(with_it, imported(without)[0].hints("a").scribble_map.labels)


def test_polygons_that_end_at_the_lower_edge_are_no_track(tmp_path):
    rows = ["0 0.1 0.1 0.5 0.1 0.5 0.8 0.1 1"] * 4
    assert imported(data_set(tmp_path / "in", "names: [cow]\ntask: segment\n", *rows))[1].regions


def test_a_turned_box_may_have_a_confidence(tmp_path):
    rows = [UPRIGHT + " 0.9", "0 0.5 0.5 0.2 0.2 0.7"]
    dataset, found = imported(data_set(tmp_path / "in", "names: [cow]\ntask: obb\n", *rows, size=(100, 100)))
    assert not found.regions
    assert [(box.x0, box.x1) for box in dataset.hints("a").boxes] == [(10, 50), (40, 60)]


def test_a_count_of_classes_that_is_not_that_of_their_names_is_refused(tmp_path):
    root = data_set(tmp_path / "in", "names: [cow]\nnc: 2\n", "0 0.5 0.5 0.2 0.2")
    with pytest.raises(InputError, match="'nc' is '2', but 'names' has 1"):
        import_dataset(root, tmp_path / "out")


def test_four_corners_that_hintseg_wrote_are_regions_again(tmp_path):
    labels = np.full((48, 64), 255, np.uint8)
    labels[10:20, 10:30] = 0
    image = photograph(tmp_path / "in" / "images" / "a.jpg")
    write(tmp_path / "in", [Labeled("a.jpg", labels, image)], Classes(("cow",), None))
    dataset, found = imported(tmp_path / "in")
    assert np.array_equal(dataset.hints("a").scribble_map.labels == 0, labels == 0)
    assert not any("four corners" in note or "task:" in note for note in found.notes)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0 32 24 10 10", "fractions of the image"),
        (POSE + "0.4 0.4 2 0.6 0.6 2", "write their number as kpt_shape"),
        ("0 0.5 0.5 0.4 0.4 90", "no confidence"),
        ("0.5 0.5 0.5 0.4 0.4", "no class index"),
        ("-1 0.5 0.5 0.4 0.4", "class -1 is not in 0..0"),
        ("1 0.5 0.5 0.4 0.4", "class 1 is not in 0..0"),
        ("0 0.5 0.5 0.4", "neither a box"),
        ("0", "neither a box"),
    ],
)
def test_rows_that_may_mean_something_else_are_refused(tmp_path, row, message):
    with pytest.raises(InputError, match=rf"a\.txt, line 1: .*{message}"):
        imported(data_set(tmp_path / "in", "names: [cow]\n", row))


def test_a_byte_order_mark_and_a_box_of_no_width(tmp_path):
    root = data_set(tmp_path / "in", "names: [cow]\n")
    (root / "labels" / "a.txt").write_bytes(b"\xef\xbb\xbf0.0 0.5 0.5 0.2 0.2 0.9\r\n0 0.5 0.5 0.0 0.4\r\n")
    dataset, found = imported(root)
    assert len(dataset.hints("a").boxes) == 1
    assert sum(found.lost.values()) == 1


@pytest.mark.parametrize(
    ("yaml", "lists"),
    [
        ("path: ../datasets/x\ntrain: images/train\nval: images/val\ntest: images/test\n", {}),
        ("train: ../images/train\nval: [images/val]\n", {}),
        ("train: train.txt\nval: lists/val.txt\n", {"train.txt": "./images/train/1.jpg\n/far/images/train/2.jpg\n",
                                                    "lists/val.txt": "../images/val/1.jpg\n../images/val/gone.jpg\n"}),
    ],
)  # fmt: skip
def test_splits_survive_with_images_of_one_name(tmp_path, yaml, lists):
    root = tmp_path / "in"
    for split, name, index in (("train", "1", 0), ("train", "2", 0), ("val", "1", 1)):
        photograph(root / "images" / split / f"{name}.jpg")
        (root / "labels" / split).mkdir(parents=True, exist_ok=True)
        (root / "labels" / split / f"{name}.txt").write_text(f"{index} 0.5 0.5 0.4 0.4\n")
    for name, content in lists.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content)
    (root / "data.yaml").write_text(f"{yaml}names: [cow, dog]\n")
    dataset, _ = imported(root)
    assert dataset.keys("train") == ("train/1", "train/2")
    assert dataset.keys("val") == ("val/1",)
    assert [dataset.hints(key).boxes[0].label for key in ("train/1", "val/1")] == [0, 1]


def test_folders_of_splits_with_images_and_labels_in_each(tmp_path):
    root = tmp_path / "in"
    for split, index in (("train", 0), ("valid", 1)):
        photograph(root / split / "images" / "1.jpg")
        (root / split / "labels").mkdir(parents=True)
        (root / split / "labels" / "1.txt").write_text(f"{index} 0.5 0.5 0.4 0.4\n")
    (root / "data.yaml").write_text(
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: [a, b]\n"
    )
    dataset, _ = imported(root)
    assert dataset.keys("train") == ("train/images/1",)
    assert dataset.keys("val") == ("valid/images/1",)
    assert [dataset.hints(key).boxes[0].label for key in dataset.paths] == [0, 1]


def test_images_without_labels_and_labels_without_images_are_said(tmp_path):
    root = data_set(tmp_path / "in", "names: [cow]\n", "0 0.5 0.5 0.4 0.4")
    photograph(root / "images" / "empty.jpg")
    (root / "labels" / "gone.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    (root / "README.txt").write_text("Made by hand\n")
    dataset, found = imported(root)
    assert dataset.keys() == ("a", "empty")
    assert "1 images have no label file and stay unlabeled." in found.notes
    assert found.lost == {"label file without an image": 1}


def test_an_image_whose_name_ends_like_another_image(tmp_path):
    root = data_set(tmp_path / "in", "names: ['cow']\n", "0 0.5 0.5 0.4 0.4")
    for image, label in (("images/b.tif.jpg", "b.tif.txt"), ("masks/lost.jpg.png", "lost.jpg.txt")):
        photograph(root / image, 64, 48)
        (root / "labels" / label).write_text("0 0.5 0.5 0.4 0.4\n")
    dataset, found = imported(root)
    assert dataset.hints("b.tif").boxes == dataset.hints("a").boxes
    assert found.lost == {"label file without an image": 1}


def test_two_label_files_of_an_image_are_refused(tmp_path):
    root = data_set(tmp_path / "in", "names: [cow]\n", "0 0.5 0.5 0.4 0.4")
    (root / "runs" / "labels").mkdir(parents=True)
    (root / "runs" / "labels" / "a.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    with pytest.raises(InputError, match=r"labels/a\.txt: .*labels/a\.txt labels the same image"):
        imported(root)


def test_a_key_point_in_the_middle_of_its_box_closes_no_ring(tmp_path):
    yaml = "names: [cow]\nkpt_shape: [3, 2]\n"
    dataset, found = imported(data_set(tmp_path / "in", yaml, "0 0.5 0.5 0.4 0.4 0.2 0.2 0.3 0.3 0.5 0.5"))
    assert len(dataset.hints("a").points) == 3
    assert not found.regions


@pytest.mark.parametrize(
    ("names", "is_noted"),
    [
        ("0 cow\n1 dog\n2 car\n", False),
        ("5 cents\n10 cents\n1 euro\n", True),
        ("1 somite\n2 somites\n", True),
        ("empty\n2 cells\n4 cells\n", False),
        ("background\n1: liver\n2: kidney\n", False),
        ("grade 1\ngrade 2\ngrade 3\n", False),
        ("1.5 mm\n2.5 mm\n", False),
        ("label\nplant\nruler\n", False),
        ("cow\n1\n2nd\n", False),
        ("cow 1\ndog 2\n", True),
        ("cow\ncar 2\n", False),
        ("CD8+\nCD4+\n", False),
        ("3-lane\n2-lane\n", False),
        ("T-cell\nB-1\n", False),
        ("road (paved)\nroad (2)\n", False),
        ("a, b\nc, d\n", False),
        ("L 2\nL 1\n", False),
        ("class R\nclass G\n", False),
        ("Sentinel 2\nLandsat 8\n", False),
    ],
)
def test_names_may_hold_numbers(tmp_path, names, is_noted):
    root = data_set(tmp_path / "in", "", "0 0.5 0.5 0.4 0.4")
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text(names)
    dataset, found = imported(root)
    assert dataset.classes == tuple(names.splitlines())
    assert any("is taken for the name of class 0" in note for note in found.notes) == is_noted


def test_a_list_of_names_with_a_gap_is_refused(tmp_path):
    root = data_set(tmp_path / "in", "", "0 0.5 0.5 0.4 0.4")
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text("cow\n\ndog\n")
    with pytest.raises(InputError, match=r"classes\.txt, line 2: is empty"):
        imported(root)


def test_two_descriptions_that_differ_are_refused_and_one_may_be_given(tmp_path):
    root = data_set(tmp_path / "in", "names: [cow]\n", "0 0.5 0.5 0.4 0.4")
    assert import_dataset(root / "data.yaml", tmp_path / "data")[0].classes == ("cow",)
    (root / "other.yml").write_text("names: [dog]\n")
    with pytest.raises(InputError, match=r"other\.yml: names other classes than"):
        imported(root)


@pytest.mark.parametrize("other", ["classes.txt", "labels/classes.txt", "more/classes.txt", "more/data.yaml"])
def test_lists_that_number_the_classes_otherwise_are_refused(tmp_path, other):
    root = data_set(tmp_path / "in", "names: [cow, dog]\n", "0 0.5 0.5 0.4 0.4")
    (root / "more").mkdir()
    (root / "predefined_classes.txt").write_text("person\ncow\n")  # what a tool offers
    names = "names: [{}, {}]\n" if other.endswith("yaml") else "{}\n{}\n"
    (root / other).write_text(names.format("cow", "dog"))
    assert import_dataset(root, tmp_path / "same")[0].classes == ("cow", "dog")
    (root / other).write_text(names.format("dog", "cow"))
    with pytest.raises(InputError, match=r"names other classes than .*data\.yaml, or in another order"):
        imported(root)
    assert not (tmp_path / "out").exists()


def test_labels_of_a_missing_image_are_not_those_of_another_split(tmp_path):
    root = data_set(tmp_path / "in", "names: [cow]\n", "0 0.5 0.5 0.4 0.4")
    for split, name in (("train", "1"), ("train", "2"), ("val", "3")):
        photograph(root / "images" / split / f"{name}.jpg", 64, 48)
    for split, name in (("train", "1"), ("val", "3"), ("val", "2")):
        (root / "labels" / split).mkdir(exist_ok=True)
        (root / "labels" / split / f"{name}.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    with pytest.raises(InputError, match=r"is not there; .*train.2\.jpg is another one of its name"):
        imported(root)
    (root / "labels" / "val" / "2.txt").unlink()
    assert sorted(imported(root)[1].boxes) == ["1", "3", "a"]


def test_yaml_files_about_something_else_are_passed_over(tmp_path):
    root = tmp_path / "in"
    photograph(root / "images" / "a.png")
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (root / "data.yaml").write_text("names: [cow]\n")
    (root / "compose.yml").write_text("a: &a 1\na: 2\nb: [" + ", ".join(["*a"] * 30) + "]\n---\nc: 1\n")
    dataset, _ = import_dataset(root, tmp_path / "out")
    assert dataset.classes == ("cow",)
