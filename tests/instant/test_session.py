"""A session follows the hints as they are drawn."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hintseg.errors import ConfigError, InputError
from hintseg.functional.shapes import deepest
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.instant.session import Session
from hintseg.metrics import ConfusionMatrix

DRAWN = ("points", "scribbles")


def points_of(dataset: Dataset, rows: dict[str, list[list[int]]]) -> Dataset:
    """The data set, opened anew with these points."""
    (dataset.root / "points.json").write_text(json.dumps(rows), "utf-8")
    return Dataset.open(dataset.root)


@pytest.fixture
def begin(tmp_path):
    """(data set, hint types) → a session in one cache."""
    return lambda dataset, *hint_types: Session(
        dataset, tmp_path / "cache", hint_types=hint_types or DRAWN, device="cpu"
    )


def test_strokes_on_some_images_make_masks_of_all(scenes, begin):
    session, matrix = begin(scenes, "scribbles"), ConfusionMatrix(3)
    assert session.fit(scenes.keys("train"))
    for key in scenes.keys("val"):
        matrix.update(scenes.mask(key), session.mask(key))
    assert matrix.scores().mean_iou > 0.6


def test_a_fit_depends_on_the_hints_and_the_seed_alone(scenes, begin):
    key = scenes.keys("val")[0]
    one, other = begin(scenes), begin(scenes)
    for session in (one, other):
        session.fit(scenes.keys("train"))
    one.fit(scenes.keys("train"))  # again, not on top of the first
    np.testing.assert_array_equal(one.mask(key), other.mask(key))


def test_a_hint_changes_its_image_and_then_the_model(scenes, begin):
    first, second = scenes.keys("train")[:2]
    session = begin(points_of(scenes, {first: []}), "points")
    assert not session.fit(scenes.keys("train"))
    truth = {key: scenes.mask(key) for key in (first, second)}
    rows = [[int(x), int(y), label] for label in range(3) for y, x in np.argwhere(truth[first] == label)[::200]]
    changed = points_of(scenes, {first: rows})
    session.change(changed, [first])
    assert session.fit([first])
    for key in (first, second):  # the other image learns from it
        assert (session.mask(key) == truth[key]).mean() > 0.7
    # Even before the next fit a click holds where it is, whatever the model says, and far places stay as they are.
    before = session.mask(second)
    away = np.argwhere(before == 0)
    y, x = (int(side) for side in away[len(away) // 2])
    session.change(points_of(scenes, {first: rows, second: [[x, y, 2]]}), [second])
    after = session.mask(second)
    assert after[y, x] == 2
    assert (after != before).mean() < 0.1


def test_a_single_class_on_an_image_does_not_take_all_of_it(scenes, begin):
    """Though the hints of a finished data set name every class that an image holds."""
    first, second = scenes.keys("train")[:2]
    truth = scenes.mask(first)
    rows = [[int(x), int(y), label] for label in range(3) for y, x in np.argwhere(truth == label)[::200]]
    x, y = deepest(scenes.mask(second) == 1)
    assert scenes.tags_exhaustive
    session = begin(points_of(scenes, {first: rows, second: [[x, y, 1]]}), "points")
    session.fit([first, second])
    assert (session.mask(second) == scenes.mask(second)).mean() > 0.7


def test_a_class_stays_in_its_boxes(scenes, begin):
    session, key = begin(scenes, "scribbles", "boxes"), scenes.keys("train")[0]
    session.fit(scenes.keys("train"))
    inside = np.zeros(scenes.mask(key).shape, bool)
    for box in scenes.hints(key).boxes:
        if box.label == 1:
            inside[round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)] = True
    square = session.mask(key) == 1
    assert square.any()
    assert (square & ~inside).sum() <= 0.05 * square.sum()  # the CRF rounds corners


def test_classes_and_images_may_come_later(scenes, begin):
    session, key = begin(scenes, "scribbles"), scenes.keys("val")[0]
    session.fit(scenes.keys("train"))
    before = session.mask(key)
    more = replace(scenes, classes=(*scenes.classes, "star"))
    session.change(more, [])
    session.fit(more.keys("train"))
    assert session.network.num_classes == 4
    assert (session.mask(key) == before).mean() > 0.9
    (scenes.root / "images" / "new.png").write_bytes(scenes.path(key).read_bytes())
    session.change(Dataset.open(scenes.root), [])
    session.fit(scenes.keys("train"))
    assert session.mask("new").shape == before.shape


def test_features_are_computed_once(scenes, begin, tmp_path):
    for key in scenes.keys("train"):
        begin(scenes).prepare(key)
    made = {path: path.stat().st_ino for path in (tmp_path / "cache" / "features").iterdir()}
    assert len(made) == 4
    session = begin(scenes)
    session.fit(scenes.keys("train"))
    assert {path: path.stat().st_ino for path in (tmp_path / "cache" / "features").iterdir()} == made


def test_what_holds_no_data_stays_ignored(scenes, begin):
    from PIL import Image

    key = scenes.keys("train")[0]
    path = scenes.path(key)
    with Image.open(path) as image:
        pixels = np.dstack([np.asarray(image.convert("RGB")), np.full(image.size[::-1], 255, np.uint8)])
    pixels[:10, :, 3] = 0
    Image.fromarray(pixels).save(path)
    dataset = Dataset.open(scenes.root)
    session = begin(dataset)
    session.fit(dataset.keys("train"))
    assert (session.mask(key)[:10] == IGNORE_INDEX).all()


def test_wrong_choices_are_refused(scenes, tmp_path):
    with pytest.raises(ConfigError, match="pretrained"):
        Session(scenes, tmp_path, weights="none")
    first, second = scenes.keys("train")[:2]
    scenes.path(first).write_bytes(b"torn")
    session = Session(scenes, tmp_path, device="cpu")
    assert session.fit([second])
    with pytest.raises(InputError, match="scene 0"):
        session.fit([first])
    with pytest.raises(InputError, match="scene 0"):
        session.mask(first)
