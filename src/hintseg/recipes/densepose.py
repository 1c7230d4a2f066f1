"""The paper's constants for DensePose points [SPML, appendix and release].

Not run: it needs COCO and four GPUs. The published figure is 44.15 mIoU on minival.
Mirror images are off: they would have to swap left and right parts, which the release does.
"""

from hintseg.config.schema import (
    DataConfig,
    InferenceConfig,
    LabelPropagationConfig,
    SegmentsConfig,
    SelfTrainingConfig,
    TermConfig,
)
from hintseg.recipes.voc12 import VOC12_POINTS

DENSEPOSE_POINTS = VOC12_POINTS.model_copy(
    update={
        "name": "densepose-points",
        "iterations": 45_000,
        "network": VOC12_POINTS.network.model_copy(
            update={"decoder": "pyramid", "decoder_channels": 512, "embedding_dim": 32}
        ),
        "data": DataConfig(
            batch_size=16, crop_size=512, scale_range=(0.5, 1.5), color_jitter=0.0, point_radius=1, mirror=False
        ),
        "label_propagation": LabelPropagationConfig(superpixels=0),
        "segments": SegmentsConfig(stride=4, grid=(12, 12), memory_bank=0, max_pixels=0),
        "objective": {
            "partial_cross_entropy": TermConfig(weight=1.0),
            "annotation": TermConfig(weight=1.0, concentration=6),
            "similarity": TermConfig(weight=0.1, concentration=16),
            "affinity": TermConfig(weight=0.5, concentration=12),
        },
        "self_training": SelfTrainingConfig(mode="classifier", start=0.92),
        "inference": InferenceConfig(scales=(0.5, 0.75, 1.0, 1.25, 1.5), flip=False, crf=True),
    }
)
