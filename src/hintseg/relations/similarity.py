"""Relationship (a), low-level image similarity: one over-segment attracts, others of the image repel.

[SPML sec. 3.3]: every pixel takes part, embeddings with location, one image at a time. Groups keep images
apart, so one call serves the batch and equals the image-by-image sum.
"""

from hintseg.relations.relation import Relation
from hintseg.segments.batch import SegmentedBatch
from hintseg.segments.memory import SegmentMemory


def similarity(batch: SegmentedBatch, memory: SegmentMemory) -> Relation:
    """Over-segments as labels, images as groups; the memory takes no part."""
    region_of_pixel = batch.region_of_segment[batch.segment_of_pixel]
    return Relation(
        batch.located,
        batch.segment_of_pixel,
        region_of_pixel,
        batch.located_prototypes,
        batch.region_of_segment,
        pixel_group=batch.image_of_pixel,
        prototype_group=batch.image_of_segment,
    )
