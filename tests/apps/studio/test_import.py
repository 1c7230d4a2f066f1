"""Annotations of other tools, brought into a project through the server."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from hintseg.apps.studio.accepted import accepted_tag
from hintseg.formats.registry import WRITERS
from hintseg.hints.dataset import Dataset
from hintseg.io.images import read_image, write_image, write_labels

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from hintseg.apps.studio import changes
from hintseg.apps.studio.importing import serve, taking, upload
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.server import create_app
from hintseg.apps.studio.trainer import Trainer

SQUARE = {"label": "roof", "points": [[10, 10], [40, 10], [40, 30], [10, 30]], "shape_type": "polygon"}


def labelme(name, *shapes):
    content = {"version": "5", "flags": {}, "shapes": list(shapes), "imagePath": name, "imageHeight": 72}
    return json.dumps(content | {"imageWidth": 96, "imageData": None}).encode()


def begun(client, files):
    name = client.post("/api/import", json={}).json()["import"]
    for path, content in files.items():
        answer = client.post("/api/import/file", params={"name": path, "into": name}, content=content)
        assert answer.status_code == 200, answer.json()
    return name


def read(client, files, **wish):
    name = begun(client, files)
    answer = client.post(f"/api/import/{name}/read", json=wish)
    return name, answer


def take(client, name, version, existing="keep"):
    return client.post(f"/api/import/{name}/take", json={"existing": existing}, headers={"If-Match": version})


def imported(client, files, existing="keep", **wish):
    name, answer = read(client, files, **wish)
    assert answer.status_code == 200, answer.json()
    taken = take(client, name, answer.json()["version"], existing)
    assert taken.status_code == 200, taken.json()
    return answer.json(), taken.json()


def packed(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, part in files.items():
            archive.writestr(name, part)
    return content.getvalue()


def png(width=60, height=60):
    content = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(content, "PNG")
    return content.getvalue()


def scribbles(folder, key):
    found = Dataset.open(folder).hints(key, ("scribbles",)).scribble_map
    return None if found is None else found.labels


def test_annotations_of_the_projects_images_become_regions_of_its_classes(tab, folder):
    point = {"label": "Sky", "points": [[5, 5]], "shape_type": "point"}
    tree = {"label": "tree", "points": [[50, 5], [60, 5], [60, 20]], "shape_type": "polygon"}
    report, taken = imported(tab.client, {"b.json": labelme("b.png", SQUARE, point, tree)})
    assert (report["images"], report["new"], report["added"], report["hinted"]) == (1, 0, ["tree"], [])
    assert report["counts"] == {"scribbles": 1, "points": 1, "boxes": 0, "tags": 0, "masks": 0}
    assert (taken["taken"], taken["kept"], taken["keys"]) == (1, 0, ["b"])
    dataset = Dataset.open(folder)
    assert dataset.classes == ("sky", "roof", "été", "tree")
    assert [point.label for point in dataset.hints("b").points] == [0]
    assert (scribbles(folder, "b")[10:30, 10:40] == 1).all()
    regions = tab.client.get("/api/hints/b").json()["regions"]
    tab.reload()
    assert [region["label"] for region in regions] == [tab.ids[1], tab.ids[3]]
    assert regions[0]["runs"][:6] == [10, 10, 40, 11, 10, 40]
    assert not list((folder / "studio" / "import").iterdir())


def test_regions_are_saved_as_they_are_drawn_and_a_copy_of_the_map_stays(tab, folder):
    imported(tab.client, {"b.json": labelme("b.png", SQUARE)})
    before = (folder / "scribbles" / "b.png").read_bytes()
    tab.reload()
    found = tab.open("b")
    regions = [{**found["regions"][0], "runs": found["regions"][0]["runs"][3:]}]

    def save(regions):
        body = {"regions": regions, "strokes": [], "points": [], "boxes": [], "tags": []}
        answer = tab.client.put("/api/hints/b", json=body, headers={"If-Match": tab.versions["b"]})
        if answer.status_code == 200:
            tab.versions["b"] = answer.json()["version"]
        return answer

    assert save(regions).status_code == 200
    assert (scribbles(folder, "b") == 1).sum() == 19 * 30
    assert [path.read_bytes() for path in (folder / "studio" / "kept" / "masks").iterdir()] == [before]
    stale = tab.versions["b"]
    assert save(None).status_code == 200  # None: as it is
    assert tab.versions["b"] == stale
    assert save([]).status_code == 200
    assert not (folder / "scribbles" / "b.png").exists()
    tab.versions["b"] = stale
    refused = save(regions)
    assert refused.status_code == 409
    assert refused.json()["current"]["regions"] == []


@pytest.mark.parametrize("runs", [[0, 0], [0, 5, 5], [0, 6, 5], [72, 0, 1], [0, 0, 97], [0, 0, 96] * 200])
def test_runs_that_leave_the_image_are_refused(tab, runs):
    tab.open("b")
    body = {"regions": [{"label": tab.ids[0], "runs": runs}]}
    answer = tab.client.put("/api/hints/b", json=body, headers={"If-Match": tab.versions["b"]})
    assert answer.status_code == 422


@pytest.mark.parametrize("existing", ["keep", "replace"])
def test_what_the_user_drew_is_overwritten_only_when_asked(tab, folder, existing):
    drawn = {"points": [{"label": 0, "x": 3, "y": 4}], "tags": [2]}
    assert tab.save("b", drawn).status_code == 200
    files = {"b.json": labelme("b.png", SQUARE), "é.json": labelme("été 1.png", SQUARE)}
    report, taken = imported(tab.client, files, existing)
    assert report["hinted"] == ["b"]
    assert (taken["taken"], taken["kept"]) == ((1, 1) if existing == "keep" else (2, 0))
    hints = Dataset.open(folder).hints("b")
    assert bool(hints.points) == bool(hints.tags) == (existing != "replace")
    assert (scribbles(folder, "b") is None) == (existing == "keep")
    assert scribbles(folder, "été 1") is not None
    if existing == "replace":
        copy = json.loads((folder / taken["copy"] / "points.json").read_text("utf-8"))
        assert copy == {"b": [[3.0, 4.0, 0]]}


@pytest.fixture
def exhaustive(tab, folder):
    """No class is the background, and classes that no hint names are absent."""
    description = json.loads((folder / "dataset.json").read_text("utf-8"))
    (folder / "dataset.json").write_text(json.dumps(description | {"background": None, "tags_exhaustive": True}))
    return tab


def absent(folder, key="b"):
    dataset = Dataset.open(folder)
    return np.flatnonzero(dataset.hints(key).absent(len(dataset.classes))).tolist()


TWO = {
    "images": [
        {"id": number, "file_name": name, "width": 96, "height": 72} for number, name in enumerate(("b.png", "new.png"))
    ],
    "categories": [{"id": 1, "name": "roof"}, {"id": 2, "name": "cow"}],
    "annotations": [{"id": 1, "image_id": 0, "category_id": 2, "bbox": [5, 5, 30, 20]}],
}


def test_of_a_new_image_without_annotations_nothing_is_known(exhaustive, folder):
    imported(exhaustive.client, {"a.json": json.dumps(TWO).encode(), "new.png": png(96, 72)})
    dataset = Dataset.open(folder)
    assert "new" in dataset.paths
    assert absent(folder, "new") == []


@pytest.mark.parametrize("rows", [{"tags.json": []}, {"points.json": []}, {"scribbles.json": []}])
def test_an_empty_list_is_no_hint(exhaustive, folder, rows):
    for name, row in rows.items():
        (folder / name).write_text(json.dumps({"été 1": row}), "utf-8")
    report, taken = imported(exhaustive.client, {"b.json": labelme("b.png", {**SQUARE, "label": "cow"})})
    assert absent(folder, "été 1") == []
    report, taken = imported(exhaustive.client, {"é.json": labelme("été 1.png", SQUARE)})
    assert (report["hinted"], taken["taken"]) == ([], 1)


@pytest.mark.parametrize("gone", [False, True])
def test_an_empty_label_map_is_no_hint(exhaustive, folder, gone):
    write_labels(folder / "scribbles/été 1.png", np.full((72, 96), 255, np.uint8))
    exhaustive.save("b", {"tags": [0]})
    image = folder / "été 1.png"
    image = image if image.exists() else folder / "images" / image.name
    content = image.read_bytes()
    if gone:
        image.unlink()
    exhaustive.reload()
    assert exhaustive.classes(["sky", "roof", "été", "cow"], complete=True).status_code == 200
    image.write_bytes(content)
    assert (absent(folder, "été 1"), absent(folder, "b")) == ([], [1, 2])


def test_a_background_that_would_change_what_hints_mean_is_refused(tab, exhaustive, folder):
    files = {"é.json": labelme("été 1.png", SQUARE)}
    exhaustive.save("b", {"boxes": [{"label": 2, "x0": 5, "y0": 5, "x1": 60, "y1": 40}]})
    _, answer = read(tab.client, files, background="grass")
    assert answer.status_code == 422
    assert "the project has no background, and images have hints" in answer.json()["detail"]
    tab.reload()
    assert tab.classes(["sky", "roof", "été"], 0, complete=True).status_code == 200
    _, answer = read(tab.client, files, background="grass")
    assert "is not the project's background, which is 'sky'" in answer.json()["detail"]
    _, taken = imported(tab.client, files, background="Sky")
    assert (taken["not_background"], Dataset.open(folder).background) == (None, 0)


def maps_with_background():
    mask = io.BytesIO()
    Image.fromarray(np.repeat(np.array([[0, 1]], np.uint8), 48, axis=1).repeat(72, axis=0)).save(mask, "PNG")
    return {"masks/b.png": mask.getvalue(), "classes.txt": b"background\ncow\n"}


@pytest.mark.parametrize("hinted", [False, True])
def test_the_background_of_imported_maps(exhaustive, folder, hinted):
    if hinted:
        exhaustive.save("été 1", {"points": [{"label": 1, "x": 5, "y": 5}]})
    _, taken = imported(exhaustive.client, maps_with_background())
    dataset = Dataset.open(folder)
    label = dataset.classes.index("background")
    assert (taken["not_background"], dataset.background) == (("background", None) if hinted else (None, label))
    assert label not in absent(folder, "été 1")


def test_an_empty_label_map_takes_nothing(tab, folder):
    tab.save("b", {"points": [{"label": 1, "x": 5, "y": 5}]})
    empty = io.BytesIO()
    Image.fromarray(np.full((72, 96), 255, np.uint8)).save(empty, "PNG")
    files = maps_with_background()
    files = {"masks/b.png": empty.getvalue(), "masks/été 1.png": files["masks/b.png"], "classes.txt": b"roof\ncow\n"}
    _, taken = imported(tab.client, files, "replace")
    assert taken["keys"] == ["été 1"]
    assert Dataset.open(folder).hints("b").points


def test_an_image_of_which_classes_are_verified_alone_is_kept(tab, folder):
    (folder / "verified_classes.json").write_text(json.dumps({"b": [0, 1]}), "utf-8")
    report, taken = imported(tab.client, {"b.json": labelme("b.png", SQUARE)}, "keep")
    assert (report["hinted"], taken["kept"], scribbles(folder, "b")) == (["b"], 1, None)


@pytest.fixture
def empty(tmp_path, tab_of):
    """A page of a project without images."""
    project = Project.open(tmp_path / "empty")
    return tab_of(TestClient(create_app(project, Trainer(project, "none"))))


@pytest.mark.parametrize("writer", sorted(set(WRITERS) - {"geotiff", "label-studio"}))  # whose predictions are not read
def test_what_is_exported_is_equal_elsewhere(tab, empty, tmp_path, writer):
    drawn = {"strokes": [{"label": 1, "vertices": [[3, 60], [90, 60]], "width": 9}]}
    tab.save("b", drawn | {"points": [{"label": 0, "x": 30, "y": 10}, {"label": 2, "x": 70, "y": 30}]})
    masks = zipfile.ZipFile(io.BytesIO(tab.client.get("/api/export").content))
    labels = np.array(Image.open(io.BytesIO(masks.read("masks/b.png"))))
    archive = tab.client.get("/api/export", params={"writer": writer, "images": True}).content
    report, _ = imported(empty.client, {f"{writer}.zip": archive})
    assert (report["images"], report["new"], report["lost"]) == (1, 1, {})
    dataset = Dataset.open(tmp_path / "empty")
    found = dataset.mask("b") if writer in ("png", "voc") else scribbles(tmp_path / "empty", "b")
    names = [*dataset.classes]
    assert set(names) <= {"sky", "roof", "été"}
    for label, name in enumerate(("sky", "roof", "été")):
        assert ((found == (names.index(name) if name in names else 254)) == (labels == label)).all()


def test_an_archive_with_images_fills_an_empty_project(tmp_path, empty):
    labels = np.zeros((60, 60), np.uint8)
    labels[:20] = 1
    write_labels(tmp_path / "a.png", labels)
    names = b"background\ntree\n"
    files = {"set/images/a.png": png(), "set/masks/a.png": (tmp_path / "a.png").read_bytes(), "set/classes.txt": names}
    report, _ = imported(empty.client, {"set.zip": packed(files)})
    assert (report["images"], report["new"], report["counts"]["masks"]) == (1, 1, 1)
    dataset = Dataset.open(tmp_path / "empty")
    assert dataset.classes == ("background", "tree")
    assert dataset.background == 0
    assert np.array_equal(dataset.mask("a"), labels)
    assert np.array_equal(read_image(tmp_path / "empty" / "images" / "a.png"), np.full((60, 60, 3), 90, np.uint8))


def test_another_image_of_the_same_name_is_left_out_and_counted(tab, folder):
    files = {"b.png": png(), "b.json": labelme("b.png", SQUARE).replace(b"96", b"60").replace(b"72", b"60")}
    report, taken = imported(tab.client, files)
    assert report["lost"] == {"image of another content than the project's image of the same name": 1}
    assert taken["taken"] == 0
    assert scribbles(folder, "b") is None


@pytest.mark.parametrize("place", ["points.json", "verified_classes.json", "masks", "scribbles", "contours", "link"])
def test_a_new_image_takes_no_hints_of_an_earlier_one_of_its_name(tab, folder, place):
    path = folder / place
    if place == "link":
        path = folder / "masks" / "n.png"
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(folder / "nothing.png")
    elif path.suffix:
        path.write_text(json.dumps({"n": [[5, 5, 1] if place == "points.json" else 1]}))
    else:
        write_labels(path / "n.png", np.ones((60, 60), np.uint8))
    answer = tab.client.post("/api/images", params={"name": "n.png"}, content=png())
    assert answer.status_code == 422
    assert "n.png: the project holds hints of an earlier image" in answer.json()["detail"]
    files = {"n.png": png(), "n.json": labelme("n.png", SQUARE).replace(b"72", b"60").replace(b"96", b"60")}
    report, _ = imported(tab.client, files)
    assert report["new"] == 0
    assert report["lost"] == {"image whose name belongs to hints of an image that is gone": 1}
    assert "n" not in Dataset.open(folder).paths
    assert path.exists() or path.is_symlink()
    assert tab.client.post("/api/images", params={"name": "m.png"}, content=png()).status_code == 200


def test_a_class_whose_name_the_projects_masks_have_for_another_value_is_refused(tab, folder):
    write_labels(folder / "masks" / "été 1.png", np.ones((72, 96), np.uint8))
    (folder / "masks" / ".made-by.json").write_text(json.dumps({"classes": ["sky", "roof", "été", "car", "cow"]}))
    name, answer = read(tab.client, {"b.json": labelme("b.png", {**SQUARE, "label": "cow"})})
    refused = take(tab.client, name, answer.json()["version"])
    assert refused.status_code == 422
    assert "'cow' is another class there (4)" in refused.json()["detail"]
    assert (Dataset.open(folder).mask("été 1") == 1).all()


def test_a_project_that_changed_meanwhile_is_asked_about_again(tab, folder):
    name, answer = read(tab.client, {"b.json": labelme("b.png", SQUARE)})
    assert tab.save("b", {"points": [{"label": 0, "x": 3, "y": 4}]}).status_code == 200
    refused = take(tab.client, name, answer.json()["version"], "replace")
    assert refused.status_code == 409
    assert refused.json()["current"]["hinted"] == ["b"]
    assert Dataset.open(folder).hints("b").points
    assert take(tab.client, name, refused.json()["current"]["version"], "keep").json()["kept"] == 1


def test_an_image_that_the_project_got_since_the_import_was_read_is_not_replaced(tab, folder):
    name, answer = read(
        tab.client, {"n.png": png(), "n.json": labelme("n.png", SQUARE).replace(b"72", b"60").replace(b"96", b"60")}
    )
    assert answer.json()["new"] == 1
    mine = png(80)
    assert tab.client.post("/api/images", params={"name": "N.png"}, content=mine).status_code == 200
    refused = take(tab.client, name, answer.json()["version"], "replace")
    assert refused.status_code == 422
    assert "read the files again" in refused.json()["detail"]
    assert [path.name for path in (folder / "images").glob("[nN].png")] == ["N.png"]
    assert (folder / "images" / "N.png").read_bytes() == mine


def test_refusals_are_the_readers_sentences_in_the_pages_words(tab):
    _, answer = read(tab.client, {"b.json": labelme("c.png", SQUARE)})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("b.json: names the image 'c.png'")
    _, answer = read(tab.client, {"b.json": labelme("b.png", SQUARE), "c.xml": b"<annotation></annotation>"})
    assert "the field “format”" in answer.json()["detail"]
    _, answer = read(tab.client, {"notes.txt": b"nothing"})
    assert "no annotations" in answer.json()["detail"] or "is not of the format" in answer.json()["detail"]
    _, answer = read(tab.client, {"broken.zip": b"PK"})
    assert answer.json()["detail"].startswith("broken.zip: is no zip archive")


def test_an_import_that_is_given_up_while_it_is_taken_is_taken_whole(tab, folder, monkeypatch):
    point = {"label": "Sky", "points": [[5, 5]], "shape_type": "point"}
    name, answer = read(tab.client, {"b.json": labelme("b.png", SQUARE, point)})

    def slow(*given):
        assert tab.client.delete(f"/api/import/{name}").status_code == 200
        for _ in range(serve.MOST):
            tab.client.post("/api/import", json={})
        return taking.take(*given)

    monkeypatch.setattr(serve, "take", slow)
    assert take(tab.client, name, answer.json()["version"]).status_code == 200
    assert Dataset.open(folder).hints("b").points
    assert name not in [path.name for path in (folder / "studio" / "import").iterdir()]


@pytest.mark.parametrize("path", ["../b.json", "/b.json", "a/../../b.json"])
def test_no_upload_leaves_its_folder(tab, folder, path):
    name = tab.client.post("/api/import", json={}).json()["import"]
    answer = tab.client.post("/api/import/file", params={"name": path, "into": name}, content=b"{}")
    assert answer.status_code == 422
    assert not list(folder.rglob("b.json"))


def test_requests_of_other_sites_and_for_unknown_imports_are_refused(tab):
    elsewhere = {"Origin": "http://evil.example"}
    assert tab.client.post("/api/import", json={}, headers=elsewhere).status_code == 403
    params = {"name": "b.json", "into": "0"}
    assert tab.client.post("/api/import/file", params=params, content=b"x", headers=elsewhere).status_code == 403
    assert tab.client.post("/api/import/file", params=params, content=b"x").status_code == 422
    assert tab.client.post("/api/import/0/read", json={}).status_code == 422
    assert tab.client.post("/api/import/0/take", json={}, headers={"If-Match": "x"}).status_code == 422
    assert tab.client.post("/api/import/0/take", json={}).status_code == 428


def test_an_import_that_is_too_large_is_refused(tab, folder, monkeypatch):
    monkeypatch.setattr(upload, "LARGEST", 10)
    name = tab.client.post("/api/import", json={}).json()["import"]
    answer = tab.client.post("/api/import/file", params={"name": "b.json", "into": name}, content=b"0" * 20)
    assert answer.status_code == 422
    assert "larger than" in answer.json()["detail"]
    assert not list((folder / "studio").rglob("b.json"))  # half a file is none


def test_an_import_that_is_given_up_leaves_nothing(tab, folder):
    name, _ = read(tab.client, {"b.json": labelme("b.png", SQUARE)})
    assert tab.client.delete(f"/api/import/{name}").status_code == 200
    assert not list((folder / "studio" / "import").iterdir())
    assert not (folder / "scribbles").exists()


@pytest.mark.parametrize("whole", [False, True])
def test_an_import_that_breaks_off_is_whole_or_not_there(tab, folder, start, monkeypatch, whole):
    def broken(*given):
        raise ZeroDivisionError

    name, answer = read(tab.client, {"b.json": labelme("b.png", SQUARE)})
    with monkeypatch.context() as patch:
        patch.setattr(*((changes, "finish_change") if whole else (taking, "_stage_label_maps")), broken)
        with pytest.raises(ZeroDivisionError):
            take(tab.client, name, answer.json()["version"])
    start()
    assert (scribbles(folder, "b") is not None) == whole


def test_a_stroke_on_the_edge_can_be_saved_again(tab, folder):
    line = {"label": "roof", "points": [[0, 0], [96, 72]], "shape_type": "line"}
    imported(tab.client, {"b.json": labelme("b.png", line)})
    tab.reload()
    found = tab.open("b")
    body = {name: found[name] for name in ("strokes", "points", "boxes", "regions", "tags")}
    assert tab.client.put("/api/hints/b", json=body, headers={"If-Match": tab.versions["b"]}).status_code == 200


def test_an_image_of_another_project_comes_with_its_hints(tab, folder, tmp_path):
    write_image(tmp_path / "new.png", np.zeros((72, 96, 3), np.uint8))
    files = {"photos/new.png": (tmp_path / "new.png").read_bytes(), "photos/new.json": labelme("new.png", SQUARE)}
    report, _ = imported(tab.client, files)
    assert report["new"] == 1
    assert "new" in Dataset.open(folder).paths
    assert (scribbles(folder, "new") == 1).sum() == 600


def test_an_accepted_mask_becomes_regions_to_edit_below_what_was_drawn(tab, folder):
    imported(tab.client, {"b.json": labelme("b.png", SQUARE)})
    mask = np.full((72, 96), 2, np.uint8)
    mask[:5] = 255
    write_labels(folder / "masks" / "b.png", mask)
    drawn = scribbles(folder, "b")
    drawn[2, :4] = 0
    write_labels(folder / "scribbles" / "b.png", np.where(drawn < 254, drawn, np.uint8(255)))
    tag = tab.mask_tag("b", "accepted")
    assert tab.client.post("/api/edit/b", headers={"If-Match": "other"}).status_code == 409
    assert (folder / "masks" / "b.png").exists()
    answer = tab.client.post("/api/edit/b", headers={"If-Match": tag})
    assert answer.json() == {"accepted": False, "ignored": 5 * 96 - 4}
    labels = scribbles(folder, "b")
    assert (labels[10:30, 10:40] == 1).all()
    assert (labels[5:10] == 2).all()
    assert (labels[2, :4] == 0).all()
    assert (labels[:5] == 255 - 1).sum() == 5 * 96 - 4
    assert not (folder / "masks" / "b.png").exists()
    copies = [path.read_bytes() for path in (folder / "studio" / "kept" / "masks").iterdir()]
    assert len(copies) == 2
    assert json.loads((folder / "verified_classes.json").read_text("utf-8")) == {"b": []}, "ignored pixels may be any"
    seen = {"If-Match": accepted_tag(Project(folder), "b")}
    assert tab.client.post("/api/edit/b", headers=seen).status_code == 422
