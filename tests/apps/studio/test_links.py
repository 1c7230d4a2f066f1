"""Links inside a project: read through, never written or deleted through."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from hintseg.errors import RunError
from hintseg.io.images import read_labels, write_image, write_labels

pytest.importorskip("fastapi")
from hintseg.apps.studio.drawn import version_of
from hintseg.apps.studio.links import opened_anew
from hintseg.apps.studio.lock import locked_folder
from hintseg.apps.studio.project import Project

STROKE = {"strokes": [{"label": 1, "vertices": [[3, 5], [60, 5]], "width": 4}]}


def png():
    content = io.BytesIO()
    Image.fromarray(np.zeros((5, 6, 3), np.uint8)).save(content, "PNG")
    return content.getvalue()


def outside(folder, name):
    """A folder elsewhere that the project's own is replaced by, with a link to it."""
    elsewhere = folder.parent / "elsewhere" / name
    elsewhere.parent.mkdir(exist_ok=True)
    if (folder / name).exists():
        (folder / name).rename(elsewhere)
    else:
        elsewhere.mkdir()
    (folder / name).symlink_to(elsewhere, target_is_directory=True)
    return elsewhere


def test_nothing_is_uploaded_through_a_linked_folder(tab, folder):
    elsewhere = outside(folder, "images")
    before = sorted(elsewhere.iterdir())
    assert tab.client.get("/api/image/b").status_code == 200
    assert tab.save("b", STROKE).status_code == 200
    answer = tab.client.post("/api/images", params={"name": "new.png"}, content=png())
    assert answer.status_code == 422
    assert "is a link that leads to" in answer.json()["detail"]
    assert sorted(elsewhere.iterdir()) == before


@pytest.mark.parametrize("place", ["masks", "masks/a"])
def test_no_mask_is_written_or_deleted_through_a_linked_folder(tab, folder, place):
    key = "b" if place == "masks" else "a/c"
    write_image(folder / "images" / "a" / "c.png", np.zeros((72, 96, 3), np.uint8))
    tab.save("a/c", STROKE)
    tab.save("b", STROKE)
    (folder / place).parent.mkdir(exist_ok=True)
    elsewhere = outside(folder, place) if place == "masks" else folder.parent / "far"
    if place != "masks":
        elsewhere.mkdir()
        (folder / place).symlink_to(elsewhere, target_is_directory=True)
    write_labels(elsewhere / f"{key.rpartition('/')[2]}.png", np.ones((72, 96), np.uint8))
    for call, source in ((tab.client.post, "model"), (tab.client.delete, "accepted")):
        answer = call(f"/api/accept/{key}", headers={"If-Match": tab.mask_tag(key, source)})
        assert answer.status_code == 422
        assert "is a link that leads to" in answer.json()["detail"]
    assert (read_labels(next(elsewhere.iterdir())) == 1).all()


@pytest.mark.parametrize("name", ["scribbles.json", "dataset.json", "masks/b.png"])
def test_a_linked_file_becomes_a_file_of_the_project(tab, folder, name):
    tab.save("b", STROKE)
    tag = tab.mask_tag("b")
    if name.startswith("masks"):
        tab.client.post("/api/accept/b", headers={"If-Match": tag})
    theirs = folder.parent / "theirs"
    (folder / name).rename(theirs)
    (folder / name).symlink_to(theirs)
    before = theirs.read_bytes()
    if name == "dataset.json":
        tab.reload()
        assert tab.classes(["sky", "wall", "été"]).status_code == 200
    elif name == "scribbles.json":
        assert tab.save("b", {}).status_code == 200
    else:
        seen = {"If-Match": tab.mask_tag("b", "accepted")}
        assert tab.client.delete("/api/accept/b", headers=seen).status_code == 200
    assert theirs.read_bytes() == before
    assert not (folder / name).is_symlink()


def test_a_linked_studio_folder_is_refused_at_once(folder):
    (folder / "studio").symlink_to(folder.parent, target_is_directory=True)
    with pytest.raises(RunError, match="is a link"), locked_folder(folder, "x"):
        pass


def test_linked_photographs_are_read(tmp_path):
    write_image(tmp_path / "far" / "a.png", np.zeros((5, 6, 3), np.uint8))
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "relative.png").symlink_to("../far/a.png")
    (folder / "absolute.png").symlink_to(tmp_path / "far" / "a.png")
    (folder / "broken.png").symlink_to("nowhere.png")
    (folder / "folder.png").mkdir()
    (folder / "._a.png").write_bytes(b"")
    project = Project.open(folder)
    assert list(project.dataset.paths) == ["absolute", "relative"]
    assert project.dataset.image("relative").shape == (5, 6, 3)


def test_a_photograph_that_another_program_put_there_is_not_replaced(tab, folder):
    write_image(folder / "images" / "new.png", np.ones((9, 9, 3), np.uint8))
    (folder / "images" / "far").mkdir()
    before = (folder / "images" / "new.png").read_bytes()
    answer = tab.client.post("/api/images", params={"name": "new.png"}, content=png())
    assert "is there already" in answer.json()["detail"]
    assert (folder / "images" / "new.png").read_bytes() == before


def test_two_tabs_upload_one_name(client, folder, tab_of):
    for code in (200, 422):
        assert client.post("/api/images", params={"name": "new.png"}, content=png()).status_code == code
    assert tab_of(client).project["images"][-1]["key"] == "été 1"
    assert not list(folder.rglob(".partial-*"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
def test_pipes_in_place_of_what_the_studio_keeps_hold_nothing_up(tab, folder, start):
    kept = folder / "studio" / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    (folder / "masks").mkdir(exist_ok=True)
    (folder / "studio" / "classes.json").unlink()
    for path in (
        kept / f"{version_of('b')}-0.json", folder / "studio" / "classes.json", folder / "studio" / "run-001.json",
        folder / "studio" / "server.lock", folder / "masks" / "b.png",
    ):  # fmt: skip
        os.mkfifo(path)
    client = start()
    assert client.get("/api/project").status_code == 200
    client.get("/api/hints/b")  # answered, whatever it says
    assert client.get("/api/mask/b").status_code == 422
    with locked_folder(folder, "http://127.0.0.1:1/"):
        pass


def test_a_log_that_is_a_link_leaves_what_it_leads_to(tmp_path):
    (tmp_path / "theirs").write_text("mine")
    (tmp_path / "last.log").symlink_to(tmp_path / "theirs")
    with opened_anew(tmp_path / "last.log") as log:
        log.write(b"training")
    assert (tmp_path / "theirs").read_text() == "mine"
    assert (tmp_path / "last.log").read_bytes() == b"training"
