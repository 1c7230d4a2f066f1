"""The plain recipe: a light decoder, trained on the hints and on what label propagation makes of them.

The base of `--objective NAME`, whose terms stand in for these, so that published methods are compared on one network;
and what trains a backbone that has no pretrained weights. Not tuned.
"""

from hintseg.config.schema import (
    CompletionConfig,
    InferenceConfig,
    NetworkConfig,
    OptimizerConfig,
    Recipe,
    SegmentsConfig,
    TermConfig,
)

PLAIN = Recipe(
    name="plain",
    iterations=600,
    network=NetworkConfig(keep_statistics=True),
    segments=SegmentsConfig(pixels=1024),
    objective={
        "partial_cross_entropy": TermConfig(weight=1.0),
        "spread": TermConfig(weight=1.0, balance=0.5),
        "allowed": TermConfig(weight=0.5),
    },
    optimizer=OptimizerConfig(backbone_rate=1e-4),
    completion=CompletionConfig(walk=False),
    inference=InferenceConfig(scales=(0.8, 1.0, 1.25), crf=True, crf_stride=2),
)
