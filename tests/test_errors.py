"""What a sentence says of an exception is for the one who reads it, not about Python."""

import json

import pytest

from hintseg.config.load import load_recipe
from hintseg.errors import ConfigError, InputError, RunError, why
from hintseg.formats.rle import decode_rle
from hintseg.inference.run_config import RunConfig
from hintseg.io.reading import parse_json

PYTHON = ("NoneType", "unhashable", "unpack", "set_int_max", "invalid literal", "indices must be", "subscript")
FAULTS = [
    (len, None), (hash, []), (dict, 5), (int, "9" * 5000), (int, "x"), (float, "x"), ([].pop, 0), (next, 5),
    (lambda pair: [a for a, b in pair], [[1]]), (lambda value: value["a"], None), (lambda value: value.x, None),
]  # fmt: skip


@pytest.mark.parametrize(("make", "value"), FAULTS)
def test_nothing_internal_is_told(make, value):
    with pytest.raises((TypeError, ValueError, AttributeError, IndexError)) as caught:
        make(value)
    assert not [word for word in PYTHON if word in why(caught.value)]


def test_what_a_person_can_mend_is_told():
    assert why(ValueError("the last run is missing")) == "the last run is missing"
    assert why(KeyError("classes")) == "it lacks 'classes'"


@pytest.mark.parametrize("text", ['{"a": ' + "9" * 5000 + "}", "[" * 10**6, '{"a": 1, "a": 2', "{"])
def test_json_that_cannot_be_read_is_told_in_words(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    for reads, kind in ((lambda: parse_json(text, "a.json"), InputError), (lambda: load_recipe(path), ConfigError)):
        with pytest.raises(kind, match=r"a.json: is not valid JSON") as caught:
            reads()
        assert not [word for word in PYTHON if word in str(caught.value)]


@pytest.mark.parametrize("content", [[], None, {}, {"recipe": None}, {"recipe": {}, "classes": {}}, 5, "text"])
def test_a_run_description_of_another_kind_is_told_in_words(tmp_path, content):
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(RunError) as caught:
        RunConfig.load(tmp_path / "run.json")
    assert not [word for word in PYTHON if word in str(caught.value)]


@pytest.mark.parametrize(
    "rle",
    [{}, {"size": None}, {"size": [1]}, {"size": ["a", 2]}, {"size": [1, 1]}, {"size": [1, 1], "counts": None},
     {"size": [1, 1], "counts": ["x"]}, {"size": [1, 1], "counts": [[1], 2]}, {"size": [1, 1], "counts": "ä"}],
)  # fmt: skip
def test_run_lengths_of_another_kind_are_told_in_words(rle):
    with pytest.raises(ValueError, match=r".") as caught:
        decode_rle(rle)
    assert not [word for word in PYTHON if word in why(caught.value)]
