"""The approximate index finds what comparing all finds, and is made again when it is not of this memory."""

import pytest
import torch
import torch.nn.functional as F

from hintseg.errors import RunError
from hintseg.functional.propagation.vote import nearest_segments
from hintseg.inference import large_index
from hintseg.inference.large_index import LargeIndex
from hintseg.inference.retrieval import SegmentIndex, load_index, save_index


def drawn(count, seed=0):
    """Prototypes in 40 groups, as classes make them."""
    generator = torch.Generator().manual_seed(seed)
    centers = torch.randn(40, 16, generator=generator)
    groups = torch.arange(count) % 40
    return F.normalize(centers[groups] + 0.5 * torch.randn(count, 16, generator=generator), dim=1), groups


def test_nearly_all_of_the_nearest_are_found(tmp_path):
    prototypes, _ = drawn(12_000)
    index = LargeIndex(tmp_path / "memory.faiss", prototypes)
    queries = prototypes[::97] + 0.05
    queries = F.normalize(queries, dim=1)
    cosines, rows = index.nearest(queries, 20)
    exact, expected = nearest_segments(queries, prototypes, 20)
    found = torch.tensor(
        [len(set(one) & set(other)) for one, other in zip(rows.tolist(), expected.tolist(), strict=True)]
    )
    assert found.float().mean() / 20 > 0.95
    assert (cosines.diff(dim=1) <= 0).all()
    torch.testing.assert_close(cosines, torch.einsum("qd,qkd->qk", queries, prototypes[rows]))
    assert (exact.mean() - cosines.mean()).abs() < 1e-3


def test_fewer_than_asked_for():
    prototypes, _ = drawn(3)
    assert nearest_segments(prototypes[:1], prototypes, 5)[1].shape == (1, 3)


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.setenv("HINTSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(large_index, "LARGE", 1000)

    def store(count, seed=0):
        prototypes, groups = drawn(count, seed)
        index = SegmentIndex(prototypes, groups, torch.arange(count), torch.zeros(count, 4))
        save_index(index, tmp_path / "memory_bank.safetensors")
        return index

    return store


def test_a_large_memory_has_its_index_on_disk(stored, tmp_path):
    """In the user's cache: one that came with a run folder is never opened, since faiss trusts what it reads."""

    def made():
        return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "segments").glob("*.faiss")}

    (tmp_path / "memory.faiss").write_bytes(b"a stranger's")
    stored(1000)
    assert load_index(tmp_path / "memory_bank.safetensors", 255, 10**6).large is None
    index = stored(6000)
    loaded = load_index(tmp_path / "memory_bank.safetensors", 255, 10**6)
    first = made()
    assert len(first) == 1
    queries = index.prototypes[:50]
    assert (loaded.nearest(queries, 1)[1][:, 0] == torch.arange(50)).float().mean() > 0.95
    load_index(tmp_path / "memory_bank.safetensors", 255, 10**6)
    assert made() == first
    # Another memory has one of its own; a damaged one is made again.
    stored(5000, seed=1)
    assert load_index(tmp_path / "memory_bank.safetensors", 255, 10**6).large is not None
    (second,) = made().keys() - first.keys()
    (tmp_path / "cache" / "segments" / second).write_bytes(b"damaged")
    assert load_index(tmp_path / "memory_bank.safetensors", 255, 10**6).nearest(queries, 3)[1].shape == (50, 3)
    assert (tmp_path / "memory.faiss").read_bytes() == b"a stranger's"


def test_a_memory_whose_parts_do_not_fit_is_refused(tmp_path):
    prototypes, groups = drawn(10)
    save_index(
        SegmentIndex(prototypes, groups[:9], torch.arange(10), torch.zeros(10, 4)), tmp_path / "memory_bank.safetensors"
    )
    with pytest.raises(RunError, match="missing or damaged"):
        load_index(tmp_path / "memory_bank.safetensors", 255, 10**6)
    for wrong in (prototypes.double(), prototypes.where(prototypes < 0.5, torch.nan)):
        save_index(
            SegmentIndex(wrong, groups, torch.arange(10), torch.zeros(10, 4)), tmp_path / "memory_bank.safetensors"
        )
        with pytest.raises(RunError, match="missing or damaged"):
            load_index(tmp_path / "memory_bank.safetensors", 255, 10**6)
