"""The relationships by name: one line each."""

from collections.abc import Callable

from hintseg.relations.affinity import affinity
from hintseg.relations.annotation import annotation
from hintseg.relations.cooccurrence import cooccurrence
from hintseg.relations.relation import Relation
from hintseg.relations.similarity import similarity
from hintseg.segments.batch import SegmentedBatch
from hintseg.segments.memory import SegmentMemory

# The one with most to compute comes first: a GPU is busy with it while its host prepares the others.
RELATIONS: dict[str, Callable[[SegmentedBatch, SegmentMemory, int], Relation]] = {
    "cooccurrence": cooccurrence,
    "affinity": affinity,
    "similarity": similarity,
    "annotation": annotation,
}
