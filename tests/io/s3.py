"""A real S3 server on loopback that fails and throttles when told to."""

import threading
from collections.abc import Iterable
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

FAULTS = (("500 Internal Server Error", "InternalError"), ("503 Slow Down", "SlowDown"))


class Store:
    """The server, and how it misbehaves.

    Attributes:
        fail_every: one request out of so many fails; 0: none.
        failed: how many did.
        requests: (method, path) of those that were served.
    """

    def __init__(self) -> None:
        self.application = DomainDispatcherApplication(create_backend_app)
        self.fail_every = self.failed = self.counted = 0
        self.requests: list[tuple[str, str]] = []
        self.lock = threading.Lock()
        self.server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self.lock:
            self.counted += 1
            fails = self.fail_every and self.counted % self.fail_every == 0
            if fails:
                self.failed += 1
                status, code = FAULTS[self.failed % 2]
            else:
                self.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        if fails:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
            start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [body]
        return self.application(environ, start_response)

    def client(self) -> Any:
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1")

    def close(self) -> None:
        self.server.shutdown()
