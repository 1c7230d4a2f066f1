"""Annotations with something wrong anywhere in them are imported or refused in a sentence; nothing else happens."""

import json
import random
import shutil
from contextlib import suppress

import pytest
from benchmarks import fuzz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.formats.test_formats import EXAMPLES
from tests.formats.test_formats import source as source  # a fixture

from hintseg.errors import HintsegError
from hintseg.formats.registry import import_dataset
from hintseg.formats.rle import decode_rle
from hintseg.io import pillow

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(), st.text(max_size=8),
    st.lists(st.integers(-5, 300), max_size=5), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)  # fmt: skip
FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def leaves(content, path=()):
    """Paths to every value in nested lists and dictionaries, containers included."""
    rows = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for step, value in rows:
        yield (*path, step)
        yield from leaves(value, (*path, step))


def tried(source, name):
    out = source.parent / "out"
    with suppress(HintsegError):
        import_dataset(source, out, name)
    shutil.rmtree(out, ignore_errors=True)


@pytest.mark.parametrize("name", ["coco", "label-studio", "labelme"])
def test_any_value_in_json_may_be_wrong(source, name):
    EXAMPLES[name](source)
    path = next(path for path in sorted(source.iterdir()) if path.suffix == ".json")
    whole = path.read_text()
    places = list(leaves(json.loads(whole)))

    @FEW
    @given(st.sampled_from(places), VALUES)
    def check(place, value):
        content = json.loads(whole)
        target = content
        for step in place[:-1]:
            target = target[step]
        target[place[-1]] = value
        path.write_text(json.dumps(content))
        tried(source, name)

    check()


@pytest.mark.parametrize(
    ("name", "file"), [("cvat", "annotations.xml"), ("voc", "a.xml"), ("yolo", "labels/a.txt"), ("yolo", "data.yaml")]
)
def test_any_part_of_a_text_may_be_wrong(source, name, file):
    EXAMPLES[name](source)
    path = source / file
    whole = path.read_text()

    @FEW
    @given(st.integers(0, len(whole)), st.integers(0, 12), st.text('0123456789.,;-<>/"&e x\x00é', max_size=6))
    def check(start, length, between):
        path.write_text(whole[:start] + between + whole[start + length :])
        tried(source, name)

    check()


@pytest.mark.parametrize("name", ["coco", "cvat"])
def test_bytes_that_are_no_text(source, name):
    EXAMPLES[name](source)
    path = next(path for path in source.iterdir() if path.is_file())
    path.write_bytes(b"\xff\xfe" + path.read_bytes())
    with pytest.raises(HintsegError, match=path.name):
        import_dataset(source, source.parent / "out", name)


def test_entities_are_refused_in_any_encoding(source):
    bomb = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "bbbb">]><annotations>&b;</annotations>'
    path = source / "annotations.xml"
    for content in (bomb.encode("utf-16"), bomb.replace("utf-16", "utf-8").encode()):
        path.write_bytes(content)
        with pytest.raises(HintsegError, match="declares XML entities"):
            import_dataset(source, source.parent / "out", "cvat")


@pytest.mark.parametrize(
    ("name", "file", "before", "after", "message"),
    [
        ("coco", "labels.json", '"a.jpg"', f'"{"x" * 300}"', "names the image"),
        ("coco", "labels.json", "[[10, 20,", f"[[{10**400}, 20,", "that a coordinate can be"),
        ("coco", "labels.json", '"size": [72, 96]', '"size": [1e999, 96]', "of endless size"),
        ("label-studio", "export.json", '["cow"]', '["\\ud800"]', "cannot be shown"),
        ("cvat", "annotations.xml", "10.0,40.0", "10.0,NaN", "'points' must be"),
        ("cvat", "annotations.xml", 'xbr="30"', 'xbr="inf"', "not a number"),
        ("yolo", "labels/b.txt", "0 0.2", "0 nan 0.2", "no class index followed by numbers"),
        ("yolo", "labels/b.txt", "0 0.2", "0 \udcff 0.2", "not UTF-8"),
    ],
)
def test_what_fuzzing_found_is_refused(source, name, file, before, after, message):
    EXAMPLES[name](source)
    path = source / file
    whole = path.read_text()
    assert before in whole
    path.write_bytes(whole.replace(before, after, 1).encode("utf-8", "surrogateescape"))
    with pytest.raises(HintsegError, match=message):
        import_dataset(source, source.parent / "out", name)


def test_runs_whose_sum_comes_round_are_refused():
    with pytest.raises(ValueError, match="do not fill"):
        decode_rle({"size": [2, 2], "counts": [2**62, 2**62, 2**62, 2**62 + 4]})


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of what is odd in a TIFF
def test_every_reader_survives_damaged_files(tmp_path, monkeypatch):
    monkeypatch.setattr(pillow, "MAX_PIXELS", fuzz.PIXELS)
    for reader in list(fuzz.readers(tmp_path)):
        chance, path = random.Random(reader.name), tmp_path / reader.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(reader.good[0])
        reader.read(path)  # the whole one is no error
        for _ in range(60):
            path.write_bytes(fuzz.damaged(reader.good, chance))
            with suppress(HintsegError):
                reader.read(path)
        path.write_bytes(reader.good[0])  # readers that share a folder find it whole
