"""Whose hints they are: renamed images, missing pages, images that one file lists twice."""

import json

import pytest
from PIL import Image

from hintseg.errors import InputError
from hintseg.formats.registry import import_dataset


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def photographs(source, *names):
    for name in names:
        Image.new("RGB", (64, 48), (120, 90, 60)).save(source / name)


def page_result(row):
    value = {"x": 10, "y": 10, "width": 20, "height": 20, "rectanglelabels": ["x"]}
    return {"id": "r", "type": "rectanglelabels", "to_name": "image", "item_index": row, "value": value}


@pytest.mark.parametrize(("there", "row", "expected"), [("ab", 1, "b"), ("a", 1, None), ("b", 1, "b"), ("b", 0, None)])
def test_a_page_that_is_missing_gives_its_hints_to_no_other(source, tmp_path, there, row, expected):
    photographs(source, *(f"{name}.png" for name in there))
    task = {"data": {"pages": ["a.png", "b.png"]}, "annotations": [{"result": [page_result(row)]}]}
    (source / "t.json").write_text(json.dumps([task]))
    _, found = import_dataset(source, tmp_path / "out", background="rest")
    assert list(found.boxes) == ([] if expected is None else [expected])
    assert bool(found.lost) == (expected is None)


@pytest.mark.parametrize(("data", "expected"), [({"one": "a.png", "two": "b.png"}, []), ({"one": "a.png"}, ["a"])])
def test_of_two_images_of_a_task_the_one_that_is_there_gets_not_the_hints_of_both(source, tmp_path, data, expected):
    photographs(source, "a.png")
    results = [page_result(None) | {"to_name": name, "id": name} for name in ("left", "right")]
    (source / "t.json").write_text(json.dumps([{"data": data, "annotations": [{"result": results}]}]))
    assert list(import_dataset(source, tmp_path / "out", background="rest")[1].boxes) == expected


@pytest.mark.parametrize("there", ["a", "b"])
@pytest.mark.parametrize(
    ("data", "said", "placed"),
    [
        ({"one": "a.png", "two": "b.png"}, {"to_name": "img"}, ""),
        ({"one": "a.png", "two": "b.png"}, {"to_name": None}, ""),
        ({"one": "a.png", "two": "b.png"}, {"to_name": "two"}, "b"),
        ({"pages": ["a.png", "b.png"]}, {"to_name": "img"}, ""),
        ({"pages": ["a.png", "b.png"]}, {"to_name": "pages"}, ""),
        ({"pages": ["a.png", "b.png"]}, {"to_name": "img", "item_index": 0}, "a"),
        ({"pages": ["a.png", "b.png"], "one": "c.png"}, {"to_name": "img", "item_index": 0}, ""),
    ],
)
def test_hints_that_may_be_of_a_missing_image_are_left_out_and_counted(source, tmp_path, there, data, said, placed):
    photographs(source, f"{there}.png")
    result = page_result(None) | said
    (source / "t.json").write_text(json.dumps([{"data": data, "annotations": [{"result": [result]}]}]))
    _, found = import_dataset(source, tmp_path / "out", background="rest")
    assert list(found.boxes) == ([there] if there == placed else [])
    assert sum(found.lost.values()) == (there != placed)


def voc(path, name):
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    path.with_suffix(".xml").write_text(
        f"<annotation><filename>{name}</filename><object><name>x</name>{box}</object></annotation>"
    )


def labelme(path, name):
    shape = {"label": "x", "points": [[1, 1], [9, 9]], "shape_type": "rectangle"}
    path.with_suffix(".json").write_text(json.dumps({"shapes": [shape], "imagePath": name}))


@pytest.mark.parametrize("write", [voc, labelme])
def test_a_renamed_pair_whose_file_names_another_image_is_refused(source, tmp_path, write):
    photographs(source, "a.png")
    write(source / "b", "a.png")
    assert list(import_dataset(source, tmp_path / "one")[1].boxes) == ["a"]
    photographs(source, "b.png")
    with pytest.raises(InputError, match="but is called like"):
        import_dataset(source, tmp_path / "two")
    write(source / "b", "b.png")
    assert list(import_dataset(source, tmp_path / "three")[1].boxes) == ["b"]


@pytest.mark.parametrize("image", ["train/images/1.jpg", "images/train/1.jpg"])
@pytest.mark.parametrize("labels", ["valid/labels/1.txt", "labels/val/1.txt"])
def test_labels_of_one_split_are_not_those_of_an_image_of_another(source, tmp_path, image, labels):
    for path in (source / image, source / labels):
        path.parent.mkdir(parents=True)
    photographs(source, image)
    (source / labels).write_text("0 0.5 0.5 0.2 0.2\n")
    (source / "data.yaml").write_text("names: [cow]\ntrain: train/images\nval: valid/images\n")
    with pytest.raises(InputError, match="is not there"):
        import_dataset(source, tmp_path / "out")


@pytest.mark.parametrize(("kind", "unread"), [("labelme", "png"), ("coco", "png"), ("yolo", "png"), ("both", "yolo")])
def test_annotations_of_a_second_kind_are_said(source, tmp_path, kind, unread):
    photographs(source, "a.png")
    (source / "masks").mkdir()
    Image.new("L", (64, 48)).save(source / "masks" / "a.png")
    corners = [[5, 5], [20, 5], [20, 20]]
    if kind == "labelme":
        content = {"imagePath": "a.png", "shapes": [{"label": "cow", "shape_type": "polygon", "points": corners}]}
        (source / "a.json").write_text(json.dumps(content))
    elif kind == "coco":
        drawn = {"image_id": 1, "category_id": 1, "segmentation": [[5, 5, 20, 5, 20, 20]]}
        images, names = [{"id": 1, "file_name": "a.png"}], [{"id": 1, "name": "cow"}]
        content = {"images": images, "annotations": [drawn], "categories": names}
        (source / "all.json").write_text(json.dumps(content))
    else:
        (source / "labels").mkdir()
        (source / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
        (source / ("data.yaml" if kind == "yolo" else "classes.txt")).write_text(
            "names: [cow]\n" if kind == "yolo" else "cow\n"
        )
    _, found = import_dataset(source, tmp_path / "out")
    assert any(f"--format {unread}" in note for note in found.notes)
    if kind == "both":
        assert not any("--format" in note for note in import_dataset(source, tmp_path / "other", "yolo")[1].notes)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("class_dict.csv", 'name,r,g,b\n"' + "x" * 140_000 + '",0,0,0\n', "no table"),
        ("labelmap.txt", "cow:" + "9" * 5000 + ",1,1::\n", "is not name:red"),
        ("label_colors.txt", "9" * 5000 + " 1 1 cow\n", "is not name:red"),
        ("classes.txt", "back\u2028ground\ncow\n", "cannot be shown"),
        ("classes.txt", "back\x0bground\ncow\n", "cannot be shown"),
        ("classes.txt", "# classes of my project\ncow\ndog\n", "line 1: .* looks like a comment"),
        ("classes.txt", "cow\n// the others\ndog\n", "line 2: .* looks like a comment"),
        ("classes.txt", "1. cow\n2. dog\n3. car\n", "line 1: '1. cow' carries another number"),
        ("classes.txt", "1: cow\n2: dog\n3: car\n", "carries another number"),
        ("classes.txt", "2, cow\n0, dog\n1, car\n", "carries another number"),
        ("classes.txt", "cow,2\ndog,0\ncar,1\n", "'cow,2' carries another number"),
        ("classes.txt", "id,name\n0,cow\n1,dog\n", "'id,name' looks like a heading"),
        ("classes.txt", "names:\n- cow\n- dog\n", "'names:' looks like a heading"),
        ("classes.txt", "Classes\ncow\ndog\n", "'Classes' looks like a heading"),
        ("classes.txt", "#classes\ncow\ndog\n", "looks like a comment"),
        *(("classes.txt", list_of_names, "'.*' looks like a heading") for list_of_names in (
            "name,id\ncow,0\ndog,1\n", "class;value\ncow;0\n", "id name\n0 cow\n1 dog\n", "name id\ncow 0\n",
            '"id","name"\n"0","cow"\n"1","dog"\n', "2\ncow\ndog\n", "classes=2\ncow\ndog\n", "[classes]\ncow\ndog\n",
            "Number of classes: 2\ncow\ndog\n", "name r g b\ncow 255 0 0\n", "id\tname\n0\tcow\n1\tdog\n",
        )),
        *(("classes.txt", list_of_names, "carries another number") for list_of_names in (
            "dog 1\ncow 0\n", "1 dog\n0 cow\n", "1|dog\n2|cow\n", "(1) dog\n(0) cow\n", "dog -> 1\ncow -> 0\n",
            "1 - dog\n2 - cow\n", "7,dog\n11,cow\n", '"dog",1\n"cow",0\n', "dog (1)\ncow (2)\n",
        )),
    ],
)  # fmt: skip
def test_tables_of_names_that_cannot_be_read_are_refused(source, tmp_path, name, content, message):
    photographs(source, "a.png")
    (source / "masks").mkdir()
    Image.new("L", (64, 48)).save(source / "masks" / "a.png")
    (source / name).write_text(content, "utf-8")
    with pytest.raises(InputError, match=message):
        import_dataset(source, tmp_path / "out")


def test_a_class_number_of_many_digits_is_refused(source, tmp_path):
    photographs(source, "a.png")
    (source / "data.yaml").write_text("names:\n  ? " + "1" * 5000 + "\n  : cow\n")
    with pytest.raises(InputError, match="no number with a class name"):
        import_dataset(source, tmp_path / "out")


def rectangle(x0, y0, x1, y1, **more):
    ring = [x0, y0, x1, y0, x1, y1, x0, y1]
    return {"image_id": 1, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0], "segmentation": [ring]} | more


TRIANGLE = {"image_id": 1, "category_id": 1, "bbox": [2, 2, 6, 6], "segmentation": [[2, 2, 8, 2, 8, 8]]}


@pytest.mark.parametrize(
    ("annotations", "boxes", "is_noted"),
    [
        ([rectangle(4, 4, 20, 10, isbbox=True)], 1, False),
        ([rectangle(4, 4, 20, 10, isbbox=True), TRIANGLE], 1, False),
        ([rectangle(4, 4, 20, 10, isbbox=True, bbox=None)], 1, False),
        ([TRIANGLE | {"isbbox": True}], 0, False),  # it was edited since
        ([rectangle(4, 4, 20, 10, isbbox=False)], 0, True),
        ([rectangle(4, 4, 20, 10), rectangle(30, 4, 40, 10)], 0, True),
        ([rectangle(4, 4, 20, 10), TRIANGLE], 0, False),
    ],
)
def test_boxes_that_come_as_rectangles(source, tmp_path, annotations, boxes, is_noted):
    photographs(source, "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}],
        "annotations": [{"id": row} | annotation for row, annotation in enumerate(annotations)],
        "categories": [{"id": 1, "name": "cow"}],
    }
    (source / "t.json").write_text(json.dumps(content))
    _, found = import_dataset(source, tmp_path / "out")
    assert len(found.boxes.get("a", [])) == boxes
    assert ("a" in found.regions) == (len(annotations) > boxes)
    assert any("upright rectangle" in note for note in found.notes) == is_noted
