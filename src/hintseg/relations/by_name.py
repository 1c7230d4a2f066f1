"""The relationships by name: one line each."""

from collections.abc import Callable

from hintseg.relations.affinity import affinity
from hintseg.relations.annotation import annotation
from hintseg.relations.cooccurrence import cooccurrence
from hintseg.relations.relation import Relation
from hintseg.relations.similarity import similarity
from hintseg.segments.batch import SegmentedBatch
from hintseg.segments.memory import SegmentMemory

RELATIONS: dict[str, Callable[[SegmentedBatch, SegmentMemory], Relation]] = {
    "similarity": similarity,
    "annotation": annotation,
    "cooccurrence": cooccurrence,
    "affinity": affinity,
}
