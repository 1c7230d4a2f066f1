"""COCO, CVAT, LabelMe and Label Studio: what is said of a shape is kept, or left out and counted."""

import base64
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from hintseg.check import inspect
from hintseg.errors import InputError
from hintseg.formats.brush import encode_brush
from hintseg.formats.registry import export_masks, import_dataset
from hintseg.formats.rle import encode_rle
from hintseg.formats.writer import Classes
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import UNLABELED
from hintseg.io.images import read_labels, write_image, write_labels
from hintseg.io.palette import voc_palette
from hintseg.pseudo_labels.pipeline import hint_labels, pseudo_labels

HEIGHT, WIDTH = 48, 64
SQUARE = [[10, 10], [14, 10], [14, 14], [10, 14]]  # 16 pixels
FLAT = np.ravel(SQUARE).tolist()


def add_image(path, height=HEIGHT, width=WIDTH):
    write_image(path, np.full((height, width, 3), 90, np.uint8))


@pytest.fixture
def root(tmp_path):
    add_image(tmp_path / "in" / "a.png")
    return tmp_path / "in"


class Result:
    """What was imported from a folder."""

    def __init__(self, root):
        out = root.parent / "out"
        self.dataset, found = import_dataset(root, out)
        self.classes, self.lost, self.notes = self.dataset.classes, dict(found.lost), " ".join(found.notes)
        self.splits = {name: self.dataset.keys(name) for name in self.dataset.splits}
        self.root = out

    def table(self, name, key="a"):
        path = self.root / f"{name}.json"
        return json.loads(path.read_text()).get(key, []) if path.exists() else []

    def pixels(self, name, key="a"):
        path = self.root / "scribbles" / f"{key}.png"
        return int((read_labels(path) == self.classes.index(name)).sum()) if path.exists() else 0


def coco(root, annotations, categories=None, images=None, name="labels.json"):
    content = {
        "images": images or [{"id": 1, "file_name": "a.png"}],
        "categories": categories or [{"id": 1, "name": "cow"}, {"id": 2, "name": "dog"}],
        "annotations": [{"image_id": 1, "category_id": 1} | annotation for annotation in annotations],
    }
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(json.dumps(content))


def labelme(root, *shapes, **more):
    shapes = [{"label": "cow", "shape_type": "polygon", "points": SQUARE} | shape for shape in shapes]
    (root / "a.json").write_text(json.dumps({"imagePath": "a.png", "shapes": shapes} | more))


def cvat(root, body, meta=""):
    (root / "annotations.xml").write_text(f"<annotations><meta>{meta}</meta>{body}</annotations>")


def cvat_image(root, body, name="a.png", more=""):
    cvat(root, f'<image id="0" name="{name}" width="{WIDTH}" height="{HEIGHT}" {more}>{body}</image>')


def polygon(name="cow", **more):
    points = [[x * 100 / WIDTH, y * 100 / HEIGHT] for x, y in SQUARE]
    return {"type": "polygonlabels", "id": "p", "value": {"points": points, "polygonlabels": [name]}} | more


def choice(name, control="kind", **more):
    return {"type": "choices", "id": "c", "from_name": control, "value": {"choices": [name]}} | more


def label_studio(root, *annotations, data=None):
    annotations = [{"result": results} for results in annotations]
    (root / "tasks.json").write_text(
        json.dumps([{"id": 1, "data": data or {"image": "a.png"}, "annotations": annotations}])
    )


def key_point(name, x, y=50.0):
    return {"type": "keypointlabels", "value": {"x": x, "y": y, "width": 1, "keypointlabels": [name]}}


def says(result):
    """Which classes are there, and which are not."""
    hints, count = result.dataset.hints("a"), len(result.classes)
    return hints.present(count).tolist(), hints.absent(count).tolist()


def studio_box(name, x):
    value = {"x": x, "y": 0, "width": 20, "height": 20, "rectanglelabels": [name]}
    return {"type": "rectanglelabels", "value": value}


@pytest.mark.parametrize("write", [
    lambda root: labelme(root, {}, {"label": "cow "}, {"label": "dog", "shape_type": "cube"}),
    lambda root: coco(root, [{"segmentation": [FLAT]}, {"category_id": 2, "segmentation": [FLAT]},
                             {"category_id": 3, "keypoints": [2, 2, 1]}],
                      [{"id": 1, "name": "cow"}, {"id": 2, "name": "cow "}, {"id": 3, "name": "dog"}]),
    lambda root: cvat_image(root, '<cuboid label="dog"/>' + "".join(
        f'<polygon label="{name}" points="10,10;14,10;14,14;10,14"/>' for name in ("cow", " cow"))),
])  # fmt: skip
def test_names_that_differ_by_blanks_are_one_and_what_is_left_out_is_not_absent(root, write):
    write(root)
    result = Result(root)
    assert {name.strip() for name in result.classes} == {"cow", "dog"}
    assert len(result.classes) == 2
    assert result.table("tags") == [result.classes.index("dog")]
    assert not inspect(result.dataset, result.dataset.keys(None)).errors


HOUSE = '<polygon label="house" points="10,10;14,10;14,14;10,14"/>'
OPEN = {"closed": False, "points": [[40, 20], [60, 20], [60, 60]]}
OTHERS = [  # regions of types that are not read
    ("bitmasklabels", {"imageDataURL": "data:image/png;base64,", "bitmasklabels": ["cow"]}),
    ("vectorlabels", {"vertices": [{"x": 60, "y": 60}], "vectorlabels": ["cow"]}),
    ("magicwand", {"maskDataURL": "data:image/png;base64,", "brushlabels": ["cow"]}),
    ("labels", {"imageDataURL": "data:image/png;base64,", "labels": ["cow"]}),
    ("cuboidlabels", {"x": 60, "y": 60, "cuboidlabels": ["cow"]}),
]


def coco_house(**cow):
    return lambda root: coco(
        root, [{"category_id": 2, "segmentation": [FLAT]}, cow], [{"id": 1, "name": "cow"}, {"id": 2, "name": "house"}]
    )


def studio_house(kind, value, *other_annotators):
    return lambda root: label_studio(root, [polygon("house"), {"type": kind, "value": value}], *other_annotators)


@pytest.mark.parametrize("write", [
    studio_house("polygonlabels", OPEN | {"polygonlabels": ["cow"]}), studio_house("polygon", OPEN),
    studio_house("polygonlabels", polygon()["value"] | {"polygonlabels": ["cow", "calf"]}),
    studio_house("bitmask", {"rle": [1], "bitmasklabels": ["cow"]}),
    *(studio_house(*region) for region in OTHERS),
    studio_house("bitmask", {"imageDataURL": "data:image/png;base64,"}),
    studio_house("foo", {"foo": 3}),
    studio_house("choices", {"points": OPEN["points"], "choices": ["ill"]}),
    lambda root: labelme(root, {"label": "house"}, {"shape_type": "cuboid"}),
    lambda root: labelme(root, {"label": "house"}, {"shape_type": "polygon", "points": SQUARE[:2]}),
    lambda root: cvat_image(root, HOUSE + '<cuboid label="cow"/>'),
    lambda root: cvat_image(root, HOUSE + '<tag label="cow"/>'),
    coco_house(), coco_house(keypoints=[40, 20, 1]), coco_house(segmentation=[[1, 1, 9, 9, 5, 5]]),
    coco_house(segmentation=[[1, 1, 9, 9, 5, 5]], bbox=[1, 1, 9, 9]), coco_house(segmentation=[[1, 1, 9]]),
    coco_house(segmentation=[], bbox=[20, 20, 0, 0]), coco_house(segmentation=[], bbox=[0, 0, 0, 0]),
    lambda root: labelme(root, {"label": "house"}, {"shape_type": "rectangle", "points": [[3, 3], [3, 9]]}),
    studio_house("polygonlabels", OPEN | {"polygonlabels": ["cow"]}, [polygon("house")]),
    lambda root: label_studio(root, [polygon("house")], [{"type": "polygon", "value": OPEN}]),
])  # fmt: skip
def test_what_is_left_out_is_neither_background_nor_absent(root, write):
    write(root)
    _, found = import_dataset(root, root.parent / "out", background="soil")
    dataset = Dataset.open(root.parent / "out")
    hints = dataset.hints("a")
    labels = pseudo_labels(dataset.decoded("a"), hints, len(dataset.classes))
    known = labels.labels[labels.labels < UNLABELED]
    assert dataset.classes.index("soil") not in known, "nobody knows what else is there"
    assert (known == dataset.classes.index("house")).sum() == 16 or found.boxes
    if "cow" in dataset.classes:
        assert labels.candidate_classes[dataset.classes.index("cow")]


COW_BOX = {"shape_type": "rectangle", "points": [[2, 2], [9, 9]]}
IGNORED = {"label": "__ignore__", "points": [[40, 20], [50, 20], [50, 30]]}


@pytest.mark.parametrize("write", [
    lambda root: coco(root, [{"bbox": [2, 2, 7, 7]}, {"segmentation": [FLAT[:4]]}]),
    lambda root: coco(root, [{"bbox": [2, 2, 7, 7]}, {"keypoints": [40, 20, 1]}]),
    lambda root: coco(root, [{"bbox": [2, 2, 7, 7]}, {"keypoints": [0, 0, 0]}]),
    lambda root: coco(root, [{"bbox": [2, 2, 7, 7]}, {}]),
    lambda root: coco(root, [{"bbox": [2, 2, 7, 7]}, {"bbox": [40, 20, 9, 9], "ignore": 1}]),
    lambda root: coco(root, [{"bbox": [2, 2, 7, 7]}, {"segmentation": [FLAT], "ignore": 1}]),
    lambda root: cvat_image(root, '<box label="cow" xtl="2" ytl="2" xbr="9" ybr="9"/><cuboid label="cow"/>'),
    lambda root: labelme(root, COW_BOX, {"points": SQUARE[:2]}),
    lambda root: labelme(root, COW_BOX, IGNORED),
    lambda root: labelme(root, COW_BOX, {"shape_type": "point", "points": [[40, 20]]}),
    lambda root: label_studio(root, [studio_box("cow", 0), polygon() | {"type": "cuboidlabels"}]),
])  # fmt: skip
def test_outside_boxes_is_not_background_where_another_object_has_none(root, write):
    write(root)
    import_dataset(root, root.parent / "out", background="soil")
    assert 0 not in hint_labels(Dataset.open(root.parent / "out"), "a")


def test_key_points_that_are_hidden_in_a_box_leave_its_outside_background(root):
    coco(root, [{"bbox": [2, 2, 7, 7], "keypoints": [5, 5, 1]}])
    import_dataset(root, root.parent / "out", background="soil")
    assert hint_labels(Dataset.open(root.parent / "out"), "a")[-1, -1] == 0


@pytest.mark.parametrize(
    "dog",
    [
        {"keypoints": [0, 0, 0]},
        {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}},
        {"segmentation": [[40, 20, 44, 20, 44, 24]]},
        {"keypoints": [40, 20, 2]},
    ],
)
def test_what_lies_outside_boxes_is_no_other_class_by_exclusion(root, dog):
    coco(root, [{"bbox": [2, 2, 7, 7]}, {"category_id": 2} | dog])
    result = Result(root)
    assert says(result)[1] == [False, False]
    assert hint_labels(result.dataset, "a")[-1, -1] == UNLABELED
    assert "no class is the background" in result.notes
    assert any("no class is the background" in said for said in inspect(result.dataset, ["a"]).warnings)


def test_a_class_whose_region_others_cover_is_not_absent(root):
    labelme(root, {}, {"label": "house", "points": [[5, 5], [20, 5], [20, 20], [5, 20]]})
    result = Result(root)
    assert result.lost == {"region that others cover wholly": 1}
    assert [result.classes[label] for label in result.table("tags")] == ["cow"]


@pytest.mark.parametrize("more", [
    {"id": "p", "type": "textarea", "value": polygon()["value"] | {"text": ["brown"]}},
    {"id": "r", "parentID": "p", "type": "number", "value": {"number": 3, "x": 1}},
    {"id": "p", "type": "polygon", "value": {"points": polygon()["value"]["points"]}},
])  # fmt: skip
def test_what_is_said_about_a_region_is_no_other_shape(root, more):
    label_studio(root, [polygon(), more])
    import_dataset(root, root.parent / "out", background="soil")
    assert (root.parent / "out" / "masks" / "a.png").exists(), "filled with the background"
    assert not (root.parent / "out" / "verified_classes.json").exists()


@pytest.mark.parametrize(("kind", "value"), OTHERS)
@pytest.mark.parametrize("more", [{}, {"parentID": "p"}])
def test_the_class_of_a_region_that_is_not_read_is_in_its_image(root, kind, value, more):
    region = {"id": "r", "type": kind, "value": value} | more
    about = {"id": "r", "type": "choices", "value": value | {"choices": ["ill"]}, "from_name": "kind"}
    label_studio(root, [polygon("house"), region, about], [polygon("house"), region])
    result = Result(root)
    assert [result.classes[label] for label in result.table("tags")] == ["cow"]
    assert result.lost == {f"Label Studio {kind!r}": 2, "Label Studio choice about one region": 1}


@pytest.mark.parametrize(("kind", "value"), [
    ("textarea", {"text": ["cow"]}), ("rating", {"rating": 3}), ("number", {"number": 3}),
    ("taxonomy", {"taxonomy": [["animal", "cow"]]}), ("choices", {"choices": ["blurred"]}),
    ("labels", {"start": 0, "end": 3, "text": "cow", "labels": ["cow"]}),
    ("hypertextlabels", {"start": "/p[1]", "end": "/p[1]", "hypertextlabels": ["cow"]}),
    ("relation", None),
])  # fmt: skip
def test_what_is_said_about_an_image_is_no_region(root, kind, value):
    label_studio(root, [polygon("house"), {"type": kind, "value": value, "from_name": "c", "from_id": "p"}])
    import_dataset(root, root.parent / "out", background="soil")
    assert (root.parent / "out" / "masks" / "a.png").exists(), "filled with the background"
    assert Dataset.open(root.parent / "out").classes == ("soil", "house")


def test_strokes_outside_leave_no_row(root):
    cvat_image(root, HOUSE + '<polyline label="house" points="100,100;120,120"/>')
    assert Result(root).table("scribbles") == []
    assert not (root.parent / "out" / "scribbles.json").exists()


def test_an_image_with_a_shape_of_no_class_says_of_no_class_that_it_is_absent(root):
    add_image(root / "b.png")
    drawn = {"a.png": [polygon(), {"type": "polygon", "value": OPEN}], "b.png": [polygon("dog")]}
    tasks = [{"data": {"image": name}, "annotations": [{"result": results}]} for name, results in drawn.items()]
    (root / "tasks.json").write_text(json.dumps(tasks))
    dataset = Result(root).dataset
    assert not dataset.hints("a").absent(2).any()
    assert dataset.hints("b").absent(2).any()


# COCO


def test_categories_that_nothing_uses_are_no_classes(root):
    roots = [{"id": 0, "name": "animals", "supercategory": "none"}, {"id": 3, "name": "cow"}, {"id": 5, "name": "dog"}]
    coco(root, [{"category_id": 5}, {"category_id": 3}], roots)
    result = Result(root)
    assert result.classes == ("cow", "dog"), "in the order of the file"
    assert "1 of 3 listed classes are used by no annotation and were left out: animals." in result.notes


def test_categories_that_another_file_uses_are_not_said_to_be_left_out(root):
    roots = [{"id": 0, "name": "animals"}, {"id": 3, "name": "cow"}, {"id": 5, "name": "dog"}]
    coco(root, [{"category_id": 3}], roots)
    coco(root, [{"category_id": 5}], roots, name="more.json")
    result = Result(root)
    assert result.classes == ("cow", "dog")
    assert result.notes.count("left out") == 1
    assert "1 of 3 listed classes are used by no annotation and were left out: animals." in result.notes


@pytest.mark.parametrize("times", [1, 2, 8])
def test_an_object_too_small_for_a_smaller_image_is_not_absent(root, times):
    """Also where the mask is so large that it is sampled, see `LARGER`."""
    mask = np.zeros((HEIGHT * times, WIDTH * times), np.uint8)
    mask[1, 1] = 1
    size = {"height": HEIGHT * times, "width": WIDTH * times}
    tree = {"category_id": 2, "segmentation": [(np.array(FLAT) * times).tolist()]}
    coco(root, [{"segmentation": encode_rle(mask.astype(bool))}, tree], images=[{"id": 1, "file_name": "a.png"} | size])
    result = Result(root)
    assert result.pixels("cow") == (times == 1)
    assert result.lost == ({} if times == 1 else {"mask that covers no pixel of its image": 1})
    assert not result.dataset.hints("a").absent(2)[result.classes.index("cow")]


def test_a_list_of_more_categories_than_labels_is_no_obstacle(root):
    coco(root, [{"category_id": 900}], [{"id": number, "name": f"c{number}"} for number in range(1200)])
    assert Result(root).classes == ("c900",)


@pytest.mark.parametrize(
    ("annotation", "pixels", "boxes", "lost"),
    [
        ({"segmentation": [FLAT]}, 16, 0, {}),
        ({"segmentation": FLAT}, 16, 0, {}),
        ({"segmentation": [[1, 1, 2, 2]], "bbox": [1, 1, 2, 2]}, 0, 1, {"polygon of fewer than three corners": 1}),
        ({"segmentation": [FLAT, [1, 1, 2]]}, 16, 0, {"polygon of fewer than three corners": 1}),
        ({"segmentation": [[1, 1, 9, 9, 5, 5]]}, 0, 0, {"polygon that covers no pixel of its image": 1}),
        ({"segmentation": [FLAT], "ignore": 1}, 0, 0, {}),
        ({"bbox": [1, 1, 9, 9], "ignore": 1}, 0, 0, {"annotation without a region that is marked to be ignored": 1}),
        ({"bbox": [5, 5, 0, 9]}, 0, 0, {"box that is empty or outside its image": 1}),
        ({"segmentation": [], "bbox": [1, 1, 9, 9], "keypoints": [2, 2, 2, 3, 3, 1, 0, 0, 0]}, 0, 1,
         {"key point that is hidden behind something": 1}),
        ({"image_id": "1", "category_id": 1.0, "segmentation": [FLAT]}, 16, 0, {}),
    ],
)  # fmt: skip
def test_shapes_of_coco(root, annotation, pixels, boxes, lost):
    coco(root, [annotation])
    result = Result(root)
    assert (result.pixels("cow"), len(result.table("boxes"))) == (pixels, boxes)
    assert result.lost == lost


@pytest.mark.parametrize("area", [{}, {"area": 0}])
@pytest.mark.parametrize("as_runs", [True, False])
def test_smaller_regions_lie_above_whatever_is_said_of_their_area(root, area, as_runs):
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[8:16, 8:16] = True
    around = encode_rle(mask) if as_runs else [[8, 8, 16, 8, 16, 16, 8, 16]]
    coco(root, [{"segmentation": [FLAT]} | area, {"category_id": 2, "segmentation": around} | area])
    result = Result(root)
    assert (result.pixels("cow"), result.pixels("dog")) == (16, 48)


@pytest.mark.parametrize("compressed", [True, False])
def test_a_crowd_lies_below(root, compressed):
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[8:16, 8:16] = True
    flat = mask.T.ravel()
    runs = np.diff([0, *(np.flatnonzero(np.diff(flat)) + 1), flat.size]).tolist()
    crowd = encode_rle(mask) if compressed else {"size": [HEIGHT, WIDTH], "counts": runs}
    coco(root, [{"category_id": 2, "segmentation": [FLAT]}, {"iscrowd": 1, "segmentation": crowd}])
    result = Result(root)
    assert (result.pixels("dog"), result.pixels("cow")) == (16, 48)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"segments_info": []}, "panoptic format, which is not read"),
        ({"keypoints": [1, 2]}, "'keypoints' has 2 values"),
        ({"image_id": 4}, "annotations\\[0\\]: the field 'image_id' is 4"),
    ],
)
def test_what_coco_cannot_mean_is_refused(root, annotation, message):
    coco(root, [annotation])
    with pytest.raises(InputError, match=message):
        Result(root)


@pytest.mark.parametrize("listed", [["cow", "dog"], ["cow"]])
def test_of_an_image_without_hints_nothing_is_known(root, listed):
    add_image(root / "b.png")
    categories = [{"id": number + 1, "name": name} for number, name in enumerate(["cow", "dog"])]
    two = [{"id": 1, "file_name": "b.png"}]
    coco(root, [{"segmentation": [FLAT]}, {"category_id": 2, "bbox": [30, 30, 5, 5]}], categories)
    outside = [{"keypoints": [200, 20, 2]}] if len(listed) == 2 else []
    coco(root, outside, [one for one in categories if one["name"] in listed], images=two, name="b.json")
    dataset = Result(root).dataset
    assert dataset.classes == ("cow", "dog")
    assert not dataset.hints("b").absent(2).any()
    assert pseudo_labels(dataset.decoded("b"), dataset.hints("b"), 2).says_nothing()


def test_a_class_that_was_clicked_outside_its_image_is_not_absent_from_it(root):
    add_image(root / "b.png")
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    dog = {"category_id": 2, "segmentation": [FLAT]}
    outside = {"category_id": 2, "keypoints": [200, 20, 2]}
    coco(root, [{"segmentation": [FLAT]}, outside, {"image_id": 2} | dog], images=images)
    dataset, _ = import_dataset(root, root.parent / "out", background="soil")
    assert not dataset.hints("a").absent(3)[dataset.classes.index("dog")]
    assert (dataset.mask("a"), dataset.mask("b") is None) == (None, False)


@pytest.mark.parametrize("value", [1, True, "1"])
def test_what_coco_says_to_ignore_teaches_nothing(root, value):
    around = [[30, 1, 60, 1, 60, 40, 30, 40]]
    coco(root, [{"segmentation": around, "ignore": value}, {"segmentation": [FLAT]}])
    assert Result(root).pixels("cow") == 16


def test_a_full_label_map_is_open_in_the_box_of_a_class_that_it_lacks(root):
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[20:40, 20:40] = 1
    write_labels(root / "SegmentationClass" / "a.png", labels, voc_palette())
    (root / "labelmap.txt").write_text("background:0,0,0::\ncow:128,0,0::\n")
    box = "<bndbox><xmin>11</xmin><xmax>30</xmax><ymin>11</ymin><ymax>30</ymax></bndbox>"
    (root / "Annotations").mkdir()
    (root / "Annotations" / "a.xml").write_text(
        f"<annotation><filename>a.png</filename><object><name>dog</name>{box}</object></annotation>"
    )
    result = Result(root)
    mask = result.dataset.mask("a")
    assert (mask[10:20, 10:20] == 255).all()
    assert [mask[25, 25], mask[5, 5]] == [result.classes.index("cow"), result.classes.index("background")]
    assert "1 label maps have nothing of a box's class in the box" in result.notes


def test_polygons_filled_together_are_as_alone(root, monkeypatch):
    random = np.random.default_rng(0)
    add_image(root / "b.png", 30, 40)
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png", "width": 80, "height": 60}]
    annotations = [{"image_id": 1, "segmentation": [FLAT[:4], FLAT]}, {"segmentation": FLAT}, {"segmentation": []}]
    for number in range(70):
        ring = random.uniform(-9, 70, (random.integers(3, 9), 2)).ravel().tolist()
        annotations.append({"image_id": 1 + number % 2, "category_id": 1 + number % 3 // 2, "segmentation": [ring]})
    coco(root, annotations, images=images)
    together = Result(root)
    maps = {key: read_labels(together.root / "scribbles" / f"{key}.png") for key in "ab"}
    shutil.rmtree(together.root)
    monkeypatch.setattr("hintseg.formats.coco.TOGETHER", 1)
    alone = Result(root)
    assert (alone.lost, alone.notes) == (together.lost, together.notes)
    for key, labels in maps.items():
        np.testing.assert_array_equal(read_labels(alone.root / "scribbles" / f"{key}.png"), labels)


def test_splits_of_coco(root):
    for split, name in (("train", "instances_train2017.json"), ("val", "valid/_annotations.coco.json")):
        add_image(root / f"{split}.png")
        coco(root, [{}], images=[{"id": 1, "file_name": f"{split}.png"}], name=name)
    assert Result(root).splits == {"val": ("val",)}


def test_images_without_annotations_are_said(root):
    coco(root, [], images=[{"id": 1, "file_name": "a.png"}])
    assert "1 images have no annotation in labels.json; they are unlabeled." in Result(root).notes


# Turned boxes, in the three formats that have them: 40 x 10 about its middle (32, 24) by 90 degrees is 10 x 40.


@pytest.mark.parametrize("name", ["coco", "cvat", "label-studio", "labelme"])
def test_a_turned_box_is_its_extent(root, name):
    if name == "coco":
        coco(root, [{"bbox": [12, 19, 40, 10], "segmentation": [], "attributes": {"rotation": 90}}])
    elif name == "cvat":
        cvat_image(root, '<box label="cow" xtl="12" ytl="19" xbr="52" ybr="29" rotation="90"/>')
    elif name == "label-studio":  # about its upper left corner
        value = {"x": 3700 / WIDTH, "y": 400 / HEIGHT, "width": 4000 / WIDTH, "height": 1000 / HEIGHT, "rotation": 90}
        label_studio(root, [{"type": "rectanglelabels", "value": value | {"rectanglelabels": ["cow"]}}])
    else:
        labelme(root, {"shape_type": "rotation", "points": [[27, 4], [37, 4], [37, 44], [27, 44]]})
    assert Result(root).table("boxes") == [pytest.approx([27, 4, 37, 44, 0], abs=0.01)]


@pytest.mark.parametrize("name", ["coco", "cvat", "label-studio", "labelme"])
@pytest.mark.parametrize("size", [(2 * HEIGHT, 2 * WIDTH), (HEIGHT, 2 * WIDTH)])
def test_the_declared_size_counts(root, name, size):
    height, width = size
    twice = (np.array(SQUARE) * 2).tolist()
    if name == "coco":
        image = {"id": 1, "file_name": "a.png", "height": height, "width": width}
        coco(root, [{"segmentation": [np.ravel(twice).tolist()]}], images=[image])
    elif name == "cvat":
        points = ";".join(f"{x},{y}" for x, y in twice)
        shape = f'<polygon label="cow" points="{points}"/>'
        cvat(
            root,
            f'<image name="a.png" width="{width}" height="{height}">{shape}</image>',
        )
    elif name == "label-studio":
        label_studio(root, [polygon(original_width=width, original_height=height)])
    else:
        labelme(root, {"points": twice}, imageHeight=height, imageWidth=width)
    if height == HEIGHT:
        with pytest.raises(InputError, match=r"64×48.*128×48"):
            Result(root)
    else:
        result = Result(root)
        assert result.pixels("cow") == 16
        assert "1 images have another size" in result.notes


# LabelMe


def png(mask, form="PNG"):
    target = io.BytesIO()
    Image.fromarray(mask).save(target, form)
    return base64.b64encode(target.getvalue()).decode()


def test_two_files_of_labelme_about_one_image_are_refused(root):
    labelme(root, {})
    (root / "b.json").write_text((root / "a.json").read_text())
    with pytest.raises(InputError, match=r"b.json: is about the same image as .*a.json"):
        Result(root)


def test_masks_of_labelme(root):
    ones = png(np.full((10, 20), True))
    labelme(
        root,
        {"shape_type": "mask", "points": [[29, 19], [10, 10]], "mask": ones},
        {"label": "dog", "shape_type": "mask", "points": [[54, 43], [73, 52]], "mask": ones},  # half of it outside
    )
    result = Result(root)
    assert (result.pixels("cow"), result.pixels("dog")) == (200, 50)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ("AAAA", "no PNG image"),
        ("é", "no PNG image"),
        (png(np.full((20, 20), True), "GIF"), "no PNG image"),  # of another format, which is never opened
        (png(np.full((9, 9), True)), "9×9, but its points span"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(root, mask, message):
    labelme(root, {"shape_type": "mask", "points": [[10, 10], [29, 19]], "mask": mask})
    with pytest.raises(InputError, match=message):
        Result(root)


@pytest.mark.parametrize(
    ("shape", "pixels", "table", "lost"),
    [
        ({"shape_type": None}, 16, None, {}),
        ({"shape_type": "quadrilateral"}, 16, None, {}),
        ({"points": SQUARE[:2]}, 0, None, {"polygon of fewer than 3 points": 1}),
        ({"points": []}, 0, None, {"polygon of fewer than 3 points": 1}),
        ({"shape_type": "rectangle", "points": SQUARE}, 0, "boxes", {}),
        ({"shape_type": "oriented_rectangle"}, 0, "boxes", {}),
        ({"shape_type": "rectangle", "points": [[14, 10], [10, 14]]}, 0, "boxes", {}),
        ({"shape_type": "cuboid"}, 0, None, {"LabelMe shape 'cuboid'": 1}),
    ],
)
def test_shapes_of_labelme(root, shape, pixels, table, lost):
    labelme(root, shape, {"label": "dog", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]})
    result = Result(root)
    assert (result.pixels("cow") if "cow" in result.classes else 0) == pixels
    assert [row[:4] for row in result.table("boxes")] == ([[10, 10, 14, 14]] if table else [])
    assert result.lost == lost


@pytest.mark.parametrize("kind", ["polygon", "rectangle", "point"])
def test_what_is_to_be_ignored_is_no_class(root, kind):
    square = {"polygon": SQUARE, "rectangle": [SQUARE[0], SQUARE[2]], "point": SQUARE[:1]}[kind]
    wide = [[8, 8], [16, 8], [16, 16], [8, 16]]
    labelme(root, {"points": wide}, {"label": "__ignore__", "shape_type": kind, "points": square})
    result = Result(root)
    assert result.classes == ("cow",)
    assert result.pixels("cow") == (64 if kind == "point" else 48)
    assert result.lost == ({"point called __ignore__": 1} if kind == "point" else {})


def test_an_image_that_only_the_annotations_hold_is_refused(root):
    labelme(root, {}, imagePath="z.png", imageData="AAAA")
    with pytest.raises(InputError, match=r"holds the image 'z\.png' in itself"):
        Result(root)


# CVAT


def test_frames_of_a_video(root):
    def shape(frame, outside):
        points = "10,10;14,10;14,14;10,14"
        return f'<polygon frame="{frame}" keyframe="1" outside="{outside}" points="{points}" z_order="0"/>'

    for frame in (0, 1, 2):
        add_image(root / "images" / f"frame_{frame:06d}.png")
    cvat(root, f'<track id="0" label="cow">{shape(0, 0)}{shape(1, 0)}{shape(2, 1)}</track>')
    result = Result(root)
    assert [result.pixels("cow", f"frame_{frame:06d}") for frame in (0, 1, 2)] == [16, 16, 0]
    assert "about a video" in result.notes
    (root / "images" / "frame_000001.png").unlink()
    with pytest.raises(InputError, match=r"'frame_000001'.*A video's frames are images called frame_000000"):
        import_dataset(root, root.parent / "again")


def test_a_class_between_the_key_frames_of_its_track_is_not_absent(root):
    def box(frame):
        return f'<box frame="{frame}" outside="0" xtl="2" ytl="2" xbr="9" ybr="9"/>'

    for frame in (0, 1, 2):
        add_image(root / "images" / f"frame_{frame:06d}.png")
    cvat(root, f'<track label="cow">{box(0)}{box(2)}</track><track label="dog">{box(0)}{box(1)}{box(2)}</track>')
    dataset, found = import_dataset(root, root.parent / "out")
    assert found.lost["track between its key frames"] == 1
    assert not dataset.hints("frame_000001").absent(2).any()


@pytest.mark.parametrize("field", ["task_id", "subset"])
def test_an_image_of_two_tasks_is_two_images(root, field):
    add_image(root / "images" / "a.png")
    image = f'<image id="{{0}}" name="a.png" {field}="t{{0}}" width="{WIDTH}" height="{HEIGHT}"></image>'
    cvat(root, image.format(0) + image.format(1))
    with pytest.raises(InputError, match=r"a.png.*: is listed in two tasks or subsets"):
        import_dataset(root, root.parent / "out")


def test_frames_of_two_videos_are_not_taken_for_one(root):
    add_image(root / "images" / "frame_000000.png")
    cvat(root, '<track id="0" label="cow"><box frame="0" xtl="10" ytl="10" xbr="14" ybr="14"/></track>')
    first = next(root.glob("*.xml"))
    (root / "second.xml").write_text(first.read_text().replace("cow", "pig"))
    with pytest.raises(InputError, match=r"second\.xml: is about the same frame as"):
        import_dataset(root, root.parent / "data")


def test_shapes_of_cvat(root):
    square = 'points="10,10;14,10;14,14;10,14"'
    cvat_image(root, f"""
        <polygon label="dog" z_order="2" {square}/><polygon label="cow" z_order="1" {square}/>
        <ellipse label="cow" cx="40" cy="24" rx="8" ry="4" rotation="90"/><cuboid label="cow"/>
        <skeleton label="dog"><points label="1" outside="0" occluded="0" points="5,6"/>
        <points label="2" outside="1" occluded="0" points="7,8"/></skeleton>""",
        more='subset="Validation"')  # fmt: skip
    result = Result(root)
    assert result.pixels("dog") == 16, "the higher z_order lies above"
    assert result.pixels("cow") == pytest.approx(np.pi * 8 * 4, abs=4)
    rows, columns = np.nonzero(read_labels(result.root / "scribbles" / "a.png") == result.classes.index("cow"))
    assert np.ptp(rows) > np.ptp(columns)
    assert result.table("points") == [[5, 6, result.classes.index("dog")]]
    assert result.lost == {"CVAT <cuboid>": 1, "key point that is hidden behind something": 1}
    assert result.table("tags") == [result.classes.index("cow")], "a cow is there"
    assert result.splits == {"val": ("a",)}


# Label Studio


@pytest.mark.parametrize(
    "address",
    [
        "https://b.s3.amazonaws.com/k/a.png?X-Amz-Expires=60&X-Amz-Signature=0/0",
        "s3://bucket/folder/a.png",
        "/data/local-files/?d=photos/a.png",
        "/data/upload/3/12ab34cd-a.png",
        "/tasks/1/presign/?fileuri=" + base64.b64encode(b"s3://bucket/a.png").decode(),
    ],
)
def test_addresses_of_label_studio(root, address):
    label_studio(root, [polygon()], data={"source": "camera.toml", "image": address})
    assert Result(root).pixels("cow") == 16


def test_a_task_of_several_images(root):
    add_image(root / "b.png")
    data = {"left": "a.png", "right": "b.png", "note": "text"}
    results = [polygon(to_name="left"), polygon("dog", to_name="right"), polygon(), polygon(to_name="note")]
    label_studio(root, results, data=data)
    result = Result(root)
    assert [result.pixels(name, key) for name, key in (("cow", "a"), ("dog", "b"), ("cow", "b"))] == [16, 16, 0]
    assert result.lost == {"result of a Label Studio task of which it is not known to which image it belongs": 2}


def test_pages_of_a_task(root):
    add_image(root / "b.png")
    label_studio(
        root, [polygon(item_index=0), polygon("dog", item_index=1), polygon()], data={"pages": ["a.png", "b.png"]}
    )
    result = Result(root)
    assert [result.pixels(name, key) for name, key in (("cow", "a"), ("dog", "b"))] == [16, 16]
    assert sum(result.lost.values()) == 1


@pytest.mark.parametrize(
    ("results", "tags", "lost"),
    [
        ([choice("cow"), choice("dog")], ["cow", "dog"], 0),
        ([choice("cow"), choice("blurred", "quality"), polygon("dog")], [], 2),
        ([polygon(), choice("cow"), choice("dog"), choice("blurred", "quality")], ["cow", "dog"], 1),
        ([polygon(), choice("occluded", id="p")], [], 1),
        ([polygon(), choice("occluded", parentID="p")], [], 1),
        ([polygon(), choice("occluded")], [], 1),
    ],
)
def test_only_choices_of_classes_are_tags(root, results, tags, lost):
    label_studio(root, results)
    result = Result(root)
    assert [result.classes[label] for label in result.table("tags")] == tags
    assert sum(result.lost.values()) == lost
    assert not {"occluded", "blurred"} & set(result.classes)


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({"image_rotation": 90}, "Label Studio shape on an image that was turned on the page"),
        ({"value": {**polygon()["value"], "closed": False}}, "polygon that was not closed"),
        ({"value": {**polygon()["value"], "polygonlabels": ["cow", "dog"]}}, "Label Studio shape of several classes"),
        ({"value": {**polygon()["value"], "polygonlabels": []}}, "Label Studio shape without a class"),
        ({"type": "rating", "value": {"rating": 3}}, "Label Studio 'rating'"),
    ],
)
def test_what_cannot_be_placed_is_counted(root, change, lost):
    label_studio(root, [polygon("dog"), polygon() | change])
    result = Result(root)
    assert result.lost == {lost: 1}
    named = set() if "without a class" in lost or "rating" in lost else {"cow"}
    assert {result.classes[label] for label in result.table("tags")} & {"cow"} == named, "it is there, somewhere"
    assert result.pixels("dog") == 16


def test_a_shape_with_a_label_of_its_own_control(root):
    value = polygon()["value"]
    label_studio(root, [{"type": "labels", "id": "p", "value": {"points": value["points"], "labels": ["cow"]}}])
    assert Result(root).pixels("cow") == 16


def test_an_ellipse_of_label_studio(root):
    value = {"x": 50, "y": 50, "radiusX": 800 / WIDTH, "radiusY": 400 / HEIGHT, "ellipselabels": ["cow"]}
    label_studio(root, [{"type": "ellipselabels", "value": value}])
    assert Result(root).pixels("cow") == pytest.approx(np.pi * 8 * 4, abs=4)


def test_two_annotators(root):
    def box(name):
        return {
            "type": "rectanglelabels",
            "value": {"x": 0, "y": 0, "width": 9, "height": 9, "rectanglelabels": [name]},
        }

    wide = np.zeros((HEIGHT, WIDTH), np.bool_)
    wide[10:14, 10:18] = True
    brush = {"type": "brushlabels", "value": {"format": "rle", "rle": encode_brush(wide), "brushlabels": ["cow"]}}
    label_studio(root, [polygon(), box("dog")], [brush])
    result = Result(root)
    assert result.pixels("cow") == 16, "where both have it"
    assert result.table("boxes") == []
    assert says(result) == ([True, False], [False, False]), "a dog may be there"
    assert len(result.lost) == 2


COW = studio_box("cow", 0)


@pytest.mark.parametrize(("drawn", "present", "possible"), [
    (([COW], [studio_box("dog", 0)]), [False, False], [True, True]),
    (([polygon()], [polygon("dog")]), [False, False], [True, True]),
    (([COW, studio_box("cow", 60)], [COW, studio_box("dog", 60)]), [True, False], [True, True]),
    (([COW, choice("cow"), choice("dog")], [COW]), [True, False], [False, True]),
    (([COW, polygon("dog") | {"type": "cuboidlabels"}], [COW]), [True, False], [False, True]),
    (([COW, key_point("dog", 60) | {"is_positive": False}],), [True, False], [False, True]),
])  # fmt: skip
def test_a_class_on_which_hints_differ_is_neither_there_nor_absent(root, drawn, present, possible):
    label_studio(root, *drawn)
    result = Result(root)
    assert says(result) == (present, [False, False])
    labels = pseudo_labels(result.dataset.decoded("a"), result.dataset.hints("a"), 2)
    assert labels.labels[-1, -1] == UNLABELED
    far = labels.candidate_classes if labels.possible is None else labels.possible[:, -1, -1]
    assert far.tolist() == possible


def test_two_annotators_of_two_opinions(root):
    label_studio(root, [polygon()], [polygon("dog")])
    result = Result(root)
    assert (result.pixels("cow"), result.pixels("dog")) == (0, 0)
    assert list(result.lost) == ["image with regions on which annotators do not agree (unlabeled there)"]


def test_a_click_of_a_smart_tool_that_says_where_a_class_is_not_teaches_nothing(root):
    label_studio(root, [key_point("cow", 20) | {"is_positive": True}, key_point("cow", 60) | {"is_positive": False}])
    result = Result(root)
    assert [round(row[0] * 100 / WIDTH) for row in result.table("points")] == [20]
    assert list(result.lost) == ["key point that says where a class is not"]


def test_what_annotators_call_differently_in_one_place_is_left_out(root):
    def box(name, x):
        value = {"x": x, "y": 0, "width": 20, "height": 20, "rectanglelabels": [name]}
        return {"type": "rectanglelabels", "value": value}

    first = [key_point("cow", 20), key_point("dog", 50), key_point("cow", 80), box("cow", 0), box("dog", 60)]
    second = [key_point("dog", 21), key_point("cow", 50), key_point("cow", 95), box("dog", 1), box("dog", 60)]
    label_studio(root, first, second)
    result = Result(root)
    left = {
        name: [(round(row[0] * 100 / WIDTH), result.classes[row[-1]]) for row in result.table(name)]
        for name in ("points", "boxes")
    }
    assert left == {"points": [(80, "cow"), (95, "cow")], "boxes": [(60, "dog"), (60, "dog")]}
    assert result.lost == {f"annotator's {name} where another drew another class": 2 for name in left}


def test_a_region_is_open_where_another_clicked_another_class(root):
    inside = key_point("dog", 100 * 10.5 / WIDTH, 100 * 10.5 / HEIGHT)
    label_studio(root, [polygon(), key_point("dog", 80)], [key_point("cow", 50), inside])
    result = Result(root)
    assert result.pixels("cow") == 5, "16 but those at most 3 pixels from the click"
    assert [round(x * 100 / WIDTH) for x, _, _ in result.table("points")] == [80, 50]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"image": "a.png", "annotation_id": 1, "annotator": 1, "lead_time": 3}], "JSON-MIN"),
        ([{"data": {"video": "a.mp4"}, "annotations": []}], "is about a video"),
        ([{"data": {"image": "a.png"}, "annotations": [{"result": [{"type": "videorectangle"}]}]}], "about a video"),
        ([{"data": {"image": "/1/12345678-a.png"}, "annotations": []},
          {"data": {"image": "/1/87654321-a.png"}, "annotations": []}], "were uploaded one by one"),
    ],
)  # fmt: skip
def test_what_label_studio_exports_otherwise_is_refused(root, content, message):
    (root / "tasks.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        Result(root)


# Writers


@pytest.mark.parametrize("name", ["coco", "coco-polygons", "cvat", "label-studio", "labelme", "yolo"])
def test_what_is_written_is_read_again(tmp_path, name):
    labels = np.random.default_rng(0).integers(0, 3, (HEIGHT, WIDTH)).astype(np.uint8)
    labels[:4] = 255
    photographs = {key: tmp_path / "in" / f"{key}.png" for key in ("a/1", "b/1")}
    for key, path in photographs.items():
        add_image(path)
        write_labels(tmp_path / "masks" / f"{key}.png", labels)
    export_masks(photographs, tmp_path / "masks", tmp_path / "out", name, Classes(("field", "cow", "sky"), 0))
    if name == "label-studio":  # people correct predictions into annotations
        text = (tmp_path / "out" / "tasks.json").read_text()
        text = text.replace('"annotations": []', '"drafts": []').replace('"predictions"', '"annotations"')
        (tmp_path / "out" / "tasks.json").write_text(text)
    shutil.copytree(tmp_path / "out", tmp_path / "in", dirs_exist_ok=True)
    dataset, found = import_dataset(tmp_path / "in", tmp_path / "data")
    assert not found.lost
    assert set(dataset.classes) == {"field", "cow", "sky"}
    table = np.full(256, 255, np.uint8)
    table[: len(dataset.classes)] = [("field", "cow", "sky").index(label) for label in dataset.classes]
    for key in photographs:
        assert (table[read_labels(tmp_path / "data" / "scribbles" / f"{key}.png")] == labels).all()


def coco_of(names, annotations):
    """COCO's content: images by name, and (image, class, box or area and polygon) rows."""
    images = [{"id": number, "file_name": name, "width": 64, "height": 64} for number, name in enumerate(names)]
    categories = [{"id": number, "name": name} for number, name in enumerate("ab")]
    rows = [
        {"id": number, "image_id": image, "category_id": category, **more}
        for number, (image, category, more) in enumerate(annotations)
    ]
    return json.dumps({"images": images, "annotations": rows, "categories": categories})


def blank(path):
    write_image(path, np.full((64, 64, 3), 90, np.uint8))


def test_hidden_copies_and_leftovers_are_no_annotations(tmp_path):
    source = tmp_path / "in"
    blank(source / "1.png")
    (source / "c.json").write_text(coco_of(["1.png"], [(0, 0, {"bbox": [4, 4, 8, 8]})]))
    for name in (".ipynb_checkpoints/c-checkpoint.json", "__MACOSX/c.json", "._c.json"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(b"\0\5\26\7" if "c.json" in name else coco_of(["1.png"], []).encode())
    dataset, _ = import_dataset(source, tmp_path / "out")
    assert json.loads((dataset.root / "boxes.json").read_text()) == {"1": [[4, 4, 12, 12, 0]]}


def test_an_image_of_a_missing_folder_is_not_taken_from_another(tmp_path):
    source = tmp_path / "in"
    blank(source / "a/1.png")
    blank(source / "a/2.png")
    (source / "c.json").write_text(coco_of(["b/1.png", "a/2.png"], [(0, 0, {"bbox": [4, 4, 8, 8]})]))
    with pytest.raises(InputError, match=r"'b/1' of the annotations is not there"):
        import_dataset(source, tmp_path / "out")
    (source / "c.json").write_text(coco_of(["train/1.png", "train/2.png"], [(0, 0, {"bbox": [4, 4, 8, 8]})]))
    import_dataset(source, tmp_path / "moved")  # all of them were moved


def test_of_cocos_regions_the_smaller_is_seen(tmp_path):
    source = tmp_path / "in"
    blank(source / "1.png")
    square = lambda low, high: [[low, low, high, low, high, high, low, high]]  # noqa: E731
    rows = [
        (0, 0, {"segmentation": square(20, 30), "area": 100}),
        (0, 1, {"segmentation": square(10, 50), "area": 1600}),
    ]
    (source / "c.json").write_text(coco_of(["1.png"], rows))
    _, found = import_dataset(source, tmp_path / "out")
    assert np.bincount(found.regions["1"].ravel(), minlength=2)[:2].tolist() == [100, 1500]


def test_objects_that_were_deleted_in_labelme_of_mit_are_gone(tmp_path):
    add_image(tmp_path / "in" / "a.png")
    deleted = "<object><name>dog</name><deleted>1</deleted></object>"
    cow = "<object><name>cow</name><deleted>0</deleted></object>"
    (tmp_path / "in" / "a.xml").write_text(f"<annotation><filename>a.png</filename>{deleted}{cow}</annotation>")
    assert import_dataset(tmp_path / "in", tmp_path / "out")[0].classes == ("cow",)


def test_two_voc_files_about_one_image_are_refused_and_an_object_without_box_is_counted(tmp_path):
    source = tmp_path / "in"
    for name in ("1", "renamed"):
        blank(source / f"{name}.png")
        box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
        shapes = f"<object><name>a</name>{box}<polygon/></object><object><name>a</name><polygon/></object>"
        (source / f"{name}.xml").write_text(f"<annotation><filename>1.png</filename>{shapes}</annotation>")
    with pytest.raises(InputError, match=r"renamed.xml: is about the same image as .*1.xml"):
        import_dataset(source, tmp_path / "out")
    (source / "renamed.xml").unlink()
    _, found = import_dataset(source, tmp_path / "one")
    assert found.boxes == {"1": [[0, 0, 9, 9, 0]]}
    assert found.lost == {"VOC object without a box": 1, "VOC polygon, of which the box was taken": 1}


@pytest.mark.parametrize("annotations", [[], [{"result": []}]])
def test_an_import_without_any_class_is_refused(root, annotations):
    tasks = [{"data": {"image": "a.png"}, "annotations": annotations, "predictions": [{"result": []}]}]
    (root / "tasks.json").write_text(json.dumps(tasks))
    with pytest.raises(InputError, match=r"no annotation names a class.*\(predictions are not read\)"):
        import_dataset(root, root.parent / "out")
    assert not (root.parent / "out").exists()


def test_a_cvat_mask_is_clipped_and_tracks_of_several_tasks_are_refused(tmp_path):
    source = tmp_path / "in"
    blank(source / "frame_000000.png")
    mask = '<mask label="a" rle="0, 20" left="60" top="-1" width="5" height="4"/>'
    image = f'<image id="0" name="frame_000000.png" width="64" height="64">{mask}</image>'
    (source / "a.xml").write_text(f"<annotations>{image}</annotations>")
    _, found = import_dataset(source, tmp_path / "out")
    rows, columns = np.nonzero(found.regions["frame_000000"] == 0)
    assert (rows.min(), rows.max(), columns.min(), columns.max(), len(rows)) == (0, 2, 60, 63, 12)
    box = '<box frame="0" outside="0" xtl="1" ytl="1" xbr="9" ybr="9"/>'
    tracks = "".join(f'<track id="{n}" task_id="{n}" label="a">{box}</track>' for n in (3, 4))
    (source / "a.xml").write_text(f"<annotations>{tracks}</annotations>")
    with pytest.raises(InputError, match=r"tracks of several tasks \(3, 4\)"):
        import_dataset(source, tmp_path / "two")


def test_key_points_without_kpt_shape_are_refused_even_if_none_says_2(tmp_path):
    source = tmp_path / "in"
    blank(source / "images/1.png")
    (source / "data.yaml").write_text("names: [a, b]\n")
    (source / "labels").mkdir()
    (source / "labels/1.txt").write_text("0 .5 .5 .4 .6 .35 .3 1 .6 .7 1\n")
    with pytest.raises(InputError, match="kpt_shape"):
        import_dataset(source, tmp_path / "out")
    (source / "labels/1.txt").write_text("0 0 0 1 0 1 1 .5 .5 0 1\n")  # a polygon that follows the image's edge
    _, found = import_dataset(source, tmp_path / "polygon")
    assert found.regions


def test_what_a_palette_shows_as_transparent_is_ignored(tmp_path):
    source = tmp_path / "in"
    blank(source / "images/1.png")
    (source / "masks").mkdir()
    labels = np.zeros((64, 64), np.uint8)
    labels[:30] = 1
    picture = Image.fromarray(labels, "P")
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.save(source / "masks/1.png", transparency=0)
    (source / "classes.txt").write_text("soil\nplant\n")
    dataset, _ = import_dataset(source, tmp_path / "out", "png")
    assert np.unique(dataset.mask("1"), return_counts=True)[1].tolist() == [30 * 64, 34 * 64]


def test_that_regions_of_two_files_or_tasks_overlap_is_said(tmp_path):
    source = tmp_path / "in"
    blank(source / "1.png")
    square = {"segmentation": [[10, 10, 50, 10, 50, 50, 10, 50]]}
    (source / "a.json").write_text(coco_of(["1.png"], [(0, 0, square)]))
    _, found = import_dataset(source, tmp_path / "one")
    assert not any("overlap" in note for note in found.notes)
    (source / "b.json").write_text(coco_of(["1.png"], [(0, 1, square)]))
    _, found = import_dataset(source, tmp_path / "two")
    assert any("1 images are in several annotation files" in note for note in found.notes)
    corners = [[10, 10], [90, 10], [90, 90]]
    tasks = [
        {"data": {"image": "1.png"}, "annotations": [{"result": [
            {"type": "polygonlabels", "value": {"points": corners, "polygonlabels": [name]}}
        ]}]} for name in "ab"
    ]  # fmt: skip
    for path in source.glob("*.json"):
        path.unlink()
    (source / "t.json").write_text(json.dumps(tasks))
    _, found = import_dataset(source, tmp_path / "tasks")
    assert any("images are in several tasks" in note for note in found.notes)
