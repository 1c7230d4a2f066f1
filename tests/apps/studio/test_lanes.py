"""Slow work does not hold up a save, and what nobody waits for is not computed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest

pytest.importorskip("fastapi")
import uvicorn

from hintseg.apps.studio.project import Project
from hintseg.apps.studio.server import create_app
from hintseg.apps.studio.trainer import Model, Trainer


@pytest.fixture
def gate(monkeypatch):
    """Masks that take until the test is over; counts those that began."""
    opened, begun = threading.Event(), []

    def mask(self, key):
        begun.append(key)
        with self._network:
            opened.wait()
        raise ValueError("never shown")

    monkeypatch.setattr(Model, "mask", mask)
    yield begun
    opened.set()


@pytest.fixture
def address(folder):
    """A server as users have it."""
    project = Project.open(folder)
    app = create_app(project, Trainer(project, "none"))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = server.force_exit = True
    for lane in app.state.lanes.values():
        lane.close()
    thread.join(10)


def test_a_save_does_not_wait_for_48_masks(address, gate, tab_of):
    with httpx.Client(base_url=address, timeout=20) as client, ThreadPoolExecutor(48) as many:
        tab = tab_of(client)
        tab.classes(["sky", "roof"])

        def ask():
            with suppress(httpx.HTTPError):
                httpx.get(f"{address}/api/mask/b", timeout=3)

        asked = [many.submit(ask) for _ in range(48)]
        while len(gate) < 2:
            time.sleep(0.01)
        assert tab.save("b", {"tags": [0]}).status_code == 200
        assert tab.classes(["sky", "wall"]).status_code == 200
        assert tab.client.get("/api/state").status_code == 200
        for one in asked:
            one.result()
        time.sleep(1)
        assert len(gate) == 2  # 46 were given up before their turn
