"""Random walk, dense CRF, votes, and the affinities below them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hintseg.errors import InputError
from hintseg.functional.affinity import gaussian
from hintseg.functional.affinity.gaussian import DenseGaussian, position_color_features
from hintseg.functional.affinity.lattice import PermutohedralLattice
from hintseg.functional.propagation import random_walk as walk_module
from hintseg.functional.propagation.dense_crf import dense_crf
from hintseg.functional.propagation.random_walk import random_walk
from hintseg.functional.propagation.vote import label_fractions, nearest_segments, vote


def slow_walk(embeddings, seeds, concentration, exponent, doublings):
    """T^(2^n) by squaring the matrix, as published."""
    height, width, dim = embeddings.shape
    vectors = F.normalize(embeddings.reshape(-1, dim), dim=1)
    affinity = torch.exp(concentration * (vectors @ vectors.T - 1)) ** exponent
    transition = affinity / affinity.sum(dim=0, keepdim=True)
    for _ in range(doublings):
        transition = transition @ transition
    return (seeds.reshape(len(seeds), -1) @ transition).reshape(-1, height, width)


@pytest.mark.parametrize("doublings", [0, 1, 6])
@pytest.mark.parametrize("blocks", [False, True])
def test_walk_equals_squared_matrices(doublings, blocks, monkeypatch):
    if blocks:
        monkeypatch.setattr(walk_module, "BLOCK_ELEMENTS", 50)
    random = torch.Generator().manual_seed(0)
    embeddings = torch.randn(4, 6, 5, generator=random, dtype=torch.float64)
    seeds = torch.rand(3, 4, 6, generator=random, dtype=torch.float64)
    expected = slow_walk(embeddings, seeds, 2.0, 3, doublings)
    torch.testing.assert_close(random_walk(embeddings, seeds, 2.0, 3, doublings), expected, atol=1e-10, rtol=0)


def test_published_walk(golden):
    arrays = golden("random_walk")
    found = random_walk(
        arrays["embedding_map"], arrays["seeds"], float(arrays["concentration"]), int(arrays["exponent"]),
        int(arrays["doublings"]),
    )  # fmt: skip
    torch.testing.assert_close(found, arrays["propagated"], atol=1e-9, rtol=0)


def test_a_constant_map_stays_and_sizes_must_fit():
    embeddings = torch.randn(5, 4, 3, dtype=torch.float64)
    ones = torch.ones(1, 5, 4, dtype=torch.float64)
    torch.testing.assert_close(random_walk(embeddings, ones), ones)
    with pytest.raises(ValueError, match="embedding map"):
        random_walk(embeddings, ones[:, :3])


def slow_crf(image, probabilities, iterations, kernels):
    """Mean field by O(N²) sums, kernel by kernel."""
    classes, height, width = probabilities.shape
    rows, columns = np.mgrid[:height, :width].reshape(2, -1).astype(np.float64)
    colors = image.reshape(-1, 3).astype(np.float64)
    unary = np.log(np.clip(probabilities.reshape(classes, -1), 1e-5, 1))
    matrices = []
    for weight, sxy, srgb in kernels:
        square = ((rows[:, None] - rows) ** 2 + (columns[:, None] - columns) ** 2) / sxy**2
        if srgb is not None:
            square = square + ((colors[:, None] - colors) ** 2).sum(axis=2) / srgb**2
        kernel = np.exp(-0.5 * square)
        scale = 1 / np.sqrt(kernel.sum(axis=1))
        matrices.append(weight * scale[:, None] * kernel * scale)
    q = np.exp(unary) / np.exp(unary).sum(axis=0)
    for _ in range(iterations):
        energy = unary + sum(q @ matrix for matrix in matrices)
        q = np.exp(energy - energy.max(axis=0))
        q /= q.sum(axis=0)
    return q.reshape(probabilities.shape)


@pytest.fixture
def noisy_halves():
    random = np.random.default_rng(0)
    image = np.full((14, 18, 3), 40, dtype=np.uint8)
    image[:, 9:] = (210, 190, 60)
    image = np.clip(image + random.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    truth = np.zeros((14, 18), dtype=int)
    truth[:, 9:] = 1
    right = random.uniform(0.3, 0.9, truth.shape)
    probabilities = np.stack([np.where(truth == 0, right, 1 - right), np.where(truth == 1, right, 1 - right)])
    return image, probabilities.astype(np.float32), truth


def test_exact_crf_equals_the_slow_one(noisy_halves):
    image, probabilities, _ = noisy_halves
    found = dense_crf(image, probabilities, 4, 1.5, 2, 8, 20, 3, exact=True)
    expected = slow_crf(image, probabilities, 4, [(2, 1.5, None), (3, 8, 20)])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_lattice_crf_cleans_and_agrees_with_the_exact_one(noisy_halves):
    image, probabilities, truth = noisy_halves
    assert (probabilities.argmax(axis=0) == truth).mean() < 0.95
    found = dense_crf(image, probabilities, 5, bilateral_sxy=20, bilateral_srgb=20)
    assert (found.argmax(axis=0) == truth).mean() > 0.98
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-4)


@pytest.mark.parametrize(("name", "agreement"), [("w4_67_3", 0.97), ("w10_30_13", 0.965)])
def test_published_crf(golden, name, agreement):
    arrays = golden(f"dense_crf_{name}")
    posterior = arrays.pop("posterior")
    found = dense_crf(
        arrays.pop("image"), arrays.pop("probabilities"),
        **{key: int(value) if key == "iterations" else float(value) for key, value in arrays.items()},
    )  # fmt: skip
    assert (found.argmax(dim=0) == posterior.argmax(dim=0)).float().mean() >= agreement


def test_crf_follows_type_and_dtype_and_refuses_misfits(noisy_halves):
    image, probabilities, _ = noisy_halves
    assert isinstance(dense_crf(image, probabilities, 1), np.ndarray)
    found = dense_crf(torch.from_numpy(image), torch.from_numpy(probabilities).double(), 1)
    assert found.dtype == torch.float64
    with pytest.raises(ValueError, match="does not fit"):
        dense_crf(image[:5], probabilities)


def test_dense_gaussian_blocks_equal_the_kept_matrix(monkeypatch):
    features = torch.randn(2, 15, 3, dtype=torch.float64)
    values = torch.rand(2, 4, 15, dtype=torch.float64)
    kept = DenseGaussian(features, keep=True, include_self=False)
    monkeypatch.setattr(gaussian, "BLOCK_ELEMENTS", 40)
    blocks = DenseGaussian(features, include_self=False)
    torch.testing.assert_close(blocks.apply(values), kept.apply(values))
    weights = torch.exp(-0.5 * torch.cdist(features, features) ** 2)
    weights.diagonal(dim1=1, dim2=2).zero_()
    torch.testing.assert_close(kept.apply(values), values @ weights)
    torch.testing.assert_close(kept.degree(), weights.sum(dim=2))


def test_lattice_approximates_the_exact_filter():
    random = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 20, 24, generator=random) * 40
    features = position_color_features(image, 5.0, 30.0)
    values = torch.rand(480, 2, generator=random)
    exact = DenseGaussian(features).apply(values.T[None])[0].T
    rough = PermutohedralLattice(features[0]).filter(values)
    ones = torch.ones(480, 1)
    # Up to the lattice's gain, which normalization removes.
    mean_exact = exact / DenseGaussian(features).degree()[0][:, None]
    mean_rough = rough / PermutohedralLattice(features[0]).filter(ones)
    assert (mean_exact - mean_rough).abs().max() < 0.05


def test_lattice_refuses_a_range_it_cannot_hold():
    with pytest.raises(ValueError, match="too large a range"):
        PermutohedralLattice(torch.tensor([[0.0] * 6, [1e5] * 6], dtype=torch.float64))


def test_published_votes(golden):
    arrays = golden("retrieval_top20")
    found = vote(arrays["queries"], arrays["memory"], arrays["memory_labels"], int(arrays["k"]), 256)
    assert torch.equal(found, arrays["predicted"])


def test_votes_by_hand_and_ties_to_the_smallest():
    memory = F.normalize(torch.tensor([[1.0, 0], [1, 0.1], [1, 0.2], [0, 1]]), dim=1)
    labels = torch.tensor([2, 1, 2, 0])
    query = torch.tensor([[1.0, 0.0]])
    assert vote(query, memory, labels, 1, 3).tolist() == [2]
    assert vote(query, memory, labels, 2, 3).tolist() == [1]
    assert vote(query, memory, labels, 100, 3).tolist() == [2]
    torch.testing.assert_close(label_fractions(labels[None, :3], 3), torch.tensor([[0, 1 / 3, 2 / 3]]))
    with pytest.raises(InputError, match="no training segment has a class"):
        vote(query, memory[:0], labels[:0], 3, 3)


def test_large_memories_search_with_faiss_alike():
    random = torch.Generator().manual_seed(0)
    memory = F.normalize(torch.randn(5000, 8, generator=random), dim=1)
    queries = F.normalize(torch.randn(6, 8, generator=random), dim=1)
    similarity, rows = nearest_segments(queries, memory, 4)
    expected = (queries @ memory.T).topk(4, dim=1)
    assert torch.equal(rows, expected.indices)
    torch.testing.assert_close(similarity, expected.values)
