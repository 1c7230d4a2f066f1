"""What the figures of the documentation show is computed as they say."""

import numpy as np
import pytest
import torch
from docs.figures import clusters, losses, retrieval, tags

from hintseg.hints.labels import UNLABELED
from hintseg.inference.retrieval import Neighbor


@pytest.fixture
def halves():
    """A dark and a light half, a stroke in each."""
    image = np.zeros((24, 32, 3), np.uint8)
    image[:, 16:] = 220
    labels = np.full((24, 32), UNLABELED, np.uint8)
    labels[8:16, 2:5], labels[8:16, 26:29] = 0, 3
    return image, labels


def test_entropy_and_the_bilinear_form_make_predictions_peaked(halves, monkeypatch):
    monkeypatch.setattr(losses, "SIDE", 32)
    image, labels = losses.reduced(*halves)
    assert set(labels.unique().tolist()) == {0, 1, UNLABELED}
    image = image * 0 + 100  # one color: nothing but the strokes tells the halves apart
    blurred = losses.minimized(image, labels, 5.0, 0.0, steps=150)
    between = [
        float(((shares > 0.1) & (shares < 0.9)).float().mean())
        for shares in (
            blurred,
            losses.minimized(image, labels, 5.0, 0.3, steps=150),
            losses.minimized(image, labels, 5.0, 0.0, quadratic=False, steps=150),
        )
    ]
    assert between[0] > 2 * max(between[1:])


@pytest.mark.parametrize("loss", losses.LOSSES.values(), ids=losses.LOSSES.keys())
def test_a_step_along_the_arrows_lowers_the_loss(halves, loss):
    image, _ = losses.reduced(*halves)
    logits = losses.ellipse(*image.shape[2:], (0.4, 0.5))
    pushed = losses.descent(logits, image, loss)
    assert float(pushed.abs().max()) == pytest.approx(1)
    moved = logits.clone()
    moved[0, 1] += 0.01 * pushed
    after, before = (loss(one.softmax(dim=1).flatten(2), image) for one in (moved, logits))
    assert after < before


def test_all_clusterings_find_the_colors(halves, monkeypatch):
    monkeypatch.setattr(clusters, "CLUSTERS", 2)
    monkeypatch.setattr(clusters, "SIDE", 16)
    image, _ = halves
    small, found = clusters.clusterings(image)
    assert list(found) == ["k-means", "kernel k-means", "normalized cut"]
    for labels in found.values():
        np.testing.assert_array_equal(clusters.averaged(small, labels), small)


def test_poolings_look_at_all_at_the_best_and_at_one_cell():
    scores = torch.tensor([[1.0, 4.0], [3.0, -2.0]])
    assert tags.looked_at(scores, "average").unique().tolist() == [1.0]
    assert tags.looked_at(scores, "max").flatten().tolist() == [0, 1, 0, 0]
    for pooling in ("rank", "log_sum_exp"):
        weights = tags.looked_at(scores, pooling).flatten()
        assert torch.equal(weights.argsort(), scores.flatten().argsort())


def test_cues_leave_open_what_is_between():
    activations = tags.activation(torch.tensor([[-1.0, 2.0], [-3.0, 2.0]]), (2, 2))
    assert activations.tolist() == [[0, 1], [0, 1]]
    assert tags.cues(np.array([[0.0, 0.1, 0.2]], np.float32), 3).tolist() == [[0, UNLABELED, 3]]


def test_neighbors_come_from_several_images():
    found = [Neighbor(key, 0, 1 - number / 10, (0, 0, 1, 1)) for number, key in enumerate("aaabbc")]
    assert [neighbor.key for neighbor in retrieval.apart(found)] == ["a", "a", "b", "b"]


def test_a_tile_shows_its_segment_in_a_frame():
    image = np.zeros((200, 300, 3), np.uint8)
    mask = np.zeros((200, 300), np.uint8)
    mask[40:60, 290:300] = 1
    box = retrieval.box_of(mask)
    assert box == (290, 40, 300, 60)
    tile = retrieval.tile(image, box)
    assert tile.shape == (retrieval.TILE, retrieval.TILE, 3)
    assert (tile[:, -1] == 200).all()  # beyond the image
    assert (tile == (255, 220, 0)).all(axis=2).any()


def test_what_draws_the_pictures_can_be_imported():
    from docs import pictures

    assert set(pictures.IMAGENET) == set(pictures.POINTS) == set(pictures.BOXES)
