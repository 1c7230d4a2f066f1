"""The service that Label Studio calls: against a stand-in, and where HINTSEG_LABEL_STUDIO names one, a real one."""

import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from hintseg.errors import ConfigError, HintsegError, InputError
from hintseg.formats.label_studio import decode_brush, encode_brush
from hintseg.formats.polygons import filled
from hintseg.io.images import decode_image

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from hintseg.apps.studio.backend import Backend, create_backend
from hintseg.apps.studio.fetch import require_harmless
from hintseg.apps.studio.label_studio import LabelStudio
from hintseg.apps.studio.labeling import control_tag, regions

BROWSER = next((path for name in ("chromium", "google-chrome", "chrome") if (path := shutil.which(name))), None)
SCREENSHOTS = os.environ.get("HINTSEG_SCREENSHOTS")
EXECUTABLE = os.environ.get("HINTSEG_LABEL_STUDIO")
TOKEN = "0123456789abcdef0123456789abcdef01234567"
PAGE = """<View><Image name="photo" value="$image"/>
<BrushLabels name="brush" toName="photo"><Label value="ground"/><Label value="disc"/></BrushLabels>
<KeyPointLabels name="points" toName="photo"><Label value="ground"/><Label value="disc"/></KeyPointLabels>
<RectangleLabels name="boxes" toName="photo"><Label value="disc"/></RectangleLabels>
<Choices name="tags" toName="photo" choice="multiple"><Choice value="ground"/><Choice value="disc"/></Choices></View>"""
WIDTH, HEIGHT = 96, 72


def photograph(number):
    """A disc on a ground, as PNG, and where the disc is."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    disc = (rows - 30 - 4 * number) ** 2 + (columns - 40 - 6 * number) ** 2 < 18**2
    grain = np.random.default_rng(number).integers(-15, 15, (HEIGHT, WIDTH, 3))
    pixels = (np.where(disc[..., None], (230, 180, 60), (40, 90, 50)) + grain).clip(0, 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue(), disc


def stroke(label, rows, columns):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[rows, columns] = True
    value = {"format": "rle", "rle": encode_brush(mask), "brushlabels": [label]}
    return _result("brush", "brushlabels", value)


def annotation(number):
    """A stroke on the ground, then by turns a stroke, a point or a box with a choice on the disc."""
    y, x = 30 + 4 * number, 40 + 6 * number
    place = {"x": 100 * x / WIDTH, "y": 100 * y / HEIGHT}
    extent = {"x": 100 * (x - 18) / WIDTH, "y": 100 * (y - 18) / HEIGHT, "width": 3600 / WIDTH, "height": 3600 / HEIGHT}
    on_disc = [
        [stroke("disc", slice(y - 2, y + 2), slice(x - 10, x + 10))],
        [_result("points", "keypointlabels", {**place, "keypointlabels": ["disc"]})],
        [
            _result("boxes", "rectanglelabels", {**extent, "rectanglelabels": ["disc"]}),
            _result("tags", "choices", {"choices": ["disc", "ground"]}),
        ],
    ]  # fmt: skip
    return [stroke("ground", slice(66, 70), slice(5, 90)), *on_disc[number % 3]]


def _result(tag, kind, value):
    size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    return {"from_name": tag, "to_name": "photo", "type": kind, "value": value, **size}


def drip(file):
    file.write(b"HTTP/1.0 200 OK\r\n\r\n")
    with suppress(OSError):
        for _ in range(40):
            file.write(b"x")
            time.sleep(0.05)


ODD = {
    "/garbage": lambda file: file.write(b"\x00\x01\r\n\r\n"),
    "/short": lambda file: file.write(b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\nx"),
    "/huge": lambda file: file.write(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 20_000),
    "/drip": drip,
}


class StandIn(BaseHTTPRequestHandler):
    """Photographs and an export, for the right token alone."""

    tasks: ClassVar[list[dict[str, object]]] = []
    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self):
        self.seen.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith("/open/"):
            return self.answer(200, photograph(int(self.path[-5]))[0])
        if self.path in ODD:
            return ODD[self.path](self.wfile)
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", self.path.split("=", 1)[1])
            self.end_headers()
            return None
        if self.headers.get("Authorization") not in (f"Token {TOKEN}", "Bearer short"):
            return self.answer(401, b"{}")
        if self.path.startswith("/api/projects/5") and isinstance(self.tasks, str):
            return self.answer(200, self.tasks.encode())
        if self.path == "/api/projects/5":
            return self.answer(200, json.dumps({"id": 5, "label_config": PAGE}).encode())
        if self.path.startswith("/api/projects/5/export"):
            return self.answer(200, json.dumps(self.tasks).encode())
        if self.path.startswith("/data/upload/5/"):
            return self.answer(200, photograph(int(self.path[-5]))[0])
        return self.answer(404, b"")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        odd = {"a.b.page": b"<html>", "a.b.nothing": b"[]"}.get(body["refresh"])
        if odd:
            return self.answer(200, odd)
        right = self.path == "/api/token/refresh" and body == {"refresh": "a.b.c"}
        return self.answer(200 if right else 401, b'{"access": "short"}')

    def answer(self, code, content):
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def stand_in():
    StandIn.tasks = [
        {
            "id": number,
            "data": {"image": f"/data/upload/5/{number}.png"},
            "annotations": [{"result": annotation(number)}],
        }
        for number in range(3)
    ]
    StandIn.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def service(stand_in, tmp_path, tiny):
    settings = (*tiny, "iterations=40")

    def make(token=TOKEN):
        backend = Backend(tmp_path / "work", LabelStudio(stand_in, token), None, None, "none", "quick", settings)
        return TestClient(create_backend(backend))

    return make


def trained(client, timeout=180):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        state = client.get("/health").json()
        if state["version"] != "untrained" or "error" in state:
            return state
        time.sleep(0.3)
    raise AssertionError(state)


@pytest.mark.slow
def test_training_and_predicting(service, tmp_path):
    client = service()
    assert client.post("/setup", json={"schema": PAGE, "project": "5.1"}).json() == {"model_version": "untrained"}
    assert client.post("/webhook", json={"action": "ANNOTATION_CREATED"}).json() == {"status": "ignored"}
    tasks = [{"id": 1, "data": {"image": "/data/upload/5/1.png"}}]
    empty = client.post("/predict", json={"tasks": tasks, "label_config": PAGE}).json()["results"]
    assert empty == [{"result": [], "score": 0.0, "model_version": "untrained"}]
    assert client.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 5}}).status_code == 200
    state = trained(client)
    assert state["version"] == "data-001", state
    results = client.post("/predict", json={"tasks": tasks, "label_config": PAGE}).json()["results"]
    (found,) = results
    assert 0 < found["score"] <= 1
    names = [region["value"]["brushlabels"][0] for region in found["result"]]
    assert set(names) <= {"ground", "disc"}
    masks = [decode_brush(region["value"]["rle"], HEIGHT, WIDTH) for region in found["result"]]
    assert (sum(mask.astype(int) for mask in masks) == 1).all()
    assert all((region["from_name"], region["to_name"]) == ("brush", "photo") for region in found["result"])
    assert client.get("/versions").json() == {"versions": ["data-001"]}
    for name, count in (("points", 1), ("boxes", 1), ("tags", 1)):
        assert len(json.loads((tmp_path / "work" / "data-001" / f"{name}.json").read_text("utf-8"))) == count


def test_older_releases_send_the_annotations_themselves(service):
    client = service()
    assert client.post("/train", json={"annotations": [{"id": 1, "data": {"image": "/x.png"}}]}).status_code == 200
    assert "no task is annotated" in trained(client)["error"]
    assert client.post("/train", json={"annotations": 3}).status_code == 422
    assert client.post("/webhook", json={"action": "START_TRAINING"}).status_code == 422


def test_a_personal_access_token_is_exchanged(stand_in):
    assert LabelStudio(stand_in, "a.b.c").get("/data/upload/5/1.png") == photograph(1)[0]
    assert StandIn.seen[-1][1] == "Bearer short"
    with pytest.raises(InputError, match="--token"):
        LabelStudio(stand_in, "a.b.d").get("/data/upload/5/1.png")


def test_what_cannot_be_fetched_is_said(service, stand_in):
    client = service("wrong")
    client.post("/webhook", json={"action": "START_TRAINING", "project": {"id": 5}})
    assert "could not be fetched" in trained(client)["error"]
    for address in ("file:///etc/passwd", "ftp://host/a.png"):
        with pytest.raises(InputError, match="only http"):
            LabelStudio(stand_in, TOKEN).get(address)


def test_the_token_goes_nowhere_else(stand_in):
    other = stand_in.replace("127.0.0.1", "localhost")
    for address in (
        f"{other}/data/upload/5/1.png", f"/away?to={other}/data/upload/5/1.png", "/away?to=/data/upload/5/1.png",
    ):  # fmt: skip
        with pytest.raises(InputError):
            LabelStudio(stand_in, TOKEN).get(address)
        assert StandIn.seen[-1] == ("/data/upload/5/1.png", None)
    with pytest.raises(InputError):  # the same host and port by another scheme
        LabelStudio(stand_in.replace("http:", "https:"), TOKEN).get(f"{stand_in}/data/upload/5/1.png")
    assert StandIn.seen[-1] == ("/data/upload/5/1.png", None)


@pytest.mark.parametrize("address", ["::1", "127.0.0.1"])
def test_this_machine_is_reached_where_private_ones_may_be(address):
    require_harmless("localhost", address, private=True)
    with pytest.raises(InputError, match="private network"):
        require_harmless("localhost", address, private=False)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://[", "no address"), ("http://a:b/x.png", "no address"), ("http://host:99999/", "no address"),
        ("http://?", "could not be fetched"), ("http://user:key@host/x.png", "no address"),
        ("http://a..b/x.png", "no address"), ("http://" + "a" * 70 + "/x", "no address"), ("http://a b/", "no address"),
        ("http://\ud800/x.png", "no address"), ("/\ud800.png", "no address"), ("http://ho\x00st/", "no address"),
        ("file:///etc/passwd", "only http"), ("s3://bucket/a.png", "only http"), ("data:image/png,AA", "only http"),
        ("/away?to=file:///etc/passwd", "not allowed"), ("/away?to=ftp://host/a.png", "only http"),
        ("/away?to=http://[", "could not be fetched"), ("/away?to=/away?to=/away?to=/x", "could not be fetched"),
        ("http://127.0.0.1:1/x.png?key=secret", "could not be fetched"), ("http://0.0.0.0:1/x", "private network"),
        ("http://169.254.169.254/latest", "private network"), ("http://[fe80::1]/", "private network"),
        ("http://[::ffff:169.254.169.254]/", "private network"), ("http://2852039166/", "private network"),
        ("http://[64:ff9b::a9fe:a9fe]/", "private network"), ("http://[2002:7f00:1::]/", "private network"),
        ("http://[64:ff9b:1::7f00:1]/", "private network"), ("http://[::127.0.0.1]/", "private network"),
        ("/away?to=http://169.254.169.254/", "private network"),
        ("/garbage", "could not be fetched"), ("/short", "missing"), ("/drip", "slowly"), ("/huge", "larger"),
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_fetched_are_one_sentence(stand_in, monkeypatch, address, sentence):
    monkeypatch.setattr("hintseg.apps.studio.label_studio.TIMEOUT", 0.4)
    monkeypatch.setattr("hintseg.apps.studio.label_studio.LARGEST_DOWNLOAD", 10_000)
    with pytest.raises(InputError, match=sentence) as caught:
        LabelStudio(stand_in, TOKEN).get(address)
    assert "secret" not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_service_open_to_others_asks_no_private_machine_it_was_not_told_of(stand_in):
    other = f"{stand_in.replace('127.0.0.1', 'localhost')}/open/0.png"
    port = stand_in.rsplit(":", 1)[1]
    assert LabelStudio("http://[::1]", TOKEN).get(other) == photograph(0)[0]
    for allow in ((), ("localhost:1",), ("127.0.0.1",)):
        with pytest.raises(InputError, match="--allow localhost"):
            LabelStudio("http://[::1]", TOKEN, allow, private=False).get(other)
    for allow in (("localhost",), (f"LOCALHOST:{port}",)):
        assert LabelStudio("http://[::1]", TOKEN, allow, private=False).get(other) == photograph(0)[0]
    assert LabelStudio(stand_in, TOKEN, private=False).get("/data/upload/5/1.png") == photograph(1)[0]


def test_letters_of_any_script_are_asked_for(stand_in):
    studio = LabelStudio(stand_in, TOKEN)
    for address in ("/data/upload/5/été 猫 100%-0.png", "/data/upload/5/%C3%A9t%C3%A9-0.png"):
        assert studio.get(address) == photograph(0)[0]
    assert [path for path, _ in StandIn.seen] == [
        "/data/upload/5/%C3%A9t%C3%A9%20%E7%8C%AB%20100%25-0.png", "/data/upload/5/%C3%A9t%C3%A9-0.png",
    ]  # fmt: skip


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host", "http://[", ""])
def test_a_malformed_address_of_label_studio_is_said_at_once(url):
    with pytest.raises(InputError, match=r"only http|no address"):
        LabelStudio(url, TOKEN)


def test_a_malformed_token_is_said_without_it():
    with pytest.raises(ConfigError, match="--token") as caught:
        LabelStudio("http://localhost", "secret\n")
    assert "secret" not in str(caught.value)


def test_a_login_page_is_no_export(stand_in):
    StandIn.tasks = "<html>"
    for token, call in (
        (TOKEN, lambda studio: studio.tasks(5)), (TOKEN, lambda studio: studio.page(5)),
        ("a.b.page", lambda studio: studio.get("/")),
    ):  # fmt: skip
        with pytest.raises(InputError, match=r"web page, perhaps to log in.*--token"):
            call(LabelStudio(stand_in, token))
    with pytest.raises(InputError, match="without an access token"):
        LabelStudio(stand_in, "a.b.nothing").get("/")


class Untrained:
    """Photographs by address; what a network would say of them."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []
        self.run = Path("run")
        self.classes = ("ground", "disc")

    def get(self, url):
        self.asked.append(url)
        found = self.answers[url]
        if isinstance(found, Exception):
            raise found
        return found() if callable(found) else found

    def decode_image(self, path):
        return decode_image(path)

    def probabilities(self, image):
        disc = image[..., 0] > 150
        return np.stack([~disc, disc]).astype(np.float32)


@pytest.fixture
def predicting(tmp_path, monkeypatch):
    """(address → photograph or error) → a backend with a network that tells bright from dark."""

    def make(answers):
        backend = Backend(tmp_path / "work", Untrained(answers), Path("run"))
        monkeypatch.setattr("hintseg.apps.studio.backend.Segmenter.open", lambda run: backend.studio)
        return backend

    return make


def task(number, **data):
    return {"id": number, "data": data}


def test_one_unreadable_photograph_costs_that_task_only(predicting):
    good, html = photograph(0)[0], b"<html>log in</html>"
    backend = predicting(
        {"/a.png": good, "/page.png": html, "/lost.png": InputError("gone"), "http://[.png": InputError("x")}
    )
    rows = [
        (task(1, image="/a.png"), ""), (task(2, image="/page.png"), "task 2: /page.png is a web page"),
        (task(3, image="/lost.png"), "task 3: gone"), (task(4, text="none"), "task 4: the field 'image'"),
        (task(5, image=7), "task 5: the field 'image'"), (task("x", image="/a.png"), "task 'x': its 'id'"),
        (task(True, image="/a.png"), "its 'id'"), ({"id": 6, "data": []}, "task 6: its 'data'"), ({}, "task None"),
        (task(7, image="http://[.png"), "task 7"), (task(8, page="https://a.example/x", image="/a.png"), ""),
        (task(9, image=["/a.png", "/a.png"]), "one image"), (task(10, image=["/a.png"]), ""),
    ]  # fmt: skip
    found = backend.predict([one for one, _ in rows], PAGE)
    assert [bool(one["result"]) for one in found] == [not sentence for _, sentence in rows]
    for one, sentence in rows:
        (result,) = backend.predict([one], PAGE)
        assert bool(result["result"]) == (not sentence)
        assert sentence in backend.state().get("error", "")
    assert not list((backend.folder / "photographs").glob(".*"))
    assert "error" not in backend.state()  # the last one went well


def test_another_image_of_a_task_is_fetched_and_a_new_signature_is_none(predicting):
    pictures = {f"/{n}.png": photograph(n)[0] for n in range(2)}
    signed = [f"https://b.example/0.png?v=1&X-Amz-Signature={n}&X-Amz-Date={n}" for n in range(2)]
    other = "https://b.example/0.png?v=2&X-Amz-Signature=0&X-Amz-Date=0"
    backend = predicting({**pictures, **dict.fromkeys([*signed, other], photograph(0)[0])})
    for address in ("/0.png", "/1.png", "/0.png", *signed, other):
        backend.predict([task(1, image=address)], PAGE)
    assert backend.studio.asked == ["/0.png", "/1.png", signed[0], other]


def test_each_tag_gets_the_image_that_the_page_shows(predicting):
    tools = "".join(
        f'<Image name="{side}" value="${side}_photo"/><BrushLabels name="on-{side}" toName="{side}">'
        '<Label value="disc"/></BrushLabels>' for side in ("left", "right")
    )  # fmt: skip
    backend = predicting({f"/{n}.png": photograph(n)[0] for n in range(2)})
    (found,) = backend.predict([task(1, right_photo="/1.png", left_photo="/0.png")], f"<View>{tools}</View>")
    assert [(one["from_name"], one["to_name"]) for one in found["result"]] == [
        ("on-left", "left"),
        ("on-right", "right"),
    ]
    for number, region in enumerate(found["result"]):
        disc = photograph(number)[1]
        assert (decode_brush(region["value"]["rle"], HEIGHT, WIDTH) == disc).mean() > 0.95


def test_a_slow_photograph_holds_up_nobody_else(predicting):
    go = threading.Event()
    backend = predicting({"/slow.png": lambda: go.wait(20) and photograph(0)[0], "/a.png": photograph(1)[0]})
    waiting = threading.Thread(target=backend.predict, args=([task(1, image="/slow.png")], PAGE))
    training = threading.Thread(
        target=backend.train, args=([task(3, image="/slow.png") | {"annotations": [{"result": annotation(0)}]}],)
    )
    backend._make = lambda project: Idle()
    for thread in (waiting, training):
        thread.start()
    try:
        assert backend.predict([task(2, image="/a.png")], PAGE)[0]["result"]
        assert not backend.state()["training"]
        with pytest.raises(HintsegError, match="training already"):
            backend.train([task(4, image="/a.png") | {"annotations": [{"result": annotation(0)}]}])
    finally:
        go.set()
        for thread in (waiting, training):
            thread.join(20)


class Idle:
    """A trainer that does nothing."""

    def start(self, effort):
        pass

    def state(self):
        return {"training": False}


def test_training_leaves_out_what_cannot_be_read_and_says_so(predicting):
    backend = predicting({"/0.png": photograph(0)[0], "/1.png": photograph(1)[0], "/lost.png": InputError("gone")})
    backend._make = lambda project: Idle()
    two = '<View><Image name="photo" value="$a"/><Image name="other" value="$b"/></View>'
    tasks = [
        task(1, a="/0.png", b="/1.png") | {"annotations": [{"result": annotation(0)}]},
        task(2, a="/lost.png") | {"annotations": [{"result": annotation(1)}]},
    ]
    backend.train(tasks, two)
    assert backend.state()["error"].startswith("1 of 2 tasks are left out of training; the first: task 2: gone")
    assert [path.name[:7] for path in (backend.folder / "data-001" / "images").iterdir()] == ["task-1-"]
    with pytest.raises(InputError, match="task 2: gone"):
        backend.train(tasks[1:], two)
    with pytest.raises(InputError, match="name 2 images; the labeling page"):
        backend.train(tasks[:1])
    other = [{**part, "to_name": "other"} for part in annotation(1)]
    backend.train([{**tasks[0], "annotations": [{"result": [*annotation(0), *other]}]}], two)
    assert len(list((backend.folder / "data-002" / "images").iterdir())) == 2


@pytest.mark.parametrize("address", ["/0.png", "/photo"])
def test_an_image_that_was_replaced_is_trained_on_with_its_new_hints(predicting, caplog, address):
    tiff = io.BytesIO()
    Image.open(io.BytesIO(photograph(1)[0])).save(tiff, "TIFF")
    pictures = [photograph(0)[0], tiff.getvalue() if address == "/photo" else photograph(1)[0]]
    backend = predicting({address: pictures[0]})
    backend._make = lambda project: Idle()
    for number, content in enumerate((*pictures, InputError("gone."), b"<html>log in")):
        backend.studio.answers[address] = content
        backend.train([task(1, image=address) | {"annotations": [{"result": annotation(min(number, 1))}]}])
    assert "gone. The image that was fetched before is used." in caplog.text
    assert "is a web page, not an image that can be read. The image that" in caplog.text
    for number, content in zip((1, 2, 3, 4), (*pictures, pictures[1], pictures[1]), strict=True):
        (image,) = (backend.folder / f"data-00{number}" / "images").iterdir()
        assert image.read_bytes() == content
    assert len(list((backend.folder / "photographs").glob("task-*"))) == 1


def test_health_tells_what_failed_in_the_background(predicting, monkeypatch):
    monkeypatch.setattr("hintseg.apps.studio.backend.log.exception", lambda *_: None)
    backend = predicting({})

    def fail(*_):
        raise RuntimeError("boom \ud800")

    backend.train = fail
    client = TestClient(create_backend(backend))
    client.post("/train", json={"annotations": []})
    assert "boom" in trained(client)["error"]


ENTITY = "<!DOCTYPE View [<!ENTITY a 'b'>]><View/>"


def test_masks_go_where_the_page_wants_them():
    _, disc = photograph(0)
    tool = '<PolygonLabels name="p" toName="i"><Label value="disc"/></PolygonLabels>'
    polygons = f'<View><Image name="i" value="$image"/>{tool}</View>'
    (region,) = regions(disc, "disc", control_tag(polygons))
    corners = np.array(region["value"]["points"]) * [WIDTH / 100, HEIGHT / 100]
    assert region["value"]["polygonlabels"] == ["disc"]
    assert np.abs(np.hypot(*(corners - [40.5, 30.5]).T) - 18).max() < 1.5
    assert len(corners) < 40, "few enough to be moved by hand"
    ring = np.zeros((HEIGHT, WIDTH), np.bool_)
    ring[10:50, 20:60] = True
    ring[20:30, 30:50] = False
    (region,) = regions(ring, "disc", control_tag(polygons))
    back, inside = filled((HEIGHT, WIDTH), np.array(region["value"]["points"]) * [WIDTH / 100, HEIGHT / 100])
    assert inside.sum() == ring.sum()
    assert ring[back][inside].all(), "holes stay open, so that no class covers another"
    (region,) = regions(disc, "disc", control_tag(PAGE))
    assert (decode_brush(region["value"]["rle"], HEIGHT, WIDTH) == disc).all()
    for config, message in [("<View/>", "neither"), ("<View", "not valid"), (ENTITY, "entities")]:
        with pytest.raises(InputError, match=message):
            control_tag(config)


@pytest.mark.slow
@pytest.mark.skipif(EXECUTABLE is None, reason="HINTSEG_LABEL_STUDIO names no Label Studio; make test-all installs one")
def test_the_journey_with_a_real_label_studio(tmp_path, tiny):
    ports = _free_ports()
    environment = {
        **os.environ, "ML_BLOCK_LOCAL_IP": "false", "USE_DEFAULT_BANNED_SUBNETS": "false", "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false", "LABEL_STUDIO_BASE_DATA_DIR": str(tmp_path / "ls"),
    }  # fmt: skip
    studio = [
        EXECUTABLE, "start", "--no-browser", "--port", str(ports[0]), "--data-dir", str(tmp_path / "ls"), "--username",
        "a@example.com", "--password", "secret-123", "--user-token", TOKEN, "--enable-legacy-api-token",
    ]  # fmt: skip
    backend = [
        sys.executable, "-m", "hintseg.apps.cli.app", "label-studio", str(tmp_path / "work"), "--url",
        f"http://localhost:{ports[0]}", "--token", TOKEN, "--port", str(ports[1]), "--weights", "none",
        "--effort", "quick", *(part for setting in tiny for part in ("--set", setting)),
    ]  # fmt: skip
    log = (tmp_path / "log.txt").open("wb")
    processes = [subprocess.Popen(command, env=environment, stdout=log, stderr=log) for command in (studio, backend)]
    try:
        address = f"http://localhost:{ports[0]}"
        project, task = _journey(partial(_call, address), f"http://localhost:{ports[1]}")
        _look(address, project, task)
    finally:
        for process in processes:
            process.terminate()
            process.wait()
        log.close()


def _journey(call, service):
    """From photographs to predictions by Label Studio's API; returns the project and the task nobody annotated."""
    _until(lambda: call("GET", "/health")["status"] == "UP", 180)
    _until(lambda: json.load(urllib.request.urlopen(f"{service}/health"))["status"] == "UP", 60)
    project = call("POST", "/api/projects", {"title": "discs", "label_config": PAGE})["id"]
    for number in range(4):
        call("POST", f"/api/projects/{project}/import", files={"file": (f"disc{number}.png", photograph(number)[0])})
    _until(lambda: len(call("GET", f"/api/tasks?project={project}")["tasks"]) == 4, 60)
    tasks = sorted(call("GET", f"/api/tasks?project={project}")["tasks"], key=lambda task: task["id"])
    for number, task in enumerate(tasks[:3]):
        call("POST", f"/api/tasks/{task['id']}/annotations", {"result": annotation(number)})
    connected = call("POST", "/api/ml", {"url": service, "project": project, "title": "hintseg"})
    assert connected["readable_state"] == "Connected", connected
    call("POST", f"/api/ml/{connected['id']}/train", {})
    health = lambda: json.load(urllib.request.urlopen(f"{service}/health"))  # noqa: E731
    _until(lambda: health()["version"] != "untrained" or "error" in health(), 300)
    assert health()["version"] == "data-001", health()
    # Opening a task in the labeling page asks the model for its prediction.
    call("PATCH", f"/api/ml/{connected['id']}", {"url": service, "project": project, "title": "hintseg"})
    call("POST", f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}",
         {"selectedItems": {"all": True, "excluded": []}})  # fmt: skip
    found = []
    _until(lambda: found.extend(call("GET", f"/api/predictions?project={project}")) or found, 120)
    regions_found = [region for prediction in found for region in prediction["result"]]
    assert {region["type"] for region in regions_found} == {"brushlabels"}
    mask = decode_brush(regions_found[0]["value"]["rle"], HEIGHT, WIDTH)
    assert mask.any()
    assert found[0]["model_version"].startswith("data-001")
    return project, tasks[3]["id"]


def _look(address, project, task):
    """The prediction stands in Label Studio's own page."""
    play = pytest.importorskip("playwright.sync_api")
    with play.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{address}/user/login/", wait_until="commit")
        page.fill("input[name=email]", "a@example.com")
        page.fill("input[name=password]", "secret-123")
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "login" not in url, wait_until="commit")
        page.goto(f"{address}/projects/{project}/data?task={task}", wait_until="commit")
        play.expect(page.get_by_text("data-001").first).to_be_visible(timeout=60_000)
        play.expect(page.locator("canvas").first).to_be_visible(timeout=60_000)
        if SCREENSHOTS:
            page.wait_for_timeout(3000)
            page.screenshot(path=str(Path(SCREENSHOTS) / "label-studio.jpg"), type="jpeg", quality=85)
        browser.close()


def _call(address, method, path, body=None, files=None):
    import httpx

    answer = httpx.request(
        method, address + path, json=body, files=files, headers={"Authorization": f"Token {TOKEN}"}, timeout=120
    )
    assert answer.status_code < 300, (path, answer.status_code, answer.text[:500])
    return answer.json() if answer.content else {}


def _until(true, seconds):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except Exception:  # not up yet
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, "took too long"
        time.sleep(1)


def _free_ports():
    import socket

    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
