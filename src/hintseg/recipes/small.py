"""Default for small data: a light network on a laptop, ImageNet weights, hundreds of images or fewer.

Terms join end to end in one network: partial cross-entropy, the annotation and similarity relationships
[SPML, κ 6 and 16], the classes an image may contain, a dense-CRF loss [RLoss], and soft masks completed
twice on the way by the averaged weights. Constants were chosen on the validation split of MSRC-21; see
benchmarks/results.
"""

from hintseg.config import Recipe, TermConfig

SMALL = Recipe(
    name="small",
    iterations=1000,
    objective={
        "partial_cross_entropy": TermConfig(weight=1.0),
        "annotation": TermConfig(weight=0.3, concentration=6),
        "similarity": TermConfig(weight=0.1, concentration=16),
        "allowed": TermConfig(weight=0.5),
        "dense_crf": TermConfig(weight=0.5),
        "completed": TermConfig(weight=1.0),
    },
)
