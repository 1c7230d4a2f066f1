"""Before anything is trained, masks of all photographs learn from what is drawn on some."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from hintseg.apps.studio.learner import content_version
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.server import create_app
from hintseg.apps.studio.trainer import Model, Trainer
from hintseg.errors import RunError
from hintseg.instant import features
from hintseg.instant.session import Session
from hintseg.io.palette import class_colors, parse_color
from hintseg.simulate.hints import simulate_points


@pytest.fixture
def page(scenes, tmp_path, tab_of):
    """A page on the photographs of `scenes`, of which nothing is known but the classes."""
    shutil.copytree(scenes.root / "images", tmp_path / "project" / "images")
    app = create_app(Project.open(tmp_path / "project"), Trainer(Project.open(tmp_path / "project"), "auto"))
    tab = tab_of(TestClient(app))
    tab.classes(list(scenes.classes))
    tab.truth = {key: scenes.mask(key) for key in scenes.paths}
    return tab


def labels_of(tab, key):
    """(H, W) classes of the mask that the page shows."""
    answer = tab.client.get(f"/api/mask/{key}")
    assert answer.status_code == 200, answer.text
    pixels = np.asarray(Image.open(io.BytesIO(answer.content)))[..., :3].astype(int)
    colors = np.array([parse_color(color) for color in class_colors()])
    return np.abs(pixels[:, :, None] - colors).sum(axis=3).argmin(axis=2)


def points_on(tab, key, labels=(0, 1, 2)):
    found = simulate_points(tab.truth[key].astype(np.uint8), 0)
    return {"points": [{"label": one.label, "x": one.x, "y": one.y} for one in found if one.label in labels]}


def test_hints_on_one_photograph_give_masks_of_all(page):
    first, second = list(page.truth)[:2]
    assert page.client.get("/api/state").json()["model"] == "instant"
    answer = page.client.get(f"/api/mask/{second}")
    assert answer.status_code == 422
    assert "draw some" in answer.json()["detail"]
    page.save(first, points_on(page, first))
    for key in (first, second):
        assert (labels_of(page, key) == page.truth[key]).mean() > 0.7
    assert page.client.get("/api/export").status_code == 200


def test_every_mask_knows_the_newest_hints(page):
    first, second, third = list(page.truth)[:3]
    page.save(first, points_on(page, first, (0, 1)))
    before, tag = labels_of(page, third), page.mask_tag(third)
    assert page.mask_tag(third) == tag
    page.save(second, points_on(page, second))  # the first hint of a disc anywhere
    assert 2 not in before
    assert 2 in labels_of(page, third)
    assert page.mask_tag(third) != tag
    # What was seen is accepted, and nothing else.
    assert page.client.post(f"/api/accept/{third}", headers={"If-Match": tag}).status_code == 409
    assert page.client.post(f"/api/accept/{third}", headers={"If-Match": page.mask_tag(third)}).status_code == 200


def test_a_damaged_photograph_costs_itself_alone(page, tmp_path):
    first, second = list(page.truth)[:2]
    page.save(first, points_on(page, first))
    page.save(second, points_on(page, second))
    (tmp_path / "project" / "images" / f"{second}.png").write_bytes(b"torn")
    assert (labels_of(page, first) == page.truth[first]).mean() > 0.7
    answer = page.client.get(f"/api/mask/{second}")
    assert answer.status_code == 422
    assert second in answer.json()["detail"]


def test_classes_that_are_added_keep_the_masks(page):
    first = next(iter(page.truth))
    page.save(first, points_on(page, first))
    before = labels_of(page, first)
    page.classes(["ground", "square", "disc", "star"])
    assert (labels_of(page, first) == before).mean() > 0.9


def test_the_mask_of_an_exchanged_photograph_is_another_one(page, tmp_path):
    first, second = list(page.truth)[:2]
    page.save(first, points_on(page, first))
    seen = page.mask_tag(second)
    images = tmp_path / "project" / "images"
    with Image.open(images / f"{second}.png") as image:
        image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(images / f"{second}.png")
    assert page.client.post(f"/api/accept/{second}", headers={"If-Match": seen}).status_code == 409
    # One with hints teaches anew.
    before = page.mask_tag(second)
    shutil.copy(images / f"{second}.png", images / f"{first}.png")
    assert page.mask_tag(second) != before


def test_hints_that_come_and_go_while_a_mask_is_computed_leave_nothing(page, tmp_path, monkeypatch):
    first, second = list(page.truth)[:2]
    learner = Model(Project.open(tmp_path / "project"), Trainer(Project.open(tmp_path / "project"))).learner
    page.save(first, points_on(page, first, (0, 1)))
    before, begin = learner.mask(second), Session.change

    def interrupted(session, dataset, keys):
        begin(session, dataset, keys)
        page.save(first, points_on(page, first, (0, 2)))

    page.save(first, points_on(page, first, (1, 2)))
    learner.mask(second)
    page.save(first, points_on(page, first, (0, 1)))
    with monkeypatch.context() as patch:
        patch.setattr(Session, "change", interrupted)
        learner.mask(second)
    page.save(first, points_on(page, first, (0, 1)))
    np.testing.assert_array_equal(learner.mask(second), before)


def test_features_are_neither_written_nor_deleted_through_links(page, tmp_path):
    first = next(iter(page.truth))
    page.save(first, points_on(page, first))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    cache = tmp_path / "project" / "studio" / "cache"
    for link in (cache / "features", cache):
        shutil.rmtree(cache, ignore_errors=True)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(elsewhere)
        answer = page.client.get(f"/api/mask/{first}")
        assert answer.status_code == 422
        assert "link" in answer.json()["detail"]
        assert not any(elsewhere.iterdir())


def test_a_full_disk_is_said(page, monkeypatch):
    def full(path):
        raise RunError(f"{path}: writing failed")

    first = next(iter(page.truth))
    page.save(first, points_on(page, first))
    monkeypatch.setattr(features, "atomic_path", full)
    assert "writing failed" in page.client.get(f"/api/mask/{first}").json()["detail"]


def test_a_first_click_on_an_image_with_a_good_mask_moves_what_is_near(page):
    """Alone it would be propagated over the image, and teach the head that all of it is one class."""
    first, second = list(page.truth)[:2]
    page.save(first, points_on(page, first))
    before = labels_of(page, second)
    assert (before == page.truth[second]).mean() > 0.7
    rows, columns = np.nonzero(page.truth[second] == 1)
    y, x = int(rows[len(rows) // 2]), int(columns[len(rows) // 2])
    for label in (0, 1):
        page.save(second, {"points": [{"label": label, "x": x, "y": y}]})
        after = labels_of(page, second)
        assert after[y, x] == label
        far = np.hypot(*np.ogrid[-y : 72 - y, -x : 96 - x]) > 20
        assert ((after != before) & far).mean() < 0.05
    page.save(second, {})
    np.testing.assert_array_equal(labels_of(page, second), before)


def test_a_mask_beside_an_image_changes_what_is_learned(scenes):
    project, key = Project.open(scenes.root), next(iter(scenes.paths))
    before = content_version(project, key)
    scenes.path(key).with_name(f"{scenes.path(key).name}.msk").write_bytes(b"x")
    assert content_version(project, key) != before
