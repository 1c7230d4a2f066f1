"""One frozen configuration object; every constant of a run stands in it, with its default in a recipe.

Functions below `training/` never see it: they take plain arguments.
"""

from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from hintseg.config.reads import RELATIONSHIPS, settings_read, usual_classifier

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Scale = Annotated[float, Field(ge=0.01, le=16)]
GridSide = Annotated[int, Field(ge=1, le=64)]
NonNegative = Annotated[float, Field(ge=0)]

CROSS_ENTROPIES = ("partial_cross_entropy", "propagated_cross_entropy", "pseudo_label_cross_entropy")
DEFAULT_BACKBONE = "tf_efficientnet_lite0"  # its weights are a dependency
EVERYTHING = {"everything": True}  # context of a dump that keeps what a recipe does not read


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class NetworkConfig(_Section):
    """Backbone, decoder, embedding and classifier."""

    backbone: str = Field(DEFAULT_BACKBONE, description="Any timm network that returns feature maps.")
    output_stride: Literal[8, 16, 32] = Field(16, description="Input pixels per cell of the deepest feature map.")
    decoder: Literal["light", "dilated", "pyramid", "none"] = Field(
        "light", description="Merges the backbone's feature maps; none concatenates them."
    )
    decoder_channels: int = Field(128, ge=8, le=8192, description="Output channels of the decoder.")
    embedding_dim: int = Field(64, ge=2, le=8192, description="Length of a pixel embedding.")
    classifier: Literal["joint", "detached", "hidden"] = Field(
        "joint",
        description="Input of the classifier: decoder features (joint), the detached unit embedding (as in the paper), "
        "or the embedding before normalization (hidden). Default: hidden without a decoder, else joint.",
    )
    dropout: Fraction = Field(0.1, description="Dropout rate before the classifier's last layer.")
    freeze_stride: int = Field(4, ge=0, description="Freeze backbone stages up to this stride; 0 freezes none.")
    freeze_batchnorm: bool = Field(False, description="Keep the backbone's pretrained batch-norm statistics.")
    region_prototypes: int = Field(
        0, ge=0, le=1000, description="Region prototypes per class that pixels attend to (RCA); 0 disables them."
    )

    @model_validator(mode="before")
    @classmethod
    def _with_a_classifier(cls, content: Any) -> Any:
        if not isinstance(content, dict) or "classifier" in content:
            return content
        return {**content, "classifier": usual_classifier(str(content.get("decoder", "light")))}


class DataConfig(_Section):
    """Batches and augmentation."""

    batch_size: int = Field(8, ge=1, description="Images per training step.")
    crop_size: int = Field(256, ge=32, multiple_of=32, description="Side of a training crop in pixels.")
    scale_range: tuple[Scale, Scale] = Field((0.75, 1.5), description="Random scale of a crop, minimum and maximum.")
    mirror: bool = Field(True, description="Flip crops horizontally at random.")
    color_jitter: Fraction = Field(0.3, description="Strength of random brightness, contrast and saturation.")
    longest_side: int = Field(640, ge=64, description="Resize larger training images to this longest side, in pixels.")
    point_radius: int = Field(3, ge=0, le=1000, description="Radius of the disc drawn for a point, in pixels.")
    num_superpixels: int = Field(
        200, ge=2, le=60000, description="Approximate number of superpixels per image whose borders segments respect."
    )
    num_workers: int = Field(0, ge=0, description="Data loader processes; 0 chooses by the number of cores.")

    @field_validator("scale_range")
    @classmethod
    def _lowest_first(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError("the first scale is the smaller one")
        return value


class LabelPropagationConfig(_Section):
    """Propagation of hints over superpixels."""

    superpixels: int = Field(
        1000, ge=0, le=4000, description="Approximate number of superpixels for label propagation; 0 disables it."
    )


class SegmentsConfig(_Section):
    """Segments that pixels are contrasted with, and that are retrieved."""

    stride: int = Field(8, ge=1, description="Input pixels per cell of the map that is clustered into segments.")
    grid: tuple[GridSide, GridSide] = Field(
        (6, 6), description="Initial k-means grid of a training crop; inference uses twice as many each way."
    )
    memory_bank: int = Field(2, ge=0, description="Earlier batches whose segments the memory bank holds.")
    max_pixels: int = Field(2048, ge=0, description="Maximum number of pixels per contrastive term; 0 takes all.")

    @property
    def inference_grid(self) -> tuple[int, int]:
        """k-means starting grid at inference [SPML: 12 × 12 for 6 × 6 in training, 24 × 24 for 12 × 12]."""
        return 2 * self.grid[0], 2 * self.grid[1]


class TermConfig(_Section):
    """One term of the objective."""

    weight: NonNegative = Field(1.0, description="Weight of the term; 0 disables it.")
    concentration: Positive | None = Field(
        None, description="Inverse temperature of a contrastive term; null means 10."
    )
    class_weight_power: Fraction | None = Field(
        None,
        description="A cross-entropy weights each of a class's n pixels in a batch by n^-power; null means 0, no "
        "weighting.",
    )

    @model_serializer(mode="wrap")
    def _without_nulls(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {name: value for name, value in handler(self).items() if value is not None}


class OptimizerConfig(_Section):
    """Optimizer and learning-rate schedule."""

    name: Literal["adamw", "sgd"] = Field("adamw", description="Optimizer.")
    lr: Positive = Field(1e-3, description="Learning rate of decoder and heads.")
    backbone_lr: Positive = Field(3e-4, description="Learning rate of the backbone.")
    weight_decay: NonNegative = Field(1e-2, description="Weight decay; biases and norms are exempt.")
    bias_lr_mult: Positive = Field(1.0, description="Learning-rate multiplier of biases and norms.")
    warmup: int = Field(50, ge=0, description="Warm-up iterations, from a tenth of the learning rate.")
    ema_decay: Fraction = Field(0.99, description="Decay of the exponential moving average of weights; 0 disables it.")


class TagsConfig(_Section):
    """Seeds for image-level tags: the class activation maps of a tag classifier."""

    iterations: int = Field(500, ge=0, description="Training iterations of the tag classifier; 0 disables it.")
    pooling: Literal["average", "max", "log_sum_exp", "rank"] = Field(
        "log_sum_exp", description="Pooling of pixel scores into image scores."
    )
    background_score_power: Positive | None = Field(
        None,
        description="Background score = (1 - highest activation)^power, as in the paper; null treats the background "
        "like any tagged class.",
    )
    boundary_prior: NonNegative = Field(
        1.0, description="Log odds of background at the image boundary against the center; 0 disables it."
    )


class CompletionConfig(_Section):
    """Dense masks of hinted images; scales, flip and CRF are those of inference."""

    random_walk: bool = Field(False, description="Random walk on embedding affinity, as in the paper.")
    class_prior_power: NonNegative = Field(
        0.0,
        description="In tag-only images, divide each class's probabilities by their mean to this power; 0 disables it.",
    )


class SelfTrainingConfig(_Section):
    """Training on pseudo-labels, the completed masks of training images."""

    mode: Literal["none", "joint", "classifier"] = Field(
        "none",
        description="none; joint: continue with pseudo-labels as one more term; classifier: freeze the embedding and "
        "train a new classifier on them (as in the paper).",
    )
    start: Fraction = Field(0.5, description="Fraction of the iterations after which pseudo-labels are made.")


class InstantConfig(_Section):
    """A head on frozen features, fitted in seconds."""

    image_side: int = Field(448, ge=64, description="Longest side of the largest image at the backbone, in pixels.")
    pixels_per_image: int = Field(
        400, ge=1, description="Labeled pixels sampled per image, in equal parts of its classes."
    )
    steps: int = Field(300, ge=1, description="Steps of the head's last fit; the first takes a third.")
    confidence: Fraction = Field(0.8, description="Minimum probability of a pseudo-label.")


class SelectionConfig(_Section):
    """Choice of the post-processing by held-out hints."""

    held_out: Fraction = Field(
        0.0, description="Fraction of images with localized hints that choose whether to use a CRF; 0 disables it."
    )


class InferenceConfig(_Section):
    """How new images are segmented."""

    method: Literal["softmax", "knn", "softmax+knn"] = Field(
        "softmax", description="Classifier (softmax), vote of the nearest training segments (knn), or their mean."
    )
    scales: tuple[Scale, ...] = Field(
        (1.0,),
        min_length=1,
        max_length=16,
        description="Test-time scales whose probabilities are averaged; the middle one also completes masks.",
    )
    flip: bool = Field(False, description="Average with the horizontally flipped image.")
    crf: bool = Field(False, description="Refine by a dense CRF; applies to completed training masks, too.")
    crf_stride: int = Field(1, ge=1, description="Pixels per CRF node along each axis.")
    tile: int = Field(768, ge=192, le=16384, description="Side of the overlapping tiles of larger images, in pixels.")
    longest_side: int | None = Field(
        None, ge=0, description="Resize larger images to this longest side; null resizes as in training, 0 never."
    )


class Recipe(_Section):
    """Everything a run depends on besides its data."""

    name: str = Field("plain", description="Name of the recipe, for the log.")
    iterations: int = Field(1000, ge=1, description="Training iterations.")
    seed: int = Field(0, ge=0, description="Random seed.")
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
    instant: InstantConfig | None = Field(None, description="Null trains the network on the objective alone.")
    checkpoint_every: int = Field(100, ge=1, description="Iterations between checkpoints.")

    @model_validator(mode="after")
    def _terms_read_their_keys(self) -> Self:
        for name, term in self.objective.items():
            for key, readers in (("concentration", RELATIONSHIPS), ("class_weight_power", CROSS_ENTROPIES)):
                if getattr(term, key) is not None and name not in readers:
                    raise ValueError(f"objective.{name} has no {key}; only {', '.join(readers)} have")
        return self

    @model_serializer(mode="wrap")
    def _what_it_reads(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        if (info.context or {}).get("everything"):
            return content
        return settings_read(content, default_settings())

    def everything(self) -> dict[str, Any]:
        """All settings as JSON holds them; `model_dump` leaves out what the recipe does not read."""
        return self.model_dump(mode="json", context=EVERYTHING)


@cache
def default_settings() -> dict[str, Any]:
    """The default of every setting, as JSON holds it."""
    return Recipe().everything()
