"""The kernel without a GPU: what it computes, by Triton's interpreter; that it compiles, by its compiler."""

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F

from hintseg.functional.segments import kmeans
from hintseg.functional.segments.kmeans import spherical_kmeans

pytest.importorskip("triton", minversion="3.7")  # older interpreters need an older numpy
kmeans_cuda = pytest.importorskip("hintseg.functional.kernels.kmeans_cuda")


def interpreted(*arguments):
    torch.cuda.device_of = lambda _: nullcontext()
    return kmeans_cuda.fused_kmeans(*arguments)


def problem(batch, count, dim, clusters):
    random = torch.Generator().manual_seed(count)
    features = F.normalize(torch.randn(batch, count, dim, generator=random), dim=2)
    return features, torch.randint(clusters, (batch, count), generator=random)


@pytest.mark.parametrize(
    ("batch", "count", "dim", "clusters"), [(2, 300, 20, 5), (1, 1, 4, 1), (3, 64, 66, 36), (1, 1100, 128, 64)]
)
@pytest.mark.parametrize("iterations", [0, 1, 4])
def test_equals_the_plain_way(interpreter, batch, count, dim, clusters, iterations):
    features, start = problem(batch, count, dim, clusters)
    found = interpreter.submit(interpreted, features, start, iterations, clusters).result()
    assert torch.equal(found, spherical_kmeans(features, start, iterations, clusters))


def test_an_empty_cluster_is_as_far_as_a_right_angle(interpreter):
    features = torch.tensor([[[1.0, 0.0], [0.8, 0.6], [-1.0, 0.0]]])
    start = torch.tensor([[0, 0, 0]])
    found = interpreter.submit(interpreted, features, start, 1, 2).result()
    assert found.tolist() == spherical_kmeans(features, start, 1, 2).tolist() == [[0, 0, 1]]


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("start", [True, False])
def test_compiles_for_a_gpu_that_is_not_here(compiled, capability, start):
    options = {"DIM": 66, "DEPTH": 128, "CLUSTERS": 64, "SHARES": 16, "INTERPRETED": False, "START": start}
    options |= kmeans_cuda.TILE
    types = dict.fromkeys(("features", "before", "after"), "*fp32") | dict.fromkeys(("clusters", "found"), "*i64")
    types |= dict.fromkeys(("num_rows", "num_clusters"), "i32")
    built = compiled(kmeans_cuda.kmeans_kernel, types, options, capability)
    assert built.metadata.shared <= 99 * 1024  # what every GPU of these generations has


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_equals_the_cpu_on_a_gpu():
    features, start = problem(4, 4096, 66, 36)
    assert kmeans._kernel(torch.device("cuda", 0), torch.float32, 66, 36) is not None
    found = spherical_kmeans(features.cuda(), start.cuda(), 10, 36).cpu()
    assert (found == spherical_kmeans(features, start, 10, 36)).float().mean() > 0.99  # near ties may fall either way
