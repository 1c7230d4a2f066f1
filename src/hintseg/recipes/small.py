"""Default for small data: a light network on a laptop, ImageNet weights, hundreds of images or fewer.

Terms join end to end in one network: partial cross-entropy on the hints and on the hints spread over their
over-segments, the classes an image may contain, the annotation and similarity relationships [SPML, κ 6 and
16], and soft masks that the averaged weights complete once on the way. Where labels are dense, cross-entropy
weighs classes by the square root of their pixels, since mean IoU counts them alike. Constants were chosen on the
validation split of MSRC-21 and on halves of its training split; see docs/explanation/experiments.md.
"""

from hintseg.config import (
    CompletionConfig,
    DataConfig,
    InferenceConfig,
    Recipe,
    SegmentsConfig,
    StageTwoConfig,
    TagsConfig,
    TermConfig,
)

BALANCE = 0.5

SMALL = Recipe(
    name="small",
    iterations=1500,
    data=DataConfig(foreign=0.05),
    segments=SegmentsConfig(spread=True, pixels=1024),
    objective={
        "partial_cross_entropy": TermConfig(weight=1.0),
        "spread": TermConfig(weight=1.0, balance=BALANCE),
        "allowed": TermConfig(weight=0.5),
        "annotation": TermConfig(weight=0.1, concentration=6),
        "similarity": TermConfig(weight=0.05, concentration=16),
        "completed": TermConfig(weight=1.0, balance=BALANCE),
    },
    tags=TagsConfig(epochs=4, least=100),
    completion=CompletionConfig(walk=False, scale=1.25, balance=0.5, least=0.25, crf_stride=2),
    stage_two=StageTwoConfig(kind="joint", renewals=(0.6,)),
    # Random crops show objects enlarged: an image enlarged alike suits the network better.
    inference=InferenceConfig(method="both", scales=(1.25,), crf="small", crf_stride=2, presence=0.25),
)
