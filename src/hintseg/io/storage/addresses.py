"""Which addresses are opened: paths of this machine, and URLs of a few schemes that the user names.

What a run folder says about where its data lay is no address that the user named; `recorded_folder` says what of it
is used.
"""

import os
import re
from itertools import pairwise
from pathlib import Path

from hintseg.errors import InputError

SCHEMES = frozenset({"s3", "gs", "hf", "https"})
# Devices, the state of processes, and folders where a name alone mounts another machine's disk.
NO_DATA = re.compile(r"/(dev|proc|sys|net|afs|(var/)?run/user/[^/]+/(gvfs|kio-fuse[^/]*))(/|$)|.*/\.gvfs(/|$)")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def is_remote(address: str | Path) -> bool:
    """Whether an address is a URL ("s3://bucket/folder") rather than a path of this machine; file:// is a path."""
    found = _URL.match(str(address))
    return found is not None and found[1].lower() != "file"


def local_path(address: str | Path) -> Path:
    """The path of a local address: "file:///data/a%20b" is /data/a b.

    Where it goes back ("a/../b") it is followed first: while `a` is missing nothing seems to be at such a path, and
    something is once `a` is made.

    Raises:
        InputError: a URL of another machine, or nothing at all.
    """
    if address == "":  # Path would take it for the working folder
        raise InputError("a path is empty; name a file or folder.")
    found = None if isinstance(address, Path) else _URL.match(address)
    if found is None:
        path = Path(address)
    else:
        place = re.sub(r"^localhost(?=/)", "", str(address)[found.end() :])
        if found[1].lower() != "file" or not place.startswith("/"):
            raise InputError(f"{address!r:.200}: is not on this machine; give a local path.")
        from urllib.request import url2pathname  # imports http and ssl

        path = Path(url2pathname(place))
    goes_back = any(part == ".." != before for before, part in pairwise(path.parts))
    return Path(os.path.realpath(path)) if goes_back else path


def require_openable(address: str) -> None:
    """Refuse URLs of unknown schemes, chained ones, and ones that carry a password or options: InputError."""
    scheme, _, rest = address.partition("://")
    shown = f"{address!r:.200}"
    if "::" in address:
        raise InputError(f"{shown}: addresses that lead to others by '::' are not opened; name the data itself.")
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in sorted(SCHEMES))
        raise InputError(f"{shown}: {scheme}:// is not opened; use a local path or {known}.")
    host, _, path = rest.partition("/")
    if "@" in host:
        raise InputError(f"{shown}: carries a user or password; keep these in the store's own settings.")
    if scheme != "https" and "?" in rest:
        raise InputError(f"{shown}: carries options after '?', which are not taken from an address; leave them out.")
    if not host or {".", ".."} & {host, *path.split("/")}:
        raise InputError(f"{shown}: names no folder of a store; write it without '.' and '..'.")


def recorded_folder(address: str, run: Path) -> Path:
    """The data set of a run as the run folder alone may name it: an ordinary local folder.

    Nothing is touched to decide: a path can lead to another machine or a device as soon as it is looked at.

    Args:
        address: as `run.json` has it.
        run: the run folder, for the sentence.

    Raises:
        InputError: a URL, a share of another machine, a device, or no absolute path.
    """
    place = os.path.normpath(address).replace("\\", "/")
    ordinary = os.path.isabs(address) and address.isprintable() and not is_remote(address)
    if ordinary and not place.startswith("//") and NO_DATA.match(place) is None:
        return Path(address)
    raise InputError(
        f"{run}: says it was trained on {address!r:.200}, which is opened only when you name it: add --data ADDRESS."
    )
