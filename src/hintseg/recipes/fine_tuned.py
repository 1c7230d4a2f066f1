"""Minutes instead of seconds: the network of an instant run, fine-tuned on hints and on its own sure pseudo-labels.

Without partial cross-entropy ACDC loses three points of mean IoU (paper/2026-11-29-fine-tuning.md).
"""

from hintseg.config.schema import DataConfig, OptimizerConfig, StageTwoConfig, TermConfig
from hintseg.recipes.instant import INSTANT

FINE_TUNED = INSTANT.model_copy(
    update={
        "name": "fine-tuned",
        "iterations": 200,
        "network": INSTANT.network.model_copy(update={"keep_statistics": True}),
        "data": DataConfig(crop=320, scale=(0.7, 1.35)),
        "objective": {
            "partial_cross_entropy": TermConfig(weight=1.0),
            "completed": TermConfig(weight=1.0, balance=0.5),
        },
        "optimizer": OptimizerConfig(rate=3e-4, backbone_rate=1e-4, warmup=30),
        "stage_two": StageTwoConfig(kind="joint", start=0.0),
    }
)
