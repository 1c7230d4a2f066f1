"""Where the classes are that images are only known to contain, by a linear layer on frozen features.

Multiple-instance learning first: an image's score of a class is the log-sum-exp of its cells' [Pinheiro & Collobert,
CVPR 2015]. Then expectation-maximization over the candidate classes of every cell [as EM-Adapt, Papandreou et al.,
ICCV 2015, does with a network].
"""

import logging
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from hintseg.config.schema import Recipe
from hintseg.instant.features import FeatureStore
from hintseg.instant.head import descend, joined_features
from hintseg.network.heads import coarse_size, resize
from hintseg.pseudo_labels.cam import balanced, expected_fractions
from hintseg.pseudo_labels.target import PseudoLabels
from hintseg.training.augment import SOFT_STRIDE
from hintseg.training.data import TrainingImages
from hintseg.training.tag_classifier import image_seeds, tagged_probabilities, unlocalized

log = logging.getLogger("hintseg")

CELLS = 14  # along each side of an image
STEPS, BATCH, LR = 60, 48, 5e-3  # of multiple-instance learning; with more the scores retreat to a few pixels
ROUNDS, ROUND_STEPS, ROUND_BATCH, SHARPER = 3, 300, 2048, 1.5  # of expectation-maximization


def localize_tagged(
    images: TrainingImages, store: FeatureStore, recipe: Recipe,
    progress: Callable[[str, int, int, dict[str, float]], None],
) -> None:  # fmt: skip
    """Set seeds in images of classes that have no localized hint in any image; nothing where there is none."""
    keys = unlocalized(images)
    if not keys or all_localized(images):
        return
    log.info("%d images have classes without a localized hint: their tags locate them first", len(keys))
    background = images.dataset.background
    targets = {key: images.target(key) for key in keys}
    cells = torch.stack([_cells(store, targets[key][0]) for key in keys])
    flat = cells.flatten(0, 1)
    mean, scale = flat.mean(dim=0), flat.std(dim=0) + 1e-5
    cells = (cells - mean) / scale
    present, absent = map(torch.from_numpy, _told(targets))
    layer = multiple_instance_layer(cells, present, absent, recipe.seed)
    probabilities = [
        tagged_probabilities(_scores(layer, own), targets[key][1], background, recipe, pixels=False)
        for key, own in zip(keys, cells, strict=True)
    ]
    for number in range(ROUNDS):
        progress("tags", number, ROUNDS, {})
        layer = _maximized(cells, probabilities, targets, recipe.seed + number)
        probabilities = [
            _candidate_probabilities(layer, own, targets[key][1], background, recipe)
            for key, own in zip(keys, cells, strict=True)
        ]
    progress("tags", ROUNDS, ROUNDS, {})
    images.set_seeds(
        {
            key: image_seeds(resize(own[None], coarse_size(image.shape[:2], SOFT_STRIDE))[0], image, target)
            for own, (key, (image, target)) in zip(probabilities, targets.items(), strict=True)
        }
    )


def all_localized(images: TrainingImages) -> bool:
    """Whether every class that these images hold has a localized hint in one of them."""
    localized: set[int] = set()
    named: set[int] = set()
    for key in images.keys:
        hints = images.hints(key)
        localized |= hints.localized()
        named |= hints.classes()
    return named <= localized


def multiple_instance_layer(cells: Tensor, present: Tensor, absent: Tensor, seed: int) -> nn.Linear:
    """A linear layer whose log-mean-exp over an image's cells tells the image's tags.

    Args:
        cells: (N, P, D) standardized features.
        present, absent: (N, C) bool; of a class that is neither nothing is known.
    """
    torch.manual_seed(seed)
    layer = nn.Linear(cells.shape[2], present.shape[1])
    nn.init.zeros_(layer.weight)

    def loss() -> Tensor:
        drawn = torch.randint(len(cells), (BATCH,))
        scores = layer(cells[drawn]).logsumexp(dim=1) - math.log(cells.shape[1])
        known = (present | absent)[drawn].float()
        return F.binary_cross_entropy_with_logits(scores, present[drawn].float(), known)

    descend(layer, STEPS, LR, loss)
    return layer


def _maximized(
    cells: Tensor, probabilities: list[Tensor], targets: dict[str, tuple[NDArray[np.uint8], PseudoLabels]], seed: int
) -> nn.Linear:
    """A linear layer fitted to soft labels: the probabilities of the classes that each image may hold, sharpened."""
    num_classes = len(next(iter(targets.values()))[1].candidate_classes)
    soft = torch.zeros(len(cells), num_classes, CELLS, CELLS)
    for row, (own, (_, target)) in enumerate(zip(probabilities, targets.values(), strict=True)):
        sharper = own**SHARPER
        candidates = torch.from_numpy(np.flatnonzero(target.candidate_classes))
        soft[row, candidates] = sharper / sharper.sum(dim=0, keepdim=True)
    features, labels = cells.flatten(0, 1), soft.flatten(2).transpose(1, 2).flatten(0, 1)
    torch.manual_seed(seed)
    layer = nn.Linear(features.shape[1], num_classes)

    def loss() -> Tensor:
        drawn = torch.randint(len(features), (ROUND_BATCH,))
        return F.cross_entropy(layer(features[drawn]), labels[drawn])

    descend(layer, ROUND_STEPS, LR, loss)
    return layer


@torch.no_grad()
def _candidate_probabilities(
    layer: nn.Linear, cells: Tensor, target: PseudoLabels, background: int | None, recipe: Recipe
) -> Tensor:
    """(T, CELLS, CELLS) softmax over the classes that an image may hold, none of which may take all of it."""
    classes = np.flatnonzero(target.candidate_classes)
    probabilities = _scores(layer, cells)[torch.from_numpy(classes)].softmax(dim=0)
    return balanced(probabilities, recipe.completion.class_prior_power, expected_fractions(classes, background))


@torch.no_grad()
def _scores(layer: nn.Linear, cells: Tensor) -> Tensor:
    scores: Tensor = layer(cells).T.unflatten(1, (CELLS, CELLS))
    return scores


def _cells(store: FeatureStore, image: NDArray[np.uint8]) -> Tensor:
    """(CELLS², D) features of an even grid."""
    height, width = store.extent(image)
    centers = (torch.arange(CELLS) + 0.5) / CELLS
    rows, columns = torch.meshgrid(centers * height, centers * width, indexing="ij")
    return joined_features(store.pyramid(image), torch.stack([columns.flatten(), rows.flatten()], dim=1))


def _told(targets: dict[str, tuple[NDArray[np.uint8], PseudoLabels]]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(N, C) each: classes that are there, and classes that cannot be."""
    present = np.stack([target.present_classes for _, target in targets.values()])
    return present, ~np.stack([target.candidate_classes for _, target in targets.values()])
