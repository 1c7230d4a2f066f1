"""A minute or two: a perceptron on frozen features, fitted to hints and then to its own pseudo-labels."""

from hintseg.config.schema import (
    CompletionConfig,
    InferenceConfig,
    InstantConfig,
    NetworkConfig,
    Recipe,
    SelectionConfig,
)

INSTANT = Recipe(
    name="instant",
    network=NetworkConfig(decoder="none", embedding_dim=256),
    completion=CompletionConfig(class_prior_power=0.5),
    selection=SelectionConfig(held_out=0.15),
    inference=InferenceConfig(scales=(0.8, 1.0, 1.25), crf=True, crf_stride=2),
    instant=InstantConfig(),
)
