"""Losses on logits: partial cross-entropy, entropy, allowed classes, completed masks, Potts and dense CRF."""

import math
import threading

import pytest
import torch
import torch.nn.functional as F

from hintseg.functional.affinity.gaussian import DenseGaussian
from hintseg.functional.losses.candidate_classes import candidate_class_loss
from hintseg.functional.losses.entropy import entropy
from hintseg.functional.losses.normalized_cut import kernel_cut_loss, normalized_cut, normalized_cut_loss
from hintseg.functional.losses.partial_cross_entropy import class_weights, partial_cross_entropy
from hintseg.functional.losses.potts import dense_crf_loss, grid_potts_loss, potts
from hintseg.functional.losses.soft_cross_entropy import soft_cross_entropy
from hintseg.functional.losses.tags import tag_loss


def random_logits(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True)


def some_shares():
    return random_logits(2, 3, 4, 5, seed=7).detach().softmax(dim=1)


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("share", [0.1, 0.6, 1])
@pytest.mark.parametrize("class_weight_power", [0.0, 0.5])
def test_partial_cross_entropy_equals_enlarged_logits(scale, share, class_weight_power):
    logits, random = random_logits(2, 3, 5, 7), torch.Generator().manual_seed(1)
    labels = torch.randint(3, (2, 5 * scale, 7 * scale), generator=random)
    labels[torch.rand(labels.shape, generator=random) >= share] = 254
    enlarged = F.interpolate(logits, scale_factor=scale, mode="bilinear", align_corners=False)
    counts = torch.stack([(labels == label).sum() for label in range(3)])
    weights = counts.double() ** -class_weight_power
    expected = F.cross_entropy(enlarged, labels, weights, ignore_index=254)
    loss = partial_cross_entropy(logits, labels, class_weight_power)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (loss, expected)))


@pytest.mark.parametrize("share", [0.05, 0.9])
def test_several_threads_add_up_the_same_gradient_every_time(share):
    logits, random = random_logits(4, 5, 64, 64).detach().float(), torch.Generator().manual_seed(0)
    labels = torch.where(torch.rand(4, 256, 256, generator=random) < share, 1, 254)
    busy = threading.Event()
    other = threading.Thread(target=lambda: [sum(range(2000)) for _ in iter(busy.is_set, True)])
    other.start()  # what makes threads of PyTorch wait for each other, or not
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = set()
        for _ in range(150):
            leaf = logits.clone().requires_grad_()
            partial_cross_entropy(leaf, labels).backward()
            found.add(leaf.grad.numpy().tobytes())
    finally:
        torch.set_num_threads(threads)
        busy.set()
        other.join()
    assert len(found) == 1


def test_partial_cross_entropy_without_labels_is_zero_with_a_graph():
    logits = random_logits(1, 3, 4, 4)
    loss = partial_cross_entropy(logits, torch.full((1, 8, 8), 255))
    loss.backward()
    assert float(loss) == 0.0
    assert logits.grad.abs().sum() == 0


@pytest.mark.parametrize("class_weight_power", [0.0, 0.5, 1.0])
def test_balanced_cross_entropy_by_loop(class_weight_power):
    logits = random_logits(2, 3, 4, 5)
    labels = torch.full((2, 4, 5), 254)
    labels[0, :3], labels[1, 2, 2:4], labels[1, 0, 0] = 0, 1, 255
    counts = {0: 15, 1: 2}
    share = 17 / sum(count ** (1 - class_weight_power) for count in counts.values())
    total = 0.0
    for image, row, column in (labels < 3).nonzero().tolist():
        label = int(labels[image, row, column])
        loss = -float(logits[image, :, row, column].log_softmax(0)[label])
        total += share * counts[label] ** -class_weight_power * loss
    assert float(partial_cross_entropy(logits, labels, class_weight_power)) == pytest.approx(total / 17, rel=1e-6)
    targets = torch.stack([labels == label for label in range(3)], dim=1).double()
    assert float(soft_cross_entropy(logits, targets, class_weight_power)) == pytest.approx(total / 17, rel=1e-6)


def test_class_weights_keep_the_sum_and_leave_out_what_does_not_occur():
    counts = torch.tensor([900.0, 0.0, 9.0, 0.25])
    weights = class_weights(counts, 1.0)
    assert float((weights * counts).sum()) == pytest.approx(909.25)
    assert float(weights[1]) == 0.0
    assert float(weights[0] * 900) == pytest.approx(float(weights[2] * 9))
    assert weights[3] == weights.max()  # less than a pixel weighs as one
    assert not class_weights(torch.zeros(3), 1.0).any()


def test_entropy_of_uniform_and_certain_predictions():
    where = torch.tensor([[[True, False]]])
    assert float(entropy(torch.zeros(1, 4, 1, 2), where)) == pytest.approx(math.log(4))
    certain = torch.zeros(1, 4, 1, 2)
    certain[:, 0] = 100
    assert float(entropy(certain, where)) == pytest.approx(0, abs=1e-6)
    assert float(entropy(certain, torch.zeros_like(where))) == 0.0


def test_candidate_class_loss_by_loop():
    logits = random_logits(2, 4, 3, 3)
    allowed = torch.tensor([[True, False, True, False], [False, False, False, False]])
    where = torch.rand(2, 3, 3, generator=torch.Generator().manual_seed(1)) < 0.7
    total = 0.0
    for image, row, column in where.nonzero().tolist():
        shares = logits[image, :, row, column].softmax(0)
        total += 0.0 if image == 1 else -math.log(float(shares[0] + shares[2]))
    assert float(candidate_class_loss(logits, allowed, where)) == pytest.approx(total / int(where.sum()), rel=1e-5)


def test_soft_cross_entropy_counts_only_pixels_with_a_target():
    logits = random_logits(1, 2, 1, 3)
    targets = torch.tensor([[[[0.25, 0.0, 1.0]], [[0.75, 0.0, 0.0]]]], dtype=torch.float64)
    logs = logits[0, :, 0].log_softmax(0)
    expected = -(0.25 * logs[0, 0] + 0.75 * logs[1, 0] + logs[0, 2]) / 2
    assert float(soft_cross_entropy(logits, targets)) == pytest.approx(float(expected), rel=1e-5)


def test_balanced_soft_cross_entropy_by_loop():
    logits, targets = random_logits(2, 3, 2, 3), random_logits(2, 3, 2, 3).detach().softmax(dim=1)
    targets[:, 0] += 2
    targets /= targets.sum(dim=1, keepdim=True)
    targets[1, :, 1, 2] = 0  # no target
    counts = targets.sum(dim=(0, 2, 3))
    weights = counts**-0.5 * counts.sum() / (counts**0.5).sum()
    total = 0.0
    for image, row, column in (targets.sum(dim=1) > 0).nonzero().tolist():
        shares, logs = targets[image, :, row, column], logits[image, :, row, column].log_softmax(0)
        total -= float((shares * weights).sum() * (shares * logs).sum())
    assert float(soft_cross_entropy(logits, targets, 0.5)) == pytest.approx(total / 11, rel=1e-6)


def test_balance_leaves_the_best_answer_to_a_soft_target_alone():
    # A rare class at a border: three pixels are surely the common one, the fourth is rare with a probability of 0.3.
    targets = torch.tensor([[[[1.0, 1.0, 1.0, 0.7]], [[0.0, 0.0, 0.0, 0.3]]]], dtype=torch.float64)
    logits = targets.clamp_min(1e-6).log().requires_grad_()
    soft_cross_entropy(logits, targets, 1.0).backward()
    assert logits.grad.abs().max() < 1e-5


@pytest.mark.parametrize("quadratic", [False, True])
def test_potts_by_its_definition_and_gradient(quadratic):
    features = torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    affinity = DenseGaussian(features, keep=True, include_self=False)
    probabilities = random_logits(1, 3, 6).softmax(dim=1)
    energy, degrees = 0.0, 0.0
    for p in range(6):
        for q in range(6):
            weight = 0.0 if p == q else math.exp(-0.5 * float((features[0, p] - features[0, q]).square().sum()))
            one, other = probabilities[0, :, p], probabilities[0, :, q]
            energy += weight * float((one - other).square().sum() if quadratic else 1 - one @ other)
            degrees += weight
    assert float(potts(probabilities, affinity, quadratic=quadratic)) == pytest.approx(energy / degrees, rel=1e-9)
    leaf = probabilities.detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: potts(s, affinity, quadratic=quadratic), (leaf,))


def test_quadratic_potts_is_bilinear_less_the_gini_entropy():
    features = torch.randn(1, 8, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    affinity = DenseGaussian(features, keep=True)
    probabilities = random_logits(1, 3, 8).softmax(dim=1)
    degree = affinity.degree()
    gini = (degree * (1 - probabilities.square().sum(dim=1))).sum() / degree.sum()
    difference = potts(probabilities, affinity) - gini
    torch.testing.assert_close(potts(probabilities, affinity, quadratic=True) / 2, difference)


def test_dense_crf_loss_prefers_borders_along_colors():
    image = torch.zeros(1, 3, 16, 16)
    image[..., 8:] = 200
    along = torch.zeros(1, 2, 16, 16)
    along[:, 0, :, :8], along[:, 1, :, 8:] = 1, 1
    across = along.transpose(2, 3).contiguous()
    assert float(dense_crf_loss(along, image)) < 0.01
    assert float(dense_crf_loss(across, image)) > 0.1


def test_normalized_cut_by_its_definition_and_gradient():
    features = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    affinity = DenseGaussian(features, keep=True, include_self=False)
    probabilities = random_logits(2, 3, 6).softmax(dim=1)
    counted = torch.tensor([[True, False, True], [True, True, True]])
    means = []
    for image in range(2):
        weights = torch.exp(-0.5 * torch.cdist(features[image], features[image]).square())
        weights.fill_diagonal_(0)
        cuts = []
        for label in range(3):
            inside = probabilities[image, label]
            if counted[image, label]:
                cuts.append(float(inside @ weights @ (1 - inside) / (weights.sum(dim=1) @ inside)))
        means.append(sum(cuts) / len(cuts))
    assert float(normalized_cut(probabilities, affinity, counted)) == pytest.approx(sum(means) / 2, rel=1e-9)
    leaf = probabilities.detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: normalized_cut(s, affinity, counted), (leaf,))
    nothing = normalized_cut(leaf, affinity, torch.zeros_like(counted))
    nothing.backward()
    assert float(nothing) == 0 == float(leaf.grad.abs().sum())


@pytest.mark.parametrize("loss", [dense_crf_loss, grid_potts_loss, normalized_cut_loss, kernel_cut_loss])
def test_losses_on_maps(loss):
    """Gradients agree with finite differences; borders along colors cost less than borders across them."""
    image = torch.zeros(1, 3, 6, 8, dtype=torch.float64)
    image[..., 4:] = 200
    probabilities = random_logits(1, 2, 6, 8).softmax(dim=1).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: loss(s, image), (probabilities,))
    along, across = torch.zeros(2, 1, 2, 6, 8, dtype=torch.float64)
    along[:, 0, :, :4], along[:, 1, :, 4:] = 1, 1
    across[:, 0, :3], across[:, 1, 3:] = 1, 1
    assert float(loss(along, image)) < 0.5 * float(loss(across, image))
    halved = loss(along.bfloat16(), image.bfloat16())
    assert torch.isfinite(halved)


@pytest.mark.parametrize("loss", [dense_crf_loss, grid_potts_loss, normalized_cut_loss, kernel_cut_loss])
@pytest.mark.parametrize("size", [(6, 8), (40, 64)])
def test_what_pads_a_crop_does_not_count(loss, size):
    """Cells of the reduced grid included: at 64 pixels they hold two by two."""
    generator = torch.Generator().manual_seed(5)
    side = size[1]
    image = torch.rand(2, 3, side, side, generator=generator, dtype=torch.float64) * 255
    probabilities = random_logits(2, 3, side, side).softmax(dim=1).detach().requires_grad_()
    inside = torch.zeros(2, side, side, dtype=torch.bool)
    inside[:, : size[0]] = True
    padded = loss(probabilities, image, where=inside)
    alone = loss(probabilities[:, :, : size[0]], image[:, :, : size[0]])
    torch.testing.assert_close(padded, alone)
    (gradient,) = torch.autograd.grad(padded, probabilities)
    assert (gradient[:, :, size[0] :] == 0).all()
    assert (gradient[:, :, : size[0]] != 0).any()
    assert torch.isfinite(loss(probabilities, image, where=torch.zeros_like(inside)))


@pytest.mark.parametrize(
    "loss",
    [
        lambda logits, labels, known: partial_cross_entropy(logits, labels),
        lambda logits, labels, known: entropy(logits, labels == 9),
        lambda logits, labels, known: candidate_class_loss(logits, known, labels < 9),
        lambda logits, labels, known: soft_cross_entropy(logits, some_shares().to(logits.dtype)),
        lambda logits, labels, known: partial_cross_entropy(logits, labels, 0.5),
        lambda logits, labels, known: soft_cross_entropy(logits, some_shares().to(logits.dtype), 0.5),
        lambda logits, labels, known: tag_loss(logits, known, ~known, "log_sum_exp"),
    ],
)
def test_gradients_in_float64_and_values_in_half_precision(loss):
    logits = random_logits(2, 3, 4, 5)
    labels = torch.randint(0, 12, (2, 4, 5), generator=torch.Generator().manual_seed(1))
    known = torch.tensor([[True, False, True], [True, True, False]])
    assert torch.autograd.gradcheck(lambda values: loss(values, labels, known), (logits,))
    half = logits.detach().to(torch.bfloat16)
    assert loss(half, labels, known).dtype == torch.float32
    torch.testing.assert_close(loss(half, labels, known), loss(half.float(), labels, known), atol=0.02, rtol=0.02)
