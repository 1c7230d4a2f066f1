"""What stands before both servers: who may ask, how much may be sent, how long it may take, and what counts as JSON."""

import asyncio
import base64
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

import cv2
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError

from hintseg.errors import HintsegError, InputError, why
from hintseg.io.reading import parse_json
from hintseg.memory_errors import is_exhausted

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LARGEST_BODY = 32 * 2**20
LONGEST_PATH = 4096  # bytes, query included
LARGEST_HEAD = 16 * 2**10  # bytes of all headers
LONGEST_NAME = 255  # bytes; no file system has longer names
DEEPEST = 32
PATIENCE = 30.0  # seconds for a body to arrive, and a second more for every SLOWEST bytes
SLOWEST = 2**16
LINGER = 5.0  # seconds for which a refused body is read and dropped, so that the sender reads why
COOKIE = "hintseg-token"
FOLDER = "hintseg-folder"
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{0,5})?", re.ASCII | re.IGNORECASE)
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # the address may hold the token
}

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Refused(Exception):  # noqa: N818 (an answer, not a fault)
    """A request that is answered here: status and sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Guard:
    """ASGI middleware: refuses what another site, another machine or a broken client sends.

    Args:
        token: needed as ?token=…, which is then kept as a cookie, or as the password of basic authentication; None
            serves loopback names alone.
        field: of the JSON answer that holds the sentence.
        uploads: path → bytes; these bodies are no JSON and are passed on as they arrive.
        largest: bytes of any other body.
        folder: which one is served; a page that was opened for another one names that in `FOLDER`, and is refused.
    """

    def __init__(
        self, app: App, token: str | None = None, field: str = "detail", uploads: Mapping[str, int] | None = None,
        largest: int = LARGEST_BODY, folder: str | None = None,
    ) -> None:  # fmt: skip
        self.app = app
        self.token = token
        self.field = field
        self.uploads = uploads or {}
        self.largest = largest
        self.folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        try:
            require_allowed(request, self.token)
            if request.headers.get(FOLDER, self.folder) != self.folder:
                raise Refused(412, "this address serves another folder now; reload the page.")
            if scope["path"] in self.uploads:
                receive = _Body(request, receive, self.uploads[scope["path"]]).receive
            else:
                receive = await self._checked(request, receive)
        except Refused as refused:
            await _answer(refused, self.field, receive, send)
            return
        await self.app(scope, receive, self._with_headers(request, send))

    async def _checked(self, request: Request, receive: Receive) -> Receive:
        """The body, read and found to be JSON, then handed on."""
        body = _Body(request, receive, self.largest)
        content = await body.read()
        # A form or an old browser's page of another site sends an empty body, too, but neither of these headers.
        bare = request.method == "POST" and "if-match" not in request.headers
        if content or bare:
            kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
            if kind != "application/json":
                raise Refused(415, "the body must be JSON, sent as application/json.")
        if content:
            check_json(content)
        messages = [{"type": "http.request", "body": content, "more_body": False}]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        return replay

    def _with_headers(self, request: Request, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                plain = Response(headers=HEADERS)
                if self.token is not None and _same(request.query_params.get("token"), self.token):
                    plain.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
                added = [pair for pair in plain.raw_headers if pair[0] != b"content-length"]
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        return sent


class _Body:
    """A body on its way in, at most so large and so slow."""

    def __init__(self, request: Request, receive: Receive, largest: int) -> None:
        self._receive = receive
        self._largest = largest
        self._seen = 0
        self._whole = False
        self._until = asyncio.get_running_loop().time() + PATIENCE
        declared = request.headers.get("content-length", "")
        if declared and not re.fullmatch("[0-9]{1,18}", declared, re.ASCII):
            raise Refused(400, "the header Content-Length is no number.")
        self._require(int(declared or 0))

    async def receive(self) -> Message:
        """The next message, for an app that reads the body itself."""
        try:
            return await self._next()
        except Refused as refused:
            raise HTTPException(refused.status, refused.sentence) from refused

    async def read(self) -> bytes:
        content = bytearray()
        while not self._whole:
            content += (await self._next()).get("body", b"")
        return bytes(content)

    async def _next(self) -> Message:
        if self._whole:
            return await self._receive()
        late = self._until + self._seen / SLOWEST - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(self._receive(), max(late, 0.0))
        except TimeoutError as error:
            raise Refused(408, "the body arrives too slowly; send it again.") from error
        self._seen += len(message.get("body", b""))
        self._whole = message["type"] != "http.request" or not message.get("more_body", False)
        self._require(self._seen)
        return message

    def _require(self, size: int) -> None:
        if size > self._largest:
            raise Refused(413, f"this is larger than {self._largest // 2**20} MiB; copy files into the folder instead.")


def new_token(host: str) -> str | None:
    """A token for a server that other machines reach; none where it listens on loopback."""
    return None if host in LOOPBACK else secrets.token_urlsafe(16)


def require_allowed(request: Request, token: str | None) -> None:
    """Refuse requests that another site's page, or another machine, could have made, and addresses of no use.

    Raises:
        Refused: it is one.
    """
    if sum(len(name) + len(value) for name, value in request.headers.raw) > LARGEST_HEAD:
        raise Refused(431, f"the headers are longer than {LARGEST_HEAD} bytes.")
    hosts = request.headers.getlist("host")
    if len(hosts) != 1 or not (parts := HOST.fullmatch(hosts[0])):
        raise Refused(400, "the header Host is missing or malformed.")
    if token is None and parts[1].strip("[]").lower() not in LOOPBACK:
        raise Refused(403, "this page answers to localhost alone.")
    if token is not None and not any(_same(given, token) for given in _given(request)):
        raise Refused(403, "open the address with the token that the server printed.")
    origin = request.headers.get("origin")
    if origin is not None and origin.lower() not in (f"{scheme}://{hosts[0].lower()}" for scheme in ("http", "https")):
        raise Refused(403, "requests from other sites are refused.")
    path = request.scope["path"]
    # A link on another site may open the page; nothing else of another site's making is answered.
    if path != "/" and request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refused(403, "requests from other sites are refused.")
    if len(path.encode("utf-8", "replace")) + len(request.scope["query_string"]) > LONGEST_PATH:
        raise Refused(414, f"the address is longer than {LONGEST_PATH} bytes.")
    for part in "/".join([path, *request.query_params.values()]).split("/"):
        if CONTROL.search(part) or len(part.encode("utf-8", "replace")) > LONGEST_NAME:
            raise Refused(400, f"a name in the address has control characters or is longer than {LONGEST_NAME} bytes.")
    if not path.startswith("/"):
        raise Refused(400, "the address must begin with /.")


def check_json(content: bytes) -> None:
    """Refuse what other programs read otherwise than Python, or not at all.

    Raises:
        Refused: no UTF-8 or JSON, keys twice, numbers that are not finite, half of a surrogate pair, or nested deeply.
    """
    try:
        level = [parse_json(content.decode("utf-8"), "the body")]
        json.dumps(level, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeError as error:
        raise Refused(400, "the body is no UTF-8 text or holds half of a surrogate pair.") from error
    except InputError as error:
        raise Refused(400, str(error)) from error
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body: is not valid JSON ({why(error)}).") from error
    for _ in range(DEEPEST):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    if level:
        raise Refused(400, f"the body nests deeper than {DEEPEST} levels.")


def explain_errors(app: FastAPI, field: str = "detail") -> None:
    """Answer what the user can mend with one sentence, which repeats nothing of what was sent but names."""

    @app.exception_handler(HintsegError)
    async def explain(request: Request, error: HintsegError) -> Response:
        return sentence_response(422, str(error), field)

    @app.exception_handler(MemoryError)
    @app.exception_handler(RuntimeError)
    @app.exception_handler(cv2.error)
    async def exhausted(request: Request, error: Exception) -> Response:
        if not is_exhausted(error):
            raise error
        return sentence_response(422, "This image does not fit into memory; reduce it, or cut it into tiles.", field)

    @app.exception_handler(RequestValidationError)
    async def misfit(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return sentence_response(422, f"{place:.200}: {first['msg']:.200}.", field)


def sentence_response(status: int, sentence: str, field: str = "detail") -> Response:
    """JSON in ASCII, which holds any sentence."""
    return Response(json.dumps({field: sentence}), status, media_type="application/json")


async def _answer(refused: Refused, field: str, receive: Receive, send: Send) -> None:
    response = sentence_response(refused.status, refused.sentence, field)
    headers = [*response.raw_headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    if refused.status == 413:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while (await receive()).get("more_body", False):
                    pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _given(request: Request) -> list[str | None]:
    """Every token that the request carries."""
    kind, _, coded = request.headers.get("authorization", "").partition(" ")
    password = None
    if kind.lower() == "basic":
        with suppress(ValueError):
            password = base64.b64decode(coded, validate=True).decode("utf-8", "replace").partition(":")[2]
    return [request.query_params.get("token"), request.cookies.get(COOKIE), password]


def _same(given: str | None, token: str) -> bool:
    return given is not None and secrets.compare_digest(given.encode("utf-8", "replace"), token.encode())
