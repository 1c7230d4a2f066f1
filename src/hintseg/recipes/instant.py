"""Seconds instead of minutes: a perceptron on frozen features, fitted to hints and then to its own pseudo-labels."""

from hintseg.config import (
    CompletionConfig,
    DataConfig,
    InferenceConfig,
    InstantConfig,
    NetworkConfig,
    Recipe,
    SelectionConfig,
    TagsConfig,
)

INSTANT = Recipe(
    name="instant",
    network=NetworkConfig(decoder="none", embedding_dim=256, classifier="hidden", dropout=0.3, frozen=True),
    data=DataConfig(words=0),
    tags=TagsConfig(),
    completion=CompletionConfig(walk=False, flip=False, hints=0.0, balance=0.5),
    selection=SelectionConfig(held_out=0.15),
    inference=InferenceConfig(crf="small", crf_stride=2),
    instant=InstantConfig(),
)
