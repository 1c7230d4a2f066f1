"""RCA's regional contrast beside loops, its memory bank of regions and their prototypes."""

import math

import pytest
import torch
import torch.nn.functional as F

from hintseg.contrib.rca import RegionMemoryBank, class_regions, regional_contrast


def unit(*shape, seed=0):
    random = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=random, dtype=torch.float64), dim=1)


def test_regions_are_mean_embeddings_where_a_class_is_likelier_than_on_average():
    maps, logits = unit(2, 5, 3, 4), torch.randn(2, 3, 3, 4, generator=torch.Generator().manual_seed(1)).double()
    chosen = torch.tensor([[True, False, True], [False, True, False]])
    where = torch.ones(2, 3, 4, dtype=torch.bool)
    where[0, :, 0] = where[1, 2] = False
    regions, labels = class_regions(maps, logits, chosen, where)
    assert labels.tolist() == [0, 2, 1]
    for row, (image, label) in enumerate([(0, 0), (0, 2), (1, 1)]):
        shares = logits[image].softmax(dim=0)[label]
        total = torch.zeros(5, dtype=torch.float64)
        for y in range(3):
            for x in range(4):
                if where[image, y, x] and shares[y, x] > shares[where[image]].mean():
                    total += maps[image, :, y, x]
        torch.testing.assert_close(regions[row], total / total.norm())


def test_contrast_by_loop_and_gradient():
    regions, memory = unit(4, 6), unit(7, 6, seed=1)
    labels, memory_labels = torch.tensor([0, 1, 2, 9]), torch.tensor([0, 0, 1, 1, 1, 2, 3])
    losses = []
    for region, label in zip(regions, labels.tolist(), strict=True):
        similar = [math.exp(float(region @ other) / 0.5) for other in memory]
        same = [value for value, other in zip(similar, memory_labels.tolist(), strict=True) if other == label]
        others = sum(similar) - sum(same)
        if same:  # nothing of class 9 is remembered
            losses.append(sum(-math.log(value / (value + others)) for value in same) / len(same))
    found = regional_contrast(regions, labels, memory, memory_labels, 0.5)
    assert float(found) == pytest.approx(sum(losses) / 3, rel=1e-9)
    assert torch.autograd.gradcheck(
        lambda values: regional_contrast(values, labels, memory, memory_labels, 0.5), (regions.requires_grad_(),)
    )


@pytest.mark.parametrize("rows", [0, 2])
def test_nothing_to_compare_with_is_zero_with_a_graph(rows):
    regions = unit(max(rows, 1), 6)[:rows].requires_grad_()
    loss = regional_contrast(regions, torch.full((rows,), 5), unit(3, 6), torch.tensor([0, 1, 2]))
    loss.backward()
    assert float(loss) == 0


def test_one_class_alone_has_nothing_to_repel():
    regions = unit(2, 6)
    assert float(regional_contrast(regions, torch.zeros(2).long(), unit(3, 6), torch.zeros(3).long())) == 0


def test_first_in_first_out_by_class():
    memory = RegionMemoryBank(3, size=2)
    assert memory.regions() is None
    regions = unit(5, 4).float()
    memory.push(regions, torch.tensor([0, 0, 2, 0, 2]))
    kept, labels = memory.regions()
    assert labels.tolist() == [0, 0, 2, 2]
    assert torch.equal(kept, regions[[1, 3, 2, 4]])
    other = RegionMemoryBank(3, size=2)
    other.load_state(memory.state())
    assert torch.equal(other.regions()[0], kept)
    assert torch.equal(other.regions()[1], labels)


def test_prototypes_are_cluster_means_and_keep_their_places():
    memory = RegionMemoryBank(2, size=50)
    centers = torch.eye(4)[:3]
    regions = F.normalize(
        centers.repeat(10, 1)
        + 0.05 * F.normalize(torch.randn(30, 4, generator=torch.Generator().manual_seed(0)), dim=1),
        dim=1,
    )
    memory.push(regions, torch.zeros(30, dtype=torch.int64))
    first = memory.prototypes(torch.zeros(2, 3, 4))
    assert torch.equal(first[1], torch.zeros(3, 4))  # nothing is remembered of this class
    assert sorted((first[0] @ centers.T).argmax(dim=1).tolist()) == [0, 1, 2]
    for prototype in first[0]:
        members = regions[(regions @ first[0].T).argmax(dim=1) == (first[0] @ prototype).argmax()]
        torch.testing.assert_close(prototype, F.normalize(members.sum(dim=0), dim=0))
    turned = first[:, [2, 0, 1]]
    torch.testing.assert_close(memory.prototypes(turned), turned)
    assert bool((memory.prototypes(torch.zeros(2, 40, 4))[0].norm(dim=1) > 0.99).all())  # more than regions
