"""Annotations as other tools write them → data sets that train."""

import json
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from tests.conftest import TINY, draw_scene
from tests.drawing import on_blank

from hintseg import train
from hintseg.errors import ConfigError, InputError
from hintseg.formats.label_studio import decode_brush, encode_brush
from hintseg.formats.registry import FOLDERS, FORMATS, WRITERS, export_masks, import_dataset
from hintseg.formats.rle import encode_rle
from hintseg.formats.writer import Classes
from hintseg.hints.labels import UNLABELED
from hintseg.io.images import read_image, read_labels, write_image, write_labels

SQUARE = [[10, 20], [30, 20], [30, 40], [10, 40]]
HEIGHT, WIDTH = 72, 96


def masked():
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[50:60, 60:80] = True
    return mask


def coco(root):
    write(root / "labels.json", {
        "images": [{"id": 7, "file_name": "a.jpg", "height": HEIGHT, "width": WIDTH}, {"id": 9, "file_name": "b.jpg"}],
        "categories": [{"id": 3, "name": "cow"}, {"id": 5, "name": "sky"}],
        "annotations": [
            {"image_id": 7, "category_id": 3, "segmentation": [np.ravel(SQUARE).tolist()], "bbox": [10, 20, 20, 20]},
            {"image_id": 7, "category_id": 5, "segmentation": encode_rle(masked()), "iscrowd": 1},
            {"image_id": 9, "category_id": 3, "bbox": [10, 20, 20, 20]},
            {"image_id": 9, "category_id": 5, "keypoints": [5, 6, 2, 0, 0, 0], "num_keypoints": 1},
        ],
    })  # fmt: skip


def label_studio(root):
    def result(kind, **value):
        return {"id": kind, "type": kind, "value": value, "original_width": WIDTH, "original_height": HEIGHT}

    corners = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in SQUARE]
    percent = {"x": 1000 / WIDTH, "y": 2000 / HEIGHT, "width": 2000 / WIDTH, "height": 2000 / HEIGHT}
    write(root / "export.json", [
        {"id": 1, "data": {"image": "/data/upload/1/1234abcd-a.jpg"}, "annotations": [{"result": [
            result("polygonlabels", points=corners, polygonlabels=["cow"]),
            result("brushlabels", format="rle", rle=encode_brush(masked()), brushlabels=["sky"]),
        ]}]},
        {"id": 2, "data": {"image": "/data/local-files/?d=photos/b.jpg"}, "annotations": [
            {"was_cancelled": True, "result": [result("choices", choices=["wrong"])]},
            {"result": [
                result("choices", choices=["cow"]),
                result("rectanglelabels", **percent, rectanglelabels=["cow"]),
                result("keypointlabels", x=100 * 5 / WIDTH, y=100 * 6 / HEIGHT, keypointlabels=["sky"]),
                result("textarea", text=["nice"]),
            ]},
        ]},
    ])  # fmt: skip


def labelme(root):
    def shape(kind, label, points):
        return {"shape_type": kind, "label": label, "points": points}

    sky = [[60, 50], [80, 50], [80, 60], [60, 60]]
    write(root / "a.json", {"imagePath": "a.jpg", "flags": {}, "shapes": [
        shape("polygon", "cow", SQUARE), shape("polygon", "sky", sky), shape("ellipse", "sky", SQUARE),
    ]})  # fmt: skip
    write(root / "b.json", {"imagePath": "..\\photos\\b.jpg", "flags": {"cow": True, "dark": False}, "shapes": [
        shape("rectangle", "cow", [[30, 40], [10, 20]]), shape("point", "sky", [[5, 6]]),
        shape("linestrip", "sky", [[1, 2], [50, 3]]),
    ]})  # fmt: skip


def cvat(root):
    runs = "0,200"
    (root / "annotations.xml").write_text(f"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels><label><name>cow</name></label></labels></task></meta>
<image id="0" name="photos/a.jpg" width="{WIDTH}" height="{HEIGHT}">
<polygon label="cow" points="10.0,20.0;30.0,20.0;30.0,40.0;10.0,40.0"/>
<mask label="sky" rle="{runs}" left="60" top="50" width="20" height="10"/><cuboid label="cow"/></image>
<image id="1" name="b.jpg" width="{WIDTH}" height="{HEIGHT}"><tag label="cow"/>
<box label="cow" xtl="10" ytl="20" xbr="30" ybr="40"/><points label="sky" points="5,6"/>
<polyline label="sky" points="1,2;50,3"/></image></annotations>""")


def voc(root):
    for name in ("a", "b"):
        (root / f"{name}.xml").write_text(
            f"<annotation><filename>{name}.jpg</filename><object><name>cow</name><bndbox><xmin>11</xmin><ymin>21</ymin>"
            "<xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>"
        )


def yolo(root):
    (root / "data.yaml").write_text("path: .\ntask: segment\nnames:\n  0: cow\n  1: 'sky'\n")
    (root / "labels").mkdir()
    corners = " ".join(f"{x / WIDTH} {y / HEIGHT}" for x, y in SQUARE)
    (root / "labels" / "a.txt").write_text(f"0 {corners}\n")
    (root / "labels" / "b.txt").write_text(f"0 {20 / WIDTH} {30 / HEIGHT} {20 / WIDTH} {20 / HEIGHT}\n\n")


EXAMPLES = {"coco": coco, "label-studio": label_studio, "labelme": labelme, "cvat": cvat, "voc": voc, "yolo": yolo}


def write(path, content):
    path.write_text(json.dumps(content))


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "annotated"
    for index, name in enumerate("ab"):
        write_image(root / "photos" / f"{name}.jpg", draw_scene(index)[0])
    return root


def test_every_format_is_tested():
    assert {*EXAMPLES, "png"} == {*FORMATS, *FOLDERS}  # png: test_png.py


@pytest.mark.parametrize("name", EXAMPLES)
def test_hints_arrive_where_they_were_drawn(source, tmp_path, name):
    EXAMPLES[name](source)
    dataset, found = import_dataset(source, tmp_path / "data")
    assert set(dataset.paths) == {"a", "b"}
    cow = dataset.classes.index("cow")
    box = dataset.hints("b").boxes[0]
    assert (box.x0, box.y0, box.x1, box.y1, box.label) == pytest.approx((10, 20, 30, 40, cow))
    if name != "voc":
        labels = on_blank(dataset.hints("a"), (HEIGHT, WIDTH), len(dataset.classes)).labels
        assert (labels[22:38, 12:28] == cow).all()
        assert labels[5, 5] == UNLABELED
    if name in ("coco", "label-studio", "labelme", "cvat"):
        sky = dataset.classes.index("sky")
        assert (labels[51:58, 61:78] == sky).all()
        assert (labels == sky).sum() == pytest.approx(200, abs=1)
        points = [(point.x, point.y, point.label) for point in dataset.hints("b").points]
        assert points == [pytest.approx((5, 6, sky))]
    if name in ("labelme", "cvat"):
        assert dataset.hints("b").scribbles[0].vertices == ((1, 2), (50, 3))
    if name in ("labelme", "cvat", "label-studio"):
        assert [tag.label for tag in dataset.hints("b").tags] == [cow]
        assert sum(found.lost.values()) == 1
    segmenter = train(
        dataset, None, tmp_path / "run", weights="none", device="cpu", iterations=2,
        settings=[*TINY, "self_training.start=0.5", "network.output_stride=32"],
    )  # fmt: skip
    assert segmenter.predict(dataset.image("a")).shape == (HEIGHT, WIDTH)


def test_the_rest_can_be_background(source, tmp_path):
    coco(source)
    dataset, _ = import_dataset(source / "labels.json", tmp_path / "data", "coco", background="field")
    assert dataset.classes == ("field", "cow", "sky")
    assert dataset.background == 0
    mask = dataset.mask("a")
    assert (np.unique(mask) == [0, 1, 2]).all()
    assert dataset.mask("b") is None, "its box says what is inside, not what is outside"


def test_a_background_shifts_no_index(source, tmp_path):
    yolo(source)
    dataset, _ = import_dataset(source, tmp_path / "data", "yolo", background="field")
    assert dataset.classes == ("field", "cow", "sky")
    assert dataset.hints("b").boxes[0].label == 1
    assert dataset.mask("a")[30, 20] == 1
    assert dataset.mask("a")[5, 5] == 0


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("coco", "labels.json", '"category_id": 3', '"category_id": 4', "annotations[0]: the field 'category_id' is 4"),
        ("coco", "labels.json", '"id": 7', '"id": [7]', "images[0]: the field 'id' is missing or malformed"),
        ("coco", "labels.json", '"id": 9', '"id": 7', "images[1]: the id 7 is also that of 'a.jpg'"),
        ("coco", "labels.json", "a.jpg", "z.jpg", "names the image 'z.jpg', which lies nowhere below"),
        ("coco", "labels.json", '3, "bbox": [10, 20, 20,', '3, "bbox": [10, 20,', "annotations[2], bbox: [10, 20, 20]"),
        ("coco", "labels.json", '"counts": "', '"counts": "~', "annotations[1]: the field 'segmentation'"),
        ("label-studio", "export.json", '"rle": [', '"rle": [9, ', "task 1, result brushlabels: the field 'rle'"),
        ("label-studio", "export.json", '"x": 5.2', '"z": 5.2', "result keypointlabels: the field 'x' is missing"),
        ("labelme", "a.json", '"label": "cow"', '"label": 3', "a.json, shapes[0]: the field 'label'"),
        ("labelme", "b.json", "[[5, 6]]", '[["5", 6]]', "b.json, shapes[1], points: '5' is no number that"),
        ("cvat", "annotations.xml", 'xtl="10"', 'xtl="ten"', "image 'b.jpg', <box> of 'cow': the field 'xtl' is 'ten'"),
        ("cvat", "annotations.xml", 'rle="0,200"', 'rle="0,100"', "<mask> of 'sky': the fields 'rle', 'left'"),
        ("cvat", "annotations.xml", 'points="5,6"', 'points="5;6"', "<points> of 'sky': the field 'points'"),
        ("voc", "a.xml", "<xmax>30</xmax>", "", "a.xml: an element <bndbox> has no <xmax>"),
        ("yolo", "labels/b.txt", "0 ", "7 ", "b.txt, line 1: class 7 is not in 0..1"),
        ("yolo", "labels/b.txt", "0 ", "cow ", "b.txt, line 1: 'cow 0.2"),
        ("yolo", "data.yaml", "names", "classes", "holds no annotations of any known format"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(source, tmp_path, name, file, old, new, message):
    EXAMPLES[name](source)
    content = (source / file).read_text()
    assert old in content
    (source / file).write_text(content.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        import_dataset(source, tmp_path / "data")
    assert message in str(caught.value)


def test_wrong_places_and_mixtures_are_refused(source, tmp_path):
    with pytest.raises(InputError, match="holds no annotations of any known format"):
        import_dataset(source, tmp_path / "data")
    with pytest.raises(InputError, match="no such file or folder"):
        import_dataset(source / "nothing", tmp_path / "data")
    with pytest.raises(ConfigError, match="coco"):
        import_dataset(source, tmp_path / "data", "cocoo")
    (archive := source.parent / "all.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"all\.zip: holds no .* of any known format; unpack the archive first"):
        import_dataset(archive, tmp_path / "data")
    coco(source)
    with pytest.raises(InputError, match="is not of the format cvat"):
        import_dataset(source / "labels.json", tmp_path / "data", "cvat")
    voc(source)
    with pytest.raises(InputError, match=r"several formats \(coco, voc, e\.g\. .*labels\.json"):
        import_dataset(source, tmp_path / "data")
    assert len(import_dataset(source, tmp_path / "data", "voc")[0].paths) == 2
    with pytest.raises(InputError, match="is not empty"):
        import_dataset(source, tmp_path / "data", "voc")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is not empty, or no folder"):
        import_dataset(source, tmp_path / "link", "voc")


def test_an_image_outside_the_folder_is_not_taken(source, tmp_path):
    write_image(tmp_path / "secret.jpg", draw_scene(5)[0])
    labelme(source)
    content = (source / "a.json").read_text().replace('"a.jpg"', '"../secret.jpg"')
    (source / "a.json").write_text(content)
    with pytest.raises(InputError, match="lies nowhere below"):
        import_dataset(source, tmp_path / "data")


@pytest.mark.parametrize("name", sorted(set(WRITERS) - {"geotiff"}))  # which needs places: tests/test_rasters.py
def test_masks_come_back_as_they_went(source, tmp_path, name):
    classes = Classes(("field", "cow", "sky"), 0)
    photographs = {key: source / "photos" / f"{key}.jpg" for key in "ab"}
    masks = {"a": draw_scene(0)[1], "b": draw_scene(1)[1]}
    masks["a"][:4] = 255
    for key, labels in masks.items():
        write_labels(tmp_path / "masks" / f"{key}.png", labels)
    out = tmp_path / "out"
    assert export_masks({**photographs, "unmasked": source}, tmp_path / "masks", out, name, classes) == 2
    if name == "voc":
        assert all((read_labels(out / "SegmentationClass" / f"{key}.png") == masks[key]).all() for key in "ab")
        assert (out / "labelmap.txt").read_text().splitlines()[1] == "cow:128,0,0::"
    if name == "label-studio":  # people correct predictions into annotations
        written = out / "tasks.json"
        written.write_text(written.read_text().replace('"annotations": []', '"ignored": []').replace(
            '"predictions"', '"annotations"'))  # fmt: skip
    for key, path in photographs.items():
        shutil.copy(path, out / f"{key}.jpg")
    dataset, found = import_dataset(out, tmp_path / "data", background="field")
    assert not found.lost
    for key in "ab":
        table = np.full(256, 255, np.uint8)
        table[: len(dataset.classes)] = [classes.names.index(label) for label in dataset.classes]
        rest = 255 if name in ("png", "voc") else 0  # label maps say where nobody knows
        assert (table[dataset.mask(key)] == np.where(masks[key] == 255, rest, masks[key])).all()


@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".bmp", ".png"])
def test_masks_of_every_kind_of_label_map_are_exported(source, tmp_path, caplog, suffix):
    """And it is said how many images have none, and what was passed over."""
    labels = np.tile(np.array([[0, 1]], np.uint8), (HEIGHT, WIDTH // 2))
    write_labels(tmp_path / "masks" / "b.png", labels)
    Image.fromarray(labels).save(tmp_path / "masks" / f"a{suffix}")
    shutil.copy(source / "photos" / "a.jpg", tmp_path / "masks" / "c.jpg")
    photographs = dict.fromkeys("abc", source / "photos" / "a.jpg")
    assert export_masks(photographs, tmp_path / "masks", tmp_path / "out", "png", Classes(("x", "y"), None)) == 2
    assert (read_labels(tmp_path / "out" / "masks" / "a.png") == labels).all()
    assert "1 of 3 images have no mask in " in caplog.text
    assert "1 file was not read (1 .jpg)" in caplog.text


@pytest.mark.parametrize("named", ["voc", "png", "auto"])
def test_value_0_of_a_voc_map_is_the_background_whatever_its_label(source, tmp_path, named):
    labels = np.tile(np.array([[0, 1, 2, 255]], np.uint8), (HEIGHT, WIDTH // 4))
    write_labels(tmp_path / "masks" / "a.png", labels)
    images = {"a": source / "photos" / "a.jpg"}
    for background, values in ((1, [1, 0, 2, 255]), (None, [1, 2, 3, 255])):
        out = tmp_path / str(background)
        export_masks(images, tmp_path / "masks", out, "voc", Classes(("cow", "field", "sky"), background))
        assert read_labels(out / "SegmentationClass" / "a.png")[0, :4].tolist() == values
        lines = (out / "labelmap.txt").read_text().splitlines()
        assert ("field:0,0,0::" in lines) == (background == 1)
        shutil.copy(images["a"], out / "a.jpg")
        dataset, _ = import_dataset(out, tmp_path / f"data-{background}", named)
        assert dataset.classes == ("cow", "field", "sky")
        assert (dataset.mask("a") == labels).all()


def test_masks_as_png_have_the_users_colors_and_say_their_names(source, tmp_path):
    write_labels(tmp_path / "masks" / "a.png", np.tile(np.array([[0, 1]], np.uint8), (HEIGHT, WIDTH // 2)))
    classes = Classes(("cow", "field"), None, ("#0072b2", "#0072b2"))
    export_masks({"a": source / "photos" / "a.jpg"}, tmp_path / "masks", tmp_path / "out", "png", classes)
    pixels = read_image(tmp_path / "out" / "masks" / "a.png")
    assert pixels[0, :2].tolist() == [[0, 0x72, 0xB2], [0, 0x72, 0xB3]]  # two classes of one color are told apart
    assert (tmp_path / "out" / "classes.csv").read_text() == "value,class,color\n0,cow,#0072b2\n1,field,#0072b3\n"


def test_tasks_name_local_files_and_come_with_their_labeling_page(source, tmp_path):
    write_labels(tmp_path / "masks" / "a.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    classes = Classes(("cow & calf",), None, ("#0072b2",))
    export_masks({"a": source / "photos" / "a.jpg"}, tmp_path / "masks", tmp_path / "out", "label-studio", classes)
    (task,) = json.loads((tmp_path / "out" / "tasks.json").read_text())
    assert task["data"] == {"image": "/data/local-files/?d=images/a.jpg"}
    page = ElementTree.fromstring((tmp_path / "out" / "labeling-page.xml").read_text())
    (result,) = task["predictions"][0]["result"]
    assert page.find(result["type"].replace("brushlabels", "BrushLabels")).get("name") == result["from_name"]
    assert page.find("Image").get("name") == result["to_name"]
    assert page.find("BrushLabels/Label").attrib == {"value": "cow & calf", "background": "#0072b2"}


def test_export_refuses_what_does_not_fit(source, tmp_path):
    photographs = {"a": source / "photos" / "a.jpg"}
    with pytest.raises(InputError, match="holds no mask of any of the 1 images"):
        export_masks(photographs, tmp_path, tmp_path / "out", "coco", Classes(("a",), None))
    write_labels(tmp_path / "a.png", np.zeros((3, 4), np.uint8))
    with pytest.raises(InputError, match=r"is 4×3 but .*a\.jpg is 96×72"):
        export_masks(photographs, tmp_path, tmp_path / "out", "coco", Classes(("a",), None))
    with pytest.raises(ConfigError, match="label-studio"):
        export_masks(photographs, tmp_path, tmp_path / "out", "pascal", Classes(("a",), None))


def slow_brush(codes):
    """Label Studio's run lengths, bit by bit."""
    bits = "".join(f"{code:08b}" for code in codes)
    total, bits = int(bits[:32], 2), bits[32:]
    word, bits = int(bits[:5], 2) + 1, bits[5:]
    lengths, bits = [int(bits[4 * index : 4 * index + 4], 2) + 1 for index in range(4)], bits[16:]
    values = []
    while len(values) < total:
        repeated, length, bits = bits[0], lengths[int(bits[1:3], 2)], bits[3:]
        count, bits = int(bits[:length], 2) + 1, bits[length:]
        for _ in range(1 if repeated == "1" else count):
            value, bits = int(bits[:word], 2), bits[word:]
            values += [value] * (count if repeated == "1" else 1)
    return values[3::4]


def test_brush_run_lengths():
    random = np.random.default_rng(0)
    for size in ((1, 1), (5, 7), (24, 30)):
        for share in (0.0, 0.3, 1.0):
            mask = random.random(size) < share
            codes = encode_brush(mask)
            assert (decode_brush(codes, *size) == mask).all()
            assert [value > 0 for value in slow_brush(codes)] == mask.ravel().tolist()
    # One block of four values one by one: a single pixel with alpha 9.
    bits = (
        f"{4:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}" + "000011" + "".join(f"{value:08b}" for value in (1, 2, 3, 9))
    )
    codes = [int((bits + "0" * 7)[start : start + 8], 2) for start in range(0, len(bits), 8)]
    assert slow_brush(codes) == [9]
    assert decode_brush(codes, 1, 1).tolist() == [[True]]
    with pytest.raises(ValueError, match="ends too soon"):
        decode_brush(codes[:-2], 1, 1)
    with pytest.raises(ValueError, match="4 values"):
        decode_brush(codes, 2, 2)
