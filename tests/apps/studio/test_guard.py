"""Both servers: other sites, strangers and broken clients get one sentence, never status 500, and never much memory."""

import asyncio
import base64
import io
import json
import socket
import threading
import time
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hintseg.io.images import write_image

pytest.importorskip("fastapi")
import uvicorn
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from hintseg.apps.studio import guard, listen
from hintseg.apps.studio.backend import Backend, LabelStudio, create_backend
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.server import create_app
from hintseg.apps.studio.trainer import Trainer

TOKEN = "right"
SERVERS = ("studio", "label-studio")
PLACES = {"studio": ("PUT", "/api/hints/b"), "label-studio": ("POST", "/predict")}
FREE = {"studio": "/api/state", "label-studio": "/health"}


@pytest.fixture(autouse=True)
def _test_client_is_local():
    """Here the guard is as in production."""


@pytest.fixture
def make(tmp_path):
    """(server, token) → app."""

    def build(server, token=None):
        if server == "label-studio":
            return create_backend(Backend(tmp_path / "work", LabelStudio("http://127.0.0.1:1", "t")), token)
        write_image(tmp_path / "photos" / "images" / "b.png", np.zeros((72, 96, 3), np.uint8))
        project = Project.open(tmp_path / "photos")
        if not project.dataset.classes:
            project.set_classes([(None, "a"), (None, "b")], None, None, project.table()["version"])
        return create_app(project, Trainer(project, "none"), token)

    return build


@pytest.fixture
def running(make):
    """(server) → port of the server as it listens in production."""
    started = []

    def start(server, token=None):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        serving = uvicorn.Server(uvicorn.Config(make(server, token), port=port, **listen.OPTIONS))
        thread = threading.Thread(target=serving.run, daemon=True)
        thread.start()
        started.append((serving, thread))
        while not serving.started:
            time.sleep(0.01)
        return port

    yield start
    for serving, thread in started:
        serving.should_exit = True
        thread.join(10)


def ask(port, content, parts=(), wait=10.0):
    """Raw bytes → status and body of the answer, status 0 where the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as line:
        line.sendall(content)
        try:
            for part in parts:
                line.sendall(part)
        except OSError:
            pass  # refused already
        answer = b""
        try:
            while piece := line.recv(65536):
                answer += piece
        except OSError:
            pass
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split(b" ")[1]) if head else 0), body


def request(path, *headers, method="GET", body=b"", host="Host: localhost"):
    lines = [f"{method} {path} HTTP/1.1", *([host] if host is not None else []), "Connection: close", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


HOSTS = [
    ("Host: localhost", 200), ("Host: LOCALHOST:80", 200), ("Host: 127.0.0.1:9", 200), ("Host: [::1]:9", 200),
    ("Host: [", 400), ("Host: a:b:c", 400), ("Host: [::1", 400), ("Host: ]:[", 400), ("Host: loc\xe4lhost", 400),
    ("Host:", 400), (None, 400), ("Host: localhost\r\nHost: evil.example", 400), ("Host: localhost:99999999", 400),
    ("Host: localhost@evil.example", 400), ("Host: localhost, evil.example", 400),
    ("Host: evil.example", 403), ("Host: testserver", 403), ("Host: localhost.evil.example", 403),
    ("Host: 127.0.0.1.nip.io", 403), ("Host: 169.254.169.254", 403), ("Host: 0.0.0.0", 403),
]  # fmt: skip
HEADERS = [
    ("Origin: http://localhost", 200), ("Origin: https://localhost", 200), ("Origin: http://[", 403),
    ("Origin: null", 403), ("Origin: http://evil.example", 403), ("Origin: http://localhost:8080", 403),
    ("Origin: http://localhost@evil.example", 403), ("Origin: \xff\xfe", 403), ("Origin:", 403),
    ("Sec-Fetch-Site: cross-site", 403), ("Sec-Fetch-Site: same-site", 403), ("Sec-Fetch-Site: same-origin", 200),
    ("Content-Length: x", 400), ("Content-Length: -1", 400), ("Content-Length: \xb2", 400),
    ("Transfer-Encoding: gzip", None), ("Cookie: \xff=\"\\9;;=", 200), ("Authorization: Basic \xff", 200),
    ("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", 200),
    ("Range: bytes=9-1", None), ("X: " + "y" * 20_000, 431), ("no colon", 400), ("A\x00: b", 400),
]  # fmt: skip
PATHS = [
    "/%", "/%zz", "/%00", "/%ff%fe", "/%ed%a0%80", "/..%2f..%2fetc%2fpasswd", "/../../etc/passwd", "//evil/",
    "/page/%00", "/page/..%2fserver.py", "/page/%2e%2e/server.py", "/page/" + "a" * 300, "/page/" + "a/" * 1000,
    "*", "http://evil/",
    "/" + "a" * 5000, "/" + "a" * 20_000, "/?" + "&".join(["a=b"] * 2000), "/?token=%ff", "/?%00", "/page", "/page/",
    "/api/image/%00", "/api/image/..%2f..%2fx", "/api/image/" + "%C3%A4" * 200, "/api/image/b?side=nan", "/api/image/",
    "/api/image/b?side=" + "9" * 200, "/api/mask/b?source=%00", "/api/nearest/b?x=nan&y=inf",
    "/api/nearest/b?x=1e999&y=1",
    "/api/export?writer=%00", "/api/export?writer=" + "x" * 300, "/api/hints/%F0%9F%98%80", "/versions/x", "/predict",
]  # fmt: skip
BODIES = [
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff", b"\xef\xbb\xbf{}", '{"a": 1}'.encode("utf-16"), b"NaN", b"\x00",
    b'{"tags": [NaN]}', b'{"tags": [1e999]}', b'{"tags": [1.5]}', b'{"tags": [true]}', b'{"tags": ["\\ud800"]}',
    b'{"points": [{"label": 0, "x": 1e999, "y": -Infinity}]}', b'{"points": [{"label": 0, "x": 1e308, "y": 1}]}',
    b'{"points": [{"label": 0, "x": 1%s, "y": 1}]}' % (b"0" * 400), b'{"points": [{"label": 1%s}]}' % (b"0" * 400),
    b'{"tags": [1%s]}' % (b"0" * 5000), b'{"tags": [1%s]}' % (b"0" * 40), b'{"tags": {}, "tags": []}',
    b'{"a": {"b": 1, "b": 2}}',
    b"[" * 100_000, b"[" * 900 + b"]" * 900, b'{"a":' * 40 + b"1" + b"}" * 40, b'{"strokes": [[[[[[1]]]]]]}',
    b'{"tasks": 1}', b'{"tasks": [1]}', b'{"tasks": [{}]}', b'{"tasks": [{"id": 1%s, "data": {}}]}' % (b"0" * 40),
    b'{"tasks": [{"id": "x", "data": []}], "label_config": {"a": 1}}', b'{"tasks": [], "label_config": "<View"}',
    b'{"tasks": [{"data": {"image": 5}, "annotations": 5}]}', b'{"action": "START_TRAINING", "project": {"id": 1.5}}',
    b'{"annotations": [{"id": 1, "data": {"image": "/\\u0000"}, "annotations": [{"result": [1]}]}]}', b'{"schema": 5}',
    b'{"names": ["\\ud800"]}', b'{"names": [1]}', b'{"names": ["a"], "background": 1e30}', b'{"effort": "\\udfff"}',
]  # fmt: skip


@pytest.mark.parametrize("server", SERVERS)
def test_hosts_and_headers(running, server):
    port = running(server)
    path = FREE[server]
    for host, expected in HOSTS:
        assert ask(port, request(path, host=host))[0] == expected, host
    for header, expected in HEADERS:
        status, _ = ask(port, request(path, header))
        assert status == expected if expected else 0 < status < 500 or status == 501, (header[:60], status)


@pytest.mark.parametrize("server", SERVERS)
def test_no_address_method_or_body_is_an_error_of_the_server(running, server):
    port = running(server)
    for path in PATHS:
        for method in ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"):
            status, body = ask(port, request(path, method=method))
            assert 200 <= status < 500, (method, path[:60], status)
            assert b"root:" not in body
    kind = "Content-Type: application/json"
    for place in ("/api/hints/b", "/api/classes", "/api/train", "/predict", "/setup", "/webhook", "/train"):
        for body in BODIES:
            status, _ = ask(port, request(place, kind, method="PUT" if "/api" in place else "POST", body=body))
            assert 200 <= status < 500, (place, body[:60], status)
    assert ask(port, request(FREE[server]))[0] == 200


@pytest.mark.parametrize("server", SERVERS)
def test_the_body_must_be_json_that_everybody_reads_alike(make, server):
    client = TestClient(make(server), base_url="http://localhost")
    method, path = PLACES[server]
    kind = {"content-type": "application/json"}
    field = "error" if server == "label-studio" else "detail"
    rows = [
        (b'{"tags": [], "tags": []}', kind, 400, "twice"), (b'{"tags": [NaN]}', kind, 400, "NaN"),
        (b'{"tags": [1e999]}', kind, 400, "JSON"), (b'{"tags": ["\\ud800"]}', kind, 400, "surrogate"),
        (b"\xff", kind, 400, "UTF-8"), (b'{"a":' * 40 + b"1" + b"}" * 40, kind, 400, "deeper"),
        (b"[" * 100_000, kind, 400, "JSON"), (b"{", kind, 400, "JSON"),
        (b"{}", {"content-type": "text/plain"}, 415, "application/json"), (b"{}", {}, 415, "application/json"),
        (b"{}", {"content-type": "multipart/form-data; boundary=x"}, 415, "application/json"),
        (b"[]", kind, 422, "body"),
    ]  # fmt: skip
    for body, headers, status, sentence in rows:
        answer = client.request(method, path, content=body, headers=headers)
        assert (answer.status_code, sentence in answer.json()[field]) == (status, True), (body[:40], answer.text)
    assert client.request(method, path, json={"tags": [], "tasks": [], "label_config": "<View/>"}).status_code in (
        200,
        422,
        428,  # understood, but for the version that it replaces
    )


def test_a_request_without_a_body_needs_what_no_page_of_another_site_can_send(make):
    client = TestClient(make("studio"), base_url="http://localhost")
    for headers in ({}, {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}):
        assert client.post("/api/stop", headers=headers).status_code == 415
    for headers in ({"content-type": "application/json"}, {"content-type": "application/json; charset=utf-8"}):
        assert client.post("/api/stop", headers=headers).status_code == 200
    assert client.post("/api/accept/b", headers={"if-match": "*"}).status_code not in (200, 415)


@pytest.mark.parametrize("server", SERVERS)
def test_a_body_is_refused_as_soon_as_it_is_too_large(running, server, monkeypatch):
    monkeypatch.setattr(guard, "LINGER", 0.5)
    port = running(server)
    method, path = PLACES[server]
    kind = "Content-Type: application/json"
    declared = request(path, kind, f"Content-Length: {800 * 2**20}", method=method)
    assert ask(port, declared)[0] == 413  # none of it was sent
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    chunked = request(path, kind, "Transfer-Encoding: chunked", method=method)
    status, body = ask(port, chunked, [chunk] * 100)
    assert status == 413
    assert b"MiB" in body
    assert ask(port, request(FREE[server]))[0] == 200


def test_an_upload_is_refused_by_its_declared_size(running, monkeypatch):
    monkeypatch.setattr(guard, "LINGER", 0.5)
    port = running("studio")
    assert ask(port, request("/api/images?name=a.png", "Content-Length: 900000000", method="POST"))[0] == 413
    assert ask(port, request(f"/api/images?name={'a' * 240}.png", method="POST", body=b"x"))[0] == 422
    assert ask(port, request(f"/api/images?name={'a' * 300}.png", method="POST", body=b"x"))[0] == 400


@pytest.mark.parametrize("server", SERVERS)
def test_slow_heads_and_bodies_end(running, server, monkeypatch):
    monkeypatch.setattr(guard, "PATIENCE", 0.3)
    monkeypatch.setattr(listen, "HEAD_SECONDS", 0.3)
    port = running(server)
    method, path = PLACES[server]
    for head in (
        b"",
        b"GET /",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n",
        request(FREE[server]).replace(b"close", b"x"),
    ):
        assert ask(port, head)[0] == (200 if b"x\r\n" in head else 0)
    slow = request(path, "Content-Type: application/json", "Content-Length: 10", method=method)
    assert ask(port, slow)[0] == 408
    if server == "studio":
        assert ask(port, request("/api/images?name=a.png", "Content-Length: 10", method="POST"))[0] == 408


@pytest.mark.parametrize("server", SERVERS)
def test_a_token_opens_a_server_to_others(make, server):
    app = make(server, TOKEN)
    path = FREE[server]

    def status(**more):
        return TestClient(app, base_url="http://192.0.2.7:8801").get(path, **more).status_code

    assert status() == 403
    for user, password in (("hintseg", TOKEN), ("", TOKEN)):
        assert status(auth=(user, password)) == 200
    assert status(auth=("hintseg", "wrong")) == status(auth=(TOKEN, "")) == 403
    assert status(params={"token": TOKEN}) == 200
    assert status(params={"token": "\ud7ff"}) == status(params={"token": ""}) == 403
    assert status(headers={"cookie": f"{guard.COOKIE}={TOKEN}"}) == 200
    for malformed in ("Basic", "Basic !", "Basic " + base64.b64encode(b"\xff:\xff").decode(), "Bearer " + TOKEN):
        assert status(headers={"authorization": malformed}) == 403
    assert status(params={"token": TOKEN}, headers={"origin": "http://evil.example"}) == 403


def test_a_page_of_another_folder_is_refused(make):
    client = TestClient(make("studio"), base_url="http://localhost")
    folder = client.get("/api/project").json()["folder"]
    for path in ("/api/project", "/api/hints/b", "/api/image/b"):
        assert client.get(path, headers={"Hintseg-Folder": folder}).status_code == 200
        assert client.get(path, headers={"Hintseg-Folder": "another"}).status_code == 412


@pytest.mark.parametrize("server", SERVERS)
def test_websockets_are_refused(make, server):
    client = TestClient(make(server), base_url="http://localhost")
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/"):
        pass


def test_a_link_may_open_the_page_but_no_other_site_may_frame_it(make):
    client = TestClient(make("studio"), base_url="http://localhost")
    answer = client.get("/", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert client.get("/api/project", headers={"sec-fetch-site": "cross-site"}).status_code == 403


NAMES = st.sampled_from([b"host", b"origin", b"cookie", b"authorization", b"content-type", b"content-length", b"range"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("tags", "points", "strokes", "boxes", "names", "tasks", "annotations", "label_config", "action", "project")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    headers=st.lists(st.tuples(NAMES, st.binary(max_size=20)), max_size=4),
    path=st.sampled_from(["/", "/api/hints/", "/api/image/", "/api/classes", "/predict", "/train", "/page/"]),
    rest=st.text(st.characters(exclude_categories=()), max_size=20),
    query=st.binary(max_size=20),
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    body=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=30),
)  # fmt: skip
def test_no_request_is_an_error_of_the_server(make, headers, path, rest, query, method, body):
    for server in SERVERS:
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": path + rest, "raw_path": b"/",
            "root_path": "", "scheme": "http", "query_string": query, "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80), "state": {},
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"), *headers],
        }  # fmt: skip
        assert status_of(make(server), scope, body) < 500


def status_of(app, scope, body):
    sent = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"]


def test_a_torn_photograph_is_named_once_and_exhausted_memory_is_a_sentence(make, tmp_path, monkeypatch):
    app = make("studio")
    images = tmp_path / "photos" / "images"
    write_image(images / "torn.png", np.random.default_rng(0).integers(0, 255, (72, 96, 3)).astype(np.uint8))
    (images / "torn.png").write_bytes((images / "torn.png").read_bytes()[:3000])
    points = {key: [[5, 5, 0], [50, 50, 1]] for key in ("b", "torn")}
    (images.parent / "points.json").write_text(json.dumps(points), "utf-8")
    client = TestClient(make("studio"), base_url="http://localhost")
    packed = zipfile.ZipFile(io.BytesIO(client.get("/api/export").content))
    assert sorted(packed.namelist()) == ["classes.csv", "labelmap.txt", "left-out.txt", "masks/b.png"]
    assert packed.read("left-out.txt").decode().count("torn.png") == 1
    monkeypatch.setattr(
        "hintseg.apps.studio.server.resize_longest_side", lambda *_: (_ for _ in ()).throw(MemoryError())
    )
    answer = TestClient(app, base_url="http://localhost").get("/api/image/b")
    assert (answer.status_code, "memory" in answer.json()["detail"]) == (422, True)
