"""Backbones of every family, weights that fit and that do not, heads, frozen stages."""

import fsspec
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save, save_file

from hintseg.config.schema import NetworkConfig
from hintseg.errors import ConfigError, RunError, WeightsError
from hintseg.network.backbone import Backbone
from hintseg.network.embedder import Embedder
from hintseg.network.region_attention import RegionAttention
from hintseg.training.checkpoint import read_checkpoint

SMALL = NetworkConfig(backbone="test_efficientnet", output_stride=32, decoder_channels=16, embedding_dim=8)


@pytest.mark.parametrize(
    ("name", "stride"), [("test_efficientnet", 16), ("test_resnet", 8), ("test_vit", 16), ("test_convnext", 32)]
)
def test_any_family_gives_unit_embeddings_for_any_size(name, stride):
    network = Embedder(SMALL.model_copy(update={"backbone": name, "output_stride": stride}), num_classes=3).eval()
    with torch.no_grad():
        maps = network(torch.randint(0, 255, (2, 3, 97, 130), dtype=torch.uint8))
    assert maps.embeddings.shape[:2] == (2, 8)
    assert maps.embeddings.shape[2:] == maps.logits.shape[2:] == (25, 33)
    torch.testing.assert_close(maps.embeddings.norm(dim=1), torch.ones(2, 25, 33))


@pytest.mark.parametrize("decoder", ["light", "dilated", "pyramid"])
@pytest.mark.parametrize("classifier", ["joint", "detached"])
def test_heads_and_who_trains_the_backbone(decoder, classifier):
    config = SMALL.model_copy(update={"decoder": decoder, "classifier": classifier, "freeze_stride": 0})
    network = Embedder(config, num_classes=3).train()
    network(torch.zeros(2, 3, 64, 64)).logits.sum().backward()
    reached = any(parameter.grad is not None for parameter in network.backbone.parameters())
    assert reached == (classifier != "detached")


def test_output_stride_is_honored():
    assert Backbone("test_resnet", 8).strides[-1] == 8
    assert Backbone("mobilenetv2_100", 16).strides == [2, 4, 8, 16, 16]


def test_frozen_stages_are_the_first_ones():
    network = Embedder(NetworkConfig(backbone="mobilenetv2_100", freeze_stride=4), num_classes=2)
    frozen = {name for name, parameter in network.backbone.body.named_parameters() if not parameter.requires_grad}
    assert "conv_stem.weight" in frozen
    assert any(name.startswith("blocks.1.") for name in frozen)
    assert not any(name.startswith("blocks.2.") for name in frozen)
    free = Embedder(NetworkConfig(backbone="mobilenetv2_100", freeze_stride=0), num_classes=2)
    assert all(parameter.requires_grad for parameter in free.parameters())


def test_weights_files(tmp_path):
    import timm

    state = timm.create_model("test_efficientnet").state_dict()
    good = tmp_path / "good.safetensors"
    save_file(state, good)
    loaded = Backbone("test_efficientnet", 32, str(good))
    torch.testing.assert_close(loaded.body.state_dict()["conv_stem.weight"], state["conv_stem.weight"])

    plain = tmp_path / "good.pth"
    torch.save({"state_dict": state}, plain)
    loaded = Backbone("test_efficientnet", 32, str(plain))
    torch.testing.assert_close(loaded.body.state_dict()["conv_stem.weight"], state["conv_stem.weight"])

    with pytest.raises(WeightsError, match="does not fit test_resnet"):
        Backbone("test_resnet", 32, str(good))
    with pytest.raises(WeightsError, match="no such weights file"):
        Backbone("test_efficientnet", 32, str(tmp_path / "none.safetensors"))
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:100])
    with pytest.raises(WeightsError, match="damaged"):
        Backbone("test_efficientnet", 32, str(cut))
    state["conv_stem.weight"] = torch.zeros(1, 3, 1, 1)
    save_file(state, good)
    with pytest.raises(WeightsError, match=r"conv_stem\.weight has shape \(1, 3, 1, 1\)"):
        Backbone("test_efficientnet", 32, str(good))


class Evil:
    def __reduce__(self):
        return (print, ("this must never run",))


def test_pickles_are_not_run(tmp_path, capsys):
    path = tmp_path / "evil.pth"
    torch.save({"a": Evil()}, path)
    with pytest.raises(WeightsError, match="holds more than tensors"):
        Backbone("test_efficientnet", 32, str(path))
    with pytest.raises(RunError, match="checkpoint is damaged"):
        read_checkpoint(path, "")
    assert "never" not in capsys.readouterr().out


def test_weights_may_lie_at_an_address(tmp_path, monkeypatch):
    import timm

    monkeypatch.setenv("HINTSEG_CACHE", str(tmp_path / "cache"))
    state = timm.create_model("test_efficientnet").state_dict()
    fsspec.filesystem("memory").pipe("/weights/good.safetensors", save(state))
    loaded = Backbone("test_efficientnet", 32, "memory://weights/good.safetensors")
    torch.testing.assert_close(loaded.body.state_dict()["conv_stem.weight"], state["conv_stem.weight"])
    assert list((tmp_path / "cache").rglob("good.safetensors"))


def test_weights_that_cannot_be_downloaded_name_the_way_out(monkeypatch):
    import timm

    create = timm.create_model

    def without_network(name, pretrained=False, **options):
        if pretrained:
            raise OSError("no network")
        return create(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", without_network)
    with pytest.raises(WeightsError, match="--weights FILE"):
        Backbone("test_resnet", 32, "timm")


def test_unknown_backbone():
    with pytest.raises(ConfigError, match="Did you mean 'resnet50'"):
        Backbone("resnet5O")


def test_pixels_attend_to_known_prototypes_alone():
    attention = RegionAttention(16, 8, 3, 2).eval()
    features = torch.randn(1, 16, 4, 5, generator=torch.Generator().manual_seed(0))
    without = attention(features)
    assert without.shape == features.shape
    assert torch.isfinite(without).all()
    attention.prototypes[1, 0] = F.normalize(torch.ones(8), dim=0)
    one = attention(features)
    value = attention.value(attention.prototypes[1, 0]).view(1, 8, 1, 1).expand(1, 8, 4, 5)
    torch.testing.assert_close(one, attention.fuse(torch.cat([features, value], dim=1)))
    attention.prototypes[2, 1] = -attention.prototypes[1, 0]
    queries = attention.query(features)[0].flatten(1).T
    known = attention.prototypes[[1, 2], [0, 1]]
    weights = (queries @ attention.key(known).T / 8**0.5).softmax(dim=1)
    read = (weights @ attention.value(known)).T.reshape(1, 8, 4, 5)
    torch.testing.assert_close(attention(features), attention.fuse(torch.cat([features, read], dim=1)))
