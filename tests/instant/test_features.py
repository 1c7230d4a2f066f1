"""Cached features: the same as fresh ones, made again when damaged, bounded."""

import os

import numpy as np
import pytest
import torch

from hintseg.config.schema import NetworkConfig
from hintseg.instant.features import FeatureStore
from hintseg.network.embedder import Embedder
from hintseg.network.tta import image_maps

TINY = NetworkConfig(backbone="test_efficientnet", output_stride=32, decoder="none", classifier="hidden")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Embedder(TINY, num_classes=3).eval()


def scene(seed=0, size=(40, 56)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_maps_are_those_of_the_network_up_to_half_precision(network, tmp_path):
    store = FeatureStore(tmp_path, network, 1.5, 10**9)
    for _ in range(2):  # made, then read
        maps = store.maps(scene())
        fresh = image_maps(network, scene(), scale=1.5)
        torch.testing.assert_close(maps.embeddings, fresh.embeddings, atol=3e-3, rtol=0)
        torch.testing.assert_close(maps.logits, fresh.logits, atol=3e-3, rtol=0)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_is_of_one_image_one_scale_and_one_backbone(network, tmp_path):
    FeatureStore(tmp_path, network, 1.0, 10**9).pyramid(scene())
    FeatureStore(tmp_path, network, 2.0, 10**9).pyramid(scene())
    FeatureStore(tmp_path, network, 1.0, 10**9).pyramid(scene(1))
    FeatureStore(tmp_path, Embedder(TINY, num_classes=3).eval(), 1.0, 10**9).pyramid(scene())
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("damage", ["a bit", "the end", "everything", "another's", "a pipe"])
def test_a_damaged_file_is_made_again(network, tmp_path, damage):
    right = FeatureStore(tmp_path, network, 1.0, 10**9).pyramid(scene())
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "a bit":
        content[-5] ^= 4
    if damage in ("another's", "a pipe"):
        FeatureStore(tmp_path, network, 1.0, 10**9).pyramid(scene(1, (99, 70)))
        (other,) = set(tmp_path.iterdir()) - {path}
        path.unlink()
        other.rename(path) if damage == "another's" else os.mkfifo(path)
    else:
        path.write_bytes({"a bit": content, "the end": content[:-9], "everything": b"x"}[damage])
    again = FeatureStore(tmp_path, network, 1.0, 10**9).pyramid(scene())
    assert all(torch.equal(one, other) for one, other in zip(right, again, strict=True))
    whole = FeatureStore(tmp_path, network, 1.0, 10**9).pyramid(scene())
    assert all(torch.equal(one, other) for one, other in zip(right, whole, strict=True))


def test_the_oldest_files_leave_a_full_cache(network, tmp_path):
    (tmp_path / "somebody's own.safetensors").write_bytes(bytes(10**6))
    FeatureStore(tmp_path, network, 1.0, 10**9).pyramid(scene())
    size = next(tmp_path.glob("*[0-9a-f].safetensors")).stat().st_size
    store = FeatureStore(tmp_path, network, 1.0, 3 * size)
    for seed in range(5):
        store.pyramid(scene(seed))
    assert len(list(tmp_path.iterdir())) == 4
    newest = store.pyramid(scene(4))
    assert all(level.dtype == torch.float16 for level in newest)


def test_what_is_read_stays_in_a_full_cache(network, tmp_path):
    store = FeatureStore(tmp_path, network, 1.0, 10**9)
    made = []
    for seed in range(3):
        store.pyramid(scene(seed))
        (path,) = set(tmp_path.iterdir()) - set(made)
        os.utime(path, (seed, seed))  # long ago, in this order
        made.append(path)
    again = FeatureStore(tmp_path, network, 1.0, sum(path.stat().st_size for path in made))
    again.pyramid(scene(0))
    again.pyramid(scene(3))
    assert [path.exists() for path in made] == [True, False, True]
