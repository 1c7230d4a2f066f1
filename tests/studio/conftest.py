"""The test client's own host name is let in; production knows loopback names alone (test_guard.py)."""

import pytest


@pytest.fixture(autouse=True)
def _test_client_is_local(monkeypatch):
    guard = pytest.importorskip("hintseg.studio.guard")
    monkeypatch.setattr(guard, "LOOPBACK", (*guard.LOOPBACK, "testserver"))
