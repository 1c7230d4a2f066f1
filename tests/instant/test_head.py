"""The perceptron on labeled pixels."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hintseg.config.schema import NetworkConfig
from hintseg.errors import TrainingError
from hintseg.instant.head import LabeledPixels, draw_pixels, fit_head, joined_features
from hintseg.network.embedder import Embedder

TINY = NetworkConfig(
    backbone="test_efficientnet", output_stride=32, decoder="none", classifier="hidden", embedding_dim=16, dropout=0.1,
)  # fmt: skip


def test_features_at_cell_centers_are_those_of_the_cells():
    levels = [torch.randn(3, 4, 6), torch.randn(2, 4, 6)]
    centers = torch.tensor([[(x + 0.5) / 6, (y + 0.5) / 4] for y in range(4) for x in range(6)])
    expected = torch.cat([F.normalize(level, dim=0).flatten(1).T for level in levels], dim=1)
    torch.testing.assert_close(joined_features(levels, centers), expected, atol=1e-5, rtol=0)


def test_every_class_of_an_image_counts_alike():
    labels = np.full((20, 30), 254, np.uint8)
    labels[0, :4], labels[5:, :], labels[1, 1] = 1, 2, 255
    drawn = draw_pixels([torch.randn(5, 5, 8)], labels, 3, 100, (1.0, 1.0), np.random.default_rng(0))
    counts = torch.bincount(drawn.labels, minlength=3)
    assert counts.tolist() == [0, 4, 50]
    totals = torch.zeros(3).index_add(0, drawn.labels, drawn.weights)
    torch.testing.assert_close(totals, torch.tensor([0.0, 1.0, 1.0]))


def test_pixels_lie_where_their_labels_are_and_padding_is_left_out():
    levels = [torch.stack([torch.arange(10.0).repeat(10, 1), torch.ones(10, 10)])]
    labels = np.full((8, 16), 254, np.uint8)
    labels[:, 0], labels[:, -1] = 0, 1
    drawn = draw_pixels(levels, labels, 2, 10, (1.0, 0.5), np.random.default_rng(0))
    slope = drawn.features[:, 0] / drawn.features[:, 1]  # the column, whatever the length of the feature
    assert slope[drawn.labels == 0].max() < 0.1
    assert 4 < slope[drawn.labels == 1].min() <= slope[drawn.labels == 1].max() < 5


def test_an_image_without_labels_gives_no_pixel():
    blank = np.full((4, 4), 254, np.uint8)
    drawn = draw_pixels([torch.randn(5, 5, 8)], blank, 3, 100, (1.0, 1.0), np.random.default_rng(0))
    assert drawn.features.shape == (0, 5)


def test_the_head_learns_what_no_line_separates_and_stands_in_the_network():
    torch.manual_seed(0)
    network = Embedder(TINY, num_classes=2).eval()
    features = torch.randn(4000, network.decoder.width) * 3 + 1
    labels = ((features[:, 0] > 1) ^ (features[:, 1] > 1)).long()
    pixels = LabeledPixels(features, labels, torch.ones(4000))
    fit_head(network, pixels, 1000, seed=0)
    with torch.no_grad():
        hidden = network.embedding(features.T[None, :, :, None])
        found = network.classify(hidden, hidden)[0, :, :, 0].argmax(dim=0)
    assert (found == labels).float().mean() > 0.95
    again = Embedder(TINY, num_classes=2).eval()
    fit_head(again, pixels, 1000, seed=0)
    assert torch.equal(network.embedding.weight, again.embedding.weight)
    assert torch.equal(network.classifier[2].bias, again.classifier[2].bias)


def test_no_pixel_is_a_sentence():
    network = Embedder(TINY, num_classes=2)
    none = LabeledPixels(torch.zeros(0, network.decoder.width), torch.zeros(0, dtype=torch.int64), torch.zeros(0))
    with pytest.raises(TrainingError, match="no labeled pixel"):
        fit_head(network, none, 1, 0)
