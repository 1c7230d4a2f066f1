"""Class names and keys with folders survive export and import again, or export says why not."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.formats.test_reader import photograph

from hintseg.errors import InputError
from hintseg.formats.registry import WRITERS, export_masks, import_dataset
from hintseg.formats.writer import Classes
from hintseg.io.images import write_labels

NAMES = [
    "#weed", "# weed", "crop: maize", "a:1,2,3", "b,c", " padded", "<b>&amp;", '"x"', "[red]", "é", "🐄", "1",
    "a\u00a0b", "Void",
]  # fmt: skip
KEYS = ("a/001", "b/001", "c.d/x.y")
FLAT = ("001", "002", "x.y")  # Label Studio's reader looks at the last part of a name alone


def keys_of(writer):
    return FLAT if writer == "label-studio" else KEYS


def exported(folder, writer, name):
    """One class of a name, on images with folders in their keys, exported and imported again."""
    files = {key: photograph(folder / "photos" / f"{key}.jpg") for key in keys_of(writer)}
    for number, key in enumerate(keys_of(writer)):
        labels = np.zeros((48, 64), np.uint8)
        labels[5 : 20 + number] = 1
        write_labels(folder / "masks" / f"{key}.png", labels)
    out = folder / "exported"
    assert export_masks(files, folder / "masks", out, writer, Classes(("soil", name), 0)) == len(files)
    for path in (out / "tasks.json",) if writer == "label-studio" else ():  # people correct predictions
        tasks = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps([{**task, "annotations": task["predictions"]} for task in tasks]), "utf-8")
    (folder / "photos").rename(out / "photos")
    return import_dataset(out, folder / "data")[0]


@pytest.mark.parametrize("writer", sorted(set(WRITERS) - {"geotiff"}))
@pytest.mark.parametrize("name", NAMES)
def test_names_and_keys_come_back(tmp_path, writer, name):
    if writer in ("png", "voc") and name in {"# weed", " padded", "Void"}:
        with pytest.raises(InputError, match="cannot be written into labelmap"):
            exported(tmp_path, writer, name)
        return
    dataset = exported(tmp_path, writer, name)
    assert name in dataset.classes
    assert dataset.keys() == keys_of(writer)
    for number, key in enumerate(keys_of(writer)):
        hints = dataset.hints(key)
        labels = hints.mask.labels if hints.mask else hints.scribble_map.labels
        assert (labels == dataset.classes.index(name)).sum() == (15 + number) * 64


@pytest.mark.parametrize("writer", sorted(WRITERS))
@pytest.mark.parametrize("name", ["a\nb", "", "\ud800", "a\x00", "a\u2028b"])
def test_names_that_no_file_holds_are_refused(tmp_path, writer, name):
    with pytest.raises(InputError, match="cannot be shown"):
        exported(tmp_path, writer, name)


@pytest.mark.parametrize("writer", sorted(set(WRITERS) - {"geotiff"}))
def test_any_name(tmp_path_factory, writer):
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.text(min_size=1, max_size=12).filter(lambda name: name.casefold().strip() not in ("soil", "void")))
    def check(name):
        try:
            dataset = exported(tmp_path_factory.mktemp("any"), writer, name)
        except InputError as error:
            assert "class name" in str(error)  # noqa: PT017
        else:
            assert name in dataset.classes

    check()
