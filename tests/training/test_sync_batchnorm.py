import torch
from torch import nn

from hintseg.api import choose_recipe
from hintseg.network.embedder import Embedder
from hintseg.training.sync_batchnorm import _convert


@torch.no_grad()
def test_converted_networks_say_the_same_and_a_new_classifier_is_converted_alone(tiny):
    network = Embedder(choose_recipe(weights="none", settings=tiny).network, 3).eval()
    images = torch.linspace(0, 255, 3 * 64 * 96).reshape(1, 3, 64, 96)
    before = network(images)
    _convert(network)
    second = network.with_new_classifier(dropout=0).eval()
    expected = second(images)
    _convert(second)
    for maps, wanted in ((network(images), before), (second(images), expected)):
        for one, other in zip(maps, wanted, strict=True):
            torch.testing.assert_close(one, other)
    norms = [module for module in second.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert all(isinstance(norm, nn.SyncBatchNorm) for norm in norms)
    assert len(norms) > 5
