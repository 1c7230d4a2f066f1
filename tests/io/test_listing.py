"""Which files of a folder are images."""

import os
import socket
import subprocess
import sys
from collections import Counter
from functools import partial

import numpy as np
import pytest

from hintseg.apps.batch_inference.input_images import find_images
from hintseg.check import inspect
from hintseg.config.load import load_recipe
from hintseg.errors import HintsegError, InputError
from hintseg.inference.retrieval import load_index
from hintseg.inference.run_config import RunConfig
from hintseg.io.images import read_image, write_image
from hintseg.io.listing import composed, list_images, passed_over_sentence, require_file
from hintseg.io.reading import read_json
from hintseg.network.backbone import read_state
from hintseg.network.onnx import exported_network
from hintseg.training.checkpoint import read_checkpoint


@pytest.fixture
def mixed(tmp_path):
    """A folder of images, links, files that lie beside images, and some of other formats."""
    folder = tmp_path / "mixed"
    for name in ("a.jpg", "B.PNG", "c.gif", "sub/d.jfif", "e.jp2", "f.avif"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    for name in ("._a.jpg", ".DS_Store", "Thumbs.db", "a.tfw", "a.tif.aux.xml", "notes.txt", ".cache/x.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    for name in ("e.heic", "g.HEIC", "scan"):
        (folder / name).touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "z.png").touch()
    (folder / "link").symlink_to(elsewhere)
    (folder / "one.tif").symlink_to("link/z.png")
    (folder / "sub" / "round").symlink_to(folder)
    (folder / "lost.png").symlink_to("nowhere.png")
    (folder / "circle.png").symlink_to("circle.png")
    os.mkfifo(folder / "pipe.png")
    return folder


def test_images_are_listed_and_others_counted(mixed):
    images, passed_over = list_images(mixed)
    assert list(images) == ["B.PNG", "a.jpg", "c.gif", "e.jp2", "f.avif", "link/z.png", "one.tif", "sub/d.jfif"]
    assert passed_over == {".heic": 2, "": 1, "broken link": 2, "pipe or device": 1}
    assert passed_over_sentence("photos", passed_over).startswith("photos: 6 files were not read (2 ")
    assert passed_over_sentence("photos", Counter()) == ""
    one = passed_over_sentence("masks/", Counter({".npy": 1}), (".png", ".tif"), "label maps")
    assert one == "masks/: 1 file was not read (1 .npy); label maps end in .png, .tif."


def test_predict_finds_the_same_and_says_what_it_passed_over(mixed, caplog):
    names = [photograph.name for photograph in find_images([mixed])]
    assert names == ["B", "a", "c", "e", "f", "link/z", "one", "sub/d"]
    assert "6 files were not read" in caplog.text


def test_check_names_what_it_passes_over(scenes):
    (scenes.root / "images" / "x.heic").touch()
    found = inspect(scenes, scenes.keys("val"))
    assert any("images/: 1 file was not read (1 .heic)" in warning for warning in found.warnings)


def test_names_with_accents_are_one(tmp_path):
    assert composed("u\u0308.png") == composed("ü.png")


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "device", "absent", "loop"])
def test_only_files_are_opened(tmp_path, monkeypatch, kind):
    path = tmp_path / "a.png"
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("a.png")
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    with pytest.raises(InputError, match=r"a\.png: (is a|no such file|cannot be read)"):
        require_file(path)
    with pytest.raises(InputError):
        read_image(path)


def test_a_file_is_a_file(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((2, 2, 3), "uint8"))
    require_file(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize(
    "name",
    [
        "run.json",
        "weights.safetensors",
        "recipe.json",
        "memory_bank.safetensors",
        "checkpoint.pt",
        "points.json",
        "network.onnx",
    ],
)
def test_nothing_waits_for_a_pipe(tmp_path, name, kind):
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    readers = {
        "run.json": RunConfig.load, "weights.safetensors": read_state, "recipe.json": load_recipe,
        "memory_bank.safetensors": partial(load_index, classes=2, images=2),
        "checkpoint.pt": partial(read_checkpoint, fingerprint=""), "points.json": read_json,
        "network.onnx": lambda path: exported_network(None, path, "", ()),
    }  # fmt: skip
    with pytest.raises(HintsegError, match=name):
        readers[name](path)


def test_importing_changes_nothing_of_other_libraries():
    """In a fresh process: every module of the package is imported between two looks at the others' settings."""
    program = """
import importlib, logging, pkgutil, warnings
import cv2, fastapi, faiss, higra, lightning_fabric, rasterio, skimage, tifffile, timm, torch, typer, uvicorn
import PIL.Image, PIL.ImageFile, PIL.PngImagePlugin
import hintseg
def state():
    tiff, root = logging.getLogger("tifffile"), logging.getLogger()
    return [
        PIL.Image.MAX_IMAGE_PIXELS, PIL.ImageFile.LOAD_TRUNCATED_IMAGES, PIL.PngImagePlugin.MAX_TEXT_MEMORY,
        [str(one) for one in warnings.filters], cv2.getNumThreads(), cv2.ocl.useOpenCL(), torch.get_num_threads(),
        torch.get_default_dtype(), torch.is_grad_enabled(), torch.initial_seed(), faiss.omp_get_max_threads(),
        tiff.handlers[:], tiff.propagate, tiff.level, root.handlers[:], root.level,
    ]
before = state()
for found in pkgutil.walk_packages(hintseg.__path__, "hintseg."):
    if not found.name.endswith("__main__") and "cuda" not in found.name and "kernels" not in found.name:
        try:
            importlib.import_module(found.name)
        except ImportError as error:
            print("absent", error)
assert state() == before, (before, state())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["run.json", "memory_bank.safetensors", "checkpoint.pt"])
def test_what_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch, name):
    def refused(self, *arguments, **options):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / name
    path.write_bytes(b"anything")
    monkeypatch.setattr(type(path), "open", refused)
    readers = {
        "run.json": RunConfig.load, "memory_bank.safetensors": partial(load_index, classes=2, images=2),
        "checkpoint.pt": partial(read_checkpoint, fingerprint=""),
    }  # fmt: skip
    with pytest.raises(InputError, match=f"{name}: cannot be read \\(Permission denied\\)"):
        readers[name](path)
