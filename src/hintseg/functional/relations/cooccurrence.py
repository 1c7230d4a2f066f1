"""Relationship (c), semantic co-occurrence: images that share a foreground tag attract [SPML sec. 3.3].

Differs from the authors' code where an image has no tag: it repels nobody and nobody repels it, instead of
counting its own segments as negatives.
"""

import torch

from hintseg.functional.relations.relation import Relation, spaced
from hintseg.functional.segments.batch import SegmentedBatch
from hintseg.functional.segments.memory_bank import MemoryBank


def cooccurrence(batch: SegmentedBatch, bank: MemoryBank, limit: int = 0) -> Relation:
    """Every pixel against every segment; labels are the tag sets of the images they come from."""
    tagged = batch.tags_of_image.any(dim=1)
    # A tagless image would be everybody's negative; with all tags it is everybody's positive instead of noise.
    tags = torch.where(tagged[:, None], batch.tags_of_image, torch.ones_like(batch.tags_of_image))
    taking_part = batch.tagged_pixels[spaced(len(batch.tagged_pixels), limit)]
    prototypes = batch.prototypes
    prototype_tags = tags[batch.image_of_segment]
    if (remembered := bank.segments()) is not None:
        known = remembered.tagged
        prototypes = torch.cat([prototypes, remembered.prototypes[known].to(prototypes.dtype)])
        prototype_tags = torch.cat([prototype_tags, remembered.tags[known]])
    return Relation(
        batch.embeddings.index_select(0, taking_part),
        batch.segment_of_pixel[taking_part],
        tags[batch.image_of_pixel[taking_part]],
        prototypes,
        prototype_tags,
    )
