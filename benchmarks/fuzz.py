"""Damaged and hostile files for every reader: each is read, or refused by an error of hintseg's own.

Files are made by damaging good ones (bits, bytes, numbers, pieces moved, doubled, dropped and joined), a given number
of times over all readers. Any other exception, any file that takes longer than ten seconds, and any value that no
reader may give (a class that is none, a place outside the image, another size, what `check` refuses of an import) is a
finding; its file is kept in the working folder. Every good file is read once before, as it is: damage to a file that is
refused anyway tells nothing.
"""

import argparse
import copy
import json
import random
import re
import shutil
import signal
import struct
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
import torch
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import save
from tests.conftest import draw_scene
from tests.formats.test_formats import EXAMPLES

from benchmarks.record import write
from hintseg.apps.studio.backend import Backend, LabelStudio, _tasks, control_tag
from hintseg.apps.studio.drawn import DrawnHints
from hintseg.apps.studio.project import Project
from hintseg.check import inspect
from hintseg.config.load import load_recipe
from hintseg.errors import HintsegError
from hintseg.formats import label_colors, label_studio
from hintseg.formats.reader import Imported
from hintseg.formats.registry import FORMATS, import_dataset
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import parse_description
from hintseg.hints.labels import UNLABELED
from hintseg.hints.model import ImageHints
from hintseg.inference.retrieval import load_index
from hintseg.inference.run_config import RunConfig
from hintseg.io import images, pillow, rasters
from hintseg.io.class_list import as_description
from hintseg.io.palette import label_palette
from hintseg.io.samples import DecodedImage
from hintseg.network.backbone import read_state
from hintseg.pseudo_labels.pipeline import middles, pseudo_labels
from hintseg.recipes.registry import RECIPES
from hintseg.training.checkpoint import VERSION, read_checkpoint

SECONDS = 10
PIXELS = 2_000_000  # in place of 400 million, so that headers that claim more are refused sooner
NUMBERS = (
    b"-1",
    b"0",
    b"255",
    b"256",
    b"1e999",
    b"NaN",
    b"99999999999999999999",
    b"null",
    b"[]",
    b"{}",
    b'""',
    b"true",
)
VALUES = (
    None, True, -1, 0, 1, 2, 300, 1e9, 1e308, float("nan"), float("inf"), 10**400, "", "a", "1", "../../x", "\x00",
    "\ud800", "x" * 300, [], {}, [[]], [0], [1, 2], [[1, 2], [3, 4]], ["a"], {"a": 1}, {"id": 7, "result": []},
)  # fmt: skip
PIECES = (
    b"../",
    b"/etc/passwd",
    b"\x00",
    b"\xff\xd8",
    b"\xed\xa0\x80",
    b"[" * 5000,
    b"&#0;",
    b"<!ENTITY a 'b'>",
    b"%s",
)


@dataclass(frozen=True)
class Reader:
    """One reader of files.

    Attributes:
        name: of the file it reads, with suffix.
        good: files it can read.
        read: given the file's path.
    """

    name: str
    good: list[bytes]
    read: Callable[[Path], object]


class WrongValueError(AssertionError):
    """A reader gave what it should have refused."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise WrongValueError(what)


def require_hints(hints: ImageHints, size: tuple[int, int], classes: int) -> None:
    """Every hint is of a class, with a place in the image; drawn are classes, unlabeled and ignored pixels."""
    height, width = size
    require(all(0 <= label < classes for label in hints.classes()), "a hint of no class")
    for box in hints.boxes:
        require(0 <= box.x0 < box.x1 <= width and 0 <= box.y0 < box.y1 <= height, f"{box} outside")
    for point in hints.points:
        require(0 <= point.x <= width and 0 <= point.y <= height, f"{point} outside")
    for stroke in hints.scribbles:
        require(bool(np.isfinite(stroke.vertices).all()), f"{stroke} nowhere")
    target = pseudo_labels(DecodedImage(np.zeros((*size, 3), np.uint8)), hints, classes, find_in_boxes=middles)
    require(bool(((target.labels < classes) | (target.labels >= UNLABELED)).all()), "a label of no class")
    require(target.labels.shape == size, "labels of another size")


def require_import(source: Path, kind: str, folder: Path) -> None:
    """What import writes, `check` accepts."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        dataset, _ = import_dataset(source, Path(out) / "data", kind)
        known = {hash(path.read_bytes()) for path in source.rglob("*.jpg")}
        require(all(hash(path.read_bytes()) in known for path in dataset.paths.values()), "another image")
        found = inspect(dataset, dataset.paths)
        require(not found.errors, f"check refuses: {found.errors[:1]}")
        for key in dataset.paths:
            require_hints(dataset.hints(key), dataset.image(key).shape[:2], len(dataset.classes))


def damaged(good: list[bytes], chance: random.Random) -> bytes:
    """One of the good files with one to eight accidents; of JSON, half of the time a few values replaced instead."""
    content = bytearray(chance.choice(good))
    if content[:1] in (b"{", b"[") and chance.random() < 0.5:
        return replaced(json.loads(content), chance)
    for _ in range(1 << chance.randrange(4)):
        size = len(content)
        start = chance.randrange(size + 1)
        stop = min(size, start + chance.choice((1, 1, 2, 4, 16, 64, 512)))
        kind = chance.randrange(9)
        if kind == 0 and size:
            content[chance.randrange(size)] ^= 1 << chance.randrange(8)
        elif kind == 1 and size:
            content[chance.randrange(size)] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
        elif kind == 2:
            del content[start:stop]
        elif kind == 3:
            content[start:start] = content[start:stop] * chance.choice((1, 2, 50))
        elif kind == 4:
            content[start:start] = chance.choice(PIECES)
        elif kind == 5:
            del content[start:]
        elif kind == 6:
            content[start:stop] = struct.pack(chance.choice("<>") + "I", chance.choice((0, 1, 2**31, 2**32 - 1)))
        elif kind == 7:
            numbers = list(re.finditer(rb"-?\d+(\.\d+)?", bytes(content[:20000])))
            if numbers:
                chosen = chance.choice(numbers)
                content[chosen.start() : chosen.end()] = chance.choice(NUMBERS)
        else:
            other = chance.choice(good)
            cut = chance.randrange(len(other) + 1)
            content[start:] = other[cut:]
    return bytes(content[:200_000])


def replaced(content: object, chance: random.Random) -> bytes:
    """JSON with one to three of its values replaced."""
    for _ in range(chance.randrange(1, 4)):
        whole = [content]
        place, step = whole, 0
        while isinstance(place[step], list | dict) and place[step] and chance.random() < 0.85:
            place = place[step]
            step = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        place[step] = copy.deepcopy(chance.choice(VALUES))
        (content,) = whole
    return json.dumps(content).encode()


def readers(folder: Path) -> Iterator[Reader]:
    """Every reader with files that it can read, made in `folder`."""
    image, mask = draw_scene(0)

    def encoded(picture: np.ndarray, kind: str, **settings: object) -> bytes:
        path = folder / f"encoded.{kind}"
        Image.fromarray(picture).save(path, **settings)
        return path.read_bytes()

    def look(path: Path) -> None:
        with suppress(HintsegError):
            images.read_image_size(path)
        found = images.read_image(path)
        require(found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3, f"{found.dtype} {found.shape}")
        require(found.shape[:2] == images.read_image_size(path), "two sizes")

    yield Reader("a.png", [encoded(image, "png"), encoded(mask, "png")], look)
    yield Reader("a.jpg", [encoded(image, "jpg", quality=quality) for quality in (30, 95)], look)
    yield Reader("a.webp", [encoded(image, "webp")], look)
    yield Reader("a.bmp", [encoded(image[:20, :20], "bmp")], look)
    stacks = []
    for samples, settings in (
        (image.astype(np.uint16), {"photometric": "rgb"}),
        (image.astype(np.float32), {"compression": "zlib", "photometric": "rgb"}),
        (np.moveaxis(np.dstack([image] * 2), -1, 0), {"planarconfig": "separate", "photometric": "minisblack"}),
    ):  # fmt: skip
        tifffile.imwrite(folder / "stack.tif", samples[:24, :24] if samples.shape[0] > 6 else samples, **settings)
        stacks.append((folder / "stack.tif").read_bytes())
    yield Reader("a.tif", [*stacks, encoded(image[:24, :24], "tiff")], look)

    def look_at_labels(path: Path) -> None:
        found = images.read_labels(path)
        require(found.dtype == np.uint8 and found.ndim == 2 and found.size > 0, f"{found.dtype} {found.shape}")

    told = images.encode_labels(mask, software="made", classes=("a", "b", "c"))
    yield Reader("labels.png", [encoded(mask, "png"), told], look_at_labels)
    settings = {"photometric": "minisblack", "description": as_description(("a", "b", "c"))}
    tifffile.imwrite(folder / "labels.tif", mask, extratags=[(rasters.NODATA, "s", 0, "2", True)], **settings)
    yield Reader("labels.tif", [(folder / "labels.tif").read_bytes()], look_at_labels)

    described = {"classes": ["a", "b", "c"], "background": 0, "ignore_index": 255, "tags_exhaustive": True}
    texts = [json.dumps(described), json.dumps({**described, "bands": [2, 1, 0], "range": [0, 300]})]

    def read_description(path: Path) -> None:
        dataset = Dataset(path.parent, **parse_description(path))
        require(all(name.strip() and name.isprintable() for name in dataset.classes), "a name that cannot be shown")
        require(dataset.background is None or 0 <= dataset.background < len(dataset.classes), "background is no class")
        require(
            0 <= dataset.ignore_index <= 255 and type(dataset.tags_exhaustive) is bool,
            "ignore_index, or tags_exhaustive",
        )

    yield Reader("dataset.json", [text.encode() for text in texts], read_description)
    root = folder / "data"
    images.write_image(root / "images" / "a.png", image)
    for name, rows in (
        ("tags", ["a", 1]), ("boxes", [[1, 2, 30, 40, "b"], [0.5, 1, 9, 9, 0]]), ("points", [[5, 6, 1], [70, 60, "c"]]),
        ("scribbles", [["a", [[1, 2], [30, 40]]], [1, [[5, 5]], 3]]), ("verified_classes", [0, "b"]),
    ):  # fmt: skip
        yield Reader(f"{name}.json", [json.dumps({"a": rows}).encode()], lambda path: hints_of(root, path))

    for name in FORMATS:
        source = folder / name
        for letter in "ab":
            images.write_image(source / "photos" / f"{letter}.jpg", image)
        EXAMPLES[name](source)
        files = sorted(path for path in source.iterdir() if path.is_file())
        good = [path.read_bytes() for path in files]
        if len(files) > 1:  # each names its image, and all are read under the first's name
            good = [content.replace(b"b.jpg", b"a.jpg") for content in good]
        yield Reader(f"{name}/{files[0].name}", good, partial(read_annotations, name, folder))
    source = folder / "yolo"
    for letter in "ab":
        images.write_image(source / "photos" / f"{letter}.jpg", image)
    EXAMPLES["yolo"](source)
    labels = [path.read_bytes() for path in sorted((source / "labels").iterdir())]

    def read_yolo(path: Path) -> None:
        require_import(source, "yolo", folder)

    yield Reader("yolo/labels/a.txt", labels, read_yolo)
    yield Reader("yolo/data.yaml", [(source / "data.yaml").read_bytes()], read_yolo)
    exported = folder / "png"
    for letter in "ab":
        images.write_image(exported / "photos" / f"{letter}.jpg", image)
        images.write_labels(exported / "masks" / f"{letter}.png", mask)
    label_colors.write_labelmap(exported / "labelmap.txt", ["ground", "square", "disc"], label_palette())

    def read_png(path: Path) -> None:
        require_import(exported, "png", folder)

    yield Reader("png/labelmap.txt", [(exported / "labelmap.txt").read_bytes()], read_png)
    yield Reader("png/masks/a.png", [path.read_bytes() for path in sorted((exported / "masks").iterdir())], read_png)
    brush = bytes(label_studio.encode_brush(mask == 1))

    def read_brush(path: Path) -> None:
        with suppress(ValueError):  # as documented; the importer says more
            label_studio.decode_brush(list(path.read_bytes()), *mask.shape)

    yield Reader("brush", [brush], read_brush)
    yield from requests(folder, image, [path.read_bytes() for path in sorted((folder / "label-studio").glob("*.json"))])
    config = '<View><Image name="i"/><BrushLabels name="t" toName="i"><Label value="cow"/></BrushLabels></View>'
    yield Reader("config.xml", [config.encode()], lambda path: control_tag(path.read_text("utf-8", "replace")))

    recipe = RECIPES["fine-tuned"]
    described_run = RunConfig(recipe, ("a", "b"), 0, "data", ("tags",), ("x", "y"), "0.1.0")
    yield Reader("run.json", [described_run.dump().encode()], RunConfig.load)
    yield Reader("recipe.json", [recipe.model_dump_json().encode()], load_recipe)
    tensors = {"a": torch.zeros(3, 2), "b": torch.arange(4)}
    yield Reader("weights.safetensors", [save(tensors)], read_state)
    torch.save(tensors, folder / "weights.pth")
    yield Reader("weights.pth", [(folder / "weights.pth").read_bytes()], read_state)
    memory = {"prototypes": torch.zeros(3, 2), "labels": torch.arange(3), "images": torch.arange(3)}

    def read_index(path: Path) -> None:
        index = load_index(path, classes=3, images=3)
        require(bool(index.prototypes.isfinite().all() and index.boxes.isfinite().all()), "no finite numbers")
        require(index.prototypes.dtype == index.boxes.dtype == torch.float32, "another type")

    yield Reader("memory_bank.safetensors", [save(memory | {"boxes": torch.zeros(3, 4)})], read_index)
    checkpoint = {"version": VERSION, "fingerprint": "", "network": tensors, "history": []}
    torch.save(checkpoint, folder / "checkpoint.pt")
    yield Reader("checkpoint.pt", [(folder / "checkpoint.pt").read_bytes()], lambda path: read_checkpoint(path, ""))


def requests(folder: Path, image: np.ndarray, exports: list[bytes]) -> Iterator[Reader]:
    """What the studio's page and Label Studio send."""
    images.write_image(folder / "studio" / "images" / "a.png", image)
    project = Project.open(folder / "studio")
    project.set_classes([(None, "a"), (None, "b")], None, None, project.table()["version"])
    one, two = project.identifiers
    drawn = {
        "tags": [one], "boxes": [{"label": two, "x0": 1, "y0": 2, "x1": 30, "y1": 40}],
        "points": [{"label": one, "x": 5, "y": 6}],
        "strokes": [{"label": two, "width": 5, "vertices": [[1, 2], [30, 40]]}],
    }  # fmt: skip

    def save(path: Path) -> None:
        try:
            project.save_hints("a", DrawnHints.model_validate_json(path.read_bytes()), project.hints_version("a"))
        except ValidationError:
            return  # the server answers 422
        finally:
            shutil.rmtree(project.root / "studio" / "kept", ignore_errors=True)
        project.hints("a")

    yield Reader("drawn.json", [json.dumps(drawn).encode()], save)

    class Studio(LabelStudio):
        def get(self, url: str) -> bytes:
            return (folder / "studio" / "images" / "a.png").read_bytes()

    class Idle:
        def start(self, effort: str) -> None: ...
        def state(self) -> dict[str, bool]:
            return {"training": False}

    backend = Backend(folder / "backend", Studio("http://127.0.0.1", ""))
    backend._make = lambda project: Idle()

    def annotated(path: Path) -> None:
        try:
            body = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            return  # never reaches us
        if isinstance(body, dict):
            backend.train(_tasks(body, "annotations"))
            shutil.rmtree(folder / "backend")

    bodies = [json.dumps({"annotations": json.loads(export)}).encode() for export in exports]
    yield Reader("tasks.json", bodies, annotated)


def read_annotations(name: str, folder: Path, path: Path) -> None:
    """Read a file; of some, chosen by their content, import the folder and look at all that came of it."""
    FORMATS[name].read(path, Imported(path.parent))
    if zlib.crc32(path.read_bytes()) % 20 == 0:
        require_import(path.parent, name, folder)


def hints_of(root: Path, path: Path) -> None:
    path.replace(root / path.name)
    try:
        dataset = Dataset(root, ("a", "b", "c"))
        require_hints(dataset.hints("a"), dataset.image("a").shape[:2], 3)
    finally:
        (root / path.name).unlink()


class TooLongError(BaseException):
    """No reader catches it."""


def too_long(*arguments: object) -> None:
    raise TooLongError(f"longer than {SECONDS} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="readers whose name starts so")
    parser.add_argument("--work", type=Path, default=Path("runs/fuzz"), help="findings are kept here")
    options = parser.parse_args()
    pillow.MAX_PIXELS = PIXELS
    signal.signal(signal.SIGALRM, too_long)
    warnings.simplefilter("ignore")
    rows, findings = [], 0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        chosen = [reader for reader in readers(Path(folder)) if reader.name.startswith(options.only)]
        for number, reader in enumerate(chosen):
            chance = random.Random(f"{options.seed} {reader.name}")
            path = Path(folder) / reader.name
            path.parent.mkdir(parents=True, exist_ok=True)
            count = options.executions // len(chosen) + (number < options.executions % len(chosen))
            for good in reader.good:
                path.write_bytes(good)
                reader.read(path)
            refused, kinds, started = 0, set(), time.monotonic()
            for _ in range(count):
                content = damaged(reader.good, chance)
                path.write_bytes(content)
                signal.alarm(SECONDS)
                try:
                    reader.read(path)
                except HintsegError:
                    refused += 1
                except BaseException as error:
                    if isinstance(error, KeyboardInterrupt):
                        raise
                    place = error.__traceback__
                    while place.tb_next is not None:
                        place = place.tb_next
                    kind = f"{type(error).__name__} {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}"
                    if kind not in kinds:
                        kinds.add(kind)
                        options.work.mkdir(parents=True, exist_ok=True)
                        kept = options.work / f"{len(kinds)}-{reader.name.replace('/', '-')}"
                        kept.write_bytes(content)
                        print(f"FOUND {reader.name}: {kind}: {str(error)[:200]} ({kept})", flush=True)
                finally:
                    signal.alarm(0)
            path.write_bytes(reader.good[0])  # readers that share a folder find it whole
            findings += len(kinds)
            seconds = time.monotonic() - started
            row = {"reader": reader.name, "seed": options.seed, "executions": count, "refused": refused}
            speed = {"seconds": round(seconds, 1), "per_second": round(count / seconds)}
            rows.append({**row, "findings": len(kinds), **speed})
            print(rows[-1], flush=True)
    done, seconds = sum(row["executions"] for row in rows), sum(row["seconds"] for row in rows)
    print(
        f"{done} executions, {findings} findings, {seconds:.0f} s; a million takes {1e6 / done * seconds / 60:.0f} min"
    )
    if not options.only:
        print(write("fuzz", rows))
    raise SystemExit(findings > 0)


if __name__ == "__main__":
    main()
