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
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from hintseg.errors import InputError
from hintseg.formats.label_studio import decode_brush, encode_brush

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from hintseg.studio.backend import Backend, LabelStudio, control_tag, create_backend, regions

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


class StandIn(BaseHTTPRequestHandler):
    """Photographs and an export, for the right token alone."""

    tasks: ClassVar[list[dict[str, object]]] = []
    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self):
        self.seen.append((self.path, self.headers.get("Authorization")))
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", self.path.split("=", 1)[1])
            self.end_headers()
            return None
        if self.headers.get("Authorization") not in (f"Token {TOKEN}", "Bearer short"):
            return self.answer(401, b"{}")
        if self.path.startswith("/api/projects/5/export"):
            return self.answer(200, json.dumps(self.tasks).encode())
        if self.path.startswith("/data/upload/5/"):
            return self.answer(200, photograph(int(self.path[-5]))[0])
        return self.answer(404, b"")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = self.path == "/api/token/refresh" and body == {"refresh": "a.b.c"}
        self.answer(200 if right else 401, b'{"access": "short"}')

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
    threading.Thread(target=server.serve_forever, daemon=True).start()
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
    for address in (f"{other}/data/upload/5/1.png", f"/away?to={other}/data/upload/5/1.png"):
        with pytest.raises(InputError):
            LabelStudio(stand_in, TOKEN).get(address)
        assert StandIn.seen[-1] == ("/data/upload/5/1.png", None)


ENTITY = "<!DOCTYPE View [<!ENTITY a 'b'>]><View/>"


def test_masks_go_where_the_page_wants_them():
    _, disc = photograph(0)
    tool = '<PolygonLabels name="p" toName="i"><Label value="disc"/></PolygonLabels>'
    polygons = f'<View><Image name="i" value="$image"/>{tool}</View>'
    (region,) = regions(disc, "disc", control_tag(polygons))
    corners = np.array(region["value"]["points"]) * [WIDTH / 100, HEIGHT / 100]
    assert region["value"]["polygonlabels"] == ["disc"]
    assert np.abs(np.hypot(*(corners - [40, 30]).T) - 17.5).max() < 1.5
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
        sys.executable, "-m", "hintseg.cli.app", "label-studio", str(tmp_path / "work"), "--url",
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
    # Opening a task in the labelling page asks the model for its prediction.
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
