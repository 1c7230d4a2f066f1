"""A class that gets another name gets it wherever a file says it: hints and masks keep their meaning."""

import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")

from hintseg.apps.studio import changes, class_table
from hintseg.apps.studio.project import Project
from hintseg.hints.dataset import Dataset
from hintseg.io.class_list import as_description
from hintseg.io.images import read_label_map, write_labels

NAMES = ["sky", "roof", "été"]
TABLES = {
    "points": [[5, 5, "roof"], [9, 9, 2], [20, 20, "e\u0301te\u0301"]],
    "boxes": [[1, 1, 9, 9, "roof"]],
    "scribbles": [["roof", [[3, 3], [9, 3]], 4]],
    "tags": ["roof", 0],
    "verified_classes": ["roof"],
}


@pytest.fixture
def named(tab, folder):
    for name, rows in TABLES.items():
        (folder / f"{name}.json").write_text(json.dumps({"b": rows}), "utf-8")
    return tab


def meant(folder):
    """The numbers of the classes that each form of hints names."""
    hints = Dataset.open(folder).hints("b")
    found = {name: [hint.label for hint in hints.by_type[name]] for name in ("points", "boxes", "scribbles", "tags")}
    return found | {"verified_classes": sorted(hints.verified_classes)}


@pytest.mark.parametrize("names", [["sky", "wall", "été"], ["sky", "été", "roof"], ["sky", "wall", "été", "roof"]])
def test_hints_that_name_their_class_follow_it(named, folder, names):
    before = meant(folder)
    assert before == {"points": [1, 2, 2], "boxes": [1], "scribbles": [1], "tags": [1, 0], "verified_classes": [1]}
    assert named.classes(names).status_code == 200
    assert Dataset.open(folder).classes == tuple(names)
    assert meant(folder) == before
    assert json.loads((folder / "boxes.json").read_text("utf-8")) == {"b": [[1, 1, 9, 9, names[1]]]}
    assert named.client.get("/api/hints/b").json()["points"][0]["label"] == named.ids[1]


def test_hints_that_follow_a_name_are_what_they_were_to_a_page_that_draws_on(named, folder):
    write_labels(folder / "scribbles" / "b.png", np.ones((72, 96), np.uint8), classes=NAMES)
    before = named.open("b")
    assert named.classes(["sky", "wall", "été"]).status_code == 200
    assert read_label_map(folder / "scribbles" / "b.png").classes == ("sky", "wall", "été")
    assert named.client.get("/api/hints/b").json()["version"] == before["version"]
    assert named.save("b", {"strokes": [{"label": 1, "vertices": [[5, 5]], "width": 3}]}).status_code == 200
    assert named.client.get("/api/hints/b").json()["version"] != before["version"]


def test_a_name_that_no_class_had_is_mended_by_renaming(tab, folder):
    (folder / "points.json").write_text(json.dumps({"b": [[5, 5, "wall"], [6, 6]]}), "utf-8")
    assert tab.client.get("/api/hints/b").status_code == 422
    assert tab.classes(["sky", "wall", "été"]).status_code == 200
    assert json.loads((folder / "points.json").read_text("utf-8")) == {"b": [[5, 5, "wall"], [6, 6]]}


@pytest.mark.parametrize("names", [["sky", "wall", "été"], ["sky", "été", "roof"]])
def test_masks_that_name_their_classes_follow_them(tab, folder, names):
    labels = np.tile(np.arange(3, dtype=np.uint8), (72, 32))
    path = folder / "masks" / "b.png"
    write_labels(path, labels, np.arange(768, dtype=np.uint8).reshape(256, 3)[::-1].copy(), classes=[*NAMES, "roof"])
    before = Image.open(path).getpalette()
    write_labels(folder / "masks" / "été 1.png", labels)
    other = (folder / "masks" / "été 1.png").read_bytes()
    assert tab.classes(names).status_code == 200
    assert np.array_equal(Dataset.open(folder).mask("b"), labels)
    assert read_label_map(path).classes == (*names, "roof")
    assert Image.open(path).getpalette() == before
    assert (folder / "masks" / "été 1.png").read_bytes() == other
    assert not (folder / "studio" / "kept").exists()


def test_a_mask_whose_names_cannot_be_changed_keeps_the_table_as_it_is(named, folder):
    (folder / "masks").mkdir()
    Image.fromarray(np.ones((72, 96), np.uint8)).save(folder / "masks" / "b.tif", description=as_description(NAMES))
    answer = named.classes(["sky", "wall", "été"])
    assert answer.status_code == 422
    assert "b.tif: names the class itself" in answer.json()["detail"]
    assert Dataset.open(folder).classes == tuple(NAMES)
    assert meant(folder)["points"] == [1, 2, 2]
    assert named.classes(["air", "roof", "été"]).status_code == 422
    assert named.classes([*NAMES, "cow"]).status_code == 200


@pytest.mark.parametrize("names", [["sky", "wall", "été"], ["sky", "été", "roof"]])
def test_the_record_of_a_folder_of_masks_follows(tab, folder, names):
    write_labels(folder / "masks" / "b.png", np.ones((72, 96), np.uint8))
    record = folder / "masks" / ".made-by.json"
    record.write_text(json.dumps({"classes": [*NAMES, "cow"], "other": 1}), "utf-8")
    assert tab.classes(names).status_code == 200
    assert json.loads(record.read_text("utf-8")) == {"classes": [*names, "cow"], "other": 1}
    assert (Dataset.open(folder).mask("b") == 1).all()
    for refused in (["sky", "cow", names[2]], [*names, "bird", "cow"]):
        answer = tab.classes(refused)
        assert answer.status_code == 422
        assert "'cow' is another class there (3)" in answer.json()["detail"]
    assert tab.classes([*names, "cow"]).status_code == 200
    table = {"If-Match": tab.reload()["version"]}
    assert tab.client.delete(f"/api/classes/{tab.ids[0]}", headers=table).status_code == 200
    assert json.loads(record.read_text("utf-8"))["classes"] == [*names[1:], "cow"]
    assert (Dataset.open(folder).mask("b") == 0).all()


@pytest.mark.parametrize("whole", [False, True])
def test_a_renaming_that_broke_off_is_finished_or_forgotten(named, folder, monkeypatch, whole):
    def broken(*given):
        raise KeyboardInterrupt

    project = Project.open(folder)
    before = project.identifiers
    monkeypatch.setattr(*((changes, "finish_change") if whole else (class_table, "remember")), broken)
    with pytest.raises(KeyboardInterrupt):
        class_table.write_classes(project.dataset, before, ["sky", "été", "roof"], None, False)
    monkeypatch.undo()
    project = Project.open(folder)
    assert project.dataset.classes == (("sky", "été", "roof") if whole else tuple(NAMES))
    assert project.identifiers == before
    assert meant(folder)["points"] == [1, 2, 2]
    assert not (folder / "studio" / "deleting").exists()
