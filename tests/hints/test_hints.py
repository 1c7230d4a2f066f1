"""The folder format, its errors, targets, simulation and checking."""

import dataclasses
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.conftest import draw_scene
from tests.drawing import on_blank

from hintseg.check import inspect, require_trainable
from hintseg.errors import ConfigError, InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.hints.model import ImageHints
from hintseg.hints.types.boxes import Box
from hintseg.hints.types.masks import Mask
from hintseg.hints.types.points import Point
from hintseg.hints.types.registry import parse_hint_types
from hintseg.hints.types.scribbles import SCRIBBLES, Scribble, ScribbleMap
from hintseg.hints.types.tags import Tag
from hintseg.io.images import write_image, write_labels
from hintseg.pseudo_labels.target import reduce_labels
from hintseg.simulate.dataset import simulate_dataset
from hintseg.simulate.hints import simulate_boxes, simulate_points, simulate_scribbles, simulate_tags


@pytest.mark.parametrize(
    ("text", "hint_types"),
    [
        (None, ("tags", "boxes", "points", "scribbles", "masks")),
        ("points,scribbles", ("points", "scribbles")),
        ("scribble", ("scribbles",)),
        (" Box , mask", ("boxes", "masks")),
        ("points,points", ("points",)),
    ],
)
def test_hint_types_are_parsed(text, hint_types):
    assert parse_hint_types(text) == hint_types


def test_unknown_hint_type():
    with pytest.raises(ConfigError, match="Did you mean 'scribbles'"):
        parse_hint_types("scribles")


@pytest.fixture
def folder(tmp_path):
    """One 8 × 10 image and a function that writes more files."""
    root = tmp_path / "set"
    write_image(root / "images" / "a.png", np.zeros((8, 10, 3), np.uint8))

    def write(**files):
        for name, content in files.items():
            path = root / name.replace("__", "/").replace("_json", ".json").replace("_txt", ".txt").replace(
                "_png", ".png"
            )
            if isinstance(content, np.ndarray):
                write_labels(path, content)
            else:
                path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return root

    return write


def test_all_hint_types_are_read(folder):
    scribbles = np.full((8, 10), 255, np.uint8)
    scribbles[2, 3] = 1
    mask = np.zeros((8, 10), np.uint8)
    mask[0] = 250
    root = folder(
        dataset_json={"classes": ["sky", "cow"], "ignore_index": 250, "background": "sky"},
        points_json={"a": [[9, 7, "cow"]]},
        boxes_json={"a": [[0, 0, 4, 4, 1]]},
        tags_json={"a": ["cow"]},
        scribbles_json={"a": [["sky", [[0, 0], [5, 0]]]]},
        scribbles__a_png=scribbles,
        masks__a_png=mask,
    )
    dataset = Dataset.open(root)
    hints = dataset.hints("a")
    assert hints.points == (Point(9, 7, 1),)
    assert hints.boxes == (Box(0, 0, 4, 4, 1),)
    assert hints.tags == (Tag(1),)
    assert hints.scribbles == (Scribble(((0, 0), (5, 0)), 0),)
    assert hints.scribble_map.labels[2, 3] == 1
    assert hints.scribble_map.labels[0, 0] == UNLABELED
    assert hints.mask.labels[0, 0] == IGNORE_INDEX
    assert hints.types() == ("tags", "boxes", "points", "scribbles", "masks")
    assert hints.classes() == {0, 1}
    assert dataset.hints("a", ["points"]).types() == ("points",)
    assert dataset.background == 0


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"dataset_json": "{"}, "not valid JSON"),
        ({"dataset_json": []}, "must be an object"),
        ({"dataset_json": {"classes": []}}, "'classes' must be a list"),
        ({"dataset_json": {"classes": ["a", "a"]}}, "listed twice"),
        ({"dataset_json": {"classes": ["a", "b"], "ignore_index": 1}}, "'ignore_index' must be"),
        ({"dataset_json": {"classes": ["a"], "background": 3}}, "'background' must be"),
        ({"dataset_json": {"classes": ["a"], "tags_exhaustive": 3}}, "'tags_exhaustive' must be"),
        ({"dataset_json": {"classes": ["a"] * 300}}, "more than the 254"),
        ({"points_json": []}, "must be an object"),
        ({"points_json": {"a": 3}}, "must be a list"),
        ({"points_json": {"a": [[1, 2]]}}, "list of 3"),
        ({"points_json": {"a": [[1, 2, "dog"]]}}, "'dog' is no class"),
        ({"points_json": {"a": [[1, 2, 2]]}}, "2 is no class"),
        ({"points_json": {"a": [[1, 2, True]]}}, "no class"),
        ({"points_json": {"a": [["x", 2, 0]]}}, "no number"),
        ({"boxes_json": {"a": [[3, 3, 3, 5, 0]]}}, "is empty"),
        ({"scribbles_json": {"a": [[0, []]]}}, "at least one vertex"),
        ({"scribbles_json": {"a": [[0, [[1]]]]}}, "2 numbers"),
        ({"scribbles__a_png": np.zeros((4, 4), np.uint8)}, "is 4×4 but its image is 10×8"),
        ({"masks__a_png": np.full((8, 10), 7, np.uint8)}, "has label 7 but there are 2 classes"),
    ],
)
def test_wrong_files_say_what_is_wrong(folder, files, message):
    with pytest.raises(InputError, match=message):
        Dataset.open(folder(**{"dataset_json": {"classes": ["sky", "cow"]}, **files})).hints("a")


def test_without_train_txt_held_out_images_are_not_trained_on(tmp_path):
    (tmp_path / "dataset.json").write_text('{"classes": ["a"]}')
    for name in "abc":
        write_image(tmp_path / "images" / f"{name}.png", np.zeros((4, 4, 3), np.uint8))
    assert Dataset.open(tmp_path).keys("train") == ("a", "b", "c")
    (tmp_path / "val.txt").write_text("b\n", "utf-8")
    (tmp_path / "notes.txt").write_text("no split at all\n", "utf-8")
    (tmp_path / "test.txt").write_text("\n", "utf-8")  # empty: it holds nothing out
    assert Dataset.open(tmp_path).keys("train") == ("a", "c")
    assert Dataset.open(tmp_path).keys() == ("a", "b", "c")
    (tmp_path / "train.txt").write_text("a\nb\nc\n", "utf-8")
    assert Dataset.open(tmp_path).keys("train") == ("a", "b", "c")  # said so, and check warns


def test_missing_folders_splits_and_images(tmp_path, folder):
    with pytest.raises(InputError, match="no such folder"):
        Dataset.open(tmp_path / "none")
    with pytest.raises(InputError, match="no folder images/"):
        Dataset.open(tmp_path)
    dataset = Dataset.open(folder(dataset_json={"classes": ["a"]}, val_txt="a\n", odd_txt="missing\n", empty_txt="\n"))
    assert dataset.keys("val") == dataset.keys("train") == ("a",)
    with pytest.raises(InputError, match="known: empty, odd, val"):
        dataset.keys("test")
    with pytest.raises(InputError, match="no image 'missing'"):
        dataset.image(dataset.keys("odd")[0])
    with pytest.raises(InputError, match="lists no image"):
        dataset.keys("empty")


def test_two_images_of_one_name(folder):
    root = folder(dataset_json={"classes": ["a"]})
    (root / "images" / "a.jpg").write_bytes((root / "images" / "a.png").read_bytes())
    with pytest.raises(InputError, match="same name"):
        Dataset.open(root).keys()


def test_without_a_description_classes_come_from_the_hints(folder):
    root = folder(points_json={"a": [[1, 1, 2]]}, scribbles__a_png=np.full((8, 10), 4, np.uint8))
    assert len(Dataset.open(root).classes) == 5
    with pytest.raises(InputError, match=r"write a dataset\.json"):
        Dataset.open(folder(points_json={"a": [[1, 1, "cow"]]}))


def test_without_anything_there_are_no_classes(folder):
    with pytest.raises(InputError, match=r"neither dataset\.json nor any hint"):
        Dataset.open(folder())


def test_targets_draw_discs_strokes_and_masks_by_strength():
    mask = np.full((20, 20), UNLABELED, np.uint8)
    mask[10, 10], mask[0, 0] = 2, IGNORE_INDEX
    hints = ImageHints(
        {
            "points": (Point(10, 10, 0), Point(13, 10, 1)),
            "scribbles": (Scribble(((2, 2), (2, 8)), 1, 1),),
            "masks": (Mask(mask),),
        }
    )
    target = on_blank(hints, (20, 20), 4, point_radius=3)
    assert target.labels[10, 10] == 2
    assert target.labels[10, 9] == 0
    assert target.labels[10, 12] == 1  # nearer to the second point
    assert target.labels[5, 2] == 1
    assert target.labels[0, 0] == IGNORE_INDEX
    assert target.labels[19, 19] == UNLABELED
    assert target.candidate_classes.tolist() == [True, True, True, False]


def test_points_of_two_classes_on_one_pixel_are_ignored_and_said(tmp_path):
    hints = ImageHints({"points": (Point(5, 5, 0), Point(15, 15, 0), Point(5.9, 5.2, 1), Point(15, 15, 0))})
    labels = on_blank(hints, (20, 20), 2).labels
    assert (labels[5, 5], labels[15, 15]) == (IGNORE_INDEX, 0)
    write_image(tmp_path / "images/a.png", np.zeros((20, 20, 3), np.uint8))
    (tmp_path / "points.json").write_text('{"a": [[5, 5, 0], [5, 5, 1], [9, 9, 1]]}')
    dataset = Dataset.open(tmp_path)
    assert any("points of two classes share a pixel" in said for said in inspect(dataset, ["a"]).warnings)


def test_crossing_strokes_are_ignored_and_incomplete_tags_allow_everything():
    strokes = (Scribble(((0, 5), (9, 5)), 0, 1), Scribble(((5, 0), (5, 9)), 1, 1))
    target = on_blank(ImageHints({"scribbles": strokes}, tags_exhaustive=False), (10, 10), 3)
    assert target.labels[5, 5] == IGNORE_INDEX
    assert target.labels[5, 0] == 0
    assert target.candidate_classes.all()
    nothing = on_blank(ImageHints(), (4, 4), 3)
    assert (nothing.labels == UNLABELED).all()
    assert nothing.candidate_classes.all()


def test_strokes_lie_over_a_scribble_map_and_correct_it():
    drawn = np.full((10, 10), UNLABELED, np.uint8)
    drawn[:8] = 1
    labels = np.full((10, 10), UNLABELED, np.uint8)
    SCRIBBLES.draw((Scribble(((0, 5), (9, 5)), 0, 1), ScribbleMap(drawn)), labels, 0)
    assert set(labels[5].tolist()) == {0}
    assert set(labels[4].tolist()) == {1}
    assert set(labels[9].tolist()) == {UNLABELED}


@pytest.mark.parametrize("style", ["skeleton", "interior", "border"])
def test_scribbles_stay_inside_and_shrink_with_coverage(style):
    _, mask = draw_scene(3)
    lengths = []
    for coverage in (1.0, 0.5, 0.0):
        drawn = simulate_scribbles(mask, style, coverage, seed=1)
        known = drawn != UNLABELED
        assert (drawn[known] == mask[known]).all()
        assert set(np.unique(drawn[known])) == set(np.unique(mask))
        lengths.append(int(known.sum()))
    assert lengths[0] > lengths[1] > lengths[2]
    assert (simulate_scribbles(mask, style, seed=1) == simulate_scribbles(mask, style, seed=1)).all()


def test_points_boxes_and_tags_of_a_mask():
    _, mask = draw_scene(3)
    for point in simulate_points(mask, seed=2):
        assert mask[int(point.y), int(point.x)] == point.label
    boxes = simulate_boxes(mask, background=0)
    assert {box.label for box in boxes} == {1, 2}
    for box in boxes:
        inside = mask[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] == box.label
        assert inside.any(axis=0).all() or box.label == 2
    assert simulate_tags(mask, background=0) == (Tag(1), Tag(2))


def test_simulating_a_data_set(scenes, tmp_path):
    out = tmp_path / "simulated"
    assert simulate_dataset(scenes, out, style="interior", seed=1) == 4
    made = Dataset.open(out)
    assert made.classes == scenes.classes
    assert made.hints("scene 0 ä").types() == ("tags", "boxes", "points", "scribbles")
    assert not made.has_mask("scene 0 ä")
    assert made.has_mask("scene 4 ä")
    with pytest.raises(InputError, match="not empty"):
        simulate_dataset(scenes, out)
    with pytest.raises(ConfigError, match="style"):
        simulate_dataset(scenes, tmp_path / "other", style="zigzag")


def without_tables(dataset):
    for path in dataset.root.glob("*s.json"):
        path.unlink()


def test_an_image_that_one_class_would_take_whole_is_said(scenes):
    key, other = scenes.keys("train")[:2]
    without_tables(scenes)
    (scenes.root / "points.json").write_text(json.dumps({key: [[3, 3, 1]], other: [[3, 3, 1], [30, 30, 0]]}))
    dataset = dataclasses.replace(Dataset.open(scenes.root), background=None)
    (said,) = [one for one in inspect(dataset, [key, other], ("points",)).warnings if "only one class" in one]
    assert said.startswith("In 1 of 2 images only one class has hints,")
    incomplete = dataclasses.replace(dataset, tags_exhaustive=False)
    assert not any("only one class" in one for one in inspect(incomplete, [key], ("points",)).warnings)


def test_checking_counts_and_warns(scenes):
    found = inspect(scenes, scenes.keys("train"), ("points", "scribbles"))
    assert found.images == 4
    assert found.hint_types == {"points": 4, "scribbles": 4}
    assert not found.errors
    assert set(found.hinted_pixels) == {0, 1, 2}
    assert require_trainable(found, scenes, ("points",), "refuse") == scenes.keys("train")
    renamed = replace(scenes, classes=(*scenes.classes, "unseen"))
    assert any("'unseen' is never hinted" in sentence for sentence in inspect(renamed, renamed.keys("train")).warnings)


def test_checking_reads_contours(scenes):
    folder = scenes.root / "contours"
    folder.mkdir()
    Image.new("L", (3, 3)).save(folder / f"{scenes.keys()[0]}.png")
    found = inspect(Dataset.open(scenes.root), scenes.keys())
    assert len(found.errors) == 1
    assert "is 3×3 but its image is" in found.errors[0]
    shutil.rmtree(folder)


def test_checking_counts_what_lies_where_there_is_no_data(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "dataset.json").write_text('{"classes": ["a", "b"]}')
    (tmp_path / "points.json").write_text('{"x": [[2, 2, "a"], [2, 22, "b"]]}')
    for name, rows in (("x", 10), ("y", 30)):
        samples = np.random.default_rng(0).random((30, 40), np.float32)
        samples[:rows] = np.nan
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", samples)
    dataset = Dataset.open(tmp_path)
    found = inspect(dataset, dataset.keys())
    assert "1 of 2 images hold no data at all." in found.warnings
    assert any("hinted pixels lie where their image holds no data" in line for line in found.warnings)
    assert set(found.hinted_pixels) == {1}


@pytest.mark.parametrize(("train", "said"), [("a\nb\n", "1 of 2 images are in train"), (None, None), ("a\n", None)])
def test_checking_says_which_images_are_in_two_splits(tmp_path, train, said):
    (tmp_path / "dataset.json").write_text('{"classes": ["a"]}')
    for name in "abc":
        write_image(tmp_path / "images" / f"{name}.png", np.zeros((4, 4, 3), np.uint8))
    if train is not None:
        (tmp_path / "train.txt").write_text(train)
    (tmp_path / "val.txt").write_text("b\nc\n")
    dataset = Dataset.open(tmp_path)
    warned = [line for line in inspect(dataset, dataset.keys()).warnings if line.startswith("val.txt: ")]
    assert len(warned) == (said is not None)
    assert said is None or said in warned[0]


def test_broken_images_are_refused_or_skipped(scenes):
    key = scenes.keys("train")[1]
    scenes.path(key).write_bytes(b"not an image")
    found = inspect(scenes, scenes.keys("train"))
    assert len(found.errors) == 1
    with pytest.raises(InputError, match="not an image"):
        require_trainable(found, scenes, ("scribbles",), "refuse")
    assert key not in require_trainable(found, scenes, ("scribbles",), "skip")


def test_tags_alone_teach_where_they_are_complete(scenes):
    keys = scenes.keys("train")
    assert require_trainable(inspect(scenes, keys, ("tags",)), scenes, ("tags",), "refuse") == keys
    examples = replace(scenes, tags_exhaustive=False)
    with pytest.raises(InputError, match="there are tags alone, and"):
        require_trainable(inspect(examples, keys, ("tags",)), examples, ("tags",), "refuse")
    (scenes.root / "tags.json").write_text("{}")
    without = Dataset.open(scenes.root)
    with pytest.raises(InputError, match="none of the 4 training images has a hint to learn from"):
        require_trainable(inspect(without, keys, ("tags",)), without, ("tags",), "refuse")


def test_classes_that_nobody_looked_for_stay_open(scenes):
    key, other = scenes.keys("train")[:2]
    names = scenes.classes
    without_tables(scenes)
    (scenes.root / "tags.json").write_text(json.dumps({key: [names[1]], other: []}))
    (scenes.root / "verified_classes.json").write_text(json.dumps({key: [names[1], 2], other: [names[1]]}))
    scenes = Dataset.open(scenes.root)
    target = on_blank(scenes.hints(key, ("tags",)), (10, 10), 4)
    assert target.present_classes.tolist() == [scenes.background == 0, True, False, False]
    assert target.candidate_classes.tolist() == [True, True, False, True]
    # Looked for and not found: known, though there is no hint at all.
    target = on_blank(scenes.hints(other, ("tags",)), (10, 10), 4)
    assert target.candidate_classes.tolist() == [True, False, True, True]
    (scenes.root / "verified_classes.json").write_text(json.dumps({key: ["unicorn"]}))
    with pytest.raises(InputError, match=r"verified_classes\.json, image .*'unicorn' is no class"):
        Dataset.open(scenes.root).hints(key)


def test_classes_that_hints_of_other_types_name_are_not_absent(scenes):
    key = scenes.keys("train")[0]
    for name, rows in {"points": [[5, 5, 1]], "tags": [2], "boxes": []}.items():
        (scenes.root / f"{name}.json").write_text(json.dumps({key: rows}))
    (scenes.root / "dataset.json").write_text(json.dumps({"classes": ["a", "b", "c", "d"], "background": None}))
    shutil.rmtree(scenes.root / "scribbles")
    found = Dataset.open(scenes.root)
    assert found.hints(key, ("points",)).absent(4).tolist() == [True, False, False, True]
    (scenes.root / "tags.json").write_text(json.dumps({key: ["unicorn"]}))
    assert not Dataset.open(scenes.root).hints(key, ("points",)).absent(4).any()


def test_earlier_names_are_read_for_good(scenes):
    key = scenes.keys("train")[0]
    described = {"classes": list(scenes.classes), "void": 250, "unlabelled": 9, "tags_complete": False}
    (scenes.root / "dataset.json").write_text(json.dumps(described))
    (scenes.root / "looked_for.json").write_text(json.dumps({key: [2]}))
    found = Dataset.open(scenes.root)
    assert (found.ignore_index, found.unlabeled, found.tags_exhaustive) == (250, 9, False)
    assert found.hints(key).verified_classes == {2}
    assert not found.hints(key).absent(3).any()
    (scenes.root / "verified_classes.json").write_text(json.dumps({key: [1]}))
    with pytest.raises(InputError, match=r"looked_for\.json: is the earlier name of verified_classes\.json"):
        Dataset.open(scenes.root).hints(key)


def test_boxes_leave_open_what_nobody_looked_for():
    hints = box_hints(background=0, verified_classes=frozenset({1, 2}))
    target = on_blank(hints, (10, 12), 4)
    assert target.possible[:, 9, 11].tolist() == [True, False, False, True]
    assert target.labels[9, 11] == UNLABELED


def box_hints(points=(), **fields):
    boxes = (Box(0, 0, 8, 8, 1), Box(4, 4, 10, 10, 2))
    return ImageHints({"boxes": boxes, "points": points}, **fields)


def test_boxes_say_where_classes_can_be():
    target = on_blank(box_hints(background=0), (10, 12), 4)
    assert target.candidate_classes.tolist() == [True, True, True, False]
    # Outside all boxes only the background is possible; inside, it competes with the boxes' classes.
    assert (target.labels[:, 10:] == 0).all()
    assert (target.labels[:8, :8] == UNLABELED).all()
    assert target.possible[:, 5, 5].tolist() == [True, True, True, False]
    assert target.seeds[3, 3] == 1
    assert target.seeds[7, 7] == 2
    assert not target.unhinted()


def test_boxes_without_a_background_label_what_one_class_covers():
    target = on_blank(box_hints(), (10, 10), 3)
    assert target.labels[0, 0] == 1
    assert target.labels[9, 9] == 2
    assert target.labels[5, 5] == UNLABELED
    assert target.possible[:, 9, 0].tolist() == [False, False, False]
    assert target.labels[9, 0] == UNLABELED


def test_inside_a_smaller_box_the_middle_of_a_larger_one_says_nothing():
    """A cow in a meadow: the meadow's box covers the image, and its middle the cow's flanks."""
    meadow, cow = Box(0, 0, 40, 40, 1), Box(10, 10, 30, 30, 2)
    for boxes in ((meadow, cow), (cow, meadow)):
        target = on_blank(ImageHints({"boxes": boxes}), (40, 40), 3)
        assert (target.seeds[16:24, 16:24] == 2).all()
        ring = np.ones((40, 40), np.bool_)
        ring[:10] = ring[30:] = ring[:, :10] = ring[:, 30:] = ring[16:24, 16:24] = False
        assert (target.seeds[ring] == UNLABELED).all()
        assert target.seeds[5, 5] == target.labels[5, 5] == 1  # where the meadow alone is possible


def test_boxes_of_an_incompletely_tagged_image_forbid_nothing_else():
    target = on_blank(box_hints(tags_exhaustive=False), (10, 10), 4)
    assert target.possible[:, 9, 0].tolist() == [True, False, False, True]
    assert (target.labels == UNLABELED).all()
    assert target.unhinted()


def test_a_stroke_inside_a_box_stays_what_it_is():
    target = on_blank(box_hints(points=(Point(6, 6, 1),), background=0), (10, 12), 3, point_radius=0)
    assert target.labels[6, 6] == 1 == target.seeds[6, 6]


def test_targets_of_large_images_are_reduced_together():
    image = np.zeros((40, 80, 3), np.uint8)
    whole = on_blank(ImageHints({"boxes": (Box(20, 12, 60, 32, 1),)}, background=0), (40, 80), 2)
    small, target = reduce_labels(image, whole, 20)
    assert small.shape == (10, 20, 3)
    assert target.possible.shape == (2, 10, 20)
    assert target.possible[1].sum() == 10 * 5
    assert (target.labels[:, :5] == 0).all()
    assert reduce_labels(image, whole, 80)[1] is whole
