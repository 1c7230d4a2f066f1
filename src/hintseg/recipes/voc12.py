"""The paper's constants for VOC 2012 tags, boxes, scribbles and points [SPML, appendix and release].

ResNet-101 at output stride 8, the sum of dilated convolutions, a classifier on detached embeddings, SGD.
Not run: it needs the full data set and four GPUs. The published figures are
69.5 (tags), 73.5 (boxes), 76.1 (scribbles) and 73.2 (points) mIoU on val with CRF.

Where the release reads seeds that another system made (SEAM's activation maps, for tags and in boxes), these
recipes use hintseg's own: the tag classifier's activation maps, GrabCut in boxes, propagated over superpixels.
"""

from hintseg.config.schema import (
    CompletionConfig,
    DataConfig,
    InferenceConfig,
    LabelPropagationConfig,
    NetworkConfig,
    OptimizerConfig,
    Recipe,
    SegmentsConfig,
    SelfTrainingConfig,
    TagsConfig,
    TermConfig,
)

_NETWORK = NetworkConfig(
    backbone="resnet101",
    output_stride=8,
    decoder="dilated",
    decoder_channels=64,
    embedding_dim=64,
    classifier="detached",
    dropout=0.75,
    freeze_stride=4,
)
_OPTIMIZER = OptimizerConfig(
    name="sgd", lr=3e-2, backbone_lr=3e-3, weight_decay=5e-4, bias_lr_mult=2.0, warmup=100,
    ema_decay=0.0,
)  # fmt: skip
_SEGMENTS = SegmentsConfig(stride=4, grid=(6, 6), memory_bank=2, max_pixels=0)
_INFERENCE = InferenceConfig(scales=(0.5, 0.75, 1.0, 1.25, 1.5), flip=True, crf=True)


def _voc(
    name: str, label: float, share: float, share_concentration: float, radius: int = 6, seeds: bool = False
) -> Recipe:
    return Recipe(
        name=name,
        iterations=30_000,
        network=_NETWORK,
        data=DataConfig(
            batch_size=16,
            crop_size=512,
            scale_range=(0.5, 1.5),
            color_jitter=0.0,
            point_radius=radius,
        ),
        label_propagation=LabelPropagationConfig(superpixels=1000 if seeds else 0),
        segments=_SEGMENTS,
        # The release multiplies the classifier's cross-entropy by the annotation relationship's weight.
        objective={
            "propagated_cross_entropy" if seeds else "partial_cross_entropy": TermConfig(weight=label),
            "annotation": TermConfig(weight=label, concentration=6),
            "cooccurrence": TermConfig(weight=share, concentration=share_concentration),
            "similarity": TermConfig(weight=0.1, concentration=16),
        },
        optimizer=_OPTIMIZER,
        tags=TagsConfig(iterations=15_000 if seeds else 0, pooling="average", background_score_power=6),
        completion=CompletionConfig(random_walk=True),
        self_training=SelfTrainingConfig(mode="classifier", start=0.88),
        inference=_INFERENCE,
        checkpoint_every=500,
    )


VOC12_SCRIBBLES = _voc("voc12-scribbles", label=1.0, share=0.5, share_concentration=12)
VOC12_POINTS = _voc("voc12-points", label=0.1, share=0.1, share_concentration=8)
VOC12_BOXES = _voc("voc12-boxes", label=0.3, share=0.3, share_concentration=8, seeds=True)
VOC12_TAGS = _voc("voc12-tags", label=0.3, share=0.3, share_concentration=8, seeds=True)
