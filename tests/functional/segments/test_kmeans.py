import pytest
import torch
import torch.nn.functional as F

from hintseg.functional.segments import kmeans
from hintseg.functional.segments.kmeans import grid_clusters, location_features, spherical_kmeans, with_location


def slow_kmeans(features, clusters, iterations):
    clusters = clusters.tolist()
    count = max(clusters) + 1
    for _ in range(iterations):
        means = []
        for k in range(count):
            total = sum((f for f, c in zip(features, clusters, strict=True) if c == k), torch.zeros_like(features[0]))
            means.append(total / total.norm() if total.norm() > 0 else total)
        clusters = [max(range(count), key=lambda k: float(f @ means[k])) for f in features]
    return torch.tensor(clusters)


@pytest.mark.parametrize(
    ("pixels", "dim", "count", "iterations"), [(30, 4, 5, 3), (12, 2, 2, 10), (5, 3, 5, 1), (8, 3, 3, 0)]
)
def test_equals_the_loop(pixels, dim, count, iterations):
    random = torch.Generator().manual_seed(pixels)
    features = F.normalize(torch.randn(pixels, dim, generator=random, dtype=torch.float64), dim=1)
    start = torch.randint(count, (pixels,), generator=random)
    expected = slow_kmeans(features, start, iterations)
    assert torch.equal(spherical_kmeans(features, start, iterations), expected)


@pytest.mark.parametrize("vectors", [8192, 100, 20])
def test_a_batch_equals_image_by_image(vectors, monkeypatch):
    monkeypatch.setattr(kmeans, "CPU_VECTORS", vectors)
    random = torch.Generator().manual_seed(0)
    features = F.normalize(torch.randn(4, 50, 6, generator=random, dtype=torch.float64), dim=2)
    start = torch.randint(7, (4, 50), generator=random)
    together = spherical_kmeans(features, start, 5)
    for index in range(4):
        assert torch.equal(together[index], spherical_kmeans(features[index], start[index], 5))


@pytest.mark.parametrize("name", ["6x6", "12x12"])
def test_published_clusters(golden, name):
    arrays = golden(f"kmeans_{name}")
    unit = F.normalize(arrays["embedding_map"], dim=-1)
    height, width, _ = unit.shape
    start = grid_clusters(height, width, tuple(arrays["grid"].tolist()))
    assert torch.equal(start, arrays["initial_clusters"])
    located = with_location(unit[None])[0]
    torch.testing.assert_close(located, arrays["features_with_location"], atol=1e-7, rtol=0)
    found = spherical_kmeans(
        arrays["features_with_location"].reshape(height * width, -1), start.reshape(-1), int(arrays["iterations"])
    )
    assert torch.equal(found.reshape(height, width), arrays["clusters"])


def test_grid_has_half_cells_at_the_border():
    counts = torch.bincount(grid_clusters(128, 1, (6, 1)).reshape(-1))
    assert counts.tolist() == [13, 26, 25, 25, 26, 13]


def test_location_spans_half_to_each_side():
    location = location_features(3, 5, torch.zeros(1))
    assert location[0, 0].tolist() == [-0.5, -0.5]
    assert location[2, 4].tolist() == [0.5, 0.5]


def test_no_gradient_and_misfits():
    features = F.normalize(torch.randn(6, 3), dim=1).requires_grad_()
    assert not spherical_kmeans(features, torch.tensor([0, 1, 0, 1, 0, 1]), 2).requires_grad
    with pytest.raises(ValueError, match="clusters of shape"):
        spherical_kmeans(features, torch.zeros(5, dtype=torch.int64), 1)
    assert spherical_kmeans(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), 3).shape == (0,)
