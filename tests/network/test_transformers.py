"""Vision transformers: patches of any size, register tokens, images of any shape."""

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from hintseg.api import train
from hintseg.inference.segmenter import Segmenter
from hintseg.io.images import read_image
from hintseg.network.backbone import Backbone


@pytest.fixture
def weights_of(tmp_path):
    """Random weights of a timm network as a file, as somebody without network has real ones."""

    def weights(name):
        torch.manual_seed(0)
        path = tmp_path / f"{name}.safetensors"
        state = timm.create_model(name, pretrained=False).state_dict()
        save_file({key: value.contiguous() for key, value in state.items()}, path)
        return str(path)

    return weights


@pytest.mark.parametrize("name", ["test_vit", "test_vit2", "vit_small_patch14_reg4_dinov2"])
def test_maps_of_several_blocks_for_images_of_any_shape(weights_of, name):
    backbone = Backbone(name, weights=weights_of(name)).eval()
    patch = 14 if "14" in name else 16
    assert set(backbone.strides) == {patch} == {backbone.multiple}
    assert len(backbone.strides) == 3
    with torch.no_grad():
        for rows, columns in ((4, 9), (11, 5)):
            maps = backbone(torch.rand(1, 3, rows * patch, columns * patch))
            assert [tuple(one.shape[2:]) for one in maps] == [(rows, columns)] * 3
    assert not torch.equal(maps[0], maps[-1])


def test_position_embeddings_follow_the_image(weights_of):
    """Of equal patches the network tells apart where they are, on a grid it was not trained for."""
    backbone = Backbone("test_vit2", weights=weights_of("test_vit2")).eval()
    with torch.no_grad():
        last = backbone(torch.full((1, 3, 48, 96), 0.3))[-1][0]
    assert (last[:, 0, 0] - last[:, 2, 5]).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["test_vit", "test_vit2"])
@pytest.mark.parametrize("recipe", ["instant", "fine-tuned"])
def test_runs_on_a_transformer(scenes, weights_of, tmp_path, name, recipe):
    train(
        scenes, "scribbles", tmp_path / "run", recipe=recipe, backbone=name, weights=weights_of(name), device="cpu",
        iterations=2, settings=["instant.image_side=160", "instant.steps=30", "data.crop_size=96", "data.batch_size=2"],
    )  # fmt: skip
    segmenter = Segmenter.open(tmp_path / "run", "cpu")
    image = read_image(scenes.path(scenes.keys("val")[0]))
    for shown in (image, image[:50, :33]):
        mask = segmenter.predict(np.ascontiguousarray(shown))
        assert mask.shape == shown.shape[:2]
        assert mask.max() < 3
