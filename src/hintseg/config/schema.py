"""One frozen configuration object; every constant of a run stands in it, with its default in a recipe.

Functions below `training/` never see it: they take plain arguments.
"""

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Scale = Annotated[float, Field(gt=0, le=10_000)]
NonNegative = Annotated[float, Field(ge=0)]

RELATIONSHIPS = ("similarity", "annotation", "cooccurrence", "affinity")
CROSS_ENTROPIES = ("partial_cross_entropy", "propagated_cross_entropy", "pseudo_label_cross_entropy")
DEFAULT_BACKBONE = "tf_efficientnet_lite0"  # its weights are a dependency


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class NetworkConfig(_Section):
    """Backbone, decoder, embedding and classifier."""

    backbone: str = Field(DEFAULT_BACKBONE, description="any timm network that returns features")
    output_stride: Literal[8, 16, 32] = Field(16, description="input pixels per cell of the deepest map")
    decoder: Literal["light", "dilated", "pyramid", "none"] = Field(
        "light", description="what joins the backbone's maps; none: they are joined as they are"
    )
    decoder_channels: int = Field(128, ge=8, description="channels of the decoder")
    embedding_dim: int = Field(64, ge=2, description="D, length of the unit embedding")
    classifier: Literal["joint", "embedding", "detached", "hidden"] = Field(
        "joint",
        description="reads decoder features (joint), the embedding, the detached embedding (paper), or what becomes "
        "the embedding before it has unit length (hidden)",
    )
    dropout: Fraction = Field(0.1, description="before the classifier's last layer")
    freeze_stride: int = Field(4, ge=0, description="backbone stages up to this stride get no gradient; 0 frees all")
    freeze_batchnorm: bool = Field(False, description="keep the backbone's pretrained batch-norm statistics fixed")
    region_prototypes: int = Field(0, ge=0, description="of regions per class, which pixels attend to (RCA); 0: none")


class DataConfig(_Section):
    """Batches and augmentation."""

    batch_size: int = Field(8, ge=1, description="images per step")
    crop_size: int = Field(256, ge=32, multiple_of=32, description="side of the training crop, pixels")
    scale_range: tuple[Scale, Scale] = Field((0.75, 1.5), description="random scale, smallest and largest")
    mirror: bool = Field(True, description="random left-right flip")
    color_jitter: Fraction = Field(0.3, description="strength of random brightness, contrast and saturation")
    longest_side: int = Field(640, ge=64, description="larger images are reduced to this before training")
    point_radius: int = Field(3, ge=0, description="a point is a disc of this radius, pixels")
    superpixel_method: Literal["watershed", "slic", "felzenszwalb", "none"] = Field(
        "watershed", description="superpixels that segments never cross"
    )
    num_superpixels: int = Field(200, ge=2, le=60000, description="about this many superpixels per image")
    num_workers: int = Field(0, ge=0, description="loader processes; 0 loads in the main process")


class LabelPropagationConfig(_Section):
    """Propagation of hints over superpixels."""

    superpixels: int = Field(
        1000, ge=0, le=4000, description="superpixels over which labels are propagated; 0: they are not"
    )


class SegmentsConfig(_Section):
    """Segments that pixels are contrasted with."""

    stride: int = Field(8, ge=1, description="input pixels per cell where segments are formed")
    grid: tuple[int, int] = Field((6, 6), description="k-means starting grid in training; twice that at inference")
    memory_bank: int = Field(2, ge=0, description="past batches remembered")
    max_pixels: int = Field(2048, ge=0, description="at most this many pixels in each relationship; 0 takes all")

    @property
    def inference_grid(self) -> tuple[int, int]:
        """k-means starting grid at inference [SPML: 12 × 12 for 6 × 6 in training, 24 × 24 for 12 × 12]."""
        return 2 * self.grid[0], 2 * self.grid[1]


class TermConfig(_Section):
    """One term of the objective."""

    weight: NonNegative = Field(1.0, description="λ")
    concentration: Positive | None = Field(None, description="κ, for relationships; null: 10")
    class_weight_power: Fraction | None = Field(
        None, description="for cross-entropies: n pixels of a class in a batch weigh n^−power each; null: 0"
    )

    @model_serializer(mode="wrap")
    def _without_nulls(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {name: value for name, value in handler(self).items() if value is not None}


class OptimizerConfig(_Section):
    """Optimiser and schedule."""

    name: Literal["adamw", "sgd"] = "adamw"
    lr: Positive = Field(1e-3, description="learning rate of decoder and heads")
    backbone_lr: Positive = Field(3e-4, description="learning rate of the backbone")
    weight_decay: NonNegative = 1e-2
    bias_lr_mult: Positive = Field(1.0, description="biases learn this much faster and do not decay")
    warmup: int = Field(50, ge=0, description="iterations from a tenth of the rate to the rate")
    ema_decay: Fraction = Field(0.99, description="decay of the averaged weights; 0 keeps the last weights")


class TagsConfig(_Section):
    """Images whose classes are known but not their places: a classifier's activation maps give seeds."""

    iterations: int = Field(500, ge=0, description="of the tag classifier, before the others; 0: no seeds")
    pooling: Literal["average", "max", "log_sum_exp", "rank"] = Field("log_sum_exp", description="of pixel scores")
    background_score_power: Positive | None = Field(
        None, description="background = (1 − strongest activation)^this (paper); null: every tagged class alike"
    )
    boundary_prior: NonNegative = Field(
        1.0, description="a background is e^border as likely at the border of an image as inside; 0: alike"
    )


class CompletionConfig(_Section):
    """From a network's opinion and hints to dense masks; scale and mirror image are those of inference."""

    random_walk: bool = Field(True, description="random walk on embedding affinity")
    class_prior_power: NonNegative = Field(
        0.0, description="where nothing is pointed at, each class's shares are divided by their mean to this power"
    )
    crf: bool = Field(True, description="dense CRF")


class SelfTrainingConfig(_Section):
    """What happens once the training masks are completed."""

    mode: Literal["none", "joint", "classifier", "fresh"] = Field(
        "none",
        description="none; joint: go on with everything plus soft completed masks; classifier: frozen embedding and a "
        "new classifier on completed masks (paper); fresh: a new network on completed masks",
    )
    start: Fraction = Field(0.5, description="fraction of the iterations after which the masks are completed")


class InstantConfig(_Section):
    """A head on frozen features, fitted in seconds (--engine instant)."""

    image_side: int = Field(448, ge=64, description="longest side of the largest image before the backbone, pixels")
    pixels_per_image: int = Field(400, ge=1, description="labelled pixels drawn from an image, shared by its classes")
    steps: int = Field(300, ge=1, description="steps of each fit")
    confidence: Fraction = Field(0.8, description="minimum probability of a pseudo-label")


class SelectionConfig(_Section):
    """Choice of the post-processing by held-out hints."""

    held_out: Fraction = Field(
        0.0, description="fraction of the images with localized hints that chooses the post-processing; 0 disables it"
    )


class InferenceConfig(_Section):
    """How new images are segmented."""

    method: Literal["softmax", "knn", "softmax+knn"] = Field("softmax", description="softmax+knn: their mean")
    scales: tuple[Scale, ...] = Field(
        (1.0,), min_length=1, description="averaged by softmax; retrieval and completion look at the middle one"
    )
    flip: bool = Field(False, description="average with the mirrored image")
    crf: bool = Field(False, description="dense CRF")
    crf_stride: int = Field(1, ge=1, description="pixels per node of the CRF, along each side")
    tile: int = Field(768, ge=192, description="larger images are cut into overlapping tiles of this side")
    longest_side: int | None = Field(
        None, ge=0, description="reduce larger images to this first; null: as training images were; 0: not at all"
    )


class Recipe(_Section):
    """Everything a run depends on besides its data."""

    name: str = "plain"
    iterations: int = Field(1000, ge=1)
    seed: int = Field(0, ge=0)
    network: NetworkConfig = NetworkConfig()
    data: DataConfig = DataConfig()
    label_propagation: LabelPropagationConfig = LabelPropagationConfig()
    segments: SegmentsConfig = SegmentsConfig()
    objective: dict[str, TermConfig] = Field(default_factory=dict)
    optimizer: OptimizerConfig = OptimizerConfig()
    tags: TagsConfig = TagsConfig()
    completion: CompletionConfig = CompletionConfig()
    self_training: SelfTrainingConfig = SelfTrainingConfig()
    selection: SelectionConfig = SelectionConfig()
    inference: InferenceConfig = InferenceConfig()
    instant: InstantConfig | None = Field(None, description="null: the network is trained with the objective")
    checkpoint_every: int = Field(100, ge=1, description="iterations between checkpoints")

    @model_validator(mode="after")
    def _terms_read_their_keys(self) -> Self:
        for name, term in self.objective.items():
            for key, readers in (("concentration", RELATIONSHIPS), ("class_weight_power", CROSS_ENTROPIES)):
                if getattr(term, key) is not None and name not in readers:
                    raise ValueError(f"objective.{name} has no {key}; only {', '.join(readers)} have")
        return self
