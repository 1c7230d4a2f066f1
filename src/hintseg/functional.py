"""Stateless functions of the method, re-exported; nothing is defined here."""

from hintseg.losses.contrast import pixel_to_segment_loss
from hintseg.losses.normalised_cut import normalised_cut
from hintseg.losses.potts import potts
from hintseg.propagation.dense_crf import dense_crf
from hintseg.propagation.graph import harmonic, local_global_consistency
from hintseg.propagation.normalised_cut import kernel_kmeans, spectral_embedding
from hintseg.propagation.random_walk import random_walk
from hintseg.propagation.vote import vote
from hintseg.relations.affinity import affinity_label_sets
from hintseg.segments.kmeans import spherical_kmeans
from hintseg.segments.prototypes import segment_prototypes

__all__ = [
    "affinity_label_sets",
    "dense_crf",
    "harmonic",
    "kernel_kmeans",
    "local_global_consistency",
    "normalised_cut",
    "pixel_to_segment_loss",
    "potts",
    "random_walk",
    "segment_prototypes",
    "spectral_embedding",
    "spherical_kmeans",
    "vote",
]
