"""How both servers listen: HTTP/1.1 alone, with limits on the head of a request and on the time it takes to arrive."""

import asyncio
import socket
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from hintseg.apps.studio.guard import LARGEST_HEAD
from hintseg.errors import InputError

HEAD_SECONDS = 15.0
MOST_CONNECTIONS = 500


class PatientProtocol(H11Protocol):
    """Closes connections whose request does not begin to be answered in time; uvicorn waits for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._waiting.cancel()

    def on_response_complete(self) -> None:
        before = self.cycle
        self._waiting.cancel()
        self._wait()
        super().on_response_complete()
        if self.cycle is not before:  # the next request was here already
            self._waiting.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.close)


OPTIONS: dict[str, Any] = {
    "log_level": "warning", "http": PatientProtocol, "ws": "none", "proxy_headers": False, "server_header": False,
    "h11_max_incomplete_event_size": LARGEST_HEAD, "limit_concurrency": MOST_CONNECTIONS,
}  # fmt: skip


def listen(app: FastAPI, host: str, port: int) -> None:
    """Serve until interrupted."""
    uvicorn.run(app, host=host, port=port, **OPTIONS)


def require_port(host: str, port: int) -> None:
    """Raise where the address cannot be listened on.

    Raises:
        InputError: the port is taken, or the host is not this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise InputError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port.") from error
