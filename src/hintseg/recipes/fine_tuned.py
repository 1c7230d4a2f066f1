"""Ten minutes or more: an instant run's network, fine-tuned on hints and its own confident pseudo-labels.

Without partial cross-entropy ACDC loses three points of mean IoU (paper/2026-11-29-fine-tuning.md).
"""

from hintseg.config.schema import DataConfig, OptimizerConfig, SelfTrainingConfig, TermConfig
from hintseg.recipes.instant import INSTANT

FINE_TUNED = INSTANT.model_copy(
    update={
        "name": "fine-tuned",
        "iterations": 200,
        "network": INSTANT.network.model_copy(update={"freeze_batchnorm": True, "dropout": 0.3}),
        "data": DataConfig(crop_size=320, scale_range=(0.7, 1.35)),
        "objective": {
            "partial_cross_entropy": TermConfig(weight=1.0),
            "pseudo_label_cross_entropy": TermConfig(weight=1.0, class_weight_power=0.5),
        },
        "optimizer": OptimizerConfig(lr=3e-4, backbone_lr=1e-4, warmup=30),
        "self_training": SelfTrainingConfig(mode="joint", start=0.0),
    }
)
