"""Relationship (d), feature affinity: unlabeled segments take the labels of their nearest labeled ones.

[SPML sec. 3.3]. The authors' release builds this term but never calls it; here it is live.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from hintseg.functional.relations.relation import Relation, spaced
from hintseg.functional.segments.batch import SegmentedBatch
from hintseg.functional.segments.memory_bank import MemoryBank
from hintseg.functional.segments.prototypes import segment_prototypes

EMBEDDING_WEIGHT = 0.1  # [SPML code]: nearest by normalize([0.1 · embedding ; location ; color])


def affinity(batch: SegmentedBatch, bank: MemoryBank, limit: int = 0, threshold: float = 0.95) -> Relation:
    """Every pixel against the batch's segments; labels are propagated label sets (the memory bank takes no part)."""
    mixed = F.normalize(torch.cat([EMBEDDING_WEIGHT * batch.embeddings.detach(), batch.surroundings], dim=1), dim=1)
    prototypes = segment_prototypes(mixed, batch.segment_of_pixel, batch.prototypes.shape[0])
    sets = affinity_label_sets(
        prototypes,
        prototypes,
        batch.label_of_segment,
        batch.image_of_segment,
        batch.image_of_segment,
        batch.num_classes,
        top_k=1,
        threshold=threshold,
        labeled=batch.labeled_segments,
    )
    # A segment without a labeled neighbor belongs to every class: positive to all, negative to none.
    sets = sets | ~sets.any(dim=1, keepdim=True)
    pixels = spaced(len(batch.embeddings), limit)
    segment_of_pixel = batch.segment_of_pixel[pixels]
    return Relation(batch.embeddings[pixels], segment_of_pixel, sets[segment_of_pixel], batch.prototypes, sets)


def affinity_label_sets(
    pixel_embeddings: Tensor,
    prototypes: Tensor,
    prototype_labels: Tensor,
    pixel_image: Tensor,
    prototype_image: Tensor,
    num_classes: int,
    top_k: int,
    threshold: float,
    labeled: Tensor | None = None,
) -> Tensor:
    """Label sets from the nearest labeled prototypes of the same image.

    A pixel takes the labels of its `top_k` nearest labeled prototypes whose cosine reaches `threshold`;
    where none does, the set is empty (relationship (d) reads that as "every class").

    Args:
        pixel_embeddings: (N, D) unit (pixels, or segments).
        prototypes: (K, D) unit.
        prototype_labels: (K,) int64; ≥ num_classes means unlabeled.
        pixel_image, prototype_image: (N,), (K,) int64.
        labeled: rows of labeled prototypes; None looks for them, for which a GPU has to be waited.

    Returns:
        (N, num_classes) bool.
    """
    if labeled is None:
        labeled = ((prototype_labels >= 0) & (prototype_labels < num_classes)).nonzero()[:, 0]
    sets = torch.zeros(pixel_embeddings.shape[0], num_classes, dtype=torch.bool, device=pixel_embeddings.device)
    if len(labeled) and pixel_embeddings.shape[0]:
        cosine = pixel_embeddings @ prototypes[labeled].T
        cosine = cosine.masked_fill(pixel_image[:, None] != prototype_image[labeled][None, :], -torch.inf)
        nearest = cosine.topk(min(top_k, len(labeled)), dim=1)
        close = nearest.values >= threshold
        labels = prototype_labels[labeled][nearest.indices]
        counts = torch.zeros(sets.shape, dtype=torch.int32, device=sets.device)
        sets = counts.scatter_add_(1, labels, close.to(torch.int32)) > 0
    return sets
