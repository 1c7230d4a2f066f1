"""Recipe → weighted sum of named terms.

A term is one function of `TermInputs`; `TERMS` lists them, one line each. Relationships are terms too.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hintseg.config import Recipe, TermConfig
from hintseg.errors import unknown_name
from hintseg.hints.labels import UNLABELLED, VOID
from hintseg.losses.allowed import allowed_classes
from hintseg.losses.contrast import pixel_to_segment_loss
from hintseg.losses.dense_crf import dense_crf_loss
from hintseg.losses.entropy import entropy
from hintseg.losses.expand import constraint, expansion
from hintseg.losses.grid_potts import grid_potts_loss
from hintseg.losses.normalised_cut import kernel_cut_loss, normalised_cut_loss
from hintseg.losses.partial_cross_entropy import partial_cross_entropy
from hintseg.losses.precision import at_least_float32
from hintseg.losses.regional_contrast import class_regions, regional_contrast
from hintseg.losses.soft_cross_entropy import soft_cross_entropy
from hintseg.losses.tags import pool, tag_loss
from hintseg.network.embedder import PixelMaps
from hintseg.relations.by_name import RELATIONS
from hintseg.relations.relation import sampled
from hintseg.segments.batch import SegmentedBatch, segment_batch
from hintseg.segments.memory import SegmentMemory
from hintseg.segments.region_memory import RegionMemory
from hintseg.training.data import TrainingBatch


class TermInputs(NamedTuple):
    """What a term may read.

    Attributes:
        maps: embeddings and logits of the batch.
        image: (B, 3, h, w) float colours in [0, 255] at the logits' size.
        labels: (B, H, W) int64 weak labels at the crop's size.
        spread: (B, h, w) int64 labels and what they spread to, at the logits' size (nearest); late in training
            nothing for images whose classes are all shown by hinted pixels.
        cells: (B, h, w) uint8 weak labels at the logits' size (nearest).
        allowed: (B, C) bool: classes that may occur.
        present: (B, C) bool: classes that do.
        soft: (B, C, h', w') completed masks.
        pooling: of pixel scores into image scores, for tags.
        background: its class, if the data set has one.
        regions: of earlier batches, by class; a term may add this batch's.
    """

    maps: PixelMaps
    image: Tensor
    labels: Tensor
    spread: Tensor
    cells: Tensor
    allowed: Tensor
    present: Tensor
    soft: Tensor
    pooling: str
    background: int | None
    regions: RegionMemory

    @property
    def inside(self) -> Tensor:
        """(B, h, w) bool: what is of the photograph, not void and not what pads the crop."""
        return self.cells != VOID


Term = Callable[[TermInputs], Tensor]
SURELY = 0.7  # only regions of classes that the network sees in the image are remembered [RCA]


def _probabilities(inputs: TermInputs) -> Tensor:
    return at_least_float32(inputs.maps.logits).softmax(dim=1)


def _partial_cross_entropy(inputs: TermInputs) -> Tensor:
    return partial_cross_entropy(inputs.maps.logits, inputs.labels)


def _spread(inputs: TermInputs) -> Tensor:
    return partial_cross_entropy(inputs.maps.logits, inputs.spread)


def _entropy(inputs: TermInputs) -> Tensor:
    return entropy(inputs.maps.logits, inputs.cells == UNLABELLED)


def _allowed(inputs: TermInputs) -> Tensor:
    return allowed_classes(inputs.maps.logits, inputs.allowed, inputs.inside)


def _completed(inputs: TermInputs) -> Tensor:
    targets = inputs.soft
    if targets.shape[-2:] != inputs.maps.logits.shape[-2:]:
        targets = F.interpolate(targets, size=inputs.maps.logits.shape[-2:], mode="bilinear", align_corners=False)
    return soft_cross_entropy(inputs.maps.logits, targets)


def _dense_crf(inputs: TermInputs) -> Tensor:
    return dense_crf_loss(_probabilities(inputs), inputs.image, where=inputs.inside)


def _potts(inputs: TermInputs) -> Tensor:
    return grid_potts_loss(_probabilities(inputs), inputs.image, where=inputs.inside)


def _tags(inputs: TermInputs) -> Tensor:
    return tag_loss(inputs.maps.logits, inputs.present, ~inputs.allowed, inputs.pooling, inputs.inside)


def _expand(inputs: TermInputs) -> Tensor:
    there = _probabilities(inputs)
    return expansion(there, inputs.present, ~inputs.allowed, inputs.background, where=inputs.inside)


def _constrain(inputs: TermInputs) -> Tensor:
    return constraint(_probabilities(inputs), inputs.image, inputs.inside)


def _regions(inputs: TermInputs) -> Tensor:
    maps = inputs.maps
    scores = pool(at_least_float32(maps.logits.detach()), inputs.pooling, where=inputs.inside)
    surely = inputs.present & (scores.sigmoid() > SURELY)
    loss = maps.embeddings.sum() * 0
    if (remembered := inputs.regions.regions()) is not None:
        loss = regional_contrast(
            *class_regions(maps.embeddings, maps.logits, inputs.present, inputs.inside), *remembered
        )
    inputs.regions.push(*class_regions(maps.embeddings, maps.logits, surely, inputs.inside))
    return loss


def _normalised_cut(inputs: TermInputs) -> Tensor:
    return normalised_cut_loss(_probabilities(inputs), inputs.image, labelled(inputs), where=inputs.inside)


def _kernel_cut(inputs: TermInputs) -> Tensor:
    return kernel_cut_loss(_probabilities(inputs), inputs.image, labelled(inputs), where=inputs.inside)


def labelled(inputs: TermInputs) -> Tensor:
    """(B, C) bool: classes that a cut may count, those labelled in the crop."""
    classes = inputs.allowed.shape[1]
    found = torch.zeros(len(inputs.labels), classes + 1, dtype=torch.bool, device=inputs.labels.device)
    found.scatter_(1, inputs.labels.flatten(1).clamp_max(classes), True)
    return found[:, :classes]


TERMS: dict[str, Term] = {
    "partial_cross_entropy": _partial_cross_entropy,
    "spread": _spread,
    "entropy": _entropy,
    "allowed": _allowed,
    "completed": _completed,
    "dense_crf": _dense_crf,
    "potts": _potts,
    "tags": _tags,
    "expand": _expand,
    "constrain": _constrain,
    "regions": _regions,
    "normalised_cut": _normalised_cut,
    "kernel_cut": _kernel_cut,
}


def require_known_terms(recipe: Recipe) -> None:
    """Refuse a recipe before anything long starts.

    Raises:
        ConfigError: an unknown term.
    """
    for name in recipe.objective:
        if name not in TERMS and name not in RELATIONS:
            raise unknown_name("objective term", name, [*TERMS, *RELATIONS])


def uses_spread_labels(recipe: Recipe) -> bool:
    """Whether any term or segment reads labels beyond the hints."""
    active = {name for name, term in recipe.objective.items() if term.weight > 0}
    return "spread" in active or (recipe.segments.spread and bool(active & set(RELATIONS)))


class Objective:
    """Σ λ · term, with what terms remember between steps: segments, and regions of classes.

    Raises:
        ConfigError: an unknown term.
    """

    def __init__(self, recipe: Recipe, num_classes: int, background: int | None) -> None:
        require_known_terms(recipe)
        self.recipe = recipe
        self.num_classes = num_classes
        self.background = background
        self.foreground = [label for label in range(num_classes) if label != background]
        self.memory = SegmentMemory(recipe.segments.memory)
        self.regions = RegionMemory(num_classes)

    def __call__(self, maps: PixelMaps, batch: TrainingBatch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss with a graph, and the detached value of each term."""
        active = {
            name: term
            for name, term in self.recipe.objective.items()
            if term.weight > 0
            and step >= term.start * self.recipe.iterations
            and (name == "spread" or not self._late(term, step))
        }
        size = maps.logits.shape[-2:]
        spread = F.interpolate(batch.spread[:, None], size=size, mode="nearest")[:, 0].long()
        if "spread" in active and self._late(active["spread"], step):
            spread = spread.masked_fill(batch.hinted[:, None, None], UNLABELLED)
        inputs = TermInputs(
            maps,
            F.interpolate(batch.image.float(), size=size, mode="area"),
            batch.labels.long(),
            spread,
            F.interpolate(batch.labels[:, None], size=size, mode="nearest")[:, 0],
            batch.allowed,
            batch.present,
            batch.soft,
            self.recipe.tags.pooling,
            self.background,
            self.regions,
        )
        values = {name: TERMS[name](inputs) for name in active if name in TERMS}
        if any(name in RELATIONS for name in active):
            values |= self._relationships(maps, batch, active)
        total = maps.logits.sum() * 0
        for name, value in values.items():
            total = total + active[name].weight * value
        return total, {name: value.detach() for name, value in values.items()}

    def _late(self, term: TermConfig, step: int) -> bool:
        return step >= term.end * self.recipe.iterations

    def _relationships(self, maps: PixelMaps, batch: TrainingBatch, active: dict[str, TermConfig]) -> dict[str, Tensor]:
        segmented = self.segment(maps, batch)
        values = {}
        for name, relation in RELATIONS.items():
            if name not in active:
                continue
            who = sampled(relation(segmented, self.memory), self.recipe.segments.pixels)
            loss = partial(
                pixel_to_segment_loss,
                concentration=active[name].concentration,
                pixel_group=who.pixel_group,
                prototype_group=who.prototype_group,
            )
            values[name] = loss(*who[:5])
        self.memory.push(segmented)
        return values

    def segment(self, maps: PixelMaps, batch: TrainingBatch) -> SegmentedBatch:
        """Segments of a batch at the recipe's stride."""
        crop = batch.labels.shape[-1]
        side = max(crop // self.recipe.segments.stride, 1)
        embeddings = maps.embeddings
        if embeddings.shape[-1] > side:
            embeddings = F.normalize(F.adaptive_avg_pool2d(embeddings, side), dim=1, eps=1e-12)
        side = embeddings.shape[-1]
        colours = F.interpolate(batch.image.float(), size=(side, side), mode="area") / 127.5 - 1
        regions = F.interpolate(batch.regions[:, None].float(), size=(side, side), mode="nearest")[:, 0].long()
        return segment_batch(
            embeddings,
            cell_labels(batch.spread if self.recipe.segments.spread else batch.labels, side),
            regions,
            colours,
            batch.present[:, self.foreground],
            num_classes=self.num_classes,
            void=VOID,
            grid=self.recipe.segments.grid,
            iterations=self.recipe.segments.iterations,
        )


def cell_labels(labels: Tensor, side: int) -> Tensor:
    """Weak labels of cells: a cell takes the label its labelled pixels agree on.

    Nearest sampling would lose most of a three-pixel stroke; a cell whose labelled pixels disagree stays
    unlabelled, one without any labelled pixel is void only where its centre is.

    Args:
        labels: (B, S, S) uint8.
        side: cells along each side, a divisor of S.

    Returns:
        (B, side, side) int64.
    """
    values = labels.to(torch.float32)[:, None]
    known = values < UNLABELLED
    highest = F.adaptive_max_pool2d(values.masked_fill(~known, -1), side)[:, 0]
    lowest = -F.adaptive_max_pool2d((-values).masked_fill(~known, -1000), side)[:, 0]
    centre = F.interpolate(values, size=(side, side), mode="nearest")[:, 0]
    blank = torch.where(centre == VOID, VOID, UNLABELLED).to(torch.int64)
    return torch.where((highest >= 0) & (highest == lowest), highest.long(), blank)
