"""The table of `hintseg recipe NAME --explain`."""

import pytest

from hintseg.config.explain import explain_settings
from hintseg.config.schema import Recipe
from hintseg.recipes.registry import RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_every_setting_says_in_a_sentence_what_it_is_for(name):
    for setting in explain_settings(RECIPES[name], everything=True):
        assert setting.purpose.endswith("."), setting.name
        assert setting.purpose[0].isupper() or setting.purpose.startswith("none;"), setting.name


def test_values_stand_beside_their_defaults():
    table = {setting.name: setting for setting in explain_settings(RECIPES["fine-tuned"])}
    assert table["iterations"][1:3] == (200, 1000)
    assert table["optimizer.lr"][1:3] == (3e-4, 1e-3)
    assert table["instant.steps"][1:3] == (300, 300)
    assert table["objective.pseudo_label_cross_entropy.class_weight_power"][1:3] == (0.5, None)
    assert "tags.iterations" not in table
    every = {setting.name: setting for setting in explain_settings(RECIPES["fine-tuned"], everything=True)}
    assert every["tags.iterations"][1:3] == (500, 500)
    assert every["network.classifier"][1:3] == ("hidden", "hidden")


def test_defaults_differ_from_values_only_where_a_recipe_says_so():
    assert all(value == default for _, value, default, _ in explain_settings(Recipe(), everything=True))
