"""The ring stands where the model is uncertain, before and after training, and the map shows the same."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient
from tests.apps.studio.waiting import eventually

from hintseg.apps.studio.project import Project
from hintseg.apps.studio.ranking import Ranking
from hintseg.apps.studio.server import create_app
from hintseg.apps.studio.trainer import Model, Trainer
from hintseg.apps.studio.uncertainty import Place, heat, most_uncertain, uncertainty_of
from hintseg.errors import InputError
from hintseg.hints.labels import UNLABELED
from hintseg.simulate.hints import simulate_points


def test_uncertainty_is_nought_where_one_class_is_certain_and_one_where_all_are_alike():
    probabilities = np.zeros((4, 2, 2), np.float32)
    probabilities[0, 0] = 1
    probabilities[:, 1] = 0.25
    np.testing.assert_allclose(uncertainty_of(probabilities), [[0, 0], [1, 1]])
    assert uncertainty_of(np.ones((1, 2, 2), np.float32)).max() == 0


def test_the_place_is_the_peak_away_from_hints_in_the_images_own_pixels():
    uncertainty = np.zeros((50, 100), np.float32)
    uncertainty[8:13, 18:23] = 1
    uncertainty[38:43, 78:83] = 0.9
    nothing = np.full((50, 100), UNLABELED, np.uint8)
    place = most_uncertain(uncertainty, nothing, 2, (500, 1000))
    assert abs(place.x - 205) <= 10
    assert abs(place.y - 105) <= 10
    hinted = nothing.copy()
    hinted[10, 20] = 1
    place = most_uncertain(uncertainty, hinted, 2, (500, 1000))
    assert abs(place.x - 805) <= 10
    assert most_uncertain(uncertainty, np.zeros((50, 100), np.uint8), 2, (500, 1000)).uncertainty > 0


def test_the_map_is_transparent_where_the_model_is_certain():
    picture = heat(np.array([[0.0, 0.5, 1.0]], np.float32))
    assert picture.shape == (1, 3, 4)
    assert list(picture[0, :, 3]) == sorted(picture[0, :, 3])
    assert picture[0, 0, 3] == 0


class Fixed:
    """A model that knows places."""

    def __init__(self):
        self.now, self.asked, self.places = "1", 0.0, {}

    def version(self):
        return self.now

    def last_asked(self):
        return self.asked

    def place(self, key):
        if key == "damaged":
            raise InputError("damaged")
        return self.places[key]


def test_images_are_ranked_anew_when_the_model_changes_and_keep_their_places_until_then():
    model = Fixed()
    model.places = {"a": Place(0.1, 1, 1), "b": Place(0.2, 2, 2)}
    ranking, keys = Ranking(model), ("a", "b", "damaged")
    eventually(lambda: ranking.places(keys) == model.places)
    before = model.places
    model.now, model.places = "2", {"a": Place(0.5, 1, 1), "b": Place(0.4, 2, 2)}
    assert ranking.places(keys, busy=True) == before
    eventually(lambda: ranking.places(keys) == model.places)
    ranking.forget("a")
    assert set(ranking.places(keys, busy=True)) == {"b"}
    model.now = None
    assert ranking.places(keys) == {}


def test_a_place_that_was_computed_while_its_hints_changed_is_forgotten():
    model = Fixed()
    ranking, computed = Ranking(model), []

    def place(key):
        computed.append(key)
        if len(computed) == 1:
            ranking.forget(key)
        return Place(0.1 * len(computed), 1, 1)

    model.place = place
    eventually(lambda: ranking.places(("a",)) == {"a": Place(0.2, 1, 1)})
    assert computed == ["a", "a"]


def test_the_version_of_a_model_is_asked_for_once_for_all_images():
    model = Fixed()
    keys = tuple("abcdefgh")
    model.places = {key: Place(0.1, 1, 1) for key in keys}
    asked = []
    model.version = lambda: asked.append(1) or "1"
    ranking = Ranking(model)
    ranking.places(keys)
    ranking._thread.join()
    assert len(asked) == 1
    assert ranking.places(keys, busy=True) == model.places


def test_before_anything_is_trained_the_ring_stands_on_something_uncertain(scenes, tmp_path, tab_of):
    shutil.copytree(scenes.root / "images", tmp_path / "project" / "images")
    project = Project.open(tmp_path / "project")
    tab = tab_of(TestClient(create_app(project, Trainer(project, "auto"))))
    tab.classes(list(scenes.classes))
    first, second = list(scenes.paths)[:2]
    answer = tab.client.get(f"/api/uncertainty/{second}")
    assert answer.status_code == 422
    assert "draw some" in answer.json()["detail"]
    assert tab.client.get("/api/state").json()["uncertain"] == {}
    points = simulate_points(scenes.mask(first).astype(np.uint8), 0)
    tab.save(first, {"points": [{"label": one.label, "x": one.x, "y": one.y} for one in points]})
    eventually(lambda: set(tab.client.get("/api/state").json()["uncertain"]) == set(scenes.paths))
    picture = np.asarray(Image.open(io.BytesIO(tab.client.get(f"/api/uncertainty/{second}").content)))
    assert picture.shape == (72, 96, 4)
    place = tab.client.get("/api/state").json()["uncertain"][second]
    map_, _ = Model(project, Trainer(project, "auto")).uncertainty(second)
    around = map_[max(place["y"] - 2, 0) : place["y"] + 3, max(place["x"] - 2, 0) : place["x"] + 3]
    assert around.mean() > np.quantile(map_, 0.9)
