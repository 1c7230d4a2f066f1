"""Graph propagation against iterations and definitions as their papers write them."""

import numpy as np
import pytest
import torch

from hintseg.errors import ConfigError
from hintseg.functional.propagation.graph import harmonic, local_global_consistency, markov_walk
from hintseg.functional.propagation.normalized_cut import kernel_kmeans, spectral_embedding
from hintseg.functional.propagation.regions import METHODS, propagate, propagated_labels, region_affinity


def random_graph(nodes=12, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(nodes, 2, generator=generator, dtype=torch.float64)
    weights = torch.exp(-torch.cdist(points, points).square())
    labeled = torch.zeros(nodes, dtype=torch.bool)
    labeled[[0, 3, 7]] = True
    seeds = torch.zeros(nodes, classes, dtype=torch.float64)
    seeds[0, 0] = seeds[3, 1] = 1
    seeds[7] = torch.tensor([0.25, 0.0, 0.75])
    return weights, seeds, labeled


@pytest.mark.parametrize("leak", [0.0, 0.01, 1.0])
def test_harmonic_is_the_fixed_point_of_averaging(leak):
    weights, seeds, labeled = random_graph()
    step = weights.clone().fill_diagonal_(0)
    step /= step.sum(dim=1, keepdim=True) * (1 + leak)
    scores = seeds.clone()
    for _ in range(5000):
        scores = torch.where(labeled[:, None], seeds, step @ scores)
    result = harmonic(weights, seeds, labeled, leak)
    torch.testing.assert_close(result, scores, atol=1e-7, rtol=0)
    if leak == 0:
        torch.testing.assert_close(result.sum(dim=1), torch.ones(12, dtype=torch.float64), atol=1e-6, rtol=0)
    else:
        assert (result[~labeled].sum(dim=1) < 1 / (1 + leak) + 1e-9).all()


def test_harmonic_corner_cases():
    weights, seeds, labeled = random_graph()
    everything = torch.ones_like(labeled)
    assert torch.equal(harmonic(weights, seeds, everything), seeds)
    assert torch.equal(harmonic(weights, seeds, ~everything), torch.zeros_like(seeds))
    apart = torch.block_diag(weights, torch.ones(2, 2, dtype=torch.float64))
    result = harmonic(apart, torch.cat([seeds, seeds[:2]]), torch.cat([labeled, torch.tensor([False, False])]))
    assert result[-2:].abs().max() < 1e-9


def test_local_global_consistency_is_its_iteration():
    weights, seeds, _ = random_graph()
    plain = weights.clone().fill_diagonal_(0)
    scale = plain.sum(dim=1).rsqrt()
    smooth = scale[:, None] * plain * scale
    scores = seeds.clone()
    for _ in range(500):
        scores = 0.9 * smooth @ scores + 0.1 * seeds
    torch.testing.assert_close(local_global_consistency(weights, seeds, 0.9), scores)
    with pytest.raises(ValueError, match="alpha"):
        local_global_consistency(weights, seeds, 1.0)


def test_markov_walk_is_a_matrix_power():
    weights, seeds, _ = random_graph()
    transition = weights / weights.sum(dim=0)
    torch.testing.assert_close(markov_walk(weights, seeds, 5), (seeds.T @ torch.matrix_power(transition, 5)).T)


def test_spectral_embedding_solves_the_generalized_problem():
    weights, _, _ = random_graph()
    degree = weights.sum(dim=1)
    vectors = spectral_embedding(weights, 3)
    eigenvalues = []
    for vector in vectors.T:
        left = degree * vector - weights @ vector
        value = (vector @ left) / (vector @ (degree * vector))
        torch.testing.assert_close(left, value * degree * vector)
        assert abs(float(vector @ degree)) < 1e-9
        eigenvalues.append(float(value))
    assert eigenvalues == sorted(eigenvalues)
    with pytest.raises(ValueError, match="vectors"):
        spectral_embedding(weights, 12)


def energy(weights, assignment, clusters, normalized):
    total = 0.0
    for label in range(clusters):
        inside = (assignment == label).double()
        mass = inside @ weights.sum(dim=1) if normalized else inside.sum()
        if mass > 0:
            total -= float(inside @ weights @ inside / mass)
    return total


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_kernel_kmeans_descends_and_keeps_what_is_fixed(normalized, seed):
    weights, _, labeled = random_graph(20, seed=seed)
    labeled = torch.nn.functional.pad(labeled[:12], (0, 8))
    start = torch.randint(0, 3, (20,), generator=torch.Generator().manual_seed(seed))
    before = energy(weights, start, 3, normalized)
    for rounds in range(1, 5):
        result = kernel_kmeans(weights, start, 3, labeled, normalized=normalized, iterations=rounds)
        after = energy(weights, result, 3, normalized)
        assert after <= before + 1e-9
        assert torch.equal(result[labeled], start[labeled])
        before = after


def test_kernel_kmeans_parts_two_blobs():
    points = torch.tensor([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]], dtype=torch.float64)
    weights = torch.exp(-torch.cdist(points, points).square())
    result = kernel_kmeans(weights, torch.tensor([0, 0, 1, 1, 1, 1]), 2)
    assert result.tolist() == [0, 0, 0, 1, 1, 1]


def halves():
    """Red left half, blue right half, in 2 × 4 over-segments, one hint each."""
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, :16, 0], image[:, 16:, 2] = 220, 220
    regions = (np.arange(16)[:, None] // 8 * 4 + np.arange(32)[None] // 8).astype(np.uint16)
    labels = np.full((16, 32), 254, np.uint8)
    labels[2, 3], labels[2, 28] = 1, 2
    return image, labels, regions


def test_region_affinity_by_hand():
    image, _, regions = halves()
    weights = region_affinity(image, regions)
    torch.testing.assert_close(weights, weights.T)
    # Neighbors of one color touch without a contour: e^-½(8/32/0.1)² + e^0.
    near = np.exp(-0.5 * (8 / 32 / 0.1) ** 2) + 1
    assert float(weights[0, 1]) == pytest.approx(near, abs=1e-3)
    assert float(weights[1, 2]) < 0.01
    with pytest.raises(ValueError, match="regions"):
        region_affinity(image, regions[:8])


@pytest.mark.parametrize("method", METHODS)
def test_hints_spread_to_regions_of_their_color(method):
    image, labels, regions = halves()
    shares = propagate(image, labels, regions, 3, method)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert shares.argmax(axis=1).tolist() == [1, 1, 2, 2, 1, 1, 2, 2]
    assert (shares[:, 0] == 0).all()


def test_what_is_far_from_all_hints_may_be_another_class():
    image, labels, regions = halves()
    labels[labels == 2] = 254
    assert (propagate(image, labels, regions, 4).argmax(axis=1) == 1).all(), "nothing else can be there"
    shares = propagate(image, labels, regions, 4, others=np.array([False, True, True, True]))
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert (shares[:, 0] == 0).all()
    np.testing.assert_array_equal(shares[:, 2], shares[:, 3])
    left, right = shares[[0, 1, 4, 5], 1], shares[[2, 3, 6, 7], 1]
    assert (left > 0.98).all()
    assert (right < 0.9).all()
    with pytest.raises(ValueError, match="ncut knows of no other classes"):
        propagate(image, labels, regions, 4, "ncut", np.ones(4, bool))


def test_nothing_to_spread():
    image, labels, regions = halves()
    assert (propagate(image, np.full_like(labels, 254), regions, 3) == 0).all()
    with pytest.raises(ConfigError, match="harmonic"):
        propagate(image, labels, regions, 3, "harmonics")


def test_only_sure_regions_are_filled():
    regions = np.array([[0, 0, 1, 1, 2, 2]])
    labels = np.array([[254, 1, 254, 255, 0, 254]], np.uint8)
    shares = np.array([[0.2, 0.8], [0.95, 0.05], [0.1, 0.9]])
    assert propagated_labels(labels, regions, shares, 0.9).tolist() == [[254, 1, 0, 255, 0, 1]]
    with pytest.raises(ValueError, match="shape"):
        propagated_labels(labels, regions[:, :3], shares, 0.9)
