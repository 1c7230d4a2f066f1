"""Recipe → weighted sum of named terms; relationships are terms too."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hintseg.config.schema import Recipe, TermConfig
from hintseg.contrib.rca import RegionMemoryBank
from hintseg.errors import unknown_name
from hintseg.functional.losses.contrast import pixel_to_segment_loss
from hintseg.functional.relations.registry import RELATIONS
from hintseg.functional.segments.batch import SegmentedBatch, split_batch
from hintseg.functional.segments.memory_bank import MemoryBank
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.network.embedder import PixelMaps
from hintseg.training.batches import TrainingBatch
from hintseg.training.loss_registry import TERMS, TermInputs

CONCENTRATION = 10.0  # where a relationship names none


def require_known_terms(recipe: Recipe) -> None:
    """Refuse a recipe with an unknown term before anything long starts: ConfigError."""
    for name in recipe.objective:
        if name not in TERMS and name not in RELATIONS:
            raise unknown_name("objective term", name, [*TERMS, *RELATIONS])


def uses_propagated_labels(recipe: Recipe) -> bool:
    """Whether a term reads propagated labels; then segments take them, too."""
    return "propagated_cross_entropy" in recipe.objective and recipe.objective["propagated_cross_entropy"].weight > 0


class Objective:
    """Σ λ · term, with what terms remember between steps: segments, and regions of classes.

    Args:
        coarse: the network computes in half precision, and on a GPU the relationships compare in bfloat16, too.

    Raises:
        ConfigError: an unknown term.
    """

    def __init__(self, recipe: Recipe, num_classes: int, background: int | None, coarse: bool = False) -> None:
        require_known_terms(recipe)
        self.coarse = coarse
        self.recipe = recipe
        self.num_classes = num_classes
        self.background = background
        self.memory_bank = MemoryBank(recipe.segments.memory_bank)
        self.regions = RegionMemoryBank(num_classes)

    def __call__(self, maps: PixelMaps, batch: TrainingBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss with a graph, and the detached value of each term."""
        active = {name: term for name, term in self.recipe.objective.items() if term.weight > 0}
        size = maps.logits.shape[-2:]
        propagated = F.interpolate(batch.propagated[:, None], size=size, mode="nearest")[:, 0].long()
        inputs = TermInputs(
            maps,
            F.interpolate(batch.image.float(), size=size, mode="area"),
            batch.labels.long(),
            propagated,
            F.interpolate(batch.labels[:, None], size=size, mode="nearest")[:, 0],
            batch.candidate_classes,
            batch.present_classes,
            batch.soft,
            self.recipe.tags.pooling,
            self.background,
            self.regions,
        )
        values = {
            name: TERMS[name](inputs._replace(class_weight_power=term.class_weight_power or 0.0))
            for name, term in active.items()
            if name in TERMS
        }
        if any(name in RELATIONS for name in active):
            values |= self._relationships(self.split(maps, batch), active)
        total = maps.logits.sum() * 0
        for name, value in values.items():
            total = total + active[name].weight * value
        return total, {name: value.detach() for name, value in values.items()}

    def _foreground(self, present: Tensor) -> Tensor:
        """(B, C) → (B, T): without the background's column."""
        if self.background is None:
            return present
        return torch.cat([present[:, : self.background], present[:, self.background + 1 :]], dim=1)

    def _relationships(self, segmented: SegmentedBatch, active: dict[str, TermConfig]) -> dict[str, Tensor]:
        values = {}
        for name, relation in RELATIONS.items():
            if name not in active:
                continue
            who = relation(segmented, self.memory_bank, self.recipe.segments.max_pixels)
            pixels, prototypes = who.pixel_embeddings, who.prototypes
            if self.coarse and pixels.is_cuda:
                pixels, prototypes = pixels.bfloat16(), prototypes.bfloat16()
            values[name] = pixel_to_segment_loss(
                pixels, who.segment_of_pixel, who.pixel_labels, prototypes, who.prototype_labels,
                active[name].concentration or CONCENTRATION, pixel_group=who.pixel_group,
                prototype_group=who.prototype_group,
            )  # fmt: skip
        self.memory_bank.push(segmented)
        return values

    def split(self, maps: PixelMaps, batch: TrainingBatch) -> SegmentedBatch:
        """A batch split into segments at the recipe's stride."""
        crop = batch.labels.shape[-1]
        side = max(crop // self.recipe.segments.stride, 1)
        embeddings = maps.embeddings
        if embeddings.shape[-1] > side:
            embeddings = F.normalize(F.adaptive_avg_pool2d(embeddings, side), dim=1, eps=1e-12)
        side = embeddings.shape[-1]
        colors = F.interpolate(batch.image.float(), size=(side, side), mode="area") / 127.5 - 1
        regions = F.interpolate(batch.regions[:, None].float(), size=(side, side), mode="nearest")[:, 0].long()
        return split_batch(
            embeddings,
            cell_labels(batch.propagated if uses_propagated_labels(self.recipe) else batch.labels, side),
            regions,
            colors,
            self._foreground(batch.present_classes),
            num_classes=self.num_classes,
            ignore_index=IGNORE_INDEX,
            grid=self.recipe.segments.grid,
        )


def cell_labels(labels: Tensor, side: int) -> Tensor:
    """Weak labels of cells: a cell takes the label its labeled pixels agree on.

    Nearest sampling would lose most of a three-pixel stroke; a cell whose labeled pixels disagree stays
    unlabeled, one without any labeled pixel is ignored only where its center is.

    Args:
        labels: (B, S, S) uint8.
        side: cells along each side, a divisor of S.

    Returns:
        (B, side, side) int64.
    """
    values = labels.to(torch.float32)[:, None]
    known = values < UNLABELED
    highest = F.adaptive_max_pool2d(values.masked_fill(~known, -1), side)[:, 0]
    lowest = -F.adaptive_max_pool2d((-values).masked_fill(~known, -1000), side)[:, 0]
    center = F.interpolate(values, size=(side, side), mode="nearest")[:, 0]
    blank = torch.where(center == IGNORE_INDEX, IGNORE_INDEX, UNLABELED).to(torch.int64)
    return torch.where((highest >= 0) & (highest == lowest), highest.long(), blank)
