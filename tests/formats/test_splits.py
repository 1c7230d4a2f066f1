"""Splits that a folder of annotations says by the names of its folders, or in lists."""

import json

import numpy as np
import pytest
from tests.formats.test_reader import photograph

from hintseg.formats.registry import import_dataset
from hintseg.io.images import write_labels


def labelme(root, split, name):
    photograph(root / split / f"{name}.jpg", 64, 48)
    shape = {"label": "cow", "points": [[1, 1], [30, 1], [30, 30]], "shape_type": "polygon"}
    content = {"version": "5", "shapes": [shape], "imagePath": f"{name}.jpg", "imageHeight": 48, "imageWidth": 64}
    (root / split / f"{name}.json").write_text(json.dumps(content))


def voc(root, split, name):
    photograph(root / split / f"{name}.jpg", 64, 48)
    box = "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>20</xmax><ymax>20</ymax></bndbox>"
    (root / split / f"{name}.xml").write_text(
        f"<annotation><filename>{name}.jpg</filename><object><name>cow</name>{box}</object></annotation>"
    )


def maps(root, split, name):
    photograph(root / "images" / split / f"{name}.jpg", 64, 48)
    write_labels(root / "annotations" / split / f"{name}.png", np.ones((48, 64), np.uint8))
    (root / "classes.txt").write_text("field\ncow\n")


def yolo(root, split, name):
    photograph(root / "images" / split / f"{name}.jpg", 64, 48)
    path = root / "labels" / split / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("0 0.5 0.5 0.2 0.2\n")
    (root / "classes.txt").write_text("cow\n")


@pytest.mark.parametrize("write", [labelme, voc, maps, yolo])
def test_folders_name_splits(tmp_path, write):
    for split, name in (("Train", "a"), ("valid", "b"), ("test", "c")):
        write(tmp_path / "in", split, name)
    dataset, found = import_dataset(tmp_path / "in", tmp_path / "out")
    assert [dataset.keys(split) for split in ("train", "val", "test")] == [("a",), ("b",), ("c",)]
    assert "images are held out, as the names of their folders or annotation files say: 1 test, 1 val." in found.notes


@pytest.mark.parametrize(
    "folders", [("train", "north"), ("field", "contest"), ("test flight", "field"), ("val", "test")]
)
def test_other_folders_name_none(tmp_path, folders):
    for folder, name in zip(folders, "ab", strict=True):
        labelme(tmp_path / "in", folder, name)
    dataset, found = import_dataset(tmp_path / "in", tmp_path / "out")
    assert dataset.splits == ()
    assert not any("held out" in note for note in found.notes)


@pytest.mark.parametrize("folder", ["val2017", "valid_2017", "val 2017", "val-images", "ValSet", "annotations_val"])
def test_years_and_words_that_say_nothing_do_not_count(tmp_path, folder):
    maps(tmp_path / "in", "train2017", "a")
    maps(tmp_path / "in", folder, "b")
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "out")
    assert (dataset.keys("train"), dataset.keys("val")) == (("a",), ("b",))


def test_an_image_beside_held_out_ones_is_trained_on(tmp_path):
    labelme(tmp_path / "in", ".", "a")
    labelme(tmp_path / "in", "val", "b")
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "out")
    assert (dataset.keys("train"), dataset.keys("val")) == (("a",), ("b",))


def test_lists_that_darknets_data_file_names(tmp_path):
    root = tmp_path / "in"
    for folder, name, split in (("obj_Train_data", "a", "train"), ("obj_Validation_data", "b", "valid")):
        photograph(root / folder / f"{name}.jpg", 64, 48)
        (root / folder / f"{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
        (root / f"{split}.txt").write_text(f"data/{folder}/{name}.jpg\n")
    (root / "obj.names").write_text("cow\n")
    (root / "obj.data").write_text("classes = 1\ntrain = data/train.txt\nvalid = data/valid.txt\nbackup = backup/\n")
    dataset, _ = import_dataset(root, tmp_path / "out")
    assert (dataset.keys("train"), dataset.keys("val")) == (("a",), ("b",))


def tagged(root, **subsets):
    """CVAT's file about images in folders, by a name without suffix, with their subset."""
    image = '<image id="{}" name="{}.jpg" subset="{}" width="64" height="48"><tag label="cow"/></image>'
    for name in subsets:
        photograph(root / f"{name.replace('_', '/')}.jpg", 64, 48)
    parts = enumerate((name.replace("_", "/"), subset) for name, subset in subsets.items())
    body = "".join(image.format(number, *part) for number, part in parts)
    (root / "annotations.xml").write_text(f"<annotations><version>1.1</version>{body}</annotations>")


@pytest.mark.parametrize(
    ("subsets", "splits"),
    [
        ({"train_a": "", "val_b": "", "test_c": "Test"}, {"train": "a", "val": "b", "test": "c"}),
        ({"north_a": "", "north_b": "", "train_c": "", "south_d": "Validation"}, {"train": "abc", "val": "d"}),
        ({"train_a": "Train", "train_b": "", "val_c": "", "val_d": "Val"}, {"train": "a", "val": "cd"}),
    ],
)
def test_folders_hold_out_what_no_list_names(tmp_path, subsets, splits):
    tagged(tmp_path / "in", **subsets)
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "out")
    assert {name: "".join(sorted(dataset.keys(name))) for name in splits} == splits


def test_another_file_called_data_is_nothing_to_yolo(tmp_path):
    yolo(tmp_path / "in", "train", "a")
    (tmp_path / "in" / "sensor.data").write_bytes(b"\xff\xfe\x00\x81")
    assert import_dataset(tmp_path / "in", tmp_path / "out")[0].keys() == ("a",)


def boxes_of_coco(path, *names):
    images = [{"id": row, "file_name": f"{name}.jpg", "width": 64, "height": 48} for row, name in enumerate(names)]
    boxes = [{"id": row, "image_id": row, "category_id": 1, "bbox": [5, 5, 20, 20]} for row in range(len(names))]
    path.write_text(json.dumps({"images": images, "categories": [{"id": 1, "name": "cow"}], "annotations": boxes}))


def boxes_of_label_studio(path, *names):
    value = {"x": 10, "y": 10, "width": 30, "height": 30, "rotation": 0, "rectanglelabels": ["cow"]}
    drawn = {"type": "rectanglelabels", "from_name": "l", "original_width": 64, "original_height": 48, "value": value}
    tasks = [
        {"id": row, "data": {"image": f"{name}.jpg"}, "annotations": [{"result": [drawn]}]}
        for row, name in enumerate(names)
    ]
    path.write_text(json.dumps(tasks))


def boxes_of_cvat(path, *names):
    box = '<box label="cow" xtl="5" ytl="5" xbr="20" ybr="20"/>'
    image = f'<image id="{{}}" name="{{}}.jpg" width="64" height="48">{box}</image>'
    body = "".join(image.format(row, name) for row, name in enumerate(names))
    path.write_text(f"<annotations><version>1.1</version>{body}</annotations>")


TOOLS = pytest.mark.parametrize(
    ("write", "suffix"), [(boxes_of_coco, "json"), (boxes_of_label_studio, "json"), (boxes_of_cvat, "xml")]
)


def together(root, *names):
    for name in names:
        photograph(root / "images" / f"{name}.jpg", 64, 48)


@TOOLS
@pytest.mark.parametrize("name", ["val", "instances_val2017", "Validation", "val-holdout_3"])
def test_names_of_annotation_files_name_splits(tmp_path, write, suffix, name):
    together(tmp_path / "in", *"abcd")
    write(tmp_path / "in" / f"rest.{suffix}", "a", "b")
    write(tmp_path / "in" / f"{name}.{suffix}", "c", "d")
    dataset, found = import_dataset(tmp_path / "in", tmp_path / "out")
    assert dataset.keys("train") == ("a", "b")
    assert any("2 val" in note for note in found.notes)


@TOOLS
def test_folders_of_annotation_files_name_splits(tmp_path, write, suffix):
    together(tmp_path / "in", *"abcd")
    for split, names in (("train", "ab"), ("val", "cd")):
        (tmp_path / "in" / split).mkdir()
        write(tmp_path / "in" / split / f"annotations.{suffix}", *names)
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "out")
    assert (dataset.keys("train"), dataset.keys("val")) == (("a", "b"), ("c", "d"))


@TOOLS
@pytest.mark.parametrize("place", [".", "splits", "ImageSets/Main", "images"])
def test_lists_count_before_names(tmp_path, write, suffix, place):
    together(tmp_path / "in", *"abcd")
    write(tmp_path / "in" / f"test.{suffix}", *"abcd")
    (tmp_path / "in" / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / "in" / place / "train.txt").write_text("a\nb\n")
    (tmp_path / "in" / place / "Val.txt").write_text("images/c.jpg\nd\n")
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "out")
    assert {name: dataset.keys(name) for name in dataset.splits} == {"train": ("a", "b"), "val": ("c", "d")}


def test_lists_in_two_folders_are_told(tmp_path):
    together(tmp_path / "in", *"ab")
    boxes_of_coco(tmp_path / "in" / "annotations.json", "a", "b")
    for folder, name in (("one", "a"), ("other", "b")):
        (tmp_path / "in" / folder).mkdir()
        (tmp_path / "in" / folder / "val.txt").write_text(f"{name}\n")
    dataset, found = import_dataset(tmp_path / "in", tmp_path / "out")
    assert dataset.splits == ()
    assert any("2 folders" in note and "not read" in note for note in found.notes)


def test_images_called_like_splits_hold_nothing_out(tmp_path):
    for name in ("test_1", "val", "a"):
        labelme(tmp_path / "in", ".", name)
        yolo(tmp_path / "other", ".", name)
    for name in ("in", "other"):
        dataset, _ = import_dataset(tmp_path / name, tmp_path / f"out of {name}")
        assert dataset.splits == ()


@pytest.mark.parametrize("place", ["splits/missing.txt", "splits/val.csv"])
def test_a_split_of_yolo_that_is_not_there_is_told(tmp_path, place):
    yolo(tmp_path / "in", ".", "a")
    (tmp_path / "in" / "splits").mkdir()
    (tmp_path / "in" / "splits" / "val.csv").write_text("a.jpg\n")
    (tmp_path / "in" / "data.yaml").write_text(f"train: images\nval: {place}\nnames: [cow]\n")
    _, found = import_dataset(tmp_path / "in", tmp_path / "out")
    assert any(f"'{place}'" in note and "no folder and no .txt list" in note for note in found.notes)


def test_images_of_two_splits_are_told(tmp_path):
    for folder, name in (("train", "a"), ("val", "b")):
        yolo(tmp_path / "in", folder, name)
    (tmp_path / "in" / "data.yaml").write_text("train: images\nval: images/val\nnames: [cow]\n")
    _, found = import_dataset(tmp_path / "in", tmp_path / "out")
    assert "1 images of val are in train, too, and trained on; list them once." in found.notes


def test_classes_of_another_project_are_not_absent(tmp_path):
    together(tmp_path / "in", "a", "b")
    boxes_of_label_studio(tmp_path / "in" / "cows.json", "a")
    boxes_of_label_studio(tmp_path / "in" / "dogs.json", "b")
    text = (tmp_path / "in" / "dogs.json").read_text()
    (tmp_path / "in" / "dogs.json").write_text(text.replace("cow", "dog"))
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "out")
    for key in "ab":
        assert not dataset.hints(key).absent(2).any()


@TOOLS
@pytest.mark.parametrize("names", [("train", "bus"), ("train-station", "airport"), ("train", "extra")])
def test_files_called_train_leave_no_other_image_out(tmp_path, write, suffix, names):
    together(tmp_path / "in", *"abcd")
    for name, images in zip(names, ("ab", "cd"), strict=True):
        write(tmp_path / "in" / f"{name}.{suffix}", *images)
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "out")
    assert dataset.keys("train") == ("a", "b", "c", "d")


@TOOLS
@pytest.mark.parametrize("place", ["", "lists"])
def test_lists_name_annotated_images(tmp_path, write, suffix, place):
    for folder in ("photos", "depth"):
        for name in "ab":
            photograph(tmp_path / "in" / folder / f"{name}.jpg", 64, 48)
    write(tmp_path / "in" / f"annotations.{suffix}", "photos/a", "photos/b")
    (tmp_path / "in" / place).mkdir(exist_ok=True)
    (tmp_path / "in" / place / "val.txt").write_text("b\n")
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "out")
    assert dataset.keys("train") == ("a",)


def test_an_ambiguous_list_is_told_and_folders_count(tmp_path):
    for split in ("train", "val"):
        labelme(tmp_path / "in", split, "a")
    (tmp_path / "in" / "lists").mkdir()
    (tmp_path / "in" / "lists" / "val.txt").write_text("a\n")
    dataset, found = import_dataset(tmp_path / "in", tmp_path / "out")
    assert dataset.keys("val") == ("val/a",)
    assert any("may be" in note and note.endswith("The list is not read.") for note in found.notes)


@pytest.mark.parametrize(
    ("lines", "kept", "said"),
    [("b.jpg 0.91\n", ("a",), "lists 1 images of val"), ("b was right\nbut\nnot all\n", ("a", "b"), "not read")],
)
def test_what_a_list_says_is_told(tmp_path, lines, kept, said):
    together(tmp_path / "in", *"ab")
    boxes_of_coco(tmp_path / "in" / "annotations.json", "a", "b")
    (tmp_path / "in" / "eval.txt").write_text(lines)
    dataset, found = import_dataset(tmp_path / "in", tmp_path / "out")
    assert dataset.keys("train") == kept
    assert any("eval.txt: " in note and said in note for note in found.notes)


def test_files_that_contain_the_name_of_their_image_say_no_split(tmp_path):
    for name, image in (("Test_1", "test_1"), ("ann_test_2", "test_2"), ("a", "a")):
        labelme(tmp_path / "in", ".", image)
        (tmp_path / "in" / f"{image}.json").rename(tmp_path / "in" / f"{name}.json")
    assert import_dataset(tmp_path / "in", tmp_path / "out")[0].splits == ()


@pytest.mark.parametrize("folder", ["testset", "valimages", "autosplit_val", "testdev2017"])
def test_joined_words_name_splits(tmp_path, folder):
    labelme(tmp_path / "in", "north", "a")
    labelme(tmp_path / "in", folder, "b")
    assert import_dataset(tmp_path / "in", tmp_path / "out")[0].keys("train") == ("a",)


def test_an_entry_of_darknet_that_is_no_split_is_none(tmp_path):
    root = tmp_path / "in"
    for folder in ("coco", "other"):
        photograph(root / folder / f"{folder[0]}.jpg", 64, 48)
        (root / folder / f"{folder[0]}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (root / "obj.names").write_text("cow\n")
    (root / "obj.data").write_text("classes = 1\nnames = obj.names\neval = coco\n")
    dataset, found = import_dataset(root, tmp_path / "out")
    assert dataset.splits == ()
    assert not any("coco" in note for note in found.notes)


def test_the_background_is_verified_in_files_that_never_drew_it(tmp_path):
    together(tmp_path / "in", "a", "b")
    for name, labels in (("a", ("cow", "soil")), ("b", ("cow",))):
        boxes_of_label_studio(tmp_path / "in" / f"{name}.json", *[name] * len(labels))
        tasks = json.loads((tmp_path / "in" / f"{name}.json").read_text())
        for task, label in zip(tasks, labels, strict=True):
            task["annotations"][0]["result"][0]["value"]["rectanglelabels"] = [label]
        (tmp_path / "in" / f"{name}.json").write_text(json.dumps(tasks))
    dataset, _ = import_dataset(tmp_path / "in", tmp_path / "out", background="soil")
    assert not (tmp_path / "out" / "verified_classes.json").exists()
    assert dataset.classes[dataset.background] == "soil"
