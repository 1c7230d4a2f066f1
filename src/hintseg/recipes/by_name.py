"""Recipes and objectives by name: one line each."""

from hintseg.config import Recipe, TermConfig
from hintseg.recipes.densepose import DENSEPOSE_POINTS
from hintseg.recipes.fine_tuned import FINE_TUNED
from hintseg.recipes.instant import INSTANT
from hintseg.recipes.small import BALANCE, SMALL
from hintseg.recipes.voc12 import VOC12_BOXES, VOC12_POINTS, VOC12_SCRIBBLES, VOC12_TAGS

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (SMALL, INSTANT, FINE_TUNED, VOC12_TAGS, VOC12_BOXES, VOC12_POINTS, VOC12_SCRIBBLES, DENSEPOSE_POINTS)
}

_PCE = TermConfig(weight=1.0)
_SPML = {
    "annotation": TermConfig(weight=1.0, concentration=6),
    "similarity": TermConfig(weight=0.1, concentration=16),
    "cooccurrence": TermConfig(weight=0.5, concentration=12),
}

# What `--objective NAME` puts in place of the recipe's terms; without "completed" there is no stage two.
OBJECTIVES: dict[str, dict[str, TermConfig]] = {
    "partial_cross_entropy": {"partial_cross_entropy": _PCE},
    "balanced_cross_entropy": {"partial_cross_entropy": TermConfig(weight=1.0, balance=BALANCE, fading=True)},
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
    "normalised_cut": {"partial_cross_entropy": _PCE, "normalised_cut": TermConfig(weight=0.1)},
    "kernel_cut": {"partial_cross_entropy": _PCE, "kernel_cut": TermConfig(weight=0.1)},
    "spread": {"partial_cross_entropy": _PCE, "spread": TermConfig(weight=1.0)},
    "sec": {
        "spread": TermConfig(weight=1.0),  # seeds
        "expand": TermConfig(weight=1.0),
        "constrain": TermConfig(weight=1.0),
    },
    "rca": {
        "spread": TermConfig(weight=1.0),  # pseudo labels
        "tags": TermConfig(weight=1.0),
        "regions": TermConfig(weight=0.1),
    },
    "default": SMALL.objective,
}

# In place of the default where one form alone says where anything is.
ALONE: dict[str, dict[str, TermConfig]] = {
    "points": {**SMALL.objective, **_SPML},
    # Boxes label little but the background outside, which a cross-entropy of its own taught and nothing else.
    "boxes": {name: term for name, term in SMALL.objective.items() if name != "partial_cross_entropy"},
    "masks": OBJECTIVES["balanced_cross_entropy"],  # nothing to spread or complete; relationships lost points
}

# What else is different then, in the default recipe, whatever the objective.
ALONE_SETTINGS: dict[str, tuple[str, ...]] = {
    "points": ("completion.hints=0.4",),  # what they spread to is less sure than what a network learned from all
    "tags": ("completion.balance=0.75",),
}

# What some of them need besides terms.
OBJECTIVE_SETTINGS: dict[str, tuple[str, ...]] = {"rca": ("network.prototypes=10",)}
