"""Two tabs, and other programs: nobody's hints are replaced unseen, and no stroke changes its class."""

import errno
import json
import os
import shutil
from contextlib import suppress

import pytest

from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.io.images import read_labels, write_image, write_labels

pytest.importorskip("fastapi")
import numpy as np
from PIL import Image

from hintseg.apps.studio import project
from hintseg.apps.studio.accepted import edit
from hintseg.apps.studio.drawn import DrawnHints
from hintseg.apps.studio.project import Project

STROKE = {"strokes": [{"label": 1, "vertices": [[3, 5], [60, 5]], "width": 4}]}
OTHER_POINT = [{"label": 1, "x": 9, "y": 30}]
OTHER = {"strokes": [{"label": 2, "vertices": [[9, 30], [60, 30]], "width": 4}]}


def strokes(folder, key="b"):
    return [(stroke.label, stroke.vertices[0]) for stroke in Dataset.open(folder).hints(key).scribbles]


def test_a_page_that_read_nothing_erases_nothing(tab, another, folder):
    late = another(tab)
    late.open("b")
    tab.save("b", STROKE)
    answer = late.save("b", {})
    assert answer.status_code == 409
    assert strokes(folder) == [(1, (3, 5))]
    assert answer.json()["current"]["strokes"] == tab.drawn(STROKE)["strokes"]


def test_both_states_are_kept_until_they_are_merged(tab, another, folder):
    late = another(tab)
    late.open("b")
    tab.save("b", STROKE)
    answer = late.save("b", OTHER)
    copy = folder / "studio" / "kept" / answer.json()["current"]["copy"]
    assert json.loads(copy.read_text("utf-8"))["image"] == "b"
    assert copy.name in answer.json()["detail"]
    (shown,) = late.open("b")["kept"]
    assert shown["hints"]["strokes"] == late.drawn(OTHER)["strokes"]
    assert late.save("b", {"strokes": [*STROKE["strokes"], *OTHER["strokes"]]}).status_code == 200
    assert strokes(folder) == [(1, (3, 5)), (2, (9, 30))]
    assert not copy.exists()
    assert late.open("b")["kept"] == []


def test_a_copy_is_discarded_by_its_name_alone(tab, another, folder):
    late = another(tab)
    late.open("b")
    tab.save("b", STROKE)
    name = late.save("b", OTHER).json()["current"]["copy"]
    for wrong in ("../../dataset.json", "nothing.json"):
        tab.client.delete("/api/kept/b", params={"name": wrong})
    assert (folder / "dataset.json").exists()
    tab.client.delete("/api/kept/été 1", params={"name": name})
    assert tab.open("b")["kept"]
    tab.client.delete("/api/kept/b", params={"name": name})
    assert not tab.open("b")["kept"]


def test_the_same_state_sent_again_is_no_conflict(tab, another):
    late = another(tab)
    late.open("b")
    tab.save("b", STROKE)
    assert late.save("b", STROKE).status_code == 200


@pytest.fixture
def followed(monkeypatch):
    """Have another program write scribbles.json as soon as the studio has."""
    real = project.drop_held  # the next thing that a save does

    def follow(folder, content):
        def drop_held(*given):
            (folder / "scribbles.json").write_text(content, "utf-8")
            monkeypatch.setattr(project, "drop_held", real)

        monkeypatch.setattr(project, "drop_held", drop_held)

    return follow


def test_what_others_wrote_right_after_a_save_is_not_taken_for_seen(tab, folder, followed):
    tab.open("b")
    followed(folder, json.dumps({"b": [[2, [[9, 30], [60, 30]], 4]]}))
    assert tab.save("b", STROKE).status_code == 200
    assert tab.save("b", {}).status_code == 409
    assert strokes(folder) == [(2, (9, 30))]


def test_a_save_that_is_done_is_not_refused_for_what_others_are_writing(tab, folder, followed):
    tab.open("b")
    followed(folder, "{")
    assert tab.save("b", STROKE).status_code == 200
    (folder / "scribbles.json").write_text(json.dumps({"b": [[1, [[3.0, 5.0], [60.0, 5.0]], 4]]}), "utf-8")
    assert tab.save("b", {}).status_code == 200
    assert strokes(folder) == []


def test_what_others_write_while_an_image_is_opened_is_not_overwritten(tab, folder, monkeypatch):
    def fitting(*args):
        found = read(*args)
        (folder / "points.json").write_text(json.dumps({"b": [[9, 30, 1]]}))
        return found

    read = project.hints_that_fit
    monkeypatch.setattr(project, "hints_that_fit", fitting)
    tab.open("b")
    monkeypatch.setattr(project, "hints_that_fit", read)
    assert tab.save("b", STROKE).status_code == 409
    assert Dataset.open(folder).hints("b").points


def test_all_of_a_change_is_on_the_disk_before_any_of_it_moves(tab, folder, monkeypatch):
    seen = []

    def flushed(handle):
        seen.append(os.fstat(handle).st_ino)
        fsync(handle)

    def moved(path, target):
        if os.fspath(path).startswith(str(folder / "studio" / "deleting")):
            assert os.stat(path).st_ino in seen, path
        replace(path, target)

    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", moved)
    boxes = [{"label": 1, "x0": 3, "y0": 3, "x1": 20, "y1": 20}]
    assert tab.save("b", {"points": OTHER_POINT, "boxes": boxes, "tags": [1]}).status_code == 200
    assert len(seen) >= 3
    version = tab.reload()["version"]
    assert tab.client.delete(f"/api/classes/{tab.ids[1]}", headers={"If-Match": version}).status_code == 200


@pytest.mark.parametrize("path", ["/api/hints/b", "/api/classes", "/api/accept/b"])
def test_a_version_is_required(tab, path):
    call = tab.client.post if "accept" in path else tab.client.put
    body = {"classes": []} if "classes" in path else tab.drawn(STROKE)
    assert call(path, json=body).status_code == 428
    assert call(path, json=body, headers={"If-Match": "*"}).status_code == 409


@pytest.mark.parametrize("table", ["scribbles", "points", "boxes", "tags"])
def test_edits_by_other_programs_are_seen(tab, folder, table):
    tab.save("b", STROKE)
    rows = {"scribbles": [[0, [[1, 1]]]], "points": [[1, 1, 0]], "boxes": [[1, 1, 9, 9, 0]], "tags": [0]}[table]
    (folder / f"{table}.json").write_text(json.dumps({"b": rows, "été 1": rows}), "utf-8")
    assert tab.save("b", OTHER).status_code == 409
    assert json.loads((folder / f"{table}.json").read_text("utf-8")) == {"b": rows, "été 1": rows}


def test_versions_survive_a_restart(tab, start, tab_of):
    tab.save("b", STROKE)
    again = tab_of(start())
    assert again.ids == tab.ids
    assert again.project["version"] == tab.project["version"]
    assert again.open("b")["version"] == tab.versions["b"]


@pytest.mark.parametrize(
    "change",
    [
        lambda tab: tab.classes(["sky", "roof", "été", "dog"], 0),
        lambda tab: tab.classes(["sky", "wall", "été"], 0),
        lambda tab: tab.classes(["sky", "roof", "été"], 1),
        lambda tab: tab.classes(["sky", "roof", "été"], 0, complete=True),
    ],
    ids=["add", "rename", "background", "complete"],
)
def test_a_stale_class_table_is_refused(tab, another, folder, change):
    late = another(tab)
    assert change(tab).status_code == 200
    before = (folder / "dataset.json").read_text("utf-8")
    answer = late.classes(["sky", "roof", "été", "tree"])
    assert answer.status_code == 409
    assert answer.json()["current"]["version"] == tab.project["version"]
    assert (folder / "dataset.json").read_text("utf-8") == before
    late.reload()
    assert late.classes([*(entry["name"] for entry in late.project["classes"]), "tree"]).status_code == 200


def test_a_stroke_keeps_its_class_when_another_tab_renames_it(tab, another, folder):
    late = another(tab)
    late.open("b")
    tab.classes(["sky", "wall", "été"])
    assert late.save("b", STROKE).status_code == 200
    dataset = Dataset.open(folder)
    assert [dataset.classes[stroke.label] for stroke in dataset.hints("b").scribbles] == ["wall"]


def test_a_stroke_keeps_its_class_when_another_program_moves_it(tab, folder):
    tab.open("b")
    (folder / "dataset.json").write_text(json.dumps({"classes": ["été", "sky", "roof"]}), "utf-8")
    assert tab.save("b", STROKE).status_code == 200
    assert strokes(folder) == [(2, (3, 5))]


def test_a_class_that_another_program_removed_takes_no_stroke(tab, folder):
    tab.open("b")
    (folder / "dataset.json").write_text(json.dumps({"classes": ["sky", "tree", "été"]}), "utf-8")
    answer = tab.save("b", STROKE)
    assert answer.status_code == 409
    assert "is gone" in answer.json()["detail"]
    assert strokes(folder) == []
    assert len(list((folder / "studio" / "kept").glob("*.json"))) == 1


@pytest.mark.parametrize("content", ["{", "[]", '{"sky": 3}', '{"sky": "a", "roof": "a"}'])
def test_damaged_identifiers_make_every_class_new(tab, start, folder, content, tab_of):
    tab.open("b")
    (folder / "studio" / "classes.json").write_text(content, "utf-8")
    fresh = tab_of(start())
    assert not set(fresh.ids) & set(tab.ids)
    tab.client = fresh.client
    assert tab.save("b", STROKE).status_code == 409


def test_a_mask_is_accepted_as_it_was_seen(tab, another, folder):
    tab.save("b", STROKE)
    seen = tab.mask_tag("b")
    late = another(tab)
    late.save("b", {"strokes": [*STROKE["strokes"], *OTHER["strokes"]]})
    assert tab.client.post("/api/accept/b", headers={"If-Match": seen}).status_code == 409
    assert not (folder / "masks").exists()
    assert tab.client.post("/api/accept/b", headers={"If-Match": tab.mask_tag("b")}).status_code == 200


def test_a_mask_is_withdrawn_as_it_was_seen_and_a_copy_stays(tab, folder):
    truth = np.ones((72, 96), np.uint8)
    write_labels(folder / "masks" / "b.png", truth)
    seen = tab.mask_tag("b", "accepted")
    write_labels(folder / "masks" / "b.png", truth * 2)
    assert tab.client.delete("/api/accept/b", headers={"If-Match": seen}).status_code == 409
    assert (folder / "masks" / "b.png").exists()
    seen = tab.mask_tag("b", "accepted")
    tab.save("b", STROKE)  # which changes nothing of an accepted mask
    assert tab.client.delete("/api/accept/b", headers={"If-Match": seen}).status_code == 200
    (copy,) = (folder / "studio" / "kept" / "masks").iterdir()
    assert (read_labels(copy) == 2).all()


def label_tiff(folder, label):
    (folder / "masks").mkdir(exist_ok=True)
    Image.fromarray(np.full((72, 96), label, np.uint8)).save(folder / "masks" / "b.tif")


def test_a_mask_of_another_format_is_withdrawn_and_a_copy_stays(tab, folder):
    label_tiff(folder, 1)
    seen = tab.mask_tag("b", "accepted")
    label_tiff(folder, 2)
    assert tab.client.delete("/api/accept/b", headers={"If-Match": seen}).status_code == 409
    seen = tab.mask_tag("b", "accepted")
    assert tab.client.delete("/api/accept/b", headers={"If-Match": seen}).json() == {"accepted": False}
    assert not list((folder / "masks").iterdir())
    (copy,) = (folder / "studio" / "kept" / "masks").iterdir()
    assert copy.suffix == ".tif"
    assert (read_labels(copy) == 2).all()


def test_no_mask_is_accepted_over_one_of_another_format_that_nobody_saw(tab, folder):
    tab.save("b", STROKE)
    seen = tab.mask_tag("b")
    label_tiff(folder, 2)
    assert tab.client.post("/api/accept/b", headers={"If-Match": seen}).status_code == 409
    assert [path.name for path in (folder / "masks").iterdir()] == ["b.tif"]
    seen = tab.mask_tag("b")
    assert tab.client.post("/api/accept/b", headers={"If-Match": seen}).status_code == 200
    assert [path.name for path in (folder / "masks").iterdir()] == ["b.png"]
    (copy,) = (folder / "studio" / "kept" / "masks").iterdir()
    assert (read_labels(copy) == 2).all()


def test_a_withdrawn_mask_uncovers_another_of_its_image(tab, folder):
    label_tiff(folder, 1)
    write_labels(folder / "masks" / "b.png", np.full((72, 96), 2, np.uint8))
    for left in (True, False):
        seen = tab.mask_tag("b", "accepted")
        assert tab.client.delete("/api/accept/b", headers={"If-Match": seen}).json() == {"accepted": left}


def test_hints_that_cannot_be_read_are_an_error_and_no_empty_page(tab, folder):
    tab.save("b", STROKE)
    (folder / "scribbles.json").write_text('{"b": [[1, [[3, 5]], 4', "utf-8")
    assert tab.client.get("/api/hints/b").status_code == 422
    assert tab.save("b", {}).status_code == 422
    assert (folder / "scribbles.json").read_text("utf-8") == '{"b": [[1, [[3, 5]], 4'


def test_more_hints_than_the_page_can_show_are_an_error(tab, folder):
    (folder / "scribbles.json").write_text(json.dumps({"b": [[1, [[3, 5]] * 20_001, 4]]}), "utf-8")
    answer = tab.client.get("/api/hints/b")
    assert answer.status_code == 422
    assert "more than the page can show" in answer.json()["detail"]


def test_the_state_tells_versions(tab):
    first = tab.client.get("/api/state", params={"key": "b"}).json()["versions"]
    assert (first["classes"], first["hints"]) == (tab.project["version"], tab.open("b")["version"])
    tab.save("b", STROKE)
    assert tab.client.get("/api/state", params={"key": "b"}).json()["versions"]["hints"] == tab.versions["b"]
    assert "hints" not in tab.client.get("/api/state", params={"key": "gone"}).json()["versions"]


@pytest.mark.parametrize("names", [["a\u202eb"], ["big dog", "big  dog"]])
def test_a_class_table_that_could_not_be_read_again_is_not_written(tab, folder, names):
    before = (folder / "dataset.json").read_bytes()
    assert tab.classes(["sky", "roof", "été", *names]).status_code == 422
    assert (folder / "dataset.json").read_bytes() == before
    assert tab.reload()["classes"]


@pytest.mark.parametrize("coding", [{"unlabeled": 2}, {"ignore_index": 2}, {"ignore_index": 0, "unlabeled": 3}])
def test_a_new_class_that_would_have_the_value_of_nothing_is_refused_and_the_folder_stays_readable(tab, folder, coding):
    path = folder / "dataset.json"
    path.write_text(json.dumps({"classes": ["a", "b"], **coding}), "utf-8")
    before = path.read_bytes()
    project = Project.open(folder)
    more = [*zip(project.identifiers, "ab", strict=True), (None, "c")]
    with pytest.raises(InputError, match="must be a value of no class"):
        project.set_classes(more, None, None, project.table()["version"])
    assert path.read_bytes() == before
    assert Project.open(folder).dataset.classes == ("a", "b")


def test_whatever_the_folder_holds_of_an_image_can_be_saved_again(tab, folder):
    """Hints of other programs lie between pixels and on the image's far edge, and strokes leave it."""
    height, width = Dataset.open(folder).image("b").shape[:2]
    points = [[width - 0.03, height - 0.04, 1], [5.26, 7, 0]]
    strokes = [[1, [[width, 3], [width + 6.0, height], [-3, 5]], 3]]
    (folder / "points.json").write_text(json.dumps({"b": points}))
    (folder / "scribbles.json").write_text(json.dumps({"b": strokes}))
    tab.reload()
    for _ in range(2):
        read = tab.open("b")
        answer = tab.client.put(
            "/api/hints/b", json={name: read[name] for name in ("strokes", "points", "boxes", "tags")},
            headers={"If-Match": read["version"]},
        )  # fmt: skip
        assert answer.status_code == 200, answer.json()
        hints = Dataset.open(folder).hints("b")
        assert [(point.x, point.y) for point in hints.points] == [(width - 0.1, height - 0.1), (5.3, 7)]
        assert [list(map(list, stroke.vertices)) for stroke in hints.scribbles] == [strokes[0][1]]


def save_all(opened):
    """Other hints of every type, a stroke less and a region."""
    one = opened.identifiers[1]
    drawn = DrawnHints(
        points=[{"label": one, "x": 5, "y": 6}], boxes=[{"label": one, "x0": 1, "y0": 2, "x1": 30, "y1": 40}],
        regions=[{"label": one, "runs": [7, 3, 9]}], tags=[one],
    )  # fmt: skip
    opened.save_hints("b", drawn, opened.hints_version("b"))


def held(folder):
    """All that the folder holds of an image, to be compared."""
    hints = Dataset.open(folder).hints("b")
    maps = [None if found is None else found.labels.tolist() for found in (hints.scribble_map, hints.mask)]
    return [repr(getattr(hints, name)) for name in ("scribbles", "points", "boxes", "tags")], maps


@pytest.mark.parametrize("action", [save_all, lambda opened: edit(opened, "b")], ids=["save", "edit"])
def test_what_is_stopped_between_two_files_leaves_the_old_or_the_new(tab, folder, tmp_path, monkeypatch, action):
    assert tab.save("b", STROKE | {"points": [{"label": 2, "x": 50, "y": 30}], "regions": []}).status_code == 200
    write_labels(folder / "masks" / "b.png", np.full((72, 96), 1, np.uint8))
    shutil.copytree(folder, tmp_path / "before")
    before, found, is_done = held(folder), [], False
    while not is_done:
        copy, left = tmp_path / f"try{len(found)}", [len(found)]
        shutil.copytree(tmp_path / "before", copy)
        opened = Project.open(copy)
        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            for name in ("replace", "unlink", "mkdir"):
                patch.setattr(os, name, stopping(getattr(os, name), left))
            action(opened)
            is_done = True
        Project.open(copy)
        found.append(held(copy))
    assert found[0] == before != found[-1]
    assert all(state in (before, found[-1]) for state in found)


def test_a_save_that_cannot_be_whole_changes_nothing(tab, folder):
    (folder / "images" / "a").mkdir()
    shutil.copy(folder / "images" / "b.png", folder / "images" / "a" / "c.png")
    assert tab.save("a/c", STROKE).status_code == 200
    (folder / "scribbles").mkdir(exist_ok=True)
    (folder / "scribbles" / "a").write_text("in the way of a folder")
    drawn = {"regions": [{"label": 1, "runs": [7, 3, 9]}], "points": [{"label": 2, "x": 5, "y": 6}]}
    answer = tab.save("a/c", drawn)
    assert answer.status_code == 422
    assert "c.png: cannot be written" in answer.json()["detail"]
    assert strokes(folder, "a/c") == [(1, (3, 5))]
    assert not Dataset.open(folder).hints("a/c").points
    (folder / "scribbles" / "a").unlink()
    assert tab.save("a/c", drawn).status_code == 200


def stopping(real, left):
    """A file operation at which the process dies, once so many were done."""

    def one(*given, **more):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(*given, **more)

    return one


def test_hints_on_a_file_system_of_their_own_are_saved(tab, folder, monkeypatch):
    real = os.replace

    def across(source, target):
        if "deleting" in str(source) and "deleting" not in str(target):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return real(source, target)

    monkeypatch.setattr(os, "replace", across)
    assert tab.save("b", STROKE | {"points": [{"label": 2, "x": 5, "y": 6}]}).status_code == 200
    assert strokes(folder) == [(1, (3, 5))]
    assert len(Dataset.open(folder).hints("b").points) == 1


def test_a_change_that_could_not_move_to_its_places_is_ended_by_the_next(tab, folder, monkeypatch):
    real, points = os.replace, {"points": [{"label": 2, "x": 5, "y": 6}]}

    def failing(source, target):
        if str(target).endswith("points.json"):
            raise OSError(5, "Input/output error")
        return real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing)
        assert tab.save("b", STROKE | points).status_code == 422
    assert tab.save("été 1", OTHER).status_code == 200
    assert strokes(folder) == [(1, (3, 5))]
    assert len(Dataset.open(folder).hints("b").points) == 1
    assert strokes(folder, "été 1") == [(2, (9, 30))]


def test_what_was_drawn_on_an_image_that_was_replaced_is_not_saved_unseen(tab, folder):
    seen = tab.open("b")
    (folder / "b.png").unlink(missing_ok=True)
    path = next((folder / "images").glob("b.png"))
    path.unlink()
    Image.new("RGB", (96, 72), "white").save(path)

    def save(image):
        headers = {"If-Match": f'"{seen["version"]}"', "Hintseg-Image": image}
        return tab.client.put("/api/hints/b", json=tab.drawn(STROKE), headers=headers)

    answer = save(seen["image"])
    assert answer.status_code == 422
    assert "was replaced since this was drawn" in answer.json()["detail"]
    assert not (folder / "scribbles.json").exists()
    assert save(tab.open("b")["image"]).status_code == 200


def test_hints_without_an_image_are_told(tab, folder):
    tab.save("b", STROKE)
    assert tab.reload()["orphans"] == []
    next((folder / "images").glob("b.png")).rename(folder / "images" / "c.png")
    assert tab.reload()["orphans"] == ["b"]


def test_strokes_outside_an_image_that_became_smaller_are_copied_before_they_go(tab, folder):
    tab.save("b", OTHER)
    path = next((folder / "images").glob("b.png"))
    path.unlink()
    Image.new("RGB", (48, 20), "white").save(path)
    assert len(tab.open("b")["corrections"]) == 1
    assert tab.save("b", {"points": [{"label": 1, "x": 5, "y": 5}]}).status_code == 200
    assert tab.open("b")["corrections"] == []
    (copy,) = (folder / "studio" / "kept" / "outside").glob("*/scribbles.json")
    assert list(json.loads(copy.read_text("utf-8"))) == ["b"]
    assert tab.save("b", {}).status_code == 200
    assert len(list((folder / "studio" / "kept" / "outside").iterdir())) == 1


@pytest.mark.parametrize(
    ("drawn", "leaves"),
    [
        ({"points": [{"label": 1, "x": 50, "y": 5}]}, True),
        ({"boxes": [{"label": 1, "x0": 40, "y0": 5, "x1": 60, "y1": 19}]}, True),
        (STROKE, True),
        ({"strokes": [{"label": 1, "vertices": [[3, 5], [40, 5]], "width": 4}]}, False),
    ],
)
def test_what_was_drawn_outside_an_image_that_is_smaller_now_is_copied_where_it_is_refused(tab, folder, drawn, leaves):
    seen = tab.open("b")
    path = next((folder / "images").glob("b.png"))
    path.unlink()
    Image.new("RGB", (48, 20), "white").save(path)
    headers = {"If-Match": f'"{seen["version"]}"', "Hintseg-Image": seen["image"]}
    for _ in range(2):  # a page sends it again
        assert tab.client.put("/api/hints/b", json=tab.drawn(drawn), headers=headers).status_code == 422
    copies = list((folder / "studio" / "kept" / "outside").glob("*.json"))
    assert len(copies) == leaves
    assert all(json.loads(copy.read_text("utf-8"))["image"] == "b" for copy in copies)


def test_regions_of_an_image_of_another_size_are_told_and_go_to_the_copies_with_the_next_change(tab, folder):
    write_labels(folder / "scribbles" / "b.png", np.ones((72, 96), np.uint8))
    assert tab.client.get("/api/hints/b").json()["regions"]
    write_image(folder / "images" / "b.png", np.full((36, 48, 3), 90, np.uint8))
    found = tab.open("b")
    assert (found["regions"], found["width"]) == ([], 48)
    assert found["corrections"] == ["scribble map left out, as it is of another size"]
    assert (
        tab.save("b", {"strokes": [{"label": 1, "vertices": [[5, 5]], "width": 3}], "regions": []}).status_code == 200
    )
    assert len(Dataset.open(folder).hints("b").scribbles) == 1
    (copy,) = (folder / "studio" / "kept" / "outside").rglob("scribbles/b.png")
    assert read_labels(copy).shape == (72, 96)


def test_hints_beside_a_damaged_map_are_shown_and_the_next_change_moves_it_to_the_copies(tab, folder):
    tab.save("b", STROKE)
    path = folder / "scribbles" / "b.png"
    write_labels(path, np.ones((72, 96), np.uint8))
    path.write_bytes(path.read_bytes()[:50])
    found = tab.open("b")
    assert (len(found["strokes"]), found["regions"]) == (1, [])
    assert found["corrections"] == ["scribble map left out, as it cannot be read"]
    assert tab.save("b", STROKE | OTHER | {"regions": []}).status_code == 200
    assert not path.exists()
    (copy,) = (folder / "studio" / "kept" / "outside").rglob("scribbles/b.png")
    assert len(copy.read_bytes()) == 50


def test_what_is_drawn_on_an_image_that_was_damaged_meanwhile_is_said_to_be_on_the_page_alone(tab, folder):
    seen = tab.open("b")
    path = next((folder / "images").glob("b.png"))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    headers = {"If-Match": f'"{seen["version"]}"', "Hintseg-Image": seen["image"]}
    for _ in range(2):
        answer = tab.client.put("/api/hints/b", json=tab.drawn(STROKE), headers=headers)
        assert answer.status_code == 422
        assert "is damaged" in answer.json()["detail"] or "cannot be decoded" in answer.json()["detail"]
        assert "What you drew is on this page alone" in answer.json()["detail"]
    assert not strokes(folder)


def test_a_mask_that_another_program_writes_in_place_has_another_version(tab, folder):
    path = folder / "masks" / "b.png"
    write_labels(path, np.ones((72, 96), np.uint8))
    version = lambda: tab.client.get("/api/state", params={"key": "b"}).json()["versions"]["mask"]  # noqa: E731
    before = version()
    Image.fromarray(np.zeros((72, 96), np.uint8)).save(folder / "other.png")
    path.write_bytes((folder / "other.png").read_bytes())
    assert version() != before


@pytest.mark.parametrize("made", [lambda path: path.mkdir(), os.mkfifo, lambda path: path.symlink_to("away.png")])
def test_what_is_no_map_leaves_the_other_hints_open(tab, folder, made):
    tab.save("b", STROKE)
    (folder / "scribbles").mkdir()
    made(folder / "scribbles" / "b.png")
    found = tab.open("b")
    assert len(found["strokes"]) == 1
    assert found["corrections"] == ["scribble map left out, as no file is there"]
    assert tab.save("b", STROKE | {"points": OTHER_POINT, "regions": []}).status_code == 200
    assert os.path.lexists(folder / "scribbles" / "b.png")
    region = {"label": tab.ids[1], "runs": [10, 3, 9]}
    body = {**tab.open("b"), "regions": [region]}
    body = {name: body[name] for name in ("strokes", "points", "boxes", "regions", "tags")}
    answer = tab.client.put("/api/hints/b", json=body, headers={"If-Match": tab.versions["b"]})
    assert answer.status_code == 422
    assert "scribbles/b.png: is no file that is there" in answer.json()["detail"]


@pytest.mark.parametrize(("made", "said"), [(lambda path: path.mkdir(), "is a folder"), (os.mkfifo, "is a pipe")])
def test_what_is_no_file_in_place_of_a_mask_is_one_sentence(tab, folder, made, said):
    (folder / "masks").mkdir()
    made(folder / "masks" / "b.png")
    seen = tab.mask_tag("b", "accepted")
    assert "withdraw" not in tab.client.get("/api/mask/b", params={"source": "accepted"}).json()["detail"]
    answer = tab.client.delete("/api/accept/b", headers={"If-Match": seen})
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_points_outside_an_image_that_became_smaller_are_told(tab, folder):
    tab.save("b", {"points": [{"label": 1, "x": 90, "y": 5}, {"label": 1, "x": 5, "y": 5}]})
    path = next((folder / "images").glob("b.png"))
    path.unlink()
    Image.new("RGB", (48, 20), "white").save(path)
    found = tab.open("b")
    assert (len(found["points"]), len(found["corrections"])) == (1, 1)
