"""The examples of CONTRIBUTING.md run, and what the pages name exists."""

import ast
import json
import re
import tomllib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from docs.generate import SCHEMA, pages
from packaging.requirements import Requirement

from hintseg import train
from hintseg.apps.batch_inference.cluster import BATCH
from hintseg.apps.batch_inference.local import SHARD
from hintseg.apps.cli.app import app
from hintseg.apps.studio.lock import SILENT
from hintseg.check import inspect, require_trainable
from hintseg.config.schema import DataConfig, InferenceConfig
from hintseg.contrib.rca import RegionMemoryBank
from hintseg.errors import InputError
from hintseg.formats.registry import FORMATS, Format, import_dataset
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import UNLABELED
from hintseg.hints.types.points import Point
from hintseg.hints.types.registry import HINT_TYPES, parse_hint_types
from hintseg.inference.large_index import LARGE
from hintseg.io import pillow
from hintseg.io.storage.files import TRIES
from hintseg.io.storage.mirror import PUBLISH_EVERY, cache_folder
from hintseg.network.embedder import PixelMaps
from hintseg.training.loss_registry import TERMS, TermInputs
from tests.drawing import on_blank

ROOT = Path(__file__).parents[1]
READ = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]  # by users
PAGES = [ROOT / "CONTRIBUTING.md", *READ]
MOST_WORDS = 6000
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.S | re.M)


def example(number: int, **known: object) -> dict:
    """What the n-th example of CONTRIBUTING.md, a file and a line, adds to a table of names."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.S)
    file, line = blocks[2 * number : 2 * number + 2]
    names: dict = {"__name__": "example"}
    exec(file, names)
    module = re.match(r"# src/hintseg/\S*?(\w+)\.py\n", file)
    return eval("{" + line + "}", {module[1]: SimpleNamespace(**names), **known, **names})


def test_the_example_of_a_new_loss_runs():
    terms = example(0)
    assert not set(terms) & set(TERMS)
    logits = torch.zeros(1, 4, 2, 2)
    inputs = TermInputs(PixelMaps(logits, logits), *[torch.zeros(1)] * 7, "average", None, RegionMemoryBank(4))
    assert float(terms["confidence"](inputs)) == pytest.approx(0.75)


def test_the_example_of_a_new_hint_type_runs(scenes, tiny, tmp_path, monkeypatch):
    new = example(1)
    assert not set(new) & set(HINT_TYPES)
    for name, hint_type in new.items():
        monkeypatch.setitem(HINT_TYPES, name, hint_type)
    key = scenes.keys("train")[0]
    (scenes.root / "circles.json").write_text(json.dumps({key: [[20, 10, 5, 1]]}), "utf-8")
    dataset = Dataset.open(scenes.root)
    assert parse_hint_types("circle") == ("circles",)
    hints = dataset.hints(key, ("circles",))
    assert hints.types() == ("circles",)
    target = on_blank(hints, (40, 60), 3)
    rows, columns = np.indices((40, 60))
    far = np.hypot(columns - 20, rows - 10)
    assert (target.labels[far <= 4.5] == 1).all()
    assert (target.labels[far > 6] == UNLABELED).all()
    found = inspect(dataset, dataset.keys("train"), parse_hint_types("circles"))
    assert found.hint_types == {"circles": 1}
    assert require_trainable(found, dataset, ("circles",), "refuse") == dataset.keys("train")
    run = train(dataset, "circles", tmp_path / "run", weights="none", device="cpu", iterations=1, settings=tiny)
    assert run.complete(dataset, key)[10, 20] == 1
    (scenes.root / "circles.json").write_text(json.dumps({key: [[20, 10, 1]]}), "utf-8")
    with pytest.raises(InputError, match=r"circles\.json, image .*must be a list of 4 values"):
        Dataset.open(scenes.root).hints(key)


def test_the_example_of_a_new_format_runs(scenes, tmp_path, monkeypatch):
    new = example(2, Format=Format)
    assert not set(new) & set(FORMATS)
    for name, known in new.items():
        monkeypatch.setitem(FORMATS, name, known)
    key = scenes.keys("train")[0]
    image, table = scenes.path(key).name, scenes.root / "images" / "clicks.csv"
    table.write_text(f"image,x,y,class\n{image},20,10,cell\n{image},30,12.5,rest\n", "utf-8")
    dataset, _ = import_dataset(table, tmp_path / "set")
    assert dataset.classes == ("cell", "rest")
    assert dataset.hints(key).points == (Point(20, 10, 0), Point(30, 12.5, 1))
    table.write_text(f"image,x,y,class\n{image},left,10,cell\n", "utf-8")
    with pytest.raises(InputError, match=r"clicks\.csv, line 2: x and y must be numbers"):
        import_dataset(table, tmp_path / "other")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_documented_commands_and_options_exist(page):
    import typer

    commands = typer.main.get_command(app).commands
    options = {
        name: {flag for option in command.params for flag in option.opts + option.secondary_opts}
        for name, command in commands.items()
    }
    for block in blocks(page, "bash"):
        for command, rest in re.findall(r"^hintseg (\S+)(.*)$", block, re.M):
            assert command in commands, f"{page}: hintseg {command}"
            for flag in re.findall(r"\s(--[a-z-]+)", rest.split("#")[0]):
                assert flag in options[command], f"{page}: hintseg {command} {flag}"


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page, without the indentation of a list."""
    found = FENCE.findall(page.read_text("utf-8"))
    texts = [re.sub(f"^{indent}", "", text, flags=re.M) for indent, named, text in found if named == language]
    return [text.replace("\\\n", " ") for text in texts]


@pytest.mark.parametrize("page", READ, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_of_json_and_python_can_be_read(page):
    for block in blocks(page, "json"):
        json.loads(block)
    for block in blocks(page, "python"):
        ast.parse(block)


def test_generated_pages_are_up_to_date():
    for path, text in pages().items():
        assert path.read_text("utf-8") == text, f"{path.name}: run python docs/generate.py"


def test_documented_settings_exist():
    known = {f"{name}." for name in SCHEMA.model_fields}
    settings = set(re.findall(r"^\| `([a-z_.A-Z]+)` \|", pages()[ROOT / "docs/reference/settings.md"], re.M))
    for page in READ:
        text = page.read_text("utf-8")
        for name in re.findall(r"(?:`|--set )([a-z_]+\.[a-z_.]+)(?:`|=)", text):
            if any(name.startswith(section) for section in known) and not name.endswith(".json"):
                assert name in settings, f"{page}: {name}"


@pytest.mark.parametrize("name", ["method.md", "data-flow.md"])
def test_documented_paths_of_the_code_exist(name):
    text = (ROOT / "docs" / "explanation" / name).read_text("utf-8")
    paths = re.findall(r"`([a-z_/]+/|[a-z_/]+\.py)`", text)
    assert paths
    for path in paths:
        assert (ROOT / "src" / "hintseg" / path).exists() or (ROOT / path).exists(), path


def test_the_prose_is_short():
    assert sum(prose(page.read_text("utf-8")) for page in READ) <= MOST_WORDS


def prose(text: str) -> int:
    """Words of a page but for generated parts, fenced code, formulas and the addresses of links."""
    if "<!-- generated by " in text:
        return 0
    text = FENCE.sub("", text)
    text = re.sub(r"<!-- (\w+): generated.*?<!-- \1: end -->", "", text, flags=re.S)
    text = re.sub(r"<math.*?</math>|<[^>]+>", "", text, flags=re.S)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return sum(bool(re.search(r"\w", word)) for word in text.split())


@pytest.mark.parametrize("page", ["docs/how-to/trouble.md"])
def test_every_sentence_of_the_table_is_one_that_is_said(page):
    sources = [path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")]
    said = re.sub(r'"\s*\n\s*f?"', "", "\n".join(sources)).lower()
    said = re.sub(r"\{[^{}\n]*\}", "…", said)  # what a sentence names
    rows = re.findall(r"^\| (\*.*?) \|", (ROOT / page).read_text("utf-8"), re.M)
    assert len(rows) > 10
    for sentence in re.findall(r"\*(.+?)\*", " ".join(rows)):
        assert sentence.rstrip(" …").replace("failed 8", "failed …").lower() in said or sentence in SYSTEMS, sentence


SYSTEMS = ("no space left on device",)  # the operating system's own


@pytest.mark.parametrize(
    ("page", "pattern", "number"),
    [
        ("SECURITY.md", r"more than (\d+) million pixels", pillow.MAX_PIXELS / 1e6),
        ("docs/how-to/maps.md", r"above (\d+) million pixels", pillow.MAX_PIXELS / 1e6),
        ("docs/how-to/maps.md", r"reduces images to (\d+) pixels", DataConfig().longest_side),
        ("docs/how-to/maps.md", r"`inference.tile` \((\d+) px\)", InferenceConfig().tile),
        ("docs/how-to/trouble.md", r"failed (\d+) times", TRIES),
        ("docs/how-to/many.md", r"up to (eight) times", TRIES),
        ("docs/how-to/many.md", r"copied out every (minute)", PUBLISH_EVERY),
        ("docs/how-to/many.md", r"shards of (\d+) images", SHARD),
        ("docs/how-to/many.md", r"of the (\d+) images it had", BATCH),
        ("docs/how-to/many.md", r"Above (two) million training segments", LARGE / 1e6),
        ("docs/how-to/studio.md", r"An upload may have (\d+) MiB", "server.LARGEST_UPLOAD"),
        ("docs/how-to/studio.md", r"any other request (\d+) MiB", "guard.LARGEST_BODY"),
        ("docs/how-to/studio.md", r"ends a (minute) after its last sign of life", SILENT),
    ],
)
def test_numbers_on_the_pages_are_those_of_the_code(page, pattern, number):
    if isinstance(number, str):  # of a module that needs the studio's packages
        module, name = number.split(".")
        number = getattr(pytest.importorskip(f"hintseg.apps.studio.{module}"), name) / 2**20
    text = " ".join((ROOT / page).read_text("utf-8").split())
    (found,) = re.findall(pattern, text)
    assert {"eight": 8, "two": 2, "minute": 60}.get(found) == number or float(found) == number


def test_the_cache_is_where_the_page_says(monkeypatch):
    for name in ("HINTSEG_CACHE", "HINTSEG_CACHE_GB"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder() == Path.home() / ".cache" / "hintseg"
    assert "`HINTSEG_CACHE_GB` (50)" in (ROOT / "docs/how-to/many.md").read_text("utf-8")


def test_urls_need_nothing_more_than_the_page_says():
    """hf:// and https:// work with what is always installed, s3:// with hintseg[s3]."""
    described = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    always = needed(described["dependencies"])
    assert {"aiohttp", "huggingface-hub"} <= always
    assert "s3fs" not in always
    assert "s3fs" in needed(described["optional-dependencies"]["s3"])


def needed(requirements):
    """Names of all that is installed with requirements."""
    todo, seen = [Requirement(one) for one in requirements], set()
    while todo:
        one = todo.pop()
        name = one.name.lower().replace("_", "-")
        if (name, frozenset(one.extras)) in seen:
            continue
        seen.add((name, frozenset(one.extras)))
        try:
            further = [Requirement(text) for text in metadata.requires(one.name) or []]
        except metadata.PackageNotFoundError:
            continue
        extras = ("", *one.extras)
        todo += [own for own in further if not own.marker or any(own.marker.evaluate({"extra": e}) for e in extras)]
    return {name for name, _ in seen}
