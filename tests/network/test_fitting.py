"""Weights are held against the network before the network is made."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hintseg.config.schema import NetworkConfig
from hintseg.errors import ConfigError
from hintseg.network.embedder import Embedder
from hintseg.network.weights import require_fitting


def test_a_network_that_does_not_fit_is_never_made(tmp_path):
    save_file({"weight": torch.zeros(3, 2), "bias": torch.zeros(3)}, tmp_path / "a.safetensors")
    require_fitting(tmp_path / "a.safetensors", lambda: nn.Linear(2, 3))
    for sizes in ((3, 2), (2, 4), (10**6, 10**6)):  # the last would take 4 TB
        with pytest.raises(ValueError, match="other tensors"):
            require_fitting(tmp_path / "a.safetensors", lambda sizes=sizes: nn.Linear(*sizes))
    with pytest.raises(ValueError, match="other tensors"):
        require_fitting(tmp_path / "a.safetensors", lambda: nn.Linear(2, 3, bias=False))


@pytest.mark.parametrize("decoder", ["light", "dilated", "pyramid", "none"])
def test_every_decoder_is_held_against_its_weights(tmp_path, decoder):
    config = NetworkConfig(backbone="test_efficientnet", output_stride=32, decoder=decoder, decoder_channels=16)
    network = Embedder(config, 3)
    save_file(network.state_dict(), tmp_path / "a.safetensors")
    require_fitting(tmp_path / "a.safetensors", lambda: Embedder(config, 3))
    with pytest.raises(ValueError, match="other tensors"):
        require_fitting(tmp_path / "a.safetensors", lambda: Embedder(config, 4))


def test_that_there_is_no_such_network_is_left_to_the_caller(tmp_path):
    def build():
        raise ConfigError("no such backbone")

    save_file({"weight": torch.zeros(3)}, tmp_path / "a.safetensors")
    require_fitting(tmp_path / "a.safetensors", build)
