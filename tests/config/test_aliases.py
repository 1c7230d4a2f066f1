"""Earlier names of settings: in files, assignments, objectives and runs."""

import json
import shutil
from pathlib import Path

import pytest

from hintseg.api import choose_recipe, train
from hintseg.config import aliases
from hintseg.config.aliases import METHODS, RENAMED, TERMS, current_name
from hintseg.config.load import load_recipe, override
from hintseg.config.schema import Recipe
from hintseg.errors import ConfigError
from hintseg.inference.run_config import RunConfig
from hintseg.inference.segmenter import Segmenter
from hintseg.recipes.registry import RECIPES

OLD_RUN = Path(__file__).parent / "run_of_0.1.json"


@pytest.fixture(autouse=True)
def _warnings_anew():
    aliases._warn.cache_clear()


def renamed_value(recipe, name):
    value = recipe
    for part in name.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("old", [name for name in RENAMED if "." in name])
def test_an_assignment_by_the_old_name_sets_the_new_one_and_warns_once(old, caplog):
    new = current_name(old)
    recipe = Recipe() if renamed_value(Recipe(), new) is not None else RECIPES["voc12-tags"]
    value = json.dumps(recipe.everything()[new.split(".")[0]][new.split(".")[1]])
    for _ in range(2):
        assert override(recipe, [f"{old}={value}"]) == override(recipe, [f"{new}={value}"])
    (record,) = caplog.records
    assert f"{old} → {new}" in record.getMessage()


@pytest.mark.parametrize(("old", "new"), TERMS.items())
def test_terms_and_their_keys_are_renamed(old, new):
    recipe = override(Recipe(), [f"objective.{old}.weight=0.3"])
    assert recipe.objective[new].weight == 0.3
    balanced = override(Recipe(), ["objective.spread.balance=0.25"])
    assert balanced.objective["propagated_cross_entropy"].class_weight_power == 0.25


def test_an_objective_by_its_old_name(caplog):
    assert choose_recipe(objective="spread") == choose_recipe(objective="propagated_cross_entropy")
    assert "--objective 'spread' is now called 'propagated_cross_entropy'" in caplog.text


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        (["data.batch=2", "data.batch_size=4"], "--set: data.batch is the old name of data.batch_size; give data.b"),
        (['data={"batch": 2, "batch_size": 4}'], "data.batch is the old name of data.batch_size"),
        (
            ["objective.spread.weight=1", "objective.propagated_cross_entropy.weight=1"],
            "the old name of objective.prop",
        ),
        (['objective={"spread": {"weight": 1, "balance": 0, "class_weight_power": 0}}'], "spread.balance is the old"),
        (["stage_two.kind=none", "self_training.mode=none"], "stage_two.kind is the old name of self_training.mode"),
    ],
)
def test_both_names_at_once_are_refused(assignments, said):
    with pytest.raises(ConfigError, match=said):
        override(Recipe(), assignments)


@pytest.mark.parametrize("wrong", ["stage_two.sort=1", 'stage_two={"sort": 1}', "data.width=3", "objective.spread=1"])
def test_what_never_was_a_setting_is_still_refused(wrong):
    with pytest.raises(ConfigError):
        override(Recipe(), [wrong])


def test_a_recipe_file_with_old_names(tmp_path, caplog):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(json.loads(OLD_RUN.read_text("utf-8"))["recipe"]), "utf-8")
    recipe = load_recipe(path)
    assert recipe.network.decoder_channels == 16
    assert recipe.data.batch_size == 2
    assert recipe.label_propagation.superpixels == 1000
    assert recipe.objective["propagated_cross_entropy"].class_weight_power == 0.5
    gone, renamed = (record.getMessage() for record in caplog.records)
    assert gone.startswith(f"{path}: ignored, since there is no such setting any more: ")
    assert renamed.startswith(str(path))
    assert "network.width → network.decoder_channels" in renamed
    assert load_recipe(path) == recipe
    assert len(caplog.records) == 2
    path.write_text(json.dumps({"data": {"batch": 2, "batch_size": 2}}), "utf-8")
    with pytest.raises(ConfigError, match=r"recipe\.json: data\.batch is the old name of data\.batch_size"):
        load_recipe(path)


def test_a_run_of_an_earlier_version_opens_with_a_warning(caplog):
    run = RunConfig.load(OLD_RUN)
    assert run.recipe.segments.memory_bank == 1
    assert len(caplog.records) == 2
    assert "network.width → network.decoder_channels" in caplog.records[1].getMessage()


@pytest.mark.parametrize(("old", "new"), METHODS.items())
def test_inference_methods_are_renamed(old, new, caplog):
    assert override(Recipe(), [f"inference.method={old}"]).inference.method == new
    assert f"inference.method {old} → {new}" in caplog.text


def old_names(section, above=""):
    """A recipe, or flat settings, as an earlier version wrote it."""
    back = {new: old for old, new in RENAMED.items()} | {
        f"objective.{new}": f"objective.{old}" for old, new in TERMS.items()
    }
    flat = {}

    def walk(part, above):
        for name, value in part.items():
            if isinstance(value, dict):
                walk(value, f"{above}{name}.")
            else:
                flat[above + name] = value

    walk(section, above)
    found = {}
    for name, value in flat.items():
        *sections, key = name.split(".")
        if sections[:1] == ["objective"]:
            term = f"objective.{sections[1]}"
            renamed = f"{back.get(term, term)}.{'balance' if key == 'class_weight_power' else key}"
        else:
            renamed = back.get(name, name)
        found[renamed] = value
    return found


def nested(flat):
    content = {}
    for name, value in flat.items():
        *sections, key = name.split(".")
        place = content
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
    return content


def test_an_interrupted_run_of_an_earlier_version_goes_on(scenes, tiny, tmp_path):
    options = {"weights": "none", "device": "cpu", "iterations": 2, "settings": tiny}
    train(scenes, "points", tmp_path / "run", **options)
    (tmp_path / "run" / "weights.safetensors").unlink()
    path = tmp_path / "run" / "run.json"
    content = json.loads(path.read_text("utf-8"))
    content["recipe"] = nested(old_names(content["recipe"]))
    assert content["recipe"]["data"]["batch"] == 2
    path.write_text(json.dumps(content), "utf-8")
    inputs = tmp_path / "run" / "inputs.json"
    content = json.loads(inputs.read_text("utf-8"))
    terms = content["settings"]["the terms of the objective"]
    content["settings"] = old_names(content["settings"])
    back = {new: old for old, new in TERMS.items()}
    content["settings"]["the hint forms"] = content["settings"].pop("the hint types")
    content["settings"]["the terms of the objective"] = [back.get(term, term) for term in terms]
    inputs.write_text(json.dumps(content), "utf-8")
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    assert train(scenes, "points", tmp_path / "run", resume=True, **options).recipe.iterations == 2
    with pytest.raises(Exception, match=r"data\.batch_size was 2 and is 4"):
        train(scenes, "points", tmp_path / "other", resume=True, **options | {"settings": [*tiny, "data.batch_size=4"]})


def test_a_segmenter_takes_old_methods(scenes, tiny, tmp_path):
    segmenter = train(scenes, "points", tmp_path / "run", weights="none", device="cpu", iterations=1, settings=tiny)
    assert Segmenter.open(segmenter.run).with_inference(method="both").method == "softmax+knn"


def test_settings_that_are_gone_are_left_out_or_refused(tmp_path, caplog):
    assert override(Recipe(), ["data.oversegmentation=watershed", "completion.crf=false"]) == Recipe()
    assert "inference.crf applies to training masks, too" in caplog.text
    for gone in ("data.oversegmentation=slic", "completion.crf=true"):
        with pytest.raises(ConfigError, match=f"there is no {gone.partition('=')[0]} any more"):
            override(Recipe(), [gone])
    content = json.loads(OLD_RUN.read_text("utf-8"))
    content["recipe"]["data"]["oversegmentation"] = "slic"
    (tmp_path / "run.json").write_text(json.dumps(content), "utf-8")
    assert RunConfig.load(tmp_path / "run.json").recipe == RunConfig.load(OLD_RUN).recipe


def test_a_section_is_assigned_by_its_old_name_with_old_and_new_settings():
    old = override(Recipe(), ['stage_two={"kind": "classifier", "start": 0.25}'])
    assert old == override(Recipe(), ['self_training={"mode": "classifier", "start": 0.25}'])
    assert old.self_training.mode == "classifier"
    with pytest.raises(ConfigError, match="there is no such setting"):
        override(Recipe(), ['stage_two={"sort": "classifier"}'])
