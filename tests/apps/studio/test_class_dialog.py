"""Classes that are added, renamed, moved, colored and deleted: every hint stays with its class."""

import io
import json
import threading

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")

from hintseg.api import choose_recipe
from hintseg.apps.studio import changes, deletion
from hintseg.apps.studio import project as project_module
from hintseg.apps.studio.accepted import accept
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.unlearned import names_unlearned, with_hints
from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_labels
from hintseg.training.data import TrainingImages
from hintseg.training.tag_classifier import unlocalized

DRAWN = {
    "strokes": [
        {"label": label, "vertices": [[3, 5 + 9 * label], [60, 5 + 9 * label]], "width": 4} for label in range(3)
    ],
    "points": [{"label": 1, "x": 4, "y": 60}],
    "boxes": [{"label": 2, "x0": 1, "y0": 1, "x1": 9, "y1": 9}],
    "tags": [0, 1],
}


def put(tab, **change):
    """The class table with a change."""
    table = tab.reload()
    classes = [{"id": one["id"], "name": one["name"]} for one in table["classes"]]
    body = {"classes": classes, "background": table["background"], **change}
    return tab.client.put("/api/classes", json=body, headers={"If-Match": table["version"]})


def delete(tab, label):
    version = tab.reload()["version"]
    return tab.client.delete(f"/api/classes/{tab.ids[label]}", headers={"If-Match": version})


def test_order_and_color_are_kept_and_move_no_hint(tab, start, folder):
    tab.save("b", DRAWN)
    before = (folder / "scribbles.json").read_text("utf-8")
    ids = tab.ids
    assert put(tab, order=[ids[2], ids[0]]).status_code == 200
    colored = [{"id": one, "name": name} for one, name in zip(ids, ("sky", "roof", "été"), strict=True)]
    colored[1]["color"] = "#123456"
    assert put(tab, classes=colored).status_code == 200
    shown = start().get("/api/project").json()["classes"]
    assert [one["place"] for one in shown] == [1, 2, 0]
    assert shown[1]["color"] == "#123456"
    assert (folder / "scribbles.json").read_text("utf-8") == before
    mask = np.asarray(Image.open(io.BytesIO(tab.client.get("/api/mask/b").content)))
    assert {tuple(color) for color in mask[..., :3].reshape(-1, 3)} >= {(0x12, 0x34, 0x56)}


@pytest.mark.parametrize("color", ["red", "#12345", "#12345g", "#fff;}*"])
def test_what_is_no_color_is_refused(tab, color):
    classes = [{"id": one, "name": name} for one, name in zip(tab.ids, "abc", strict=True)]
    classes[0]["color"] = color
    assert put(tab, classes=classes).status_code == 422
    assert tab.reload()["classes"][0]["name"] == "sky"


def test_an_order_of_other_classes_is_refused(tab):
    for order in (["nothing"], [tab.ids[0]] * 2):
        assert put(tab, order=order).status_code == 422


def test_a_deleted_class_takes_its_hints_and_no_other(tab, folder):
    tab.save("b", DRAWN)
    accept(Project.open(folder), "b", np.arange(72 * 96).reshape(72, 96).astype(np.uint8) % 3)
    assert tab.client.get(f"/api/classes/{tab.ids[1]}").json() == {"hints": 3, "images": 1, "masks": 1, "damaged": []}
    version = tab.versions["b"]
    answer = delete(tab, 1)
    assert answer.status_code == 200, answer.text
    found = Dataset.open(folder)
    assert found.classes == ("sky", "été")
    assert found.background == 0
    hints = found.hints("b")
    assert [stroke.label for stroke in hints.scribbles] == [0, 1]
    assert [box.label for box in hints.boxes] == [1]
    assert not hints.points
    assert [tag.label for tag in hints.tags] == [0]
    np.testing.assert_array_equal(found.mask("b").ravel()[:6], [0, 255, 1, 0, 255, 1])
    # The others keep their identifiers, and a page that knows nothing of it replaces nothing.
    assert [one["id"] for one in answer.json()["classes"]] == [tab.ids[0], tab.ids[2]]
    tab.versions["b"] = version
    assert tab.save("b", DRAWN).status_code == 409
    # What was there is kept.
    copy = folder / answer.json()["copy"]
    assert len(json.loads((copy / "scribbles.json").read_text("utf-8"))["b"]) == 3
    assert (copy / "masks" / "b.png").exists()
    assert not (folder / "studio" / "deleting").exists()


def test_a_table_of_an_earlier_name_is_written_under_its_present_one_and_kept(tab, folder):
    told = {"b": [0, 1]}
    (folder / "looked_for.json").write_text(json.dumps(told), "utf-8")
    answer = delete(tab, 2)
    assert answer.status_code == 200, answer.text
    assert not (folder / "looked_for.json").exists()
    assert json.loads((folder / "verified_classes.json").read_text("utf-8")) == told
    (copy,) = (folder / "studio" / "kept" / "classes").rglob("looked_for.json")
    assert json.loads(copy.read_text("utf-8")) == told


def test_scribble_maps_are_hints(tab, folder):
    tab.save("b", {"points": [{"label": 1, "x": 4, "y": 60}]})
    for key, label in (("b", 1), ("été 1", 2)):
        write_labels(folder / "scribbles" / f"{key}.png", np.full((72, 96), label, np.uint8))
    uses = lambda label: tab.client.get(f"/api/classes/{tab.ids[label]}").json()  # noqa: E731
    assert uses(1) == {"hints": 2, "images": 1, "masks": 0, "damaged": []}
    assert uses(2) == {"hints": 1, "images": 1, "masks": 0, "damaged": []}


def test_the_only_class_stays(tab, folder):
    for label in (2, 1):
        assert delete(tab, label).status_code == 200
    answer = delete(tab, 0)
    assert answer.status_code == 422
    assert "the only class cannot be deleted" in answer.json()["detail"]
    assert Project.open(folder).dataset.classes == ("sky",)


def test_what_a_folder_of_masks_says_of_its_classes_follows(tab, folder):
    accept(Project.open(folder), "b", np.full((72, 96), 2, np.uint8))
    record = folder / "masks" / ".made-by.json"
    record.write_text(json.dumps({"classes": ["sky", "roof", "été"], "other": 1}), "utf-8")
    assert delete(tab, 1).status_code == 200
    assert json.loads(record.read_text("utf-8")) == {"classes": ["sky", "été"], "other": 1}
    assert (Dataset.open(folder).mask("b") == 1).all()


def test_masks_of_images_that_are_gone_move_up_too(tab, folder):
    accept(Project.open(folder), "b", np.full((72, 96), 2, np.uint8))
    (folder / "masks" / "b.png").rename(folder / "masks" / "gone.png")
    assert tab.client.get(f"/api/classes/{tab.ids[2]}").json()["masks"] == 1
    assert delete(tab, 1).status_code == 200
    assert (np.asarray(Image.open(folder / "masks" / "gone.png")) == 1).all()


def test_label_maps_without_the_class_and_those_after_it_stay_as_they_are(tab, folder):
    path = folder / "masks" / "b.tif"
    path.parent.mkdir()
    for label, status in ((2, 422), (0, 200)):
        Image.fromarray(np.full((72, 96), label, np.uint8)).save(path)
        before = path.read_bytes()
        answer = delete(tab, 1)
        assert answer.status_code == status, answer.text
        assert path.read_bytes() == before
    assert not (folder / answer.json()["copy"] / "masks").exists()


def test_uses_are_counted_while_others_save(tab, monkeypatch):
    def counting(dataset, label):
        other = threading.Thread(target=tab.save, args=("b", DRAWN))
        other.start()
        other.join(timeout=20)
        assert not other.is_alive()
        return deletion.uses_of(dataset, label)

    monkeypatch.setattr(project_module, "uses_of", counting)
    assert tab.client.get(f"/api/classes/{tab.ids[1]}").json()["hints"] == 3


def test_a_second_label_map_of_an_image_is_named_and_nothing_is_deleted(tab, folder):
    accept(Project.open(folder), "b", np.full((72, 96), 2, np.uint8))
    Image.fromarray(np.full((72, 96), 2, np.uint8)).save(folder / "masks" / "b.tif")
    answer = delete(tab, 1)
    assert answer.status_code == 422
    assert "a second label map" in answer.json()["detail"]
    assert Dataset.open(folder).classes == ("sky", "roof", "été")


def test_label_maps_that_cannot_be_read_are_named_and_moved_to_the_copies(tab, folder):
    tab.save("b", DRAWN)
    for name in ("scribbles/b.png", "masks/gone.png"):
        write_labels(folder / name, np.ones((72, 96), np.uint8))
        (folder / name).write_bytes((folder / name).read_bytes()[:50])
    assert tab.client.get(f"/api/classes/{tab.ids[1]}").json()["damaged"] == ["scribbles/b.png", "masks/gone.png"]
    answer = delete(tab, 1)
    assert answer.status_code == 200, answer.text
    for name in ("scribbles/b.png", "masks/gone.png"):
        assert not (folder / name).exists()
        assert len((folder / answer.json()["copy"] / name).read_bytes()) == 50
    assert Dataset.open(folder).classes == ("sky", "été")


def test_a_table_that_changed_elsewhere_deletes_nothing(tab, another, folder):
    late = another(tab)
    tab.classes(["sky", "roof", "été", "cow"])
    answer = late.client.delete(f"/api/classes/{late.ids[1]}", headers={"If-Match": late.project["version"]})
    assert answer.status_code == 409
    assert Dataset.open(folder).classes == ("sky", "roof", "été", "cow")
    assert tab.client.delete("/api/classes/nothing", headers={"If-Match": tab.project["version"]}).status_code == 422


@pytest.mark.parametrize("whole", [False, True])
def test_a_deletion_that_broke_off_is_finished_or_forgotten(tab, folder, monkeypatch, whole):
    tab.save("b", DRAWN)

    def broken(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(*((changes, "finish_change") if whole else (deletion, "write_labels")), broken)
    accept(Project.open(folder), "b", np.ones((72, 96), np.uint8))
    with pytest.raises(KeyboardInterrupt):
        deletion.delete_class(Dataset.open(folder), 1)
    monkeypatch.undo()
    if whole:  # some files may have moved already: nobody else reads them before the studio has ended it
        with pytest.raises(InputError, match="a change is half done; open the folder once with hintseg studio"):
            Dataset.open(folder)
    else:
        assert len(Dataset.open(folder).hints("b").scribbles) == 3
    project = Project.open(folder)
    assert project.dataset.classes == (("sky", "été") if whole else ("sky", "roof", "été"))
    assert [stroke.label for stroke in project.dataset.hints("b").scribbles] == ([0, 1] if whole else [0, 1, 2])
    assert not (folder / "studio" / "deleting").exists()


def test_nothing_is_deleted_through_links(tab, folder, tmp_path):
    tab.save("b", DRAWN)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "ready").touch()
    (folder / "studio" / "deleting").symlink_to(elsewhere)
    answer = delete(tab, 1)
    assert answer.status_code == 422
    assert (elsewhere / "ready").exists()
    assert len(Dataset.open(folder).hints("b").scribbles) == 3


def test_hints_of_a_class_added_after_training_hold_in_a_runs_mask(tab, folder):
    tab.save("b", {"points": [{"label": 2, "x": 50, "y": 30}]})
    dataset = Dataset.open(folder)
    assert names_unlearned(dataset, "b", ("sky", "roof"))
    assert not names_unlearned(dataset, "été 1", ("sky", "roof"))
    assert not names_unlearned(dataset, "b", ("sky", "roof", "other"))
    mask = with_hints(np.zeros((72, 96), np.uint8), dataset, "b")
    assert mask[30, 50] == 2
    assert (mask != 0).mean() < 0.05


def test_images_that_have_hints_say_nothing_of_a_class_that_is_added_later(tab, folder):
    tab.save("b", DRAWN)
    assert put(tab, complete=True).status_code == 200
    table = tab.reload()
    classes = [*({"id": one["id"], "name": one["name"]} for one in table["classes"]), {"name": "dog"}]
    assert put(tab, classes=classes).status_code == 200
    dataset = Dataset.open(folder)
    dog = dataset.classes.index("dog")
    hinted = [key for key in dataset.paths if dataset.hints(key).classes()]
    assert "b" in hinted
    assert not any(dataset.hints(key).absent(len(dataset.classes))[dog] for key in hinted)
    assert json.loads((folder / "verified_classes.json").read_text("utf-8"))["b"] == list(range(dog))


def test_tags_still_teach_after_a_class_was_added(tab, folder, tmp_path):
    put(tab, complete=True)
    (folder / "tags.json").write_text(json.dumps({key: [0] for key in Dataset.open(folder).paths}))
    classes = [*({"id": one["id"], "name": one["name"]} for one in tab.reload()["classes"]), {"name": "dog"}]
    assert put(tab, classes=classes).status_code == 200
    dataset = Dataset.open(folder)
    keys = tuple(dataset.paths)
    images = TrainingImages(dataset, keys, ("tags",), choose_recipe(weights="none").data, tmp_path / "cache")
    assert set(unlocalized(images)) == set(keys)


def test_classes_keep_their_colors_when_one_before_them_is_deleted(tab, start):
    tab.reload()
    before = {one["name"]: one["color"] for one in tab.reload()["classes"]}
    assert delete(tab, 0).status_code == 200
    left = {one["name"]: one["color"] for one in start().get("/api/project").json()["classes"]}
    assert left == {name: color for name, color in before.items() if name in left}
    tab.ids = [one["id"] for one in tab.reload()["classes"]]
    classes = [{"id": one["id"], "name": one["name"]} for one in tab.reload()["classes"]]
    assert put(tab, classes=[*classes, {"id": None, "name": "new"}]).status_code == 200
    for name in "xyz":
        colors = [one["color"] for one in tab.reload()["classes"]]
        assert colors[:2] == list(left.values())
        assert len(set(colors)) == len(colors)
        classes = [{"id": one["id"], "name": one["name"]} for one in tab.reload()["classes"]]
        assert put(tab, classes=[*classes, {"id": None, "name": name}]).status_code == 200
        assert [one["color"] for one in tab.reload()["classes"]][: len(colors)] == colors
