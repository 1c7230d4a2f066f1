"""Scores of regions and of borders, against plain slow references."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, generate_binary_structure
from scipy.spatial.distance import cdist

from hintseg.boundary_metrics import BoundaryMetrics, hausdorff_distance
from hintseg.metrics import ConfusionMatrix

IGNORED = 255


def blobs(seed, classes=3, shape=(23, 31)):
    """Labels in patches."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, classes, (shape[0] // 4 + 1, shape[1] // 4 + 1))
    return np.kron(coarse, np.ones((4, 4), int))[: shape[0], : shape[1]].astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_every_score_of_a_class_counts_pixels(seed):
    truth, found = blobs(seed), blobs(seed + 100)
    truth[:3] = IGNORED
    matrix = ConfusionMatrix(4)
    matrix.update(truth, found)
    scores = matrix.scores()
    known = truth != IGNORED
    for label in range(3):
        here, there = (truth == label)[known], (found == label)[known]
        both = np.sum(here & there)
        assert scores.iou[label] == both / np.sum(here | there)
        assert scores.dice[label] == 2 * both / (here.sum() + there.sum())
        assert scores.precision[label] == both / there.sum()
        assert scores.recall[label] == both / here.sum()
    for values in (scores.iou, scores.dice, scores.precision, scores.recall):
        assert np.isnan(values[3])
    assert scores.mean_iou == pytest.approx(np.mean(scores.iou[:3]))


def slow_band(mask, width):
    """Pixels of a mask from which one outside it, or outside the image, is at most `width` away along each axis."""
    padded = np.pad(mask, width)
    height, breadth = mask.shape
    return np.array([
        [mask[y, x] and not padded[y : y + 2 * width + 1, x : x + 2 * width + 1].all() for x in range(breadth)]
        for y in range(height)
    ])  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_boundary_iou_is_that_of_the_bands_inside_of_the_borders(seed):
    metrics, overlap, union = BoundaryMetrics(4), np.zeros(4), np.zeros(4)
    for image in range(2):
        truth, found = blobs(seed + image, shape=(48, 64)), blobs(seed + image + 50, shape=(48, 64))
        truth[20:24] = IGNORED
        metrics.update(truth, found)
        corrected = np.where(truth == IGNORED, truth, found)
        for label in range(3):
            bands = [slow_band(labels == label, 2) for labels in (truth, corrected)]  # 2 % of the diagonal of 80
            overlap[label] += np.sum(bands[0] & bands[1] & (truth != IGNORED))
            union[label] += np.sum((bands[0] | bands[1]) & (truth != IGNORED))
    np.testing.assert_allclose(metrics.scores().boundary_iou[:3], overlap[:3] / union[:3])
    assert np.isnan(metrics.scores().boundary_iou[3])


def slow_distance(one, other):
    cross = generate_binary_structure(2, 1)
    points = [np.argwhere(mask & ~binary_erosion(mask, cross)) for mask in (one, other)]
    away = cdist(*points)
    return max(np.percentile(away.min(axis=1), 95), np.percentile(away.min(axis=0), 95))


@pytest.mark.parametrize("seed", range(4))
def test_hausdorff_distance_is_that_of_all_pairs_of_border_pixels(seed):
    one, other = blobs(seed) == 1, blobs(seed + 10) == 1
    assert hausdorff_distance(one, other) == pytest.approx(slow_distance(one, other), abs=1e-4)
    assert hausdorff_distance(one, other) == hausdorff_distance(other, one)
    assert hausdorff_distance(one, one) == 0


def test_distances_have_the_unit_of_a_pixel_and_one_sided_classes_are_counted():
    truth, found = np.zeros((2, 40, 40), np.uint8)
    truth[10:20, 10:20], found[10:20, 13:23] = 1, 1
    found[30:, 30:] = 2
    metrics = BoundaryMetrics(3, spacing=0.5)
    metrics.update(truth, found)
    scores = metrics.scores()
    assert scores.hd95[1] == pytest.approx(0.5 * 3)
    assert np.isnan(scores.hd95[2])
    assert scores.compared.tolist() == [1, 1, 0]
    assert scores.one_sided.tolist() == [0, 0, 1]
    perfect = BoundaryMetrics(3)
    perfect.update(truth, truth)
    assert perfect.scores().boundary_iou[:2].tolist() == [1, 1]
    assert perfect.scores().hd95[:2].tolist() == [0, 0]


def test_what_the_truth_ignores_counts_for_nothing():
    truth, found = np.zeros((2, 40, 40), np.uint8)
    truth[10:20, 10:20] = found[10:20, 10:20] = 1
    truth[30:] = IGNORED
    found[30:] = 1
    metrics = BoundaryMetrics(2)
    metrics.update(truth, found)
    assert metrics.scores().boundary_iou.tolist() == [1, 1]
    assert metrics.scores().hd95.tolist() == [0, 0]
    with pytest.raises(ValueError, match="shape"):
        metrics.update(truth, found[1:])
