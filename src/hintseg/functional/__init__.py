"""Stateless functions of the method; the public ones are offered here, and loaded on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hintseg.functional.losses.contrast import pixel_to_segment_loss as pixel_to_segment_loss
    from hintseg.functional.losses.normalized_cut import normalized_cut as normalized_cut
    from hintseg.functional.losses.potts import potts as potts
    from hintseg.functional.propagation.dense_crf import dense_crf as dense_crf
    from hintseg.functional.propagation.graph import harmonic as harmonic
    from hintseg.functional.propagation.graph import local_global_consistency as local_global_consistency
    from hintseg.functional.propagation.normalized_cut import kernel_kmeans as kernel_kmeans
    from hintseg.functional.propagation.normalized_cut import spectral_embedding as spectral_embedding
    from hintseg.functional.propagation.random_walk import random_walk as random_walk
    from hintseg.functional.propagation.vote import vote as vote
    from hintseg.functional.relations.affinity import affinity_label_sets as affinity_label_sets
    from hintseg.functional.segments.kmeans import spherical_kmeans as spherical_kmeans
    from hintseg.functional.segments.prototypes import segment_prototypes as segment_prototypes

_HOME = {
    "affinity_label_sets": "relations.affinity",
    "dense_crf": "propagation.dense_crf",
    "harmonic": "propagation.graph",
    "kernel_kmeans": "propagation.normalized_cut",
    "local_global_consistency": "propagation.graph",
    "normalized_cut": "losses.normalized_cut",
    "pixel_to_segment_loss": "losses.contrast",
    "potts": "losses.potts",
    "random_walk": "propagation.random_walk",
    "segment_prototypes": "segments.prototypes",
    "spectral_embedding": "propagation.normalized_cut",
    "spherical_kmeans": "segments.kmeans",
    "vote": "propagation.vote",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """Import on first use: modules of this package import one another."""
    if name in _HOME:
        return getattr(import_module(f"hintseg.functional.{_HOME[name]}"), name)
    raise AttributeError(f"module 'hintseg.functional' has no attribute {name!r}")
