"""Which addresses are opened, and which only when the user names them."""

import http.server
import os
import shutil
import threading
from functools import partial
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import fsspec
import numpy as np
import pytest

from hintseg.apps.batch_inference.input_images import find_images
from hintseg.apps.batch_inference.output import Output
from hintseg.errors import InputError, RunError
from hintseg.hints.dataset import Dataset
from hintseg.io.storage import addresses, files, mirror


@pytest.fixture
def unreached(monkeypatch):
    """Fail where any file system is asked for."""

    def reached(address, **_):
        pytest.fail(f"{address} was opened")

    monkeypatch.setattr(fsspec.core, "url_to_fs", reached)


def test_a_path_that_goes_back_is_the_one_that_it_leads_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    assert addresses.local_path("far/new/..") == tmp_path / "far"
    assert addresses.local_path(Path("link/../x.png")) == tmp_path / "far" / "x.png"
    assert addresses.local_path(f"{tmp_path.as_uri()}/new/../x.png") == tmp_path / "x.png"
    assert addresses.local_path("../x.png") == Path("../x.png")
    assert addresses.local_path("../../a/b") == Path("../../a/b")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("reference://x", "reference:// is not opened"),
        ("http://host/x", "http:// is not opened"),
        ("ftp://host/x", "ftp:// is not opened"),
        ("ssh://host/x", "ssh:// is not opened"),
        ("S3://bucket/x", "S3:// is not opened"),
        ("github://org:repo@main/x", "github:// is not opened"),
        ("simplecache::s3://bucket/x", None),
        ("s3://bucket/x::https://host/y", "'::'"),
        ("reference://::https://host/y", "'::'"),
        ("https://user:secret@host/x", "user or password"),
        ("s3://bucket/x?endpoint_url=http://host", "options"),
        ("s3://bucket/..", "without"),
        ("s3:///x", "names no folder"),
        ("file://host/share", "not on this machine"),
    ],
)
def test_other_addresses_reach_nothing(unreached, tmp_path, monkeypatch, address, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HINTSEG_CACHE", str(tmp_path / "cache"))
    for use in (mirror.fetch, Dataset.open, files.list_files, lambda text: find_images([text])):
        if expected is None:  # a local path, where nothing is
            with pytest.raises(InputError):
                Dataset.open(address)
        else:
            with pytest.raises(InputError, match=expected):
                use(address)
    assert not list(tmp_path.iterdir())


def test_memory_is_no_address_outside_of_tests(monkeypatch):
    monkeypatch.undo()
    assert frozenset({"s3", "gs", "hf", "https"}) == addresses.SCHEMES


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/data", "https://host/data", "memory://data", "reference://x", "//host/share", "\\\\host\\share",
        "/dev/shm", "/home/../dev/shm", "/proc/self/cwd", "/net/host/data", "/afs/cell/data",
        "/run/user/1000/gvfs/smb-share:server=host/data",
        "/var/run/user/1000/kio-fuse-x/smb", "/home/me/.gvfs/x", "/net", "data", "../data", "/data\n", "/data\0", "",
        "file:///data", "simplecache::s3://bucket", "~/data",
    ],
)  # fmt: skip
def test_what_a_run_folder_alone_may_not_name(unreached, address):
    with pytest.raises(InputError, match=r"runs/a: says it was trained on .* add --data"):
        addresses.recorded_folder(address, Path("runs/a"))


def test_a_local_folder_may_be_named_by_a_run():
    for folder in ("/home/me/data ä", "/network/data", "/run/user/data"):
        assert addresses.recorded_folder(folder, Path("runs/a")) == Path(folder)


def test_file_addresses_are_local_paths(tmp_path):
    folder = tmp_path / "a b"
    address = folder.as_uri()
    assert not files.is_remote(address)
    for given in (address, address.replace("file://", "file://localhost"), address.replace("file", "FILE", 1)):
        assert mirror.fetch(given) == folder
    with mirror.published(address) as out, files.new_file(files.below(address, "deep/x.txt")) as path:
        path.write_text("arrived")
    assert out == folder
    assert (folder / "deep" / "x.txt").read_text() == "arrived"
    assert files.list_files(address).keys() == {"deep/x.txt"}
    assert files.absolute(address) == str(folder)
    assert Output(address).claim("one", []) == frozenset()
    assert (folder / ".made-by.json").exists()


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/x", "ftp://host/x", "file:///etc/passwd"])
def test_redirects_lead_nowhere_else(monkeypatch, target):
    pytest.importorskip("aiohttp")
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(addresses, "SCHEMES", {"http"})
    monkeypatch.setattr(files, "_options", lambda address: {"client_kwargs": {"trace_configs": [files._only_https()]}})
    try:
        with (
            pytest.raises(InputError, match="not https"),
            files.local_file(f"http://127.0.0.1:{server.server_port}/a.png"),
        ):
            pass
    finally:
        server.shutdown()
        server.server_close()
    assert asked


class Web(http.server.SimpleHTTPRequestHandler):
    """Serves and lists a folder, and notes what it is asked."""

    asked: ClassVar[list[str]] = []

    def log_request(self, *arguments):
        self.asked.append(f"{self.command} {unquote(self.path)}")


@pytest.fixture
def web(tmp_path, monkeypatch):
    """The address of tmp_path/web on a server that stands for one of https://."""
    pytest.importorskip("aiohttp")
    (tmp_path / "web").mkdir()
    monkeypatch.setenv("HINTSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(addresses, "SCHEMES", {"http"})
    for module in (files, mirror):
        monkeypatch.setattr(module, "WEB", "http://")
    Web.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Web, directory=str(tmp_path / "web")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_folder_that_lists_its_files_is_read_over_https(web, scenes, tmp_path):
    served = tmp_path / "web" / "data"
    shutil.copytree(scenes.root, served)
    key = next(iter(scenes.paths))
    odd = served / "images" / "100 % a#b?.png"
    shutil.copy(scenes.path(key), odd)
    found = Dataset.open(f"{web}/data")
    assert set(found.paths) == {*scenes.paths, odd.stem}
    assert np.array_equal(found.image(odd.stem), scenes.image(key))
    assert found.hints(key).points == scenes.hints(key).points
    with files.local_file(find_images([f"{web}/data/images"])[0].source) as path:
        assert path.read_bytes() == odd.read_bytes()
    # Later only what changed.
    Web.asked.clear()
    (served / "points.json").write_text("{}".ljust((served / "points.json").stat().st_size))  # as large as before
    os.utime(served / "points.json", (0, 0))
    assert (mirror.fetch(f"{web}/data") / "points.json").read_text().strip() == "{}"
    assert [one for one in Web.asked if one.startswith("GET") and "." in one] == ["GET /data/points.json"]
    assert mirror.fetch(f"{web}/data/points.json").read_text().strip() == "{}"


def test_https_is_read_only(web, tmp_path):
    for write in (mirror.published, files.new_file):
        with pytest.raises(RunError, match="read-only"), write(f"{web}/out"):
            pytest.fail("written after all")
    with pytest.raises(RunError, match="read-only"):
        Output(f"{web}/out").claim("one", [])
    with pytest.raises(RunError, match="read-only"):
        files.upload(tmp_path / "x", f"{web}/out/x")
    assert not [one for one in Web.asked if one.startswith(("POST", "PUT"))]
