"""The relationships by name: one line each."""

from collections.abc import Callable

from hintseg.functional.relations.affinity import affinity
from hintseg.functional.relations.annotation import annotation
from hintseg.functional.relations.cooccurrence import cooccurrence
from hintseg.functional.relations.relation import Relation
from hintseg.functional.relations.similarity import similarity
from hintseg.functional.segments.batch import SegmentedBatch
from hintseg.functional.segments.memory_bank import MemoryBank

# The one with most to compute comes first: a GPU is busy with it while its host prepares the others.
RELATIONS: dict[str, Callable[[SegmentedBatch, MemoryBank, int], Relation]] = {
    "cooccurrence": cooccurrence,
    "affinity": affinity,
    "similarity": similarity,
    "annotation": annotation,
}
