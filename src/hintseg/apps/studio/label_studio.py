"""A running Label Studio, asked for tasks and images as one user."""

import json
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import urljoin
from urllib.request import Request

from hintseg.apps.studio.fetch import fetch, origin, shown, well_formed
from hintseg.errors import ConfigError, InputError

LARGEST_DOWNLOAD = 200 * 2**20
LARGEST_EXPORT = 400 * 2**20
TIMEOUT = 30.0
EXPORT_SECONDS = 300.0
ADVICE = (
    "check --url and --token, and where it is a legacy token, that Label Studio runs with --enable-legacy-api-token."
)


class LabelStudio:
    """A running Label Studio.

    Args:
        address: http://host:port.
        token: legacy or personal access token; sent to this scheme, host and port alone, and never along a redirect.
        allow: "host" or "host:port" of machines that images are fetched from whatever their address is; Label Studio's
            own is one.
        private: whether images are fetched from any other machine of a private network.

    Raises:
        InputError: the address is malformed.
        ConfigError: the token cannot be one.
    """

    def __init__(self, address: str, token: str, allow: Collection[str] = (), private: bool = True) -> None:
        self.address = well_formed("", address).rstrip("/") + "/"
        self.token = token
        if not re.fullmatch(r"[\x21-\x7e]*", token):
            raise ConfigError("--token has blanks or letters that no token has; copy it again from your account page.")
        _, host, port = origin(self.address)
        self.private = private
        self.allowed = {*(name.lower() for name in allow), f"{host}:{port}"}

    def get(self, url: str) -> bytes:
        """Fetch a path of Label Studio's or another http address.

        Raises:
            InputError: not http, malformed, in a private network, unreachable, refused, too slow or too large.
        """
        return self._get(url, LARGEST_DOWNLOAD, TIMEOUT)

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """All annotated tasks of a project.

        Raises:
            InputError: as `get`, or the answer is no export.
        """
        path = f"api/projects/{project}/export?exportType=JSON"
        tasks = _json(self._get(path, LARGEST_EXPORT, EXPORT_SECONDS), urljoin(self.address, path))
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise InputError(f"{self.address}: the export of project {project} is no list of tasks.")
        return tasks

    def page(self, project: int) -> str:
        """The labeling configuration of a project.

        Raises:
            InputError: as `get`, or the answer has none.
        """
        path = f"api/projects/{project}"
        found = _json(self._get(path, LARGEST_DOWNLOAD, TIMEOUT), urljoin(self.address, path))
        if not isinstance(found, dict) or not isinstance(found.get("label_config"), str):
            raise InputError(f"{self.address}: project {project} has no labeling configuration.")
        return found["label_config"]

    def _get(self, url: str, largest: int, seconds: float) -> bytes:
        request = Request(well_formed(self.address, url))
        if origin(request.full_url) != origin(self.address):
            return fetch(request, largest, seconds, self.allowed, self.private)
        request.add_unredirected_header("Authorization", self._authorization())
        return self._own(request, largest, seconds)

    def _authorization(self) -> str:
        """A legacy token stands for itself; a personal access token buys one that lasts minutes."""
        if self.token.count(".") != 2:
            return f"Token {self.token}"
        body = json.dumps({"refresh": self.token}).encode()
        address = urljoin(self.address, "api/token/refresh")
        request = Request(address, body, {"Content-Type": "application/json"})
        found = _json(self._own(request, LARGEST_DOWNLOAD, TIMEOUT), address)
        access = found.get("access") if isinstance(found, dict) else None
        if not isinstance(access, str) or not re.fullmatch(r"[\x21-\x7e]+", access):
            raise InputError(f"{shown(address)}: answered without an access token; {ADVICE}")
        return f"Bearer {access}"

    def _own(self, request: Request, largest: int, seconds: float) -> bytes:
        """Of Label Studio itself, where a refusal is a matter of address and token."""
        try:
            return fetch(request, largest, seconds, self.allowed, self.private)
        except InputError as error:
            raise InputError(f"{str(error).rstrip('.')}; {ADVICE}") from error


def _json(content: bytes, address: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        what = "a web page, perhaps to log in," if content.lstrip()[:1] == b"<" else "something"
        raise InputError(f"{shown(address)}: answered with {what} that is no JSON; {ADVICE}") from error
