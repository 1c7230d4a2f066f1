"""Terms of an objective by name, one line each; each is a function of `TermInputs`."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from hintseg.contrib.rca import RegionMemoryBank, class_regions, regional_contrast
from hintseg.contrib.sec import constraint, expansion
from hintseg.functional.losses.candidate_classes import candidate_class_loss
from hintseg.functional.losses.entropy import entropy
from hintseg.functional.losses.normalized_cut import kernel_cut_loss, normalized_cut_loss
from hintseg.functional.losses.partial_cross_entropy import partial_cross_entropy
from hintseg.functional.losses.potts import dense_crf_loss, grid_potts_loss
from hintseg.functional.losses.precision import at_least_float32
from hintseg.functional.losses.soft_cross_entropy import soft_cross_entropy
from hintseg.functional.losses.tags import pool, tag_loss
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.network.embedder import PixelMaps
from hintseg.network.heads import resize


class TermInputs(NamedTuple):
    """What a term may read.

    Attributes:
        maps: embeddings and logits of the batch.
        image: (B, 3, h, w) float colors in [0, 255] at the logits' size.
        labels: (B, H, W) int64 weak labels at the crop's size.
        propagated: (B, h, w) int64 propagated labels at the logits' size (nearest).
        cells: (B, h, w) uint8 weak labels at the logits' size (nearest).
        candidate_classes: (B, C) bool: classes that may occur.
        present_classes: (B, C) bool: classes that do.
        soft: (B, C, h', w') pseudo-labels.
        pooling: of pixel scores into image scores, for tags.
        background: its class, if the data set has one.
        regions: of earlier batches, by class; a term may add this batch's.
        class_weight_power: of this term, see `TermConfig`.
    """

    maps: PixelMaps
    image: Tensor
    labels: Tensor
    propagated: Tensor
    cells: Tensor
    candidate_classes: Tensor
    present_classes: Tensor
    soft: Tensor
    pooling: str
    background: int | None
    regions: RegionMemoryBank
    class_weight_power: float = 0.0

    @property
    def inside(self) -> Tensor:
        """(B, h, w) bool: what is of the image, not ignored and not what pads the crop."""
        return self.cells != IGNORE_INDEX

    @property
    def probabilities(self) -> Tensor:
        """(B, C, h, w), with gradient."""
        return at_least_float32(self.maps.logits).softmax(dim=1)


Term = Callable[[TermInputs], Tensor]
CONFIDENT = 0.7  # only regions of classes that the network sees in the image are remembered [RCA]


def _completed(inputs: TermInputs) -> Tensor:
    targets = resize(inputs.soft, inputs.maps.logits.shape[-2:])
    return soft_cross_entropy(inputs.maps.logits, targets * inputs.inside[:, None], inputs.class_weight_power)


def _regions(inputs: TermInputs) -> Tensor:
    maps = inputs.maps
    scores = pool(at_least_float32(maps.logits.detach()), inputs.pooling, where=inputs.inside)
    confident = inputs.present_classes & (scores.sigmoid() > CONFIDENT)
    loss = maps.embeddings.sum() * 0
    if (remembered := inputs.regions.regions()) is not None:
        loss = regional_contrast(
            *class_regions(maps.embeddings, maps.logits, inputs.present_classes, inputs.inside), *remembered
        )
    inputs.regions.push(*class_regions(maps.embeddings, maps.logits, confident, inputs.inside))
    return loss


def labeled(inputs: TermInputs) -> Tensor:
    """(B, C) bool: classes that a cut may count, those labeled in the crop."""
    classes = inputs.candidate_classes.shape[1]
    found = torch.zeros(len(inputs.labels), classes + 1, dtype=torch.bool, device=inputs.labels.device)
    found.scatter_(1, inputs.labels.flatten(1).clamp_max(classes), True)
    return found[:, :classes]


TERMS: dict[str, Term] = {
    "partial_cross_entropy": lambda x: partial_cross_entropy(x.maps.logits, x.labels, x.class_weight_power),
    "propagated_cross_entropy": lambda x: partial_cross_entropy(x.maps.logits, x.propagated, x.class_weight_power),
    "entropy": lambda x: entropy(x.maps.logits, x.cells == UNLABELED),
    "candidate_classes": lambda x: candidate_class_loss(x.maps.logits, x.candidate_classes, x.inside),
    "pseudo_label_cross_entropy": _completed,
    "dense_crf": lambda x: dense_crf_loss(x.probabilities, x.image, x.inside),
    "potts": lambda x: grid_potts_loss(x.probabilities, x.image, x.inside),
    "tags": lambda x: tag_loss(x.maps.logits, x.present_classes, ~x.candidate_classes, x.pooling, x.inside),
    "expand": lambda x: expansion(x.probabilities, x.present_classes, ~x.candidate_classes, x.background, x.inside),
    "constrain": lambda x: constraint(x.probabilities, x.image, x.inside),
    "regions": _regions,
    "normalized_cut": lambda x: normalized_cut_loss(x.probabilities, x.image, labeled(x), x.inside),
    "kernel_cut": lambda x: kernel_cut_loss(x.probabilities, x.image, labeled(x), x.inside),
}
