"""The plain recipe: a light decoder, trained on the hints and on what label propagation makes of them.

The base of `--objective NAME`, whose terms stand in for these, so that published methods are compared on one network;
and what trains a backbone that has no pretrained weights. Not tuned.
"""

from hintseg.config.schema import (
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
    network=NetworkConfig(freeze_batchnorm=True),
    segments=SegmentsConfig(max_pixels=1024),
    objective={
        "partial_cross_entropy": TermConfig(weight=1.0),
        "propagated_cross_entropy": TermConfig(weight=1.0, class_weight_power=0.5),
        "candidate_classes": TermConfig(weight=0.5),
    },
    optimizer=OptimizerConfig(backbone_lr=1e-4),
    inference=InferenceConfig(scales=(0.8, 1.0, 1.25), crf=True, crf_stride=2),
)
