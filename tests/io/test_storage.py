"""Addresses: local paths, a store in memory, and a real S3 server that fails and throttles."""

import json
import os
from pathlib import Path

import fsspec
import numpy as np
import pytest

from hintseg import Segmenter, train
from hintseg.api import choose_recipe
from hintseg.apps.batch_inference.input_images import find_images
from hintseg.apps.batch_inference.local import pending, predict_here
from hintseg.apps.batch_inference.output import Output
from hintseg.errors import ConfigError, InputError, RunError
from hintseg.hints.dataset import Dataset
from hintseg.io.images import read_labels
from hintseg.io.storage import files, mirror


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HINTSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "FIRST_PAUSE", 0.001)
    fsspec.filesystem("memory").store.clear()


def put(address: str, content: bytes) -> None:
    with fsspec.open(address, "wb") as file:
        file.write(content)


def upload(folder: Path, address: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            put(f"{address}/{path.relative_to(folder).as_posix()}", path.read_bytes())


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("s3://b/x", True),
        ("hf://d/x", True),
        ("/a/b", False),
        ("C:/x", False),
        ("c://x", False),
        (Path("s3:/b"), False),
    ],
)
def test_remote_addresses(address, expected):
    assert files.is_remote(address) == expected


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x"])
@pytest.mark.parametrize("folder", ["memory://f", "folder"])
def test_names_stay_in_their_folder(folder, name):
    with pytest.raises(InputError, match="outside"):
        files.below(folder, name)


def test_a_folder_that_is_linked_elsewhere_is_named_with_where_it_leads(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "masks").symlink_to(tmp_path / "disk")
    with pytest.raises(
        InputError, match=f"run/masks: leads through a link to {tmp_path}/disk; name that place with --out"
    ):
        files.below(str(tmp_path / "run"), "masks")


def test_a_folder_is_fetched_once_and_then_only_what_changed(monkeypatch):
    put("memory://data/images/a.png", b"one")
    put("memory://data/images/b.png", b"two")
    folder = mirror.fetch("memory://data")
    assert (folder / "images" / "a.png").read_bytes() == b"one"
    system, asked = fsspec.filesystem("memory"), []
    monkeypatch.setattr(
        type(system),
        "get_file",
        lambda self, source, target, **_: asked.append(source) or Path(target).write_bytes(b"x"),
    )
    assert mirror.fetch("memory://data/") == folder
    assert asked == []
    put("memory://data/images/b.png", b"three")
    system.rm("memory://data/images/a.png")
    mirror.fetch("memory://data")
    assert asked == ["/data/images/b.png"]
    assert not (folder / "images" / "a.png").exists()


def test_a_damaged_copy_is_made_again():
    """Any bit, though size and time stay; those of a run that is published here, too."""
    put("memory://data/images/a.png", b"one")
    with mirror.published("memory://run") as run:
        (run / "weights").write_bytes(b"one")
    for path in (mirror.fetch("memory://data") / "images" / "a.png", mirror.fetch("memory://run") / "weights"):
        state = path.stat()
        path.write_bytes(b"onf")
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (mirror.fetch("memory://data") / "images" / "a.png").read_bytes() == b"one"
    assert (mirror.fetch("memory://run") / "weights").read_bytes() == b"one"


def test_what_is_absent_or_unknown_is_one_sentence():
    with pytest.raises(InputError, match=r"memory://nowhere: no such file"):
        mirror.fetch("memory://nowhere")
    with pytest.raises(InputError, match="nosuchthing"):
        mirror.fetch("nosuchthing://x")
    with pytest.raises(InputError, match="no such file"), files.local_file("memory://a/b.png"):
        pass


def test_a_missing_package_is_named(monkeypatch):
    def missing(address):
        raise ImportError("Install s3fs")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(ConfigError, match=r"hintseg\[s3\]"):
        mirror.fetch("s3://bucket")


def test_what_others_keep_in_the_folder_of_the_cache_stays(monkeypatch):
    others = ["photographs/2019/a.bin", "0123456789abcdef0123/a.bin", "segments/mine.bin"]
    for name in others:
        (mirror.cache_folder() / name).parent.mkdir(parents=True)
        (mirror.cache_folder() / name).write_bytes(bytes(5000))
    index = mirror.cache_folder() / "segments" / f"{'0a' * 16}.faiss"
    index.write_bytes(bytes(5000))
    monkeypatch.setenv("HINTSEG_CACHE_GB", "0.0000025")  # 2500 bytes
    for name in "ab":
        put(f"memory://{name}/file", bytes(1000))
        os.utime(mirror.fetch(f"memory://{name}").parent, (1, 1))
    assert (mirror.fetch("memory://a") / "file").exists()  # theirs does not count
    assert all((mirror.cache_folder() / name).exists() for name in others)
    assert not index.exists()


def test_the_cache_keeps_to_its_limit(monkeypatch):
    for name in "abc":
        put(f"memory://{name}/file", bytes(1000))
    monkeypatch.setenv("HINTSEG_CACHE_GB", "0.0000025")  # 2500 bytes
    first = mirror.fetch("memory://a")
    second = mirror.fetch("memory://b")
    third = mirror.fetch("memory://c")
    assert not first.exists()
    assert second.exists()
    assert third.exists()
    put("memory://large/file", bytes(4000))
    with pytest.raises(InputError, match="HINTSEG_CACHE_GB"):
        mirror.fetch("memory://large")
    monkeypatch.setenv("HINTSEG_CACHE_GB", "much")
    with pytest.raises(ConfigError, match="must be a number"):
        mirror.fetch("memory://a")


def test_a_store_that_fails_is_asked_again_and_then_named(tmp_path, monkeypatch):
    put("memory://f/x", b"content")
    system, tries = type(fsspec.filesystem("memory")), []
    original = system.get_file

    def shaky(self, *arguments, **settings):
        tries.append(1)
        if len(tries) % 3:
            raise OSError("slow down")
        return original(self, *arguments, **settings)

    monkeypatch.setattr(system, "get_file", shaky)
    with files.local_file("memory://f/x") as path:
        assert path.read_bytes() == b"content"
    assert len(tries) == 3
    assert not path.exists()  # photographs are not kept
    assert not list(tmp_path.iterdir())

    def broken(self, *arguments, **settings):
        tries.append(1)
        raise OSError("out of order")

    pauses = []
    tries.clear()
    monkeypatch.setattr(system, "get_file", broken)
    monkeypatch.setattr(files.time, "sleep", pauses.append)
    with (
        pytest.raises(InputError, match=r"memory://f/x: the store failed 8 times.*out of order"),
        files.local_file("memory://f/x"),
    ):
        pass
    assert len(tries) == 8
    assert len(pauses) == 7
    assert pauses == sorted(pauses)
    assert pauses[-1] > 16 * pauses[0]


def test_published_files_appear_while_and_after_writing():
    put("memory://runs/a/old.txt", b"old")
    system = fsspec.filesystem("memory")
    with mirror.published("memory://runs/a", every=0.02) as folder:
        assert (folder / "old.txt").read_bytes() == b"old"
        (folder / "new.txt").write_text("new")
        for _ in range(500):
            if system.exists("memory://runs/a/new.txt") and system.cat("memory://runs/a/new.txt") == b"new":
                break  # copied before, it may have been empty still
            files.time.sleep(0.02)
        else:
            pytest.fail("new.txt was not copied out")
        (folder / "cache").mkdir()
        (folder / "cache" / "x").write_text("can be made again")
        (folder / ".lock").write_text("")
        (folder / "old.txt").write_text("changed")
    assert system.cat("memory://runs/a/old.txt") == b"changed"
    assert sorted(files.list_files("memory://runs/a")) == ["new.txt", "old.txt"]


def test_a_file_appears_whole_or_not_at_all():
    def write():
        with files.new_file("memory://masks/a.png") as path:
            path.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert files.list_files("memory://masks") == {}


def test_of_several_machines_the_first_one_copies(monkeypatch):
    monkeypatch.setattr(mirror, "first_process", lambda: False)
    with mirror.published("memory://runs/d") as folder:
        folder.mkdir()
        (folder / "weights").write_text("of another process")
    assert files.list_files("memory://runs/d") == {}


def test_a_checkpoint_is_copied_after_all_that_it_needs(tmp_path):
    for name in ("completed/x.npz", "checkpoint.pt", "weights.safetensors", ".lock", "cache/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [name for name, _ in mirror._publishable(tmp_path)]
    assert names == ["completed/x.npz", "weights.safetensors", "checkpoint.pt"]


def test_published_files_survive_an_error():
    def interrupted():
        with mirror.published("memory://runs/b") as folder:
            (folder / "checkpoint.pt").write_text("half way")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert files.exists("memory://runs/b/checkpoint.pt")


def test_what_a_run_holds_only_here_is_neither_evicted_nor_forgotten(monkeypatch):
    system = type(fsspec.filesystem("memory"))
    put_file = system.put_file

    def refused(self, source, *arguments, **settings):
        if Path(source).name in refusing:
            raise PermissionError("read only")
        return put_file(self, source, *arguments, **settings)

    def write(content):
        with mirror.published("memory://runs/c") as folder:
            (folder / "checkpoint.pt").write_text(content)
            (folder / "log.txt").write_bytes(bytes(2000))

    monkeypatch.setattr(system, "put_file", refused)
    refusing = set()
    write("first")
    refusing = {"checkpoint.pt"}
    with pytest.raises(RunError, match="access denied"):
        write("second")
    put("memory://d/file", bytes(1000))
    monkeypatch.setenv("HINTSEG_CACHE_GB", "0.0000015")
    mirror.fetch("memory://d")
    refusing = set()
    with mirror.published("memory://runs/c") as folder:
        assert (folder / "checkpoint.pt").read_text() == "second"
    assert fsspec.filesystem("memory").cat("memory://runs/c/checkpoint.pt") == b"second"
    mirror.fetch("memory://d")
    assert not folder.exists()  # all of it is at its address now


def test_what_cannot_be_written_is_said(monkeypatch):
    def refused(self, *arguments, **settings):
        raise PermissionError("read only")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "put_file", refused)
    with pytest.raises(RunError, match="access denied"), files.new_file("memory://f/x") as path:
        path.write_text("x")


@pytest.fixture
def store(monkeypatch):
    s3 = pytest.importorskip("tests.storage.s3")
    s3fs = pytest.importorskip("s3fs")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = s3.Store()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    s3fs.S3FileSystem.clear_instance_cache()
    server.client().create_bucket(Bucket="bucket")
    yield server
    server.close()
    s3fs.S3FileSystem.clear_instance_cache()


def test_training_from_s3_to_s3_through_failures(store, scenes, tiny, tmp_path, monkeypatch):
    client = store.client()
    for path in scenes.root.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), "bucket", f"data/{path.relative_to(scenes.root).as_posix()}")
    store.fail_every = 4
    recipe = choose_recipe(weights="none", iterations=3, settings=tiny)
    settings = {"recipe": recipe, "weights": "none", "device": "cpu"}
    segmenter = train("s3://bucket/data", "scribbles", "s3://bucket/runs/a", **settings)
    assert store.failed > 5
    store.fail_every = 0
    assert segmenter.description.data == "s3://bucket/data"
    names = {entry["Key"] for entry in client.list_objects_v2(Bucket="bucket", Prefix="runs/")["Contents"]}
    assert {"runs/a/run.json", "runs/a/weights.safetensors", "runs/a/memory_bank.safetensors"} <= names
    assert not [name for name in names if "/cache/" in name or "/." in name]

    # Another machine, with a cache of its own, opens the run and finds the data.
    monkeypatch.setenv("HINTSEG_CACHE", str(tmp_path / "elsewhere"))
    opened = Segmenter.open("s3://bucket/runs/a", "cpu")
    image = scenes.image("scene 5 ä")
    assert np.array_equal(opened.predict(image), segmenter.predict(image))
    with pytest.raises(InputError, match=r"s3://bucket/data.*add --data"):
        opened.dataset()  # a bucket that only the run folder names
    named = Segmenter.open("s3://bucket/runs/a", "cpu", data="s3://bucket/data")
    assert named.dataset().keys("train") == scenes.keys("train")
    # Photographs there, masks there, every third request fails.
    store.fail_every, store.failed = 3, 0
    photographs = find_images(["s3://bucket/data/images"])
    output = Output("s3://bucket/masks")
    wanted = pending(photographs, output, "maker", resume=False)
    assert [wrong for _, wrong in predict_here(opened, wanted, output, opened.recipe.inference)] == [None] * 6
    assert pending(photographs, output, "maker", resume=True) == []
    assert store.failed > 5
    store.fail_every = 0
    content = client.get_object(Bucket="bucket", Key="masks/scene 5 ä.png")["Body"].read()
    (tmp_path / "mask.png").write_bytes(content)
    assert np.array_equal(read_labels(tmp_path / "mask.png"), opened.predict(image))
    # The same as from a local folder: where the files lie changes nothing.
    local = train(scenes, "scribbles", tmp_path / "local", **settings)
    assert np.array_equal(opened.predict(image), local.predict(image))


def test_a_run_on_s3_is_taken_up_where_it_was(store, scenes, tiny, tmp_path, monkeypatch):
    recipe = choose_recipe(weights="none", iterations=6, settings=tiny)

    def stop(stage, done, total, values):
        if stage == "train" and done == 4:
            raise KeyboardInterrupt

    settings = {"recipe": recipe, "weights": "none", "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        train(scenes, "scribbles", "s3://bucket/runs/b", progress=stop, **settings)
    monkeypatch.setenv("HINTSEG_CACHE", str(tmp_path / "elsewhere"))
    resumed = train(scenes, "scribbles", "s3://bucket/runs/b", resume=True, **settings)
    assert "resumed at iteration" in (resumed.run / "log.txt").read_text("utf-8")
    whole = train(scenes, "scribbles", tmp_path / "whole", **settings)
    image = scenes.image("scene 4 ä")
    assert np.array_equal(resumed.predict(image), whole.predict(image))


def test_a_data_set_reads_alike_from_a_store(scenes):
    upload(scenes.root, "memory://scenes")
    found = Dataset.open("memory://scenes")
    assert found.classes == scenes.classes
    assert found.address == "memory://scenes"
    assert json.loads((found.root / "points.json").read_text("utf-8"))
    for key in scenes.paths:
        assert np.array_equal(found.image(key), scenes.image(key))
