"""Memory of regions and its prototypes."""

import torch
import torch.nn.functional as F

from hintseg.segments.region_memory import RegionMemory


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_first_in_first_out_by_class():
    memory = RegionMemory(3, size=2)
    assert memory.regions() is None
    regions = unit(5, 4)
    memory.push(regions, torch.tensor([0, 0, 2, 0, 2]))
    kept, labels = memory.regions()
    assert labels.tolist() == [0, 0, 2, 2]
    assert torch.equal(kept, regions[[1, 3, 2, 4]])
    other = RegionMemory(3, size=2)
    other.load_state(memory.state())
    assert torch.equal(other.regions()[0], kept)
    assert torch.equal(other.regions()[1], labels)


def test_prototypes_are_cluster_means_and_keep_their_places():
    memory = RegionMemory(2, size=50)
    centres = torch.eye(4)[:3]
    regions = F.normalize(centres.repeat(10, 1) + 0.05 * unit(30, 4), dim=1)
    memory.push(regions, torch.zeros(30, dtype=torch.int64))
    first = memory.prototypes(torch.zeros(2, 3, 4))
    assert torch.equal(first[1], torch.zeros(3, 4))  # nothing is remembered of this class
    assert sorted((first[0] @ centres.T).argmax(dim=1).tolist()) == [0, 1, 2]
    for prototype in first[0]:
        members = regions[(regions @ first[0].T).argmax(dim=1) == (first[0] @ prototype).argmax()]
        torch.testing.assert_close(prototype, F.normalize(members.sum(dim=0), dim=0))
    turned = first[:, [2, 0, 1]]
    torch.testing.assert_close(memory.prototypes(turned), turned)
    assert bool((memory.prototypes(torch.zeros(2, 40, 4))[0].norm(dim=1) > 0.99).all())  # more than regions
