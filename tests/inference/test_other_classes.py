"""A run meets data sets whose classes are its own in another order, more, fewer or others."""

import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from hintseg.api import train
from hintseg.apps.batch_inference.mask_folders import classes_of_masks
from hintseg.apps.batch_inference.output import Output, Prediction
from hintseg.apps.cli import app
from hintseg.apps.report.run_report import report_run
from hintseg.apps.studio.backend import _page_names
from hintseg.errors import InputError, RunError
from hintseg.hints.dataset import Dataset
from hintseg.inference.evaluation import evaluate_split, evaluation
from hintseg.inference.segmenter import Segmenter
from hintseg.inference.suggest import suggest
from hintseg.io.images import read_labels, write_labels

HINT_TYPES = "scribbles,points,boxes,tags"


@pytest.fixture
def segmenter(scenes, tiny, tmp_path):
    return train(
        scenes, HINT_TYPES, tmp_path / "run", weights="none", device="cpu", iterations=30,
        settings=[*tiny, "optimizer.lr=3e-3", "optimizer.backbone_lr=3e-3", "self_training.mode=none"],
    )  # fmt: skip


def renumbered(scenes, root, classes, names=None):
    """The same data with other numbers: `classes` lists names of today in their new order, `names` their new names."""
    shutil.copytree(scenes.root, root)
    place = np.arange(256, dtype=np.uint8)
    for label, name in enumerate(scenes.classes):
        place[label] = classes.index(name) if name in classes else 255
    for path in [*root.glob("masks/*.png"), *root.glob("scribbles/*.png")]:
        write_labels(path, place[read_labels(path)])
    for table, column in (("points", 2), ("boxes", 4)):
        rows = json.loads((root / f"{table}.json").read_text("utf-8"))
        kept = {key: [row for row in listed if place[row[column]] < 255] for key, listed in rows.items()}
        for listed in kept.values():
            for row in listed:
                row[column] = int(place[row[column]])
        (root / f"{table}.json").write_text(json.dumps(kept), "utf-8")
    background = classes.index("ground") if "ground" in classes else None
    (root / "dataset.json").write_text(json.dumps({"classes": names or classes, "background": background}), "utf-8")
    return Dataset.open(root)


@pytest.fixture
def other(segmenter, scenes, tmp_path):
    def make(classes, names=None):
        return renumbered(scenes, tmp_path / "other", classes, names)

    (scenes.root / "tags.json").unlink()
    return make


def scores(segmenter, dataset):
    matrix, images = evaluate_split(segmenter, dataset, "val")
    inference = segmenter.recipe.inference
    found = evaluation(matrix, images, segmenter.class_map(dataset), dataset, "val", inference)
    return found.model_dump(mode="json"), found


@pytest.mark.parametrize("names", [["disc", "ground", "square"], ["Disc", "GROUND", "square"]])
def test_another_order_gives_the_same_scores_masks_and_suggestions(segmenter, scenes, other, names):
    before, _ = scores(segmenter, scenes)
    moved = other(["disc", "ground", "square"], names)
    after, evaluated = scores(segmenter, moved)
    assert before["mean_iou"] > 0.2
    assert list(after["iou"]) == names
    assert after["mean_iou"] == pytest.approx(before["mean_iou"])
    assert [after["iou"][name] for name in names] == [before["iou"][name.lower()] for name in names]
    place = np.array([1, 2, 0], np.uint8)
    for key in scenes.keys("train"):
        np.testing.assert_array_equal(segmenter.complete(moved, key), place[segmenter.complete(scenes, key)])
    keys = scenes.keys("train")
    assert suggest(segmenter, moved, keys) == suggest(segmenter, scenes, keys)
    page = report_run(segmenter, evaluated, moved).read_text("utf-8")
    assert f"{100 * before['mean_iou']:.1f} %" in page


def test_a_class_more_counts_as_missed_and_a_class_less_as_wrong(segmenter, scenes, other, caplog):
    more = other(["ground", "new", "square", "disc"])
    key = scenes.keys("val")[0]
    truth = read_labels(more.root / "masks" / f"{key}.png")
    truth[:20] = 1
    write_labels(more.root / "masks" / f"{key}.png", truth)
    found, _ = scores(segmenter, more)
    assert found["iou"]["new"] == 0
    assert found["never_learned"] == ["new"]
    assert found["confusion"][1] == [*found["confusion"][1][:1], 0, *found["confusion"][1][2:]]
    assert sum(found["confusion"][1]) == 20 * 96
    assert "never learned 'new'; such pixels count as missed" in caplog.text
    for hinted in scenes.keys("train"):
        assert (np.unique(segmenter.complete(more, hinted)) != 1).all()
    (more.root / "points.json").write_text(json.dumps({scenes.keys("train")[0]: [[3, 3, "new"]]}), "utf-8")
    with pytest.raises(InputError, match=r"its hints need the class 'new', which the run never learned \(it knows"):
        segmenter.complete(Dataset.open(more.root), scenes.keys("train")[0])
    with pytest.raises(InputError, match="need the class 'new'"):
        suggest(segmenter, Dataset.open(more.root), scenes.keys("train"))


def test_fewer_classes(segmenter, scenes, other, caplog):
    fewer = other(["square", "ground"])
    found, _ = scores(segmenter, fewer)
    assert list(found["iou"]) == ["square", "ground"]
    assert found["not_in_data"] == ["disc"]
    assert "no class 'disc'; pixels predicted as such count as wrong" in caplog.text
    for key in scenes.keys("train"):
        assert set(np.unique(segmenter.complete(fewer, key))) <= {0, 1}
    assert len(suggest(segmenter, fewer, scenes.keys("train"))) == 4


def test_other_names_are_refused_with_both_lists(segmenter, scenes, other):
    renamed = other(["ground", "square", "disc"], ["ground", "box", "disc"])
    for use in (
        lambda: evaluate_split(segmenter, renamed, "val"),
        lambda: segmenter.complete(renamed, scenes.keys("train")[0]),
        lambda: suggest(segmenter, renamed, scenes.keys("train")),
        lambda: report_run(segmenter, None, renamed),
    ):
        with pytest.raises(InputError, match="has the classes ground, box, disc, but the run learned ground, square"):
            use()


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["hintseg", *map(str, arguments)])
    try:
        app.main()
    except SystemExit as stop:
        return stop.code or 0
    return 0


def test_masks_keep_their_class_table_until_export(segmenter, scenes, other, tmp_path, monkeypatch, capsys):
    moved = other(["disc", "ground", "square"])
    done = tmp_path / "done"
    run = segmenter.run
    assert command(monkeypatch, "complete", run, "--data", moved.root, "--split", "train", "--out", done) == 0
    assert classes_of_masks(done) == moved.classes
    assert classes_of_masks(moved.root / "masks") == moved.classes
    assert command(monkeypatch, "export", run, "--masks", done, "--format", "coco", "--out", tmp_path / "coco") == 0
    exported = json.loads(next((tmp_path / "coco").rglob("*.json")).read_text("utf-8"))
    names = {category["id"]: category["name"] for category in exported["categories"]}
    drawn = {names[annotation["category_id"]] for annotation in exported["annotations"]}
    expected = {
        moved.classes[label] for key in scenes.keys("train") for label in np.unique(read_labels(done / f"{key}.png"))
    }
    assert drawn == expected
    (done / ".made-by.json").unlink()
    key = scenes.keys("train")[0]
    with Image.open(done / f"{key}.png") as image:
        write_labels(done / f"{key}.png", np.full_like(np.array(image), 7))
    assert command(monkeypatch, "export", run, "--masks", done, "--out", tmp_path / "wrong") == 2
    assert "has label 7, but there are 3 classes (ground, square, disc)" in capsys.readouterr().err


def test_a_data_sets_label_maps_are_not_written_with_other_numbers(tmp_path):
    (tmp_path / "dataset.json").write_text('{"classes": ["b", "a"]}')
    with pytest.raises(RunError, match="belongs to a data set with the classes b, a, but these masks have a, b"):
        Output(str(tmp_path / "masks"), classes=("a", "b")).claim("me", [], resume=False)
    Output(str(tmp_path / "masks"), classes=("b", "a")).claim("me", [], resume=False)
    Output(str(tmp_path / "others"), classes=("a", "b")).claim("me", [], resume=False)


def test_masks_of_an_older_version_are_gone_on_with(tmp_path):
    output = Output(str(tmp_path), classes=("a", "b"))
    output.claim("me", [], resume=False)
    output.write("x", Prediction(np.zeros((2, 2), np.uint8)))
    marks = json.loads((tmp_path / ".made-by.json").read_text("utf-8"))
    del marks["classes"]
    (tmp_path / ".made-by.json").write_text(json.dumps(marks))
    assert output.claim("me", [], resume=True) == {"x"}


def test_a_label_studio_page_with_other_labels():
    assert _page_names(["ground", "disc"], {"Disc", "tree"}) == {1: "Disc"}
    with pytest.raises(InputError, match="the page has the labels hound, tree, but the run learned ground, disc"):
        _page_names(["ground", "disc"], {"tree", "hound"})


def test_label_maps_of_a_data_set_are_exported_as_it_reads_them(segmenter, scenes, tmp_path, monkeypatch):
    counted = tmp_path / "counted"
    shutil.copytree(scenes.root, counted)
    description = json.loads((counted / "dataset.json").read_text("utf-8"))
    (counted / "dataset.json").write_text(json.dumps(description | {"first_label": 1, "unlabeled": 0}))
    key = scenes.keys("train")[0]
    for path in (counted / "masks").glob("*.png"):
        path.unlink()
    values = np.zeros(scenes.mask(key).shape, np.uint8)
    values[:5] = 2  # the second class, and nothing else is drawn
    write_labels(counted / "masks" / f"{key}.png", values)
    given = ("--masks", counted / "masks", "--format", "coco", "--out", tmp_path / "coco")
    assert command(monkeypatch, "export", segmenter.run, *given) == 0
    exported = json.loads((tmp_path / "coco" / "annotations.json").read_text("utf-8"))
    names = {category["id"]: category["name"] for category in exported["categories"]}
    assert [names[drawn["category_id"]] for drawn in exported["annotations"]] == [scenes.classes[1]]


def test_what_is_left_out_of_the_truth_is_said(segmenter, scenes, caplog):
    first, second = scenes.keys("val")[:2]
    labels = Image.fromarray(read_labels(scenes.root / f"masks/{first}.png"), "P")
    labels.putpalette(list(range(256)) * 3)
    labels.save(scenes.root / f"masks/{first}.png", transparency=0)
    (scenes.root / f"masks/{second}.png").unlink()
    for _ in range(2):
        evaluate_split(segmenter, Dataset.open(scenes.root), "val")
    told = [record.getMessage() for record in caplog.records]
    assert sum("label maps whose transparent pixels are taken as ignored or unlabeled: 1" in said for said in told) == 1
    assert sum("have no mask, left out" in said for said in told) == 1
    caplog.clear()
    evaluate_split(Segmenter(segmenter.network, segmenter.description, segmenter.run), scenes, "val")
    assert caplog.text.count("have no mask, left out") == 1, "whoever opens the run anew is told, too"
