"""Relationship (b), semantic annotation: one label attracts, other labels repel [SPML sec. 3.3]."""

import torch

from hintseg.functional.relations.relation import Relation, spaced
from hintseg.functional.segments.batch import SegmentedBatch
from hintseg.functional.segments.memory_bank import MemoryBank


def annotation(batch: SegmentedBatch, bank: MemoryBank, limit: int = 0) -> Relation:
    """Labeled pixels against labeled segments of the batch and the memory bank; nobody else takes part."""
    segments = batch.labeled_segments
    pixels = batch.labeled_pixels[spaced(len(batch.labeled_pixels), limit)]
    new_row = torch.full_like(batch.label_of_segment, -1)
    new_row[segments] = torch.arange(len(segments), device=new_row.device)
    prototypes, labels = batch.prototypes.index_select(0, segments), batch.label_of_segment[segments]
    if (remembered := bank.segments()) is not None:
        known = remembered.labeled
        prototypes = torch.cat([prototypes, remembered.prototypes[known].to(prototypes.dtype)])
        labels = torch.cat([labels, remembered.labels[known]])
    return Relation(
        batch.embeddings.index_select(0, pixels),
        new_row[batch.segment_of_pixel[pixels]],
        batch.label_of_pixel[pixels],
        prototypes,
        labels,
    )
