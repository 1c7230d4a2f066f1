"""The network as an ONNX file gives what torch gives."""

import json
import sys

import pytest
import torch

from hintseg.config.schema import NetworkConfig
from hintseg.errors import ConfigError, WeightsError
from hintseg.network.embedder import Embedder
from hintseg.network.onnx import OnnxEmbedder, export_network, with_fixed_padding

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.skipif(torch.__version__.startswith("2.6."), reason="it exports no network of open sides")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    config = NetworkConfig(backbone="test_efficientnet", output_stride=16, decoder_channels=16, embedding_dim=8)
    network = Embedder(config, 3).train()
    with torch.no_grad():  # statistics that matter
        network(torch.rand(4, 3, 64, 64) * 255)
    return network.eval()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    export_network(network, path, "weights-1", ("sky", "roof", "été"))
    return path


@pytest.mark.parametrize("size", [(64, 64), (50, 97), (1, 1), (33, 200)])
def test_any_size_gives_the_same_maps(network, exported, size):
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1)) * 255
    with torch.no_grad():
        expected = network(image)
    for one, other in zip(OnnxEmbedder(exported)(image), expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_the_file_says_what_it_is(exported):
    loaded = OnnxEmbedder(exported)
    assert loaded.weights == "weights-1"
    said = {entry.key: entry.value for entry in onnx.load(exported).metadata_props}
    assert json.loads(said["classes"]) == ["sky", "roof", "été"]


def test_refuses_what_is_no_network(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    for name in ("a.onnx", "absent.onnx"):
        with pytest.raises(WeightsError, match=name):
            OnnxEmbedder(tmp_path / name)


@pytest.mark.parametrize(("multiple", "stride"), [(0, 8), (32, 0), (32, -1), (8, 32)])
def test_refuses_strides_of_no_network(exported, tmp_path, multiple, stride):
    model = onnx.load(exported)
    for entry in model.metadata_props:
        entry.value = {"multiple": str(multiple), "stride": str(stride)}.get(entry.key, entry.value)
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match=r"a\.onnx"):
        OnnxEmbedder(tmp_path / "a.onnx")


def test_says_what_to_install(monkeypatch, tmp_path, network):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"hintseg\[onnx\]"):
        OnnxEmbedder(tmp_path / "a.onnx")


def test_a_network_that_differs_is_not_left_behind(monkeypatch, tmp_path, network):
    monkeypatch.setattr("hintseg.network.onnx.TOLERANCE", -1)
    with pytest.raises(ConfigError, match="differs"):
        export_network(network, tmp_path / "n.onnx", "w", ("a", "b", "c"))
    assert not list(tmp_path.iterdir())


def test_fixed_padding_says_the_same_for_sides_that_the_strides_divide():
    network = Embedder(NetworkConfig(backbone="tf_efficientnet_lite0", decoder="none"), 3, "none").eval()
    fixed = with_fixed_padding(network)
    assert not any(type(module).__name__ == "Conv2dSame" for module in fixed.modules())
    pixels = torch.rand(1, 3, 64, 96) * 255
    with torch.no_grad():
        for one, other in zip(network(pixels), fixed(pixels), strict=True):
            torch.testing.assert_close(one, other)
