"""Recipes and objectives by name: one line each."""

from hintseg.config.schema import Recipe, TermConfig
from hintseg.recipes.densepose import DENSEPOSE_POINTS
from hintseg.recipes.fine_tuned import FINE_TUNED
from hintseg.recipes.instant import INSTANT
from hintseg.recipes.plain import PLAIN
from hintseg.recipes.voc12 import VOC12_BOXES, VOC12_POINTS, VOC12_SCRIBBLES, VOC12_TAGS

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (FINE_TUNED, INSTANT, PLAIN, VOC12_TAGS, VOC12_BOXES, VOC12_POINTS, VOC12_SCRIBBLES, DENSEPOSE_POINTS)
}

_PCE = TermConfig(weight=1.0)
_SPML = {
    "annotation": TermConfig(weight=1.0, concentration=6),
    "similarity": TermConfig(weight=0.1, concentration=16),
    "cooccurrence": TermConfig(weight=0.5, concentration=12),
}

# What `--objective NAME` puts in place of the terms of `plain`.
OBJECTIVES: dict[str, dict[str, TermConfig]] = {
    "partial_cross_entropy": {"partial_cross_entropy": _PCE},
    "annotation": {"partial_cross_entropy": _PCE, "annotation": _SPML["annotation"]},
    "similarity": {"partial_cross_entropy": _PCE, "similarity": _SPML["similarity"]},
    "cooccurrence": {"partial_cross_entropy": _PCE, "cooccurrence": _SPML["cooccurrence"]},
    "affinity": {"partial_cross_entropy": _PCE, "affinity": TermConfig(weight=0.5, concentration=12)},
    "spml": {"partial_cross_entropy": _PCE, **_SPML},
    "entropy": {"partial_cross_entropy": _PCE, "entropy": TermConfig(weight=0.1)},
    "potts": {"partial_cross_entropy": _PCE, "potts": TermConfig(weight=0.5)},
    "dense_crf": {"partial_cross_entropy": _PCE, "dense_crf": TermConfig(weight=0.5)},
    "crf_entropy": {
        "partial_cross_entropy": _PCE,
        "dense_crf": TermConfig(weight=0.5),
        "entropy": TermConfig(weight=0.1),
    },
    "normalized_cut": {"partial_cross_entropy": _PCE, "normalized_cut": TermConfig(weight=0.1)},
    "kernel_cut": {"partial_cross_entropy": _PCE, "kernel_cut": TermConfig(weight=0.1)},
    "propagated_cross_entropy": {"partial_cross_entropy": _PCE, "propagated_cross_entropy": TermConfig(weight=1.0)},
    "sec": {
        "propagated_cross_entropy": TermConfig(weight=1.0),  # seeds
        "expand": TermConfig(weight=1.0),
        "constrain": TermConfig(weight=1.0),
    },
    "rca": {
        "propagated_cross_entropy": TermConfig(weight=1.0),  # pseudo labels
        "tags": TermConfig(weight=1.0),
        "regions": TermConfig(weight=0.1),
    },
}

# What some of them need besides terms.
OBJECTIVE_SETTINGS: dict[str, tuple[str, ...]] = {"rca": ("network.region_prototypes=10",)}
