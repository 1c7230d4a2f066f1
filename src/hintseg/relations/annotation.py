"""Relationship (b), semantic annotation: one label attracts, other labels repel [SPML sec. 3.3]."""

import torch

from hintseg.relations.relation import Relation
from hintseg.segments.batch import SegmentedBatch
from hintseg.segments.memory import SegmentMemory


def annotation(batch: SegmentedBatch, memory: SegmentMemory) -> Relation:
    """Labelled pixels against labelled segments of the batch and the memory; nobody else takes part."""
    labelled_segments = (batch.label_of_segment < batch.num_classes).nonzero()[:, 0]
    labelled_pixels = (batch.label_of_pixel < batch.num_classes).nonzero()[:, 0]
    new_row = torch.full_like(batch.label_of_segment, -1)
    new_row[labelled_segments] = torch.arange(len(labelled_segments), device=new_row.device)
    prototypes = batch.prototypes[labelled_segments]
    labels = batch.label_of_segment[labelled_segments]
    remembered = memory.segments()
    if remembered is not None:
        known = (remembered.labels < batch.num_classes).nonzero()[:, 0]
        prototypes = torch.cat([prototypes, remembered.prototypes[known].to(prototypes.dtype)])
        labels = torch.cat([labels, remembered.labels[known]])
    return Relation(
        batch.embeddings[labelled_pixels],
        new_row[batch.segment_of_pixel[labelled_pixels]],
        batch.label_of_pixel[labelled_pixels],
        prototypes,
        labels,
    )
