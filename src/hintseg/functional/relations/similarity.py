"""Relationship (a), low-level image similarity: one superpixel attracts, others of the image repel.

[SPML sec. 3.3]: every pixel takes part, embeddings with location, one image at a time. Groups keep images
apart, so one call serves the batch and equals the image-by-image sum.
"""

from hintseg.functional.relations.relation import Relation, spaced
from hintseg.functional.segments.batch import SegmentedBatch
from hintseg.functional.segments.memory_bank import MemoryBank


def similarity(batch: SegmentedBatch, bank: MemoryBank, limit: int = 0) -> Relation:
    """Superpixels as labels, images as groups; the memory bank takes no part."""
    pixels = spaced(len(batch.located), limit)
    segment_of_pixel = batch.segment_of_pixel[pixels]
    return Relation(
        batch.located[pixels],
        segment_of_pixel,
        batch.region_of_segment[segment_of_pixel],
        batch.located_prototypes,
        batch.region_of_segment,
        pixel_group=batch.image_of_pixel[pixels],
        prototype_group=batch.image_of_segment,
    )
