"""Image → unit embedding per pixel and class logits per pixel."""

import copy
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hintseg.config.schema import NetworkConfig
from hintseg.network.backbone import Backbone
from hintseg.network.heads import DECODERS, embedding_classifier, hidden_classifier, joint_classifier
from hintseg.network.region_attention import RegionAttention


class PixelMaps(NamedTuple):
    """What the network says of every cell.

    Attributes:
        embeddings: (B, D, h, w), unit length along D.
        logits: (B, C, h, w).
    """

    embeddings: Tensor
    logits: Tensor


class Network(Protocol):
    """What inference needs of a network, whoever runs it.

    Attributes:
        mean: any tensor on the device where images are expected.
    """

    mean: Tensor

    def __call__(self, images: Tensor) -> PixelMaps:
        """(B, 3, H, W) RGB in [0, 255] → maps."""
        ...


class Embedder(nn.Module):
    """Backbone, decoder, embedding and classifier.

    Attributes:
        stride: input pixels per cell of the result.
        aggregation: where the decoder's features read prototypes of regions, if they do.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: NetworkConfig, num_classes: int, weights: str = "none") -> None:
        super().__init__()
        self.num_classes = num_classes
        self.classifier_reads_embedding = config.classifier == "detached"
        self.classifier_reads_hidden = config.classifier == "hidden"
        self.backbone = Backbone(config.backbone, config.output_stride, weights)
        self.decoder = DECODERS[config.decoder](self.backbone.channels, self.backbone.strides, config.decoder_channels)
        self.stride = self.decoder.stride
        self.embedding: nn.Module = nn.Conv2d(self.decoder.width, config.embedding_dim, 1)
        if config.decoder == "dilated":
            # The paper's sum of dilated convolutions is the embedding itself.
            self.embedding = nn.Identity()
        dim = self.decoder.width if config.decoder == "dilated" else config.embedding_dim
        self.dim = dim
        if self.classifier_reads_embedding:
            self.classifier = embedding_classifier(dim, num_classes, config.dropout)
        elif self.classifier_reads_hidden:
            self.classifier = hidden_classifier(dim, num_classes, config.dropout)
        else:
            self.classifier = joint_classifier(self.decoder.width, num_classes, config.dropout)
        self.aggregation: RegionAttention | None = None
        if config.region_prototypes:
            self.aggregation = RegionAttention(self.decoder.width, dim, num_classes, config.region_prototypes)
        self.backbone.freeze_stages(config.freeze_stride)
        self.register_buffer("mean", torch.tensor(self.backbone.mean).view(1, 3, 1, 1) * 255.0)
        self.register_buffer("std", torch.tensor(self.backbone.std).view(1, 3, 1, 1) * 255.0)

    def forward(self, images: Tensor) -> PixelMaps:
        """Embed and classify.

        Args:
            images: (B, 3, H, W) RGB in [0, 255], any float or integer dtype, any size.

        Returns:
            Maps of about (H / stride, W / stride) cells; images whose sides are no multiple of the
            backbone's stride are padded by replication and the padding is cut off again.
        """
        return self.read(self.pyramid(images), images.shape[-2:])

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """The backbone's maps of normalized, padded images."""
        normalized = (images.to(self.mean.dtype) - self.mean) / self.std
        padded = padded_to(normalized, self.backbone.multiple)
        return self.backbone(padded.contiguous(memory_format=torch.channels_last))

    def read(self, pyramid: list[Tensor], size: Sequence[int]) -> PixelMaps:
        """Maps of images of `size` (H, W) from their pyramid."""
        height, width = size
        bottom, right = (-side % self.backbone.multiple for side in size)
        features = self.decoder(pyramid, (height + bottom, width + right))
        if self.aggregation is not None:
            features = self.aggregation(features)
        if bottom or right:
            features = features[..., : -(-height // self.stride), : -(-width // self.stride)]
        hidden = self.embedding(features).float()
        embeddings = F.normalize(hidden, dim=1, eps=1e-12)
        return PixelMaps(embeddings, self.classify(hidden if self.classifier_reads_hidden else features, embeddings))

    def with_new_classifier(self, dropout: float) -> "Embedder":
        """A frozen copy with a fresh classifier on the embedding [SPML, stage 2]."""
        twin = copy.deepcopy(self).requires_grad_(False)
        twin.classifier_reads_embedding = True
        twin.classifier = embedding_classifier(self.dim, self.num_classes, dropout).to(self.mean.device)
        return twin

    def classify(self, features: Tensor, embeddings: Tensor) -> Tensor:
        """Logits from features or hidden units (B, width, h, w) and unit embeddings (B, D, h, w)."""
        logits: Tensor = self.classifier(embeddings.detach() if self.classifier_reads_embedding else features)
        return logits.float()


def padded_to(images: Tensor, multiple: int) -> Tensor:
    """(B, 3, H, W) with H and W made multiples by repeating the last row and column."""
    bottom, right = (-side % multiple for side in images.shape[-2:])
    return F.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images
