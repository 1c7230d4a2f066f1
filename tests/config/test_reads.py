"""Which settings a recipe shows."""

import json

import pytest

from hintseg.api import choose_recipe
from hintseg.config.load import override
from hintseg.config.schema import Recipe
from hintseg.errors import ConfigError
from hintseg.recipes.registry import RECIPES


def leaves(section, above=""):
    for name, value in section.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}{name}.")
        else:
            yield above + name


def shown(recipe):
    return set(leaves(recipe.model_dump(mode="json")))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("mode", ["json", "python"])
def test_what_is_shown_gives_back_the_recipe(name, mode):
    assert Recipe.model_validate(RECIPES[name].model_dump(mode=mode)) == RECIPES[name]
    assert Recipe.model_validate(RECIPES[name].everything()) == RECIPES[name]


@pytest.mark.parametrize("name", sorted(leaves(Recipe().everything())))
def test_a_setting_with_another_value_is_always_shown(name):
    others = {"network.decoder": "none", "network.classifier": "detached", "optimizer.name": "sgd", "instant": {}}
    others |= {
        "tags.pooling": "max",
        "self_training.mode": "classifier",
        "inference.method": "knn",
        "network.backbone": "a",
    }
    others |= {"segments.grid": [3, 3], "data.scale_range": [1, 2], "inference.scales": [2], "name": "a"}
    others |= {"network.output_stride": 8, "data.crop_size": 64, "inference.tile": 200}
    section, _, key = name.rpartition(".")
    content = Recipe().everything()
    usual = (content[section] if section else content)[key]
    value = others.get(name, not usual if isinstance(usual, bool) else usual / 2 if usual == 0.01 else 0.5)
    if name not in others and isinstance(usual, int) and not isinstance(usual, bool):
        value = usual + 1
    if name == "data.longest_side" or name == "inference.longest_side":
        value = 100
    changed = override(Recipe(objective={"entropy": {}}), [f"{name}={json.dumps(value)}"])
    assert any(one == name or one.startswith(f"{name}.") for one in shown(changed))
    assert Recipe.model_validate(changed.model_dump(mode="json")) == changed


@pytest.mark.parametrize(
    ("settings", "appear"),
    [
        (["objective.similarity.weight=0.1"], {"segments.max_pixels", "data.num_superpixels", "segments.memory_bank"}),
        (["objective.tags.weight=0.1"], {"tags.pooling"}),
        (["network.decoder=light"], {"network.decoder_channels"}),
        (["inference.flip=true"], {"inference.flip"}),
        (["tags.iterations=4"], {"tags.iterations"}),
        (["seed=3", "data.num_workers=2"], {"seed", "data.num_workers"}),
    ],
)
def test_a_section_appears_when_something_reads_it(settings, appear):
    usual = shown(RECIPES["fine-tuned"])
    assert not usual & appear
    assert appear <= shown(choose_recipe("fine-tuned", settings=settings))


def test_without_a_training_loop_nothing_of_one_is_shown():
    assert not {name for name in shown(RECIPES["instant"]) if name.startswith(("optimizer", "tags", "self_training"))}
    assert "iterations" not in shown(RECIPES["instant"])


def test_a_classifier_follows_the_decoder_unless_named():
    assert Recipe().network.classifier == "joint"
    assert Recipe.model_validate({"network": {"decoder": "none"}}).network.classifier == "hidden"
    assert Recipe.model_validate({"network": {"decoder": "none", "classifier": "joint"}}).network.classifier == "joint"


def test_a_range_of_scales_begins_with_the_smaller():
    with pytest.raises(ConfigError, match=r"data\.scale_range.*the first scale is the smaller one"):
        choose_recipe("fine-tuned", settings=["data.scale_range=[2, 1]"])


def test_a_recipe_file_without_an_objective_is_named(tmp_path):
    (tmp_path / "mine.json").write_text('{"iterations": 5}')
    with pytest.raises(ConfigError, match=r"mine\.json: the objective has no term.*hintseg recipe NAME"):
        choose_recipe(config=tmp_path / "mine.json")
