"""Opens the page in the browser of whoever started the studio."""

import os
import socket
import sys
import threading
import time
import webbrowser

PATIENCE = 30.0  # seconds until the server must listen


def has_desktop() -> bool:
    """Whether whoever started this program can see a window of this machine."""
    if "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_when_listening(address: str, host: str, port: int) -> threading.Thread:
    """Open an address as soon as a server listens there; returns the thread that waits for it."""
    waiting = threading.Thread(target=_open, args=(address, host, port), daemon=True)
    waiting.start()
    return waiting


def _open(address: str, host: str, port: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            webbrowser.open(address)
            return
