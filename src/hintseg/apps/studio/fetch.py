"""Fetching what others name: http addresses, made well-formed, and no machine behind this one unless it is allowed."""

import http.client
import re
import socket
import time
from collections.abc import Collection
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.error import URLError
from urllib.parse import quote, urljoin, urlsplit, urlunsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from hintseg.errors import InputError

PORTS = {"http": 80, "https": 443}
HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]*:[0-9a-f:.]*", re.ASCII)
SLOWEST = 2**18  # bytes a second, once the first have come
PIECE = 2**16
# IPv4 behind IPv6, private networks included
TRANSLATED = tuple(
    map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "::ffff:0:0:0/96"))
)
METADATA = ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")  # beside the link-local one


def well_formed(base: str, address: str) -> str:
    """The address, relative to `base`, with all that is not ASCII percent-encoded.

    Raises:
        InputError: not http, or malformed.
    """
    try:
        parts = urlsplit(urljoin(base, address))
        host, port = parts.hostname or "", parts.port
        if parts.scheme not in PORTS:
            raise InputError(f"{address!r:.200}: only http and https addresses are fetched.")
        if ":" not in host:
            host = host.encode("idna").decode()
        if not HOST.fullmatch(host) or "@" in parts.netloc:
            raise ValueError("no host")
        place = f"[{host}]" if ":" in host else host
        path, query = (_encoded(part) for part in (parts.path, parts.query))
    except ValueError as error:
        raise InputError(f"{address!r:.200}: is no address that can be fetched; correct it.") from error
    return urlunsplit((parts.scheme, place if port is None else f"{place}:{port}", path or "/", query, ""))


def origin(address: str) -> tuple[str, str, int]:
    """Scheme, host and port of a well-formed address."""
    parts = urlsplit(address)
    return parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme]


def shown(address: str) -> str:
    """An address as messages name it: without its query, which may be a key."""
    return address.split("?")[0][:200]


def fetch(
    request: Request, largest: int, seconds: float, allowed: Collection[str] = (), private: bool = False
) -> bytes:
    """The body of an answer.

    Args:
        request: its address is well-formed; headers that must not go along redirects are unredirected ones.
        largest: bytes.
        seconds: until the first bytes come; the rest may take a second more for every `SLOWEST` bytes.
        allowed: "host" or "host:port" of machines that are asked whatever their address is.
        private: whether machines of private networks are asked, too.

    Raises:
        InputError: unreachable, refused, not public, too large or too slow.
    """
    named = shown(request.full_url)
    handler = _Handler(allowed, private)
    opener = build_opener(handler, _Redirects())
    until, content = time.monotonic() + seconds, bytearray()
    try:
        with opener.open(request, timeout=seconds) as answer:
            while piece := answer.read1(PIECE):
                content += piece
                if len(content) > largest:
                    raise InputError(f"{named}: is larger than {largest // 2**20} MiB.")
                if time.monotonic() > until + len(content) / SLOWEST:
                    raise InputError(f"{named}: comes too slowly; try again when the connection is better.")
            if answer.length:
                raise InputError(f"{named}: broke off, {answer.length} bytes are missing; try again.")
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        raise InputError(f"{named}: could not be fetched ({str(error) or type(error).__name__:.200}).") from error
    finally:
        for answer in handler.answers:  # urllib leaves those of redirects and errors open
            answer.close()
    return bytes(content)


class _Handler(HTTPSHandler, HTTPHandler):
    """Opens http and https to allowed machines; a proxy that the environment names is trusted to choose for itself."""

    def __init__(self, allowed: Collection[str], private: bool) -> None:
        super().__init__()
        self._connect = partial(_connected, allowed, private)
        self.answers: list[http.client.HTTPResponse] = []

    def http_open(self, req: Request) -> http.client.HTTPResponse:
        return self._opened(http.client.HTTPConnection, req)

    def https_open(self, req: Request) -> http.client.HTTPResponse:
        return self._opened(http.client.HTTPSConnection, req)

    def _opened(self, kind: type[http.client.HTTPConnection], req: Request) -> http.client.HTTPResponse:
        self.answers.append(self.do_open(self._kind(kind, req), req))
        return self.answers[-1]

    def _kind(self, kind: type[http.client.HTTPConnection], req: Request) -> Any:
        if req.has_proxy() or getattr(req, "_tunnel_host", None):
            return kind

        def make(*arguments: Any, **options: Any) -> http.client.HTTPConnection:
            connection: Any = kind(*arguments, **options)
            connection._create_connection = self._connect
            return connection

        return make


class _Redirects(HTTPRedirectHandler):
    """Few of them, and to nothing that could not be asked for at once."""

    max_redirections = 5

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        return super().redirect_request(req, fp, code, msg, headers, well_formed(req.full_url, newurl))


def _connected(
    allowed: Collection[str], private: bool, address: tuple[str, int], timeout: Any, source: Any = None
) -> socket.socket:
    """A connection to the very address that was looked at, so that a name cannot mean another one meanwhile."""
    host, port = address
    found = [place[4] for place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if host not in allowed and f"{host}:{port}" not in allowed:
        for place in found:
            require_harmless(host, str(place[0]), private)
    fault: OSError = OSError("the host has no address")
    for place in found:
        try:
            return socket.create_connection((str(place[0]), int(place[1])), timeout, source)
        except OSError as error:
            fault = error
    raise fault


def require_harmless(host: str, address: str, private: bool) -> None:
    """Refuse services of a cloud that trust whoever reaches them, and, unless `private`, machines behind this one.

    Raises:
        InputError: it is one.
    """
    found = ip_address(address.split("%")[0])
    place = getattr(found, "ipv4_mapped", None) or found
    special = place.is_link_local or place.is_multicast or place.is_unspecified
    special = special or (not place.is_loopback and any(place in network for network in TRANSLATED))
    if special or str(place) in METADATA or not (private or place.is_global):
        raise InputError(f"{host}: lies in a private network; where images are there, name it with --allow {host}.")


def _encoded(part: str) -> str:
    """Percent-encoded where it must be; what is encoded already stays."""
    return quote(re.sub("%(?![0-9a-fA-F]{2})", "%25", part), safe="/%:=&?~+!$,;'@()*[]|")
