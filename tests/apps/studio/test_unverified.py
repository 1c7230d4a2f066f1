"""An image that loses hints does not get other classes for it: what is not known any more is not said to be absent."""

import json

import numpy as np
import pytest

pytest.importorskip("fastapi")

from hintseg.apps.studio.project import Project
from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_labels
from hintseg.pseudo_labels.pipeline import pseudo_labels

NAMES = ["sky", "roof", "été"]
STROKE = {"strokes": [{"label": 1, "vertices": [[3, 5], [60, 5]], "width": 4}]}


def candidates(folder, key="b"):
    """Names of the classes that a network may say of an image."""
    dataset = Dataset.open(folder)
    labels = pseudo_labels(dataset.decoded(key), dataset.hints(key), len(dataset.classes))
    return [name for name, may_be in zip(dataset.classes, labels.candidate_classes, strict=True) if may_be]


@pytest.fixture
def grown(tab, folder):
    """A class was added after image b had got hints of another; every hint counts as all that there is."""
    description = json.loads((folder / "dataset.json").read_text("utf-8"))
    (folder / "dataset.json").write_text(json.dumps(description | {"tags_exhaustive": True, "background": None}))
    tab.save("b", STROKE)
    tab.reload()
    assert tab.classes([*NAMES, "cow"]).status_code == 200
    assert candidates(folder) == ["roof", "cow"]
    return tab


def rows(folder):
    path = folder / "verified_classes.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def test_hints_that_are_removed_leave_all_classes_open(grown, folder):
    before = (folder / "verified_classes.json").read_bytes()
    grown.save("b", {})
    assert candidates(folder) == [*NAMES, "cow"]
    (copy,) = (folder / "studio" / "kept" / "tables").iterdir()
    assert copy.read_bytes() == before
    grown.save("b", STROKE)  # as undo does
    assert candidates(folder) == [*NAMES, "cow"]


def test_what_is_verified_of_an_image_that_has_other_hints_stays(grown, folder):
    before = rows(folder)
    grown.save("b", STROKE | {"points": [{"x": 5, "y": 40, "label": 2}]})
    grown.save("b", STROKE)
    assert rows(folder) == before
    (folder / "verified_classes.json").write_text(json.dumps(before | {"été 1": [1]}), "utf-8")
    grown.save("b", {})
    assert rows(folder) == {"b": [], "été 1": [1]}


@pytest.mark.parametrize("empty", ["", "list", "label map"])
def test_a_mask_that_is_withdrawn_leaves_all_classes_open(grown, folder, empty):
    write_labels(folder / "masks" / "b.png", np.ones((72, 96), np.uint8))
    grown.save("b", {})
    if empty == "list":
        (folder / "scribbles.json").write_text('{"b": []}', "utf-8")
    elif empty:
        write_labels(folder / "scribbles" / "b.png", np.full((72, 96), 255, np.uint8))
    assert rows(folder) == {"b": [0, 1, 2]}  # the mask is there
    seen = grown.mask_tag("b", "accepted")
    assert grown.client.delete("/api/accept/b", headers={"If-Match": seen}).json() == {"accepted": False}
    assert candidates(folder) == [*NAMES, "cow"]


def test_a_mask_that_is_withdrawn_from_hints_takes_nothing_of_them(grown, folder):
    write_labels(folder / "masks" / "b.png", np.ones((72, 96), np.uint8))
    seen = grown.mask_tag("b", "accepted")
    assert grown.client.delete("/api/accept/b", headers={"If-Match": seen}).json() == {"accepted": False}
    assert rows(folder) == {"b": [0, 1, 2]}


@pytest.mark.parametrize("other", [{}, {"points": [{"x": 5, "y": 40, "label": 2}]}], ids=["alone", "beside another"])
def test_a_deleted_class_leaves_all_others_open_where_it_was(tab, folder, other):
    (folder / "dataset.json").write_text(json.dumps({"classes": NAMES, "background": None, "tags_exhaustive": True}))
    tab.save("b", STROKE | other)
    tab.save("été 1", {"points": [{"x": 5, "y": 40, "label": 0}]})
    table = Project.open(folder).table()
    answer = tab.client.delete(f"/api/classes/{tab.ids[1]}", headers={"If-Match": table["version"]})
    assert answer.status_code == 200
    assert candidates(folder) == ["sky", "été"]
    assert candidates(folder, "été 1") == ["sky"]


@pytest.mark.parametrize("hidden", ["point", "box", "damaged map"])
def test_what_a_save_leaves_out_since_the_page_cannot_show_it_is_not_absent(tab, folder, hidden):
    (folder / "dataset.json").write_text(json.dumps({"classes": NAMES, "background": None, "tags_exhaustive": True}))
    if hidden == "damaged map":
        write_labels(folder / "scribbles" / "b.png", np.ones((72, 96), np.uint8))
        (folder / "scribbles" / "b.png").write_bytes((folder / "scribbles" / "b.png").read_bytes()[:50])
    else:
        row = [200, 20, 1] if hidden == "point" else [200, 20, 230, 40, 1]
        name = "points" if hidden == "point" else "boxes"
        (folder / f"{name}.json").write_text(json.dumps({"b": [row]}))
    assert tab.save("b", {"points": [{"x": 5, "y": 40, "label": 0}], "regions": []}).status_code == 200
    assert candidates(folder) == NAMES


def test_a_class_is_not_deleted_while_label_maps_are_away(tab, folder):
    (folder / "masks").mkdir()
    (folder / "masks" / "b.png").symlink_to(folder / "drive" / "b.png")
    tab.reload()
    answer = tab.client.delete(f"/api/classes/{tab.ids[1]}", headers={"If-Match": tab.project["version"]})
    assert answer.status_code == 422
    assert "links to files that are not there now" in answer.json()["detail"]
    assert list(Dataset.open(folder).classes) == NAMES


@pytest.mark.parametrize("other", [None, 2])
def test_a_class_that_is_the_background_no_more_is_not_absent(tab, folder, other):
    assert tab.classes(NAMES, 0, complete=True).status_code == 200
    tab.save("b", STROKE)
    tab.save("été 1", STROKE)
    assert tab.classes([*NAMES, "cow"], 0, complete=True).status_code == 200
    assert rows(folder)["b"] == [0, 1, 2]
    assert tab.classes([*NAMES, "cow"], other, complete=True).status_code == 200
    assert candidates(folder) == (["sky", "roof", "cow"] if other is None else ["sky", "roof", "été", "cow"])
    assert candidates(folder, "été 1") == candidates(folder)
    assert tab.classes([*NAMES, "cow"], 0, complete=True).status_code == 200
    assert "sky" in candidates(folder)
