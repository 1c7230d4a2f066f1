"""Errors, configuration, metrics, and the house's own rules."""

import subprocess
import sys

import numpy as np
import pytest

from hintseg.api import choose_recipe, resolved_recipe, train
from hintseg.config.explain import leaves
from hintseg.config.load import load_recipe, override
from hintseg.config.reads import RELATIONSHIPS
from hintseg.config.schema import CROSS_ENTROPIES, Recipe
from hintseg.errors import ConfigError, unknown_name
from hintseg.functional.relations.registry import RELATIONS
from hintseg.metrics import ConfusionMatrix
from hintseg.recipes.registry import OBJECTIVES, RECIPES
from hintseg.training.loss_registry import TERMS


def test_unknown_names_list_the_known_and_the_nearest():
    message = str(unknown_name("backbone", "resnet5", ["resnet50", "vgg16"]))
    assert message == "Unknown backbone 'resnet5'. Did you mean 'resnet50'? Known: resnet50, vgg16."


def test_of_a_long_table_five_names_at_most_are_listed():
    known = [f"resnet{number}" for number in range(100)]
    message = str(unknown_name("backbone", "resnt50", known))
    assert message.startswith("Unknown backbone 'resnt50'. Did you mean 'resnet50'? Some of 100: resnet50, ")
    assert message.count("resnet") == 6
    assert str(unknown_name("backbone", "x", known)).count("resnet") == 5


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_survive_json(name, tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(RECIPES[name].model_dump_json(), "utf-8")
    assert load_recipe(path) == RECIPES[name]


def test_assignments_reach_every_depth():
    changed = override(
        Recipe(), ["iterations=7", "network.decoder=pyramid", "objective.entropy.weight=0.5", "data.scale_range=[1,2]"]
    )
    assert changed.iterations == 7
    assert changed.network.decoder == "pyramid"
    assert changed.objective["entropy"].weight == 0.5
    assert changed.data.scale_range == (1, 2)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("iterations", "section.key=value"),
        ("network.decodr=light", "network.decodr"),
        ("nettwork.decoder=light", "no 'nettwork'"),
        ("iterations=0", "greater than or equal to 1"),
        ("network.dropout=2", "less than or equal to 1"),
        ("network.decoder=heavy", "network.decoder"),
        ("iterations.deep=1", "has no parts"),
    ],
)
def test_wrong_assignments_say_where(assignment, message):
    with pytest.raises(ConfigError, match=message):
        override(Recipe(), [assignment])


def test_wrong_configuration_files(tmp_path):
    with pytest.raises(ConfigError, match="no such"):
        load_recipe(tmp_path / "none.json")
    bad = tmp_path / "bad.json"
    bad.write_text("{", "utf-8")
    with pytest.raises(ConfigError, match="not valid JSON"):
        load_recipe(bad)
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_recipe(_written(tmp_path / "bad.yaml", "data: [1"))
    with pytest.raises(ConfigError, match="'iterations' stands twice"):
        load_recipe(_written(tmp_path / "bad.yaml", "iterations: 1\niterations: 2\n"))
    with pytest.raises(ConfigError, match="'iterations' stands twice"):
        load_recipe(_written(tmp_path / "bad.json", '{"iterations": 1, "iterations": 2}'))
    bad.write_text('{"color": 1}', "utf-8")
    with pytest.raises(ConfigError, match="color"):
        load_recipe(bad)


def _written(path, text):
    path.write_text(text, "utf-8")
    return path


def test_a_recipe_as_yaml(tmp_path):
    text = "iterations: 7\ndata: {crop_size: 64}\noptimizer:\n  lr: 3e-4  # which YAML takes for a text\n"
    expected = override(Recipe(), ["iterations=7", "data.crop_size=64", "optimizer.lr=3e-4"])
    assert load_recipe(_written(tmp_path / "recipe.yaml", text)) == expected
    assert load_recipe(_written(tmp_path / "recipe.YML", text)) == expected
    with pytest.raises(ConfigError, match="there is no such setting"):
        load_recipe(_written(tmp_path / "recipe.yml", "data: {crop_sise: 64}"))
    with pytest.raises(ConfigError, match=r"recipe\.yml"):
        load_recipe(_written(tmp_path / "recipe.yml", ""))


def test_choices_change_the_recipe(tmp_path):
    chosen = choose_recipe(
        "plain", weights="none", backbone="resnet18", iterations=5, seed=3, settings=["data.batch_size=2"]
    )
    assert (chosen.network.backbone, chosen.iterations, chosen.seed, chosen.data.batch_size) == ("resnet18", 5, 3, 2)
    assert chosen.network.freeze_stride == 0
    assert not chosen.network.freeze_batchnorm
    assert choose_recipe(objective="partial_cross_entropy").self_training.mode == "none"
    for objective in OBJECTIVES:
        assert choose_recipe(objective=objective).objective == OBJECTIVES[objective]
    settings = ["objective.annotation.weight=0.3"]
    own = choose_recipe(objective="spml", settings=settings).objective
    assert own == {
        **OBJECTIVES["spml"],
        "annotation": OBJECTIVES["spml"]["annotation"].model_copy(update={"weight": 0.3}),
    }
    written = tmp_path / "written.json"
    written.write_text(RECIPES["fine-tuned"].model_dump_json(), "utf-8")
    assert choose_recipe(config=written) == RECIPES["fine-tuned"]
    with pytest.raises(ConfigError, match="Unknown recipe"):
        choose_recipe("plane")
    with pytest.raises(ConfigError, match="Unknown objective"):
        choose_recipe(objective="pce")


def test_every_key_of_a_recipe_is_read_by_something_and_they_are_few():
    for name in ("fine-tuned", "instant", "plain"):
        assert len(dict(leaves(RECIPES[name].model_dump(mode="json")))) <= 40, name
    assert set(RELATIONSHIPS) == set(RELATIONS)
    assert set(CROSS_ENTROPIES) <= set(TERMS)
    for wrong in ("objective.entropy.class_weight_power=0.5", "objective.partial_cross_entropy.concentration=6"):
        with pytest.raises(ConfigError, match="has no"):
            choose_recipe(settings=[wrong])


def test_mean_iou_is_one_matrix_over_the_set_not_a_mean_over_images():
    matrix = ConfusionMatrix(2)
    matrix.update(np.array([[0, 0, 0, 1]]), np.array([[0, 0, 0, 0]]))
    matrix.update(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 1, 1]]))
    scores = matrix.scores()
    assert scores.iou.tolist() == [3 / 4, 4 / 5]
    assert scores.mean_iou == pytest.approx((3 / 4 + 4 / 5) / 2)
    assert scores.pixel_accuracy == 7 / 8


def test_ignored_pixels_are_skipped_and_out_of_range_predictions_are_misses():
    matrix = ConfusionMatrix(2)
    matrix.update(np.array([[0, 1, 255, 1, 0]]), np.array([[0, 2, 0, 255, 0]]))
    scores = matrix.scores()
    assert scores.pixels == 4
    assert scores.iou.tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="shape"):
        matrix.update(np.zeros((1, 2), int), np.zeros((2, 1), int))


def test_a_class_seen_nowhere_does_not_count():
    matrix = ConfusionMatrix(3)
    matrix.update(np.array([[0, 0]]), np.array([[0, 0]]))
    assert matrix.scores().mean_iou == 1.0
    assert np.isnan(ConfusionMatrix(2).scores().mean_iou)


def test_auto_means_the_recipe_that_fits_what_is_asked_for(scenes, tmp_path, caplog):
    assert resolved_recipe("train", "auto")[0] == "fine-tuned"
    assert resolved_recipe("instant", "auto")[0] == "instant"
    assert resolved_recipe("train", "none")[0] == "plain"
    assert resolved_recipe("train", "auto", objective="spml")[0] == "plain"
    for wrong in ({"objective": "spml"}, {"recipe": "plain"}, {"config": tmp_path / "recipe.json"}):
        with pytest.raises(ConfigError, match="leave out"):
            train(scenes, "points", tmp_path / "run", engine="instant", **wrong)
    settings = [
        "instant.image_side=96",
        "instant.steps=9",
        "data.crop_size=64",
        "data.batch_size=2",
        "label_propagation.superpixels=60",
    ]
    with caplog.at_level("INFO", "hintseg"):
        run = train(scenes, "points", tmp_path / "run", device="cpu", iterations=1, settings=settings)
    assert run.recipe.name == "fine-tuned"
    assert "resolved recipe: fine-tuned, because the weights are pretrained" in caplog.text


def test_the_package_runs_as_a_module():
    shown = subprocess.run([sys.executable, "-m", "hintseg", "--help"], capture_output=True, text=True, check=True)
    assert "Usage" in shown.stdout


def test_import_is_light():
    program = """
import sys, hintseg, hintseg.apps.cli.app
sys.exit(any(name in sys.modules for name in ("torch", "timm", "skimage", "cv2")))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_public_names_exist():
    import hintseg

    for name in hintseg.__all__:
        assert getattr(hintseg, name) is not None
    assert set(dir(hintseg)) == set(hintseg.__all__)
    for name in hintseg.functional.__all__:
        assert callable(getattr(hintseg.functional, name))
    with pytest.raises(AttributeError, match="nothing_like_this"):
        hintseg.nothing_like_this  # noqa: B018
