"""A page's side of the studio's protocol, a small folder of images, and a browser with a server."""

import subprocess
import sys
import time
import urllib.request

import cv2
import numpy as np
import pytest

from hintseg.apps.demo.images import write_demo
from hintseg.io.images import read_image, write_image

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from hintseg.apps.studio import guard
from hintseg.apps.studio.project import Project
from hintseg.apps.studio.server import create_app
from hintseg.apps.studio.trainer import Trainer


@pytest.fixture(autouse=True)
def _test_client_is_local(monkeypatch):
    """The test client's own host name is let in; production knows loopback names alone (test_guard.py)."""
    monkeypatch.setattr(guard, "LOOPBACK", (*guard.LOOPBACK, "testserver"))


class Tab:
    """One page: it remembers the versions it has seen, and names classes by position for short."""

    def __init__(self, client):
        self.client = client
        self.versions = {}
        self.reload()

    def reload(self):
        self.project = self.client.get("/api/project").json()
        self.ids = [entry["id"] for entry in self.project["classes"]]
        return self.project

    def classes(self, names, background=None, **more):
        """Put a class table: the names, by position."""
        named = [{"id": one, "name": name} for one, name in zip(self.ids, names, strict=False)]
        named += [{"name": name} for name in names[len(self.ids) :]]
        body = {"classes": named, "background": None if background is None else self.ids[background], **more}
        answer = self.client.put("/api/classes", json=body, headers={"If-Match": self.project["version"]})
        if answer.status_code == 200:
            self.reload()
        return answer

    def open(self, key):
        found = self.client.get(f"/api/hints/{key}").json()
        self.versions[key] = found["version"]
        return found

    def drawn(self, drawn):
        """The same hints, classes by identifier."""
        named = lambda label: self.ids[label] if isinstance(label, int) and 0 <= label < len(self.ids) else "gone"  # noqa: E731
        groups = {
            name: [{**hint, "label": named(hint["label"])} for hint in rows]
            for name, rows in drawn.items()
            if name != "tags"
        }
        return groups | {"tags": [named(label) for label in drawn.get("tags", [])]}

    def save(self, key, drawn):
        """Put hints whose classes are positions, over the version this page has seen."""
        if key not in self.versions:
            self.open(key)
        answer = self.client.put(
            f"/api/hints/{key}", json=self.drawn(drawn), headers={"If-Match": f'"{self.versions[key]}"'}
        )
        if answer.status_code == 200:
            self.versions[key] = answer.json()["version"]
        return answer

    def mask_tag(self, key, source="model"):
        answer = self.client.get(f"/api/mask/{key}", params={"source": source})
        return answer.headers["etag"]


@pytest.fixture
def folder(tmp_path):
    for name in ("été 1", "b"):
        pixels = np.random.default_rng(len(name)).integers(0, 255, (72, 96, 3)).astype(np.uint8)
        write_image(tmp_path / "photos" / f"{name}.png", pixels)
    return tmp_path / "photos"


@pytest.fixture
def start(folder):
    """A server on the folder, as it is after a restart."""

    def start():
        project = Project.open(folder)
        return TestClient(create_app(project, Trainer(project, "none")))

    return start


@pytest.fixture
def client(start):
    return start()


@pytest.fixture
def tab(client):
    """A page that named three classes, the first one background."""
    tab = Tab(client)
    assert tab.classes(["sky", "roof", "été"]).status_code == 200
    assert tab.classes(["sky", "roof", "été"], 0).status_code == 200
    return tab


@pytest.fixture
def tab_of():
    """A page on a server."""
    return Tab


@pytest.fixture
def another():
    """A second page on the same server."""
    return lambda tab: Tab(tab.client)


@pytest.fixture(scope="module")
def chromium():
    pytest.importorskip("playwright.sync_api")
    from tests.apps.studio.browsing import BROWSER, playwright

    with playwright.sync_playwright() as play:
        try:
            started = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium: install one, or run playwright install chromium ({str(error).splitlines()[0]})")
        yield started
        started.close()


@pytest.fixture
def browser(chromium, serve):
    """A browser whose pages end with the test, before the servers do.

    A route may be answering a page that ends: Playwright would let the next test fail for it.
    """
    yield chromium
    for context in chromium.contexts:
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")
        context.close()


@pytest.fixture
def serve(tiny):
    pytest.importorskip("playwright.sync_api")
    from tests.apps.studio.browsing import WEIGHTS

    processes = []

    def start(folder, port, weights=WEIGHTS):
        chosen = tiny if weights == "none" else []
        command = [
            sys.executable,
            "-m",
            "hintseg.apps.cli.app",
            "studio",
            str(folder),
            "--port",
            str(port),
            "--no-open",
        ]
        command += ["--weights", weights, *(part for setting in chosen for part in ("--set", setting))]
        process = subprocess.Popen(command)
        processes.append(process)
        deadline = time.monotonic() + 180
        while process.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/state").close()
                return process
            except OSError:
                time.sleep(0.2)
        raise AssertionError("the server did not start")

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def photographs(tmp_path):
    """The demonstration's photographs, at one size."""
    pytest.importorskip("playwright.sync_api")
    from tests.apps.studio.browsing import SIZE

    write_demo(tmp_path / "demo")
    for path in sorted((tmp_path / "demo" / "images").iterdir()):
        reduced = cv2.resize(read_image(path), SIZE, interpolation=cv2.INTER_AREA)
        write_image(tmp_path / "my photos" / path.name, np.asarray(reduced, np.uint8))
    return tmp_path / "my photos"
