"""Single files at an address; every request is repeated with growing pauses when a store fails or throttles.

A store that cannot be reached or refuses is an InputError, where something is written a RunError; a scheme for which no
package is installed is a ConfigError.
"""

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from hintseg.errors import ConfigError, HintsegError, InputError, RunError
from hintseg.io.storage.addresses import is_remote, local_path, require_openable
from hintseg.io.writing import atomic_path

TRIES = 8
FIRST_PAUSE = 0.2  # seconds; doubles with every try
WEB = "https://"  # read-only; names are percent-encoded


def below(address: str, name: str) -> str:
    """The address of a name in a folder; InputError where it would lie outside."""
    if is_remote(address):
        if name.startswith("/") or ".." in name.split("/"):
            raise InputError(f"{name!r} would be written outside {address}; rename it.")
        return f"{address.rstrip('/')}/{quote(name) if address.startswith(WEB) else name}"
    folder = local_path(address)
    path = folder / name
    if not (leads := path.resolve()).is_relative_to(folder.resolve()):
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise InputError(f"{name!r} would be written outside {address}; rename it.")
        raise InputError(f"{path}: leads through a link to {leads}; name that place with --out, or remove the link.")
    return str(path)


def absolute(address: str) -> str:
    """An address that means the same in another working folder."""
    return address if is_remote(address) else str(local_path(address).resolve())


def list_files(address: str) -> dict[str, str]:
    """Every file below a folder: its name there → a mark that changes when its content does."""
    if not is_remote(address):
        folder = local_path(address)
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {path.relative_to(folder).as_posix(): mark_of(path) for path in files}
    system, root = opened(address)
    system.invalidate_cache()
    found = retry(lambda: system.find(root, detail=True), address)
    prefix = root.rstrip("/") + "/"
    plain = unquote if address.startswith(WEB) else str
    return {plain(name.removeprefix(prefix)): mark(found[name]) for name in sorted(found) if name.startswith(prefix)}


def exists(address: str) -> bool:
    """Whether there is a file at an address."""
    if not is_remote(address):
        return local_path(address).is_file()
    system, path = opened(address)
    system.invalidate_cache()
    return bool(retry(lambda: system.exists(path), address))


def read_ends(address: str, count: int) -> bytes:
    """The first and the last bytes of a file, so many of each; InputError where it cannot be read."""
    if not is_remote(address):
        try:
            with local_path(address).open("rb") as file:
                start = file.read(count)
                file.seek(max(file.seek(0, os.SEEK_END) - count, 0))
                return start + file.read(count)
        except OSError as error:
            raise InputError(f"{address}: cannot be read ({error.strerror}).") from error
    system, path = opened(address)
    size = retry(lambda: system.info(path)["size"], address)
    start = retry(lambda: system.cat_file(path, start=0, end=min(count, size)), address)
    return start + retry(lambda: system.cat_file(path, start=max(size - count, 0), end=size), address)


def stamp_of(address: str) -> str | None:
    """What a store says of a file's content, see `mark`; None of local files, and where it says nothing but a size."""
    if not is_remote(address):
        return None
    system, path = opened(address)
    found = mark(retry(lambda: system.info(path), address))
    return None if found.endswith(" ") else found


def remove(address: str) -> None:
    """Delete a file, which may be absent; RunError where it cannot be deleted."""
    try:
        if not is_remote(address):
            local_path(address).unlink(missing_ok=True)
        elif exists(address):
            system, path = opened(address)
            retry(lambda: system.rm_file(path), address)
    except (OSError, InputError) as error:
        raise RunError(f"{address}: cannot be replaced ({error}).") from error


@contextmanager
def local_file(address: str) -> Iterator[Path]:
    """A path at which a file can be read now: itself, or a copy that goes away with the block."""
    if not is_remote(address):
        yield local_path(address)
        return
    system, path = opened(address)
    with tempfile.TemporaryDirectory(prefix="hintseg-") as folder:
        copy = Path(folder) / Path(path).name
        retry(lambda: system.get_file(path, str(copy)), address)
        yield copy


@contextmanager
def new_file(address: str) -> Iterator[Path]:
    """A path to write; the file appears at the address, whole, when the block ends without error."""
    if not is_remote(address):
        with atomic_path(local_path(address)) as temporary:
            yield temporary
        return
    require_writable(address)
    with tempfile.TemporaryDirectory(prefix="hintseg-") as folder:
        copy = Path(folder) / Path(address).name
        yield copy
        upload(copy, address)


def require_writable(address: str) -> None:
    """Refuse URLs that are read-only: RunError."""
    if address.startswith(WEB):
        raise RunError(f"{address}: {WEB} is read-only; write to a local folder, s3://, gs:// or hf://.")


def upload(path: Path, address: str) -> None:
    """Copy a local file to a URL."""
    require_writable(address)
    system, target = opened(address)
    try:
        retry(lambda: system.put_file(str(path), target), address)
    except InputError as error:
        raise RunError(str(error)) from error


def opened(address: str) -> tuple[Any, str]:
    """The file system of a URL, and the path there.

    Raises:
        ConfigError: no package is installed for the URL's scheme.
        InputError: an address that is not opened, see `addresses.require_openable`.
    """
    import fsspec

    require_openable(address)
    try:
        return fsspec.core.url_to_fs(address, **_options(address))
    except ImportError as error:
        raise ConfigError(
            f"{address}: {error}; for s3:// that is pip install 'hintseg[s3]', for gs:// pip install gcsfs, for hf:// "
            "pip install huggingface_hub, for https:// pip install aiohttp."
        ) from error
    except ValueError as error:
        raise InputError(f"{address}: {error}.") from error


def _options(address: str) -> dict[str, Any]:
    return {"client_kwargs": {"trace_configs": [_only_https()]}} if address.startswith("https:") else {}


@cache
def _only_https() -> Any:
    """Hooks of an HTTP client that refuse to be led elsewhere than to https://."""
    import aiohttp

    async def look(session: Any, context: Any, asked: Any) -> None:
        target = asked.url.join(type(asked.url)(asked.response.headers.get("Location", "")))
        if target.scheme != "https":
            raise InputError(f"{asked.url}: leads to {str(target)!r:.200}, which is not https; it is not followed.")

    hooks = aiohttp.TraceConfig()
    hooks.on_request_redirect.append(look)
    return hooks


def retry(request: Callable[[], Any], address: str) -> Any:
    """The request's result, tried again after growing pauses; what a repetition cannot mend is raised at once."""
    tried = 0
    while True:
        try:
            return request()
        except (FileNotFoundError, IsADirectoryError) as error:
            raise InputError(f"{address}: no such file.") from error
        except PermissionError as error:
            raise InputError(f"{address}: access denied ({error}); check your credentials.") from error
        except HintsegError:
            raise
        # Every store has errors of its own, which share no base class.
        except Exception as error:
            tried += 1
            if tried == TRIES:
                raise InputError(
                    f"{address}: the store failed {TRIES} times, at last with {type(error).__name__} ({error})."
                ) from error
            time.sleep(FIRST_PAUSE * 2**tried * random.uniform(0.5, 1))


def mark(info: dict[str, Any]) -> str:
    """What tells one content of a remote file from another."""
    stamp = info.get("ETag") or info.get("etag") or info.get("md5Hash") or info.get("blob_id")
    stamp = stamp or info.get("LastModified") or info.get("Last-Modified") or info.get("mtime") or info.get("created")
    return f"{info.get('size')} {stamp or ''}"


def mark_of(path: Path) -> str:
    """The same of a local file."""
    state = path.stat()
    return f"{state.st_size} {state.st_mtime_ns}"
