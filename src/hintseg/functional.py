"""Stateless functions of the method, re-exported; nothing is defined here."""

from hintseg.losses.contrast import pixel_to_segment_loss
from hintseg.propagation.dense_crf import dense_crf
from hintseg.propagation.random_walk import random_walk
from hintseg.propagation.vote import vote
from hintseg.relations.affinity import affinity_label_sets
from hintseg.segments.kmeans import spherical_kmeans
from hintseg.segments.prototypes import segment_prototypes

__all__ = [
    "affinity_label_sets",
    "dense_crf",
    "pixel_to_segment_loss",
    "random_walk",
    "segment_prototypes",
    "spherical_kmeans",
    "vote",
]
