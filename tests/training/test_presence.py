"""Which classes an image shows, from the whole of it."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hintseg.api import train
from hintseg.config import DataConfig, InferenceConfig, NetworkConfig
from hintseg.errors import WeightsError
from hintseg.inference.presence import LEAST, PRESENCE_FILE, Presence, Regression, agreed, pooled_features
from hintseg.inference.segmenter import Segmenter
from hintseg.network.backbone import Backbone
from hintseg.network.embedder import Embedder
from hintseg.training.data import TrainingImages
from hintseg.training.presence import CERTAIN, fit_presence, learn_presence
from hintseg.training.processes import make_fabric


def _images(count=60, features=8, seed=0):
    """Class 0 follows feature 0, class 1 is chance, class 2 is everywhere, nothing is known of class 3."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, features, generator=generator) * 3 + 5
    present = torch.rand(count, 4, generator=generator) < 0.5
    present[:, 0] = values[:, 0] > 5
    present[:, 2] = True
    known = torch.ones(count, 4, dtype=torch.bool)
    known[:, 3] = False
    return values, present, known


def test_a_class_that_the_features_foretell_is_learned_and_no_other():
    values, present, known = _images()
    fitted = fit_presence(values, present, known)
    fresh, truth, _ = _images(seed=1)
    said = fitted.probabilities(fresh)
    assert ((said[:, 0] > 0.5) == truth[:, 0]).float().mean() > 0.9
    assert fitted.bias[[1, 3]].tolist() == [CERTAIN] * 2
    assert said[:, 1:].min() > 0.999


def test_regressions_are_the_minimum_that_slow_gradient_descent_finds():
    values, present, known = _images(count=40, features=3)
    known[::3, 0] = False
    fitted = fit_presence(values, present, known)
    inputs = ((values - values.mean(0)) / values.std(0, correction=0)).double()
    found = []
    for penalty in (1e-3, 1e-2, 1e-1, 1.0):
        weight, bias = torch.zeros(3, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        for _ in range(20_000):
            error = ((inputs @ weight + bias).sigmoid() - present[:, 0].double()) * known[:, 0]
            weight -= 0.3 * (inputs.T @ error / known[:, 0].sum() + 2 * penalty * weight)
            bias -= 0.3 * error.sum() / known[:, 0].sum()
        found.append((inputs @ weight + bias).sigmoid().float())
    own = fitted.probabilities(values)[:, 0]
    assert min(float((own - slow.clamp_min(LEAST)).abs().max()) for slow in found) < 0.02


def test_too_few_images_say_nothing():
    values, present, known = _images(count=1)
    assert (fit_presence(values, present, known).bias == CERTAIN).all()
    assert fit_presence(values, present, known).probabilities(values).isfinite().all()


def test_probabilities_are_weighed_class_by_class():
    probabilities = torch.tensor([0.6, 0.3, 0.1])[:, None, None].expand(3, 2, 2)
    weighed = agreed(probabilities, torch.tensor([0.01, 1.0, 1.0]), 0.5)
    expected = torch.tensor([0.06, 0.3, 0.1]) / 0.46
    torch.testing.assert_close(weighed, expected[:, None, None].expand(3, 2, 2))


def test_features_are_of_the_normalised_image():
    backbone = Backbone("mobilenetv2_035", 16).eval()
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    pixels = (torch.from_numpy(image).float() / 255 - torch.tensor(backbone.mean)) / torch.tensor(backbone.std)
    with torch.no_grad():
        deepest, last = backbone(pixels.permute(2, 0, 1)[None])[-2:]
    expected = torch.cat([deepest.mean((2, 3))[0], deepest.amax((2, 3))[0], last.mean((2, 3))[0], last.amax((2, 3))[0]])
    torch.testing.assert_close(pooled_features(backbone, image), expected, rtol=1e-4, atol=1e-4)


@pytest.fixture
def learned(scenes, tiny, tmp_path):
    """A run whose presence was learned from a backbone with random weights, and told of by hand."""
    segmenter = train(scenes, "scribbles", tmp_path / "run", weights="none", device="cpu", iterations=2, settings=tiny)
    backbone = Embedder(segmenter.recipe.network, len(segmenter.classes)).backbone.eval()
    features = len(pooled_features(backbone, np.zeros((64, 64, 3), np.uint8)))
    bias = torch.full((len(segmenter.classes),), CERTAIN)
    bias[0] = -CERTAIN
    regression = Regression(torch.zeros(features, len(bias)), bias)
    Presence(backbone, regression).save(tmp_path / "run" / PRESENCE_FILE)
    return Segmenter.open(tmp_path / "run", "cpu"), backbone


def test_what_an_image_does_not_show_gets_fewer_pixels(learned, scenes):
    segmenter, _ = learned
    image = scenes.image(scenes.keys("val")[0])
    plain = segmenter.probabilities(image, InferenceConfig(presence=0))
    weighed = segmenter.probabilities(image, InferenceConfig(presence=1))
    expected = plain * np.array([LEAST] + [1] * (len(plain) - 1), np.float32)[:, None, None]
    np.testing.assert_allclose(weighed, expected / expected.sum(axis=0), atol=1e-5)


def test_tiles_are_not_asked_what_the_whole_shows(learned, scenes):
    segmenter, _ = learned
    image = np.tile(scenes.image(scenes.keys("val")[0]), (3, 3, 1))
    tiled = {"tile": 192, "longest_side": 0}
    plain, weighed = (segmenter.predict(image, InferenceConfig(presence=exponent, **tiled)) for exponent in (0, 1))
    assert max(image.shape) > 192
    assert (plain == weighed).all()


def test_a_run_without_it_predicts_as_before(scenes, tiny, tmp_path):
    segmenter = train(scenes, "scribbles", tmp_path / "run", weights="none", device="cpu", iterations=2, settings=tiny)
    assert segmenter.presence is None  # random filters see no classes
    image = scenes.image(scenes.keys("val")[0])
    plain, asked = (segmenter.predict(image, InferenceConfig(presence=exponent)) for exponent in (0, 1))
    assert (plain == asked).all()


def test_a_damaged_file_is_refused(learned):
    segmenter, backbone = learned
    path, count = segmenter.run / PRESENCE_FILE, len(segmenter.classes)
    weights = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    with pytest.raises(WeightsError, match="damaged"):
        Presence.load(path, segmenter.recipe.network, count + 1, torch.device("cpu"))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="damaged"):
        Presence.load(path, segmenter.recipe.network, count, torch.device("cpu"))
    for wrong in (weights, weights | {"weight": torch.zeros(2, count), "bias": torch.zeros(count)}):
        save_file(wrong, path)
        with pytest.raises(WeightsError, match="train again"):
            Presence.load(path, segmenter.recipe.network, count, torch.device("cpu"))


def test_training_leaves_what_the_features_say(scenes, tmp_path):
    network = Embedder(NetworkConfig(backbone="mobilenetv2_035"), len(scenes.classes))
    images = TrainingImages(scenes, scenes.keys("train"), ("scribbles",), DataConfig())
    learn_presence(tmp_path, network, images, make_fabric("cpu", "32-true", 1), lambda *_: None)
    written = (tmp_path / PRESENCE_FILE).read_bytes()
    learn_presence(tmp_path, network, images, make_fabric("cpu", "32-true", 1), lambda *_: 1 / 0)  # kept as it is
    assert (tmp_path / PRESENCE_FILE).read_bytes() == written
    config = NetworkConfig(backbone="mobilenetv2_035")
    loaded = Presence.load(tmp_path / PRESENCE_FILE, config, len(scenes.classes), torch.device("cpu"))
    image = images.target(images.keys[0])[0]
    said = loaded.probabilities(image)
    assert said.shape == (len(scenes.classes),)
    torch.testing.assert_close(
        said, loaded.regression.probabilities(pooled_features(network.backbone.eval(), image)), rtol=1e-3, atol=1e-3
    )
