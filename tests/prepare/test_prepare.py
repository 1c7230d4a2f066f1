"""Benchmarks in exactly their distributed layouts, made small; the paper's recipes on them, end to end."""

import json

import numpy as np
import pytest
from scipy.io import savemat
from tests.conftest import TINY, draw_scene

from hintseg import train
from hintseg.errors import ConfigError, InputError
from hintseg.formats.rle import decode_polygons, decode_rle, encode_rle
from hintseg.io.images import write_image, write_labels
from hintseg.prepare.densepose import PART_OF_CHART, prepare_densepose
from hintseg.prepare.voc12 import CLASSES, prepare_voc12

KEYS = ("2007_000032", "2008_000041", "2009_000007", "2010_000101")  # train, train of SBD alone, val, train
LABELS = np.array([0, 1, 15], np.uint8)  # background, aeroplane, person


def voc_mask(index):
    return LABELS[draw_scene(index)[1]]


def write_xml(path, name, parts):
    path.parent.mkdir(parents=True, exist_ok=True)
    size = "<size><width>96</width><height>72</height><depth>3</depth></size>"
    path.write_text(f"<annotation><filename>{name}.jpg</filename>{size}{''.join(parts)}</annotation>")


@pytest.fixture
def voc(tmp_path):
    root = tmp_path / "downloads"
    devkit = root / "VOCdevkit" / "VOC2012"
    lists = devkit / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text(f"{KEYS[0]}\n{KEYS[3]}\n")
    (lists / "val.txt").write_text(f"{KEYS[2]}\n")
    sbd = root / "benchmark_RELEASE" / "dataset"
    (sbd / "cls").mkdir(parents=True)
    (sbd / "train.txt").write_text(f"{KEYS[1]}\n{KEYS[2]}\n")
    (sbd / "val.txt").write_text(f"{KEYS[0]}\n")
    for index, key in enumerate(KEYS):
        image, _ = draw_scene(index)
        mask = voc_mask(index)
        write_image(devkit / "JPEGImages" / f"{key}.jpg", image)
        if index == 1:
            savemat(sbd / "cls" / f"{key}.mat", {"GTcls": {"Segmentation": mask, "Boundaries": 0}})
        else:
            mask[0] = 255
            write_labels(devkit / "SegmentationClass" / f"{key}.png", mask)
        objects, polygons = [], []
        for label in (1, 15):
            rows, columns = np.nonzero(mask == label)
            corners = {
                "xmin": columns.min() + 1,
                "ymin": rows.min() + 1,
                "xmax": columns.max() + 1,
                "ymax": rows.max() + 1,
            }
            frame = "".join(f"<{tag}>{value}</{tag}>" for tag, value in corners.items())
            objects.append(f"<object><name>{CLASSES[label]}</name><bndbox>{frame}</bndbox></object>")
            y, x = int(np.median(rows)), int(np.median(columns))
            points = "".join(f"<point><X>{x + step}</X><Y>{y}</Y></point>" for step in (-3, 0, 3))
            polygons.append(f"<polygon><tag>{CLASSES[label]}</tag>{points}</polygon>")
        polygons.append("<polygon><tag>background</tag><point><X>500</X><Y>2</Y></point></polygon>")
        write_xml(devkit / "Annotations" / f"{key}.xml", key, objects)
        write_xml(root / "scribble_annotation" / "pascal_2012" / f"{key}.xml", key, polygons)
    clicks = {KEYS[0]: [{"x": 5, "y": 6, "cls": 15, "rank": 1}, {"x": 500, "y": 6, "cls": 1, "rank": 2}]}
    (root / "pascal2012_trainval_main.json").write_text(json.dumps(clicks))
    return root


def test_voc_becomes_a_data_set(voc, tmp_path):
    dataset = prepare_voc12(voc, tmp_path / "data")
    assert dataset.keys("train") == (KEYS[0], KEYS[3], KEYS[1])  # SBD adds one; one of its images is in val
    assert dataset.keys("val") == (KEYS[2],)
    for index, key in enumerate(KEYS):
        expected = voc_mask(index)
        if index != 1:
            expected[0] = 255
        assert (dataset.mask(key) == expected).all()
    hints = dataset.hints(KEYS[0])
    rows, columns = np.nonzero(dataset.mask(KEYS[0]) == 1)
    box = hints.boxes[0]
    assert (box.x0, box.y0, box.x1, box.y1) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert {tag.label for tag in hints.tags} == {1, 15}
    assert [scribble.label for scribble in hints.scribbles] == [1, 15, 0]
    assert hints.scribbles[2].vertices == ((95, 2),), "moved to the image's edge"
    assert hints.points[0].x == np.median(columns).astype(int)
    clicked = prepare_voc12(voc, tmp_path / "clicked", points="clicks")
    assert [(point.x, point.y, point.label) for point in clicked.hints(KEYS[0], ("points",)).points] == [(5, 6, 15)]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("VOCdevkit/VOC2012/JPEGImages", "the VOC 2012 devkit not found; looked for VOCdevkit/VOC2012/JPEGImages"),
        ("VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt", "the list of validation images not found"),
        (f"VOCdevkit/VOC2012/JPEGImages/{KEYS[0]}.jpg", f"{KEYS[0]}.jpg: no such file, though a list names it"),
        (f"VOCdevkit/VOC2012/Annotations/{KEYS[0]}.xml", f"{KEYS[0]}.xml: no such file"),
        (f"benchmark_RELEASE/dataset/cls/{KEYS[1]}.mat", f"{KEYS[1]}.png: no such file, and SBD has no mask"),
    ],
)
def test_missing_parts_are_named(voc, tmp_path, missing, message):
    (voc / missing).rename(voc / "elsewhere")
    with pytest.raises(InputError, match=message):
        prepare_voc12(voc, tmp_path / "data")


@pytest.mark.parametrize(
    ("place", "content", "message"),
    [
        (f"VOCdevkit/VOC2012/Annotations/{KEYS[0]}.xml", "<annotation>", "is not valid XML"),
        (f"VOCdevkit/VOC2012/Annotations/{KEYS[0]}.xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "declares XML entities"),
        (f"VOCdevkit/VOC2012/Annotations/{KEYS[0]}.xml", "<a><object/></a>", "an object has no <bndbox>"),
        (
            f"scribble_annotation/pascal_2012/{KEYS[0]}.xml",
            "<a><polygon><tag>unicorn</tag><point><X>1</X><Y>2</Y></point></polygon></a>",
            "'unicorn' is no VOC class",
        ),
        (
            f"scribble_annotation/pascal_2012/{KEYS[0]}.xml",
            "<a><polygon><tag>cow</tag><point><X>left</X><Y>2</Y></point></polygon></a>",
            "<X> is 'left', not a number",
        ),
        (f"benchmark_RELEASE/dataset/cls/{KEYS[1]}.mat", "MATLAB", "is no SBD class file"),
    ],
)
def test_malformed_parts_are_named(voc, tmp_path, place, content, message):
    (voc / place).write_text(content)
    with pytest.raises(InputError, match=message):
        prepare_voc12(voc, tmp_path / "data")


def test_what_was_prepared_is_not_overwritten(voc, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").touch()
    with pytest.raises(InputError, match="is not empty"):
        prepare_voc12(voc, tmp_path / "data")
    with pytest.raises(ConfigError, match="clicks"):
        prepare_voc12(voc, tmp_path / "other", points="random")


@pytest.mark.parametrize("hints", ["tags", "boxes", "points", "scribbles"])
def test_voc_recipes_run_to_their_end(voc, tmp_path, hints):
    dataset = prepare_voc12(voc, tmp_path / "data")
    segmenter = train(
        dataset, hints, tmp_path / "run", recipe=f"voc12-{hints}", weights="none", iterations=4, settings=PAPER,
    )  # fmt: skip
    image = dataset.image(KEYS[2])
    assert segmenter.predict(image).shape == image.shape[:2]
    assert set(np.unique(segmenter.complete(dataset, KEYS[0]))) <= {0, 1, 15}


PAPER = [
    *TINY,
    "network.decoder_channels=64",
    "network.embedding_dim=64",
    "inference.scales=[1.0]",
    "self_training.start=0.5",
]


@pytest.fixture
def coco(tmp_path):
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    for split, folder in (("train", "train2014"), ("minival", "val2014")):
        images, annotations = [], []
        for index in range(2):
            name = f"COCO_{folder}_{index:012d}.jpg"
            image, mask = draw_scene(index)
            write_image(root / folder / name, image)
            images.append({"id": index + 1, "file_name": name, "height": 72, "width": 96})
            rows, columns = np.nonzero(mask == 1)
            box = [int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
            parts = [[] for _ in range(14)]
            upper = np.zeros((256, 256), np.bool_)
            upper[:128] = True
            parts[13], parts[0] = encode_rle(upper), encode_rle(~upper)
            person = {"dp_masks": parts, "dp_I": [23.0, 1.0], "dp_x": [128.0, 10.0], "dp_y": [10.0, 200.0]}
            common = {"image_id": index + 1, "category_id": 1}
            annotations.append({"id": 10 * index, "bbox": box, **common, **person})
            if index == 0:
                corner = [80.0, 0.0, 95.0, 0.0, 95.0, 9.0, 80.0, 9.0]
                annotations.append({"id": 99, "bbox": [80, 0, 15, 9], "segmentation": [corner], **common})
        content = {"images": images, "annotations": annotations, "categories": []}
        (root / "annotations" / f"densepose_coco_2014_{split}.json").write_text(json.dumps(content))
    return root


def test_densepose_becomes_a_data_set(coco, tmp_path):
    dataset = prepare_densepose(coco, tmp_path / "data")
    assert dataset.splits == ("train", "val")
    key = dataset.keys("train")[0]
    mask = dataset.mask(key)
    rows, columns = np.nonzero(draw_scene(0)[1] == 1)
    middle = (rows.min() + rows.max() + 1) // 2
    assert set(np.unique(mask[rows.min() : middle - 1, columns.min() : columns.max()])) == {14}
    assert set(np.unique(mask[middle + 1 : rows.max(), columns.min() : columns.max()])) == {1}
    assert (mask[1:8, 82:94] == 255).all(), "nobody looked at that person's parts"
    points = dataset.hints(key, ("points",)).points
    assert [point.label for point in points] == [14, 1]
    assert all(mask[int(point.y), int(point.x)] == point.label for point in points)
    assert not dataset.hints(dataset.keys("val")[0]).points
    assert len(PART_OF_CHART) == 25
    assert set(PART_OF_CHART) == set(range(15))


def test_densepose_recipe_runs_to_its_end(coco, tmp_path):
    dataset = prepare_densepose(coco, tmp_path / "data")
    segmenter = train(
        dataset, "points", tmp_path / "run", recipe="densepose-points", weights="none", iterations=4, settings=PAPER
    )
    image = dataset.image(dataset.keys("val")[0])
    assert segmenter.predict(image).shape == image.shape[:2]


def test_damaged_densepose_is_named(coco, tmp_path):
    path = coco / "annotations" / "densepose_coco_2014_train.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["dp_masks"][0]["counts"] = "0"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="annotation 0 is malformed"):
        prepare_densepose(coco, tmp_path / "data")
    path.write_text("[]")
    with pytest.raises(InputError, match="is no COCO annotation file"):
        prepare_densepose(coco, tmp_path / "other")
    path.unlink()
    with pytest.raises(InputError, match="training annotations not found"):
        prepare_densepose(coco, tmp_path / "third")


def test_run_lengths_are_cocos():
    mask = np.zeros((40, 30), np.bool_)
    mask[3:30, 5:20] = True
    mask[10:12, 8:9] = False
    # Written by pycocotools 2.0.
    assert encode_rle(mask) == {"size": [40, 30], "counts": "[6k0=0000\\OE;;900000000000000000000]<"}
    random = np.random.default_rng(0)
    for size in ((1, 1), (7, 5), (30, 41)):
        for share in (0.0, 0.1, 0.5, 1.0):
            mask = random.random(size) < share
            assert (decode_rle(encode_rle(mask)) == mask).all()
            runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[not mask.T.flat[0]], mask.T.ravel(), [2]]))))
            plain = runs.tolist() if not mask.T.flat[0] else [0, *runs.tolist()]
            assert (decode_rle({"size": list(size), "counts": plain}) == mask).all()
    for counts in ("~~", "P", [3, 4], [5, -1, 2]):
        with pytest.raises(ValueError, match=r"run"):
            decode_rle({"size": [2, 3], "counts": counts})
    triangle = decode_polygons([[0, 0, 8, 0, 0, 8]], (10, 10))
    assert triangle[1, 1]
    assert not triangle[9, 9]
