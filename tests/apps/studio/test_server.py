"""The studio's server: hints land on disk, nothing leaves the folder, other sites are refused."""

import io
import json
import os
import re
import socket
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import typer
from PIL import Image

from hintseg.apps.cli.app import app as cli
from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.io.images import read_labels, write_image

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from hintseg.apps.studio.drawn import DrawnHints, Stroke
from hintseg.apps.studio.guard import LOOPBACK, new_token
from hintseg.apps.studio.listen import require_port
from hintseg.apps.studio.page_files import PAGE
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.run_record import RunRecord
from hintseg.apps.studio.server import create_app, serve
from hintseg.apps.studio.trainer import Model, Trainer
from hintseg.formats.registry import WRITERS
from hintseg.io.palette import class_colors
from hintseg.pseudo_labels.propagate import complete_key

DRAWN = {
    "strokes": [{"label": 0, "vertices": [[3, 5], [60, 5]], "width": 4}],
    "points": [{"label": 1, "x": 30, "y": 40}],
    "boxes": [{"label": 2, "x0": 10, "y0": 10, "x1": 40, "y1": 60}],
    "tags": [0, 2],
}


def test_a_folder_of_photographs_becomes_a_data_set(client, folder):
    found = client.get("/api/project").json()
    assert [image["key"] for image in found["images"]] == ["b", "été 1"]
    assert found["classes"] == []
    assert (folder / "b.png").exists()
    assert (folder / "images" / "b.png").exists()


def test_images_of_sub_folders_that_are_not_taken_are_said(tmp_path, caplog):
    for name in ("a.png", "field/b.png", "field/c.png"):
        write_image(tmp_path / name, np.zeros((8, 8, 3), np.uint8))
    assert list(Project.open(tmp_path).dataset.paths) == ["a"]
    (record,) = caplog.records
    assert "2 images of its sub-folders are not taken" in record.getMessage()
    caplog.clear()
    Project.open(tmp_path)
    assert not caplog.records


def test_hints_are_on_disk_in_the_folder_format(tab, folder):
    assert tab.save("été 1", DRAWN).json()["saved"]
    hints = Dataset.open(folder).hints("été 1")
    assert hints.scribbles[0].vertices == ((3, 5), (60, 5))
    assert hints.scribbles[0].width == 4
    assert (hints.points[0].x, hints.points[0].label) == (30, 1)
    assert hints.boxes[0].y1 == 60
    assert [tag.label for tag in hints.tags] == [0, 2]
    back = tab.open("été 1")
    assert {name: back[name] for name in DRAWN} == tab.drawn(DRAWN)
    assert (back["width"], back["height"], back["raster"], back["accepted"]) == (96, 72, False, False)
    hint_types = {image["key"]: image["hint_types"] for image in tab.reload()["images"]}
    assert hint_types == {"b": [], "été 1": ["tags", "boxes", "points", "scribbles"]}
    tab.save("été 1", {})
    assert json.loads((folder / "scribbles.json").read_text("utf-8")) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strokes": [{"label": 0, "vertices": [[1, 2]] * 20_001}]}, None),
        ({"points": [{"label": 0, "x": 96, "y": 1}]}, "outside the 96×72"),
        ({"strokes": [{"label": 0, "vertices": [[-1, 2]]}]}, "outside"),
        ({"boxes": [{"label": 0, "x0": 5, "y0": 5, "x1": 5, "y1": 9}]}, "empty"),
        ({"strokes": [{"label": 0, "vertices": []}]}, None),
        ({"strokes": [{"label": 0, "vertices": [[1, 2]], "width": 9999}]}, None),
        ({"points": [{"label": 0, "x": "inf", "y": 1}]}, "outside"),
        ({"points": [{"label": 0, "x": "nan", "y": 1}]}, "outside"),
        ({"strokez": []}, "strokez"),
        ({"strokes": [{"label": 0, "vertices": [[1, 2]], "with": 9}]}, "with"),
    ],
)
def test_wrong_hints_are_refused_and_change_nothing(tab, folder, change, message):
    tab.save("b", DRAWN)
    answer = tab.save("b", {**DRAWN, **change})
    assert answer.status_code == 422
    if message:
        assert message in answer.json()["detail"]
    back = tab.open("b")
    assert {name: back[name] for name in DRAWN} == tab.drawn(DRAWN)


def test_classes_are_renamed_and_added_but_never_lost(tab, folder):
    for names, message in [
        (["sky"], "cannot be removed"),
        (["a", "a", "b"], "listed twice"),
        (["a", " ", "b"], "empty name"),
        (["a", "\x00", "b"], "cannot be shown"),
        (["a", "e\u0301", "\u00e9"], "stored accents"),
        (["a", "b" * 201, "c"], "200 characters"),
    ]:
        answer = tab.classes(names)
        assert answer.status_code == 422
        assert message in answer.json()["detail"]
    tab.classes(["sky", "wall", "été", "x" * 200])
    assert Dataset.open(folder).classes == ("sky", "wall", "été", "x" * 200)
    assert Dataset.open(folder).background is None
    assert not Dataset.open(folder).tags_exhaustive
    answer = tab.classes(["sky", "wall", "été", "x"], complete=True)
    assert answer.json()["complete"] is Dataset.open(folder).tags_exhaustive is True
    assert len(set(class_colors())) == len(class_colors())


def test_a_port_that_is_taken_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="--port"):
            require_port("127.0.0.1", taken.getsockname()[1])


def test_the_rest_of_a_description_is_kept(folder):
    Project.open(folder)
    described = {"classes": ["a"], "void": 3, "tags_complete": False, "author": "me"}
    (folder / "dataset.json").write_text(json.dumps(described), "utf-8")
    project = Project.open(folder)
    (first,) = project.identifiers
    project.set_classes([(first, "b"), (None, "c")], first, None, project.table()["version"])
    kept = Dataset.open(folder)
    assert (kept.classes, kept.ignore_index, kept.tags_exhaustive, kept.background) == (("b", "c"), 3, False, 0)
    assert json.loads((folder / "dataset.json").read_text("utf-8"))["author"] == "me"
    assert project.identifiers[0] == first
    more = [*zip(project.identifiers, "ab", strict=True), (None, "c"), (None, "d")]
    with pytest.raises(InputError, match="ignore_index"):
        project.set_classes(more, None, None, project.table()["version"])


@pytest.mark.parametrize("key", ["../secret", "..%2fsecret", "/etc/passwd", "b/../../secret", "nothing"])
def test_no_path_leads_outside(tab, folder, key):
    (folder.parent / "secret.png").write_bytes(b"secret")
    for kind in ("image", "hints", "mask", "raster", "accept"):
        call = tab.client.post if kind == "accept" else tab.client.get
        answer = call(f"/api/{kind}/{key}", headers={"If-Match": "x"})
        assert answer.status_code in (404, 405, 422)
        assert b"secret\n" not in answer.content
    assert tab.client.get("/page/..%2f..%2fserver.py").status_code == 404


def test_a_key_of_deep_folders_may_be_longer_than_one_name(client):
    key = "/".join(["folder" * 8] * 6)
    assert client.get("/api/state", params={"key": key}).status_code == 200
    assert client.get("/api/state", params={"key": "a" * 256}).status_code == 400


def test_uploads_are_checked(client, folder):
    content = io.BytesIO()
    Image.fromarray(np.zeros((5, 6, 3), np.uint8)).save(content, "PNG")
    answer = client.post("/api/images", params={"name": "../../new ü.png"}, content=content.getvalue())
    assert answer.json() == {"key": "new ü"}
    assert (folder / "images" / "new ü.png").exists()
    for name, body, message in [
        ("new ü.png", content.getvalue(), "is there already"),
        ("x.exe", content.getvalue(), "is no image"),
        (".png", content.getvalue(), "is no image"),
        ("torn.png", content.getvalue()[:40], "torn.png"),
        ("new u\u0308.png", content.getvalue(), "is there already"),
    ]:
        answer = client.post("/api/images", params={"name": name}, content=body)
        assert answer.status_code == 422
        assert message in answer.json()["detail"]
        assert str(folder.parent) not in answer.json()["detail"]
    answer = client.post("/api/images", params={"name": "x" * 300 + ".png"}, content=content.getvalue())
    assert answer.status_code == 400
    assert "is longer than" in answer.json()["detail"]
    assert len(list((folder / "images").iterdir())) == 3


def test_an_upload_that_is_too_large_is_refused(start, monkeypatch):
    monkeypatch.setattr("hintseg.apps.studio.server.LARGEST_UPLOAD", 2**20)
    answer = start().post("/api/images", params={"name": "big.png"}, content=b"x" * (2**20 + 1))
    assert answer.status_code == 413
    assert answer.json()["detail"] == "this is larger than 1 MiB; copy files into the folder instead."


def test_other_sites_and_other_names_are_refused(client):
    assert client.get("/api/project", headers={"host": "evil.example"}).status_code == 403
    for origin, code in (("http://evil.example", 403), ("http://testserver", 200)):
        headers = {"origin": origin, "if-match": client.get("/api/project").json()["version"]}
        assert client.put("/api/classes", json={"classes": [{"name": "a"}]}, headers=headers).status_code == code
    assert "default-src 'self'" in client.get("/").headers["content-security-policy"]


def test_a_token_is_needed_where_there_is_one(folder):
    project = Project.open(folder)
    client = TestClient(create_app(project, Trainer(project, "none"), token="right"))
    assert client.get("/api/project").status_code == 403
    assert client.get("/?token=wrong").status_code == 403
    assert client.get("/?token=right").status_code == 200
    assert client.get("/api/project").status_code == 200  # the cookie


def test_masks_come_from_hints_before_anything_is_trained(tab, folder):
    named = tab.client
    assert named.get("/api/mask/b").status_code == 422
    tab.save("b", DRAWN)
    answer = named.get("/api/mask/b")
    pixels = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert pixels.shape == (72, 96, 4)
    assert tuple(pixels[5, 30]) == (0x00, 0x72, 0xB2, 255)
    seen = {"If-Match": answer.headers["etag"]}
    assert named.post("/api/accept/b", headers=seen).json() == {"accepted": True}
    assert tab.open("b")["accepted"]
    assert read_labels(folder / "masks" / "b.png")[5, 30] == 0
    assert named.get("/api/mask/b", params={"source": "accepted"}).status_code == 200
    seen = {"If-Match": tab.mask_tag("b", "accepted")}
    assert named.delete("/api/accept/b", headers=seen).json() == {"accepted": False}
    assert not (folder / "masks" / "b.png").exists()
    assert named.get("/api/mask/b", params={"source": "accepted"}).status_code == 404
    assert named.get("/api/nearest/b", params={"x": 1, "y": 1}).status_code == 422


def test_training_without_hints_and_with_bad_weights_says_what_is_wrong(folder):
    project = Project.open(folder)
    project.set_classes([(None, "a"), (None, "b")], None, None, project.table()["version"])
    trainer = Trainer(project, "nowhere.safetensors")
    client = TestClient(create_app(project, trainer))
    answer = client.post("/api/train", json={"effort": "quick"})
    assert answer.status_code == 422
    assert "no image carries a hint" in answer.json()["detail"]
    strokes = [Stroke(label=one, vertices=[(9, 9 + 30 * label)]) for label, one in enumerate(project.identifiers)]
    project.save_hints("b", DrawnHints(strokes=strokes), project.hints_version("b"))
    client.post("/api/train", json={"effort": "quick"})
    state = _finished(client)
    assert "nowhere.safetensors" in state["error"]


@pytest.mark.slow
def test_training_gives_masks_uncertainty_neighbors_and_exports(scenes, tiny):
    project = Project.open(scenes.root)
    client = TestClient(create_app(project, Trainer(project, "none", tuple(tiny))))
    assert client.post("/api/train", json={"effort": "quick"}).json()["training"]
    assert client.post("/api/train", json={"effort": "quick"}).status_code == 422
    state = _finished(client)
    assert "error" not in state
    assert state["newest"] == "run-001"
    key = scenes.keys("train")[0]
    for name in (key, scenes.keys("val")[0]):
        assert client.get(f"/api/mask/{name}").status_code == 200
    found = client.get(f"/api/nearest/{key}", params={"x": 30, "y": 20}).json()
    assert found["outline"]
    assert found["neighbors"]
    deadline = time.monotonic() + 60
    while len(client.get("/api/state").json()["uncertain"]) < 5 and time.monotonic() < deadline:
        time.sleep(0.2)
    places = client.get("/api/project").json()["uncertain"]
    assert all(0 <= one["x"] < 96 and 0 <= one["y"] < 72 for one in places.values())
    for writer, name in [("png", f"{key}.png"), ("coco", "annotations.json")]:
        packed = zipfile.ZipFile(io.BytesIO(client.get("/api/export", params={"writer": writer}).content))
        assert any(name in entry for entry in packed.namelist()), packed.namelist()
    assert client.get("/api/export", params={"writer": "magic"}).status_code == 422
    _require_places_through_a_rename(client, project, tiny, scenes.keys("val")[0])
    client.post("/api/train", json={"effort": "thorough"})
    # The server is killed and started again: it finds the training, starts no second one, and stops it.
    again = TestClient(create_app(project, Trainer(project, "none", tuple(tiny))))
    assert again.get("/api/state").json()["run"] == "run-002"
    assert again.post("/api/train", json={"effort": "quick"}).status_code == 422
    assert not again.post("/api/stop", json={}).json()["training"]
    assert not client.get("/api/state").json()["training"]
    assert client.get("/api/state").json()["newest"] == "run-001"


def _require_places_through_a_rename(client, project, tiny, key):
    """Two classes swap their names; hints that name them, and the run's masks, keep their places."""
    (project.root / "masks" / f"{key}.png").unlink()
    table = client.get("/api/project").json()
    classes = [{"id": one["id"], "name": one["name"]} for one in table["classes"]]
    (project.root / "points.json").write_text(json.dumps({key: [[30, 20, classes[0]["name"]], [70, 60, 1]]}))
    classes[0]["name"], classes[1]["name"] = classes[1]["name"], classes[0]["name"]
    body = {"classes": classes, "background": table["background"]}
    assert client.put("/api/classes", json=body, headers={"If-Match": table["version"]}).status_code == 200
    model = Model(project, Trainer(project, "none", tuple(tiny)))
    mask = model.mask(key)
    assert (mask[20, 30], mask[60, 70]) == (0, 1)
    # A class that was added between the click on Train and the run's look at the folder: places mean nothing.
    record = RunRecord.load(project.root / "studio", "run-001")
    replace(record, classes=record.classes[:-1]).save(project.root)
    assert model.usable() is None
    record.save(project.root)
    assert model.usable() is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_address_that_is_printed_opens_the_page(folder, monkeypatch, capsys, host):
    """With a token where other machines reach it."""
    served = []
    monkeypatch.setattr("hintseg.apps.studio.server.listen", lambda app, host, port: served.append((app, host)))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve(folder, host, port, "none")
    ((app, where),) = served
    address = re.search(r"http://\S+", capsys.readouterr().out)[0]
    assert where == host
    assert address.startswith(f"http://127.0.0.1:{port}/")
    assert ("?token=" in address) == (host == "0.0.0.0")
    assert TestClient(app).get(address).status_code == 200
    assert TestClient(app, base_url="http://192.0.2.7").get("/").status_code == 403


def test_servers_listen_on_this_machine_alone():
    commands = typer.main.get_command(cli).commands
    for name in ("studio", "label-studio"):
        (host,) = (option.default for option in commands[name].params if option.name == "host")
        assert host in LOOPBACK
        assert new_token(host) is None
    assert len({new_token("0.0.0.0") for _ in range(3)}) == 3


def test_the_page_exports_every_format_that_it_offers(tab):
    tab.save("b", DRAWN)
    page = tab.client.get("/").text
    offered = re.findall(r'<option value="([\w-]+)">', page.split('id="format"')[1].split("</select>")[0])
    assert set(offered) == set(WRITERS) - {"geotiff"}  # which needs maps
    for writer in offered:
        answer = tab.client.get("/api/export", params={"writer": writer, "images": True})
        assert answer.status_code == 200, answer.text
        image = "b.png" if writer == "labelme" else "images/b.png"
        assert image in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()


@pytest.mark.parametrize("seconds", [0, 5_000_000_000])  # before 1980 and after 2107, which no zip can say
def test_images_of_any_time_are_exported(tab, folder, seconds):
    tab.save("b", DRAWN)
    os.utime(folder / "b.png", (seconds, seconds))
    answer = tab.client.get("/api/export", params={"writer": "coco", "images": True})
    assert answer.status_code == 200, answer.text
    assert "images/b.png" in zipfile.ZipFile(io.BytesIO(answer.content)).namelist()


def test_masks_are_predicted_once_for_all_formats(tab, monkeypatch):
    tab.save("b", DRAWN)
    asked = []
    monkeypatch.setattr(
        "hintseg.apps.studio.trainer.complete_key", lambda *given: asked.append(1) or complete_key(*given)
    )
    for writer in ("png", "coco", "yolo"):
        assert tab.client.get("/api/export", params={"writer": writer}).status_code == 200
    assert len(asked) == 1
    tab.save("b", DRAWN | {"points": []})
    assert tab.client.get("/api/export", params={"writer": "png"}).status_code == 200
    assert len(asked) == 2
    tab.classes(["sky", "roof", "été"], 1)  # another background
    assert tab.client.get("/api/export", params={"writer": "png"}).status_code == 200
    assert len(asked) == 3


def test_no_mask_is_exported_under_another_class_name(tab, monkeypatch):
    tab.save("b", DRAWN)

    def slow(*given):
        found = complete_key(*given)
        assert change().status_code == 200
        return found

    monkeypatch.setattr("hintseg.apps.studio.trainer.complete_key", slow)
    change = lambda: tab.classes(["sky", "roof", "été", "tree"], 0)  # noqa: E731
    assert tab.client.get("/api/export").status_code == 200
    tab.save("b", DRAWN | {"points": []})
    change = lambda: tab.client.delete(  # noqa: E731
        f"/api/classes/{tab.ids[0]}", headers={"If-Match": tab.reload()["version"]}
    )
    answer = tab.client.get("/api/export")
    assert answer.status_code == 422
    assert "export again" in answer.json()["detail"]


def test_an_exported_png_says_its_classes_in_the_users_colors(tab):
    tab.save("b", DRAWN)
    colors = [{"id": one, "name": name} for one, name in zip(tab.ids, ("sky", "roof", "été"), strict=True)]
    body = {"classes": [{**colors[0], "color": "#123456"}, *colors[1:]], "background": tab.ids[0]}
    assert tab.client.put("/api/classes", json=body, headers={"If-Match": tab.project["version"]}).status_code == 200
    packed = zipfile.ZipFile(io.BytesIO(tab.client.get("/api/export").content))
    assert set(packed.namelist()) == {"classes.csv", "labelmap.txt", "masks/b.png"}
    assert packed.read("labelmap.txt").decode("utf-8").startswith("sky:18,52,86::\n")


def test_the_page_asks_no_other_site(client):
    """The browser lets it ask none, either."""
    assert client.get("/").headers["content-security-policy"].startswith("default-src 'self';")
    names = ["index.html", *(path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*.*"))]
    for name in ("/", *(f"/page/{name}" for name in names)):
        answer = client.get(name)
        assert answer.status_code == 200
        assert not re.findall(r"""(?:src=|href=|url\(|fetch\(|from |import )["']?(?:https?:)?//""", answer.text)


def test_a_malformed_description_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "dataset.json").write_text("{", "utf-8")
    with pytest.raises(InputError, match=r"dataset\.json"):
        Project.open(tmp_path)


def _finished(client):
    deadline = time.monotonic() + 400
    while (state := client.get("/api/state").json())["training"]:
        assert time.monotonic() < deadline, state
        time.sleep(0.3)
    return state
