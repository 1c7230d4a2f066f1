"""Modules are found under their earlier names for one release."""

import importlib
import subprocess
import sys

import pytest

from hintseg.moved import MOVED, place_of

OLD = [
    ("hintseg.images", "read_image"),
    ("hintseg.formats.exported", "Classes"),
    ("hintseg.formats.by_name", "export_masks"),
    ("hintseg.bulk.photographs", "find_photographs"),
    ("hintseg.storage.files", "exists"),
    ("hintseg.losses.contrast", "pixel_to_segment_loss"),
    ("hintseg.inference.untrained", "complete_untrained"),
    ("hintseg.hints.forms.registry", "parse_forms"),
    ("hintseg.hints.forms.form", "HintForm"),
    ("hintseg.images", "read_picture"),
]


@pytest.mark.parametrize(("module", "name"), OLD)
def test_an_earlier_name_is_the_module_of_today_and_says_so(module, name):
    program = f"import warnings; warnings.simplefilter('error', FutureWarning); from {module} import {name}"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "FutureWarning: hintseg." in said.stderr
    assert " now" in said.stderr
    program = f"import warnings; warnings.simplefilter('ignore'); from {module} import {name}"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("place", sorted(set(MOVED.values())))
def test_every_place_is_there(place):
    importlib.import_module(place)


def test_other_names_are_not_found():
    assert place_of("hintseg.hints.dataset") is None
    assert place_of("hintseg.images") == "hintseg.io.images"
    assert place_of("hintseg.storage.files") == "hintseg.io.storage.files"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("hintseg.nothing")
    with pytest.warns(FutureWarning), pytest.raises(ModuleNotFoundError):
        importlib.import_module("hintseg.storage.nothing")


def test_what_configuration_was_as_one_module_is_found_in_it():
    from hintseg.config import Recipe, load_recipe, override

    assert override(Recipe(), ["iterations=7"]).iterations == 7
    assert callable(load_recipe)
    with pytest.raises(ImportError):
        from hintseg.config import nothing  # noqa: F401
