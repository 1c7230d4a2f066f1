"""What is computed of one image in one piece: softmax, votes, the image-level prior and the CRF, each once."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hintseg.config import InferenceConfig, Recipe
from hintseg.errors import InputError
from hintseg.hints.labels import VOID
from hintseg.inference.presence import Presence, agreed
from hintseg.inference.refine import refined
from hintseg.inference.retrieval import SegmentIndex, retrieval_probabilities
from hintseg.inference.views import multi_scale_maps
from hintseg.network.embedder import Network, PixelMaps
from hintseg.network.heads import resize


class Trained(Protocol):
    """What is needed of a trained run; see `Segmenter`."""

    network: Network
    recipe: Recipe
    classes: tuple[str, ...]

    @property
    def index(self) -> SegmentIndex: ...

    @property
    def presence(self) -> Presence | None: ...


class Seen:
    """What was computed of one image, by the settings that decide it."""

    def __init__(self) -> None:
        self.maps: dict[tuple[object, ...], PixelMaps] = {}
        self.votes: dict[tuple[object, ...], Tensor] = {}
        self.presence: Tensor | None = None


@torch.no_grad()
def class_probabilities(
    trained: Trained, image: NDArray[np.uint8], config: InferenceConfig, seen: Seen | None = None
) -> Tensor:
    """(C, H, W) of an image that is looked at in one piece."""
    height, width = image.shape[:2]
    seen = Seen() if seen is None else seen
    look = (config.scales, config.flip)
    if look not in seen.maps:
        seen.maps[look] = multi_scale_maps(trained.network, image, config.scales, config.flip)
    maps = seen.maps[look]
    result = resize(maps.logits[None], (height, width))[0]
    if config.method != "softmax":
        asked = (*look, config.neighbours)
        if asked not in seen.votes:
            segments = trained.recipe.segments
            seen.votes[asked] = retrieval_probabilities(
                maps.embeddings, trained.index, (height, width), segments.inference_grid, segments.iterations,
                config.neighbours, len(trained.classes),
            )  # fmt: skip
        votes = seen.votes[asked]
        result = votes if config.method == "retrieval" else (result + votes) / 2
    if config.presence > 0 and trained.presence is not None:
        if seen.presence is None:
            seen.presence = trained.presence.probabilities(image)
        result = agreed(result, seen.presence, config.presence)
    if config.crf:
        result = refined(image, result, config.crf_stride)
    return result


def without_data(mask: NDArray[np.uint8], valid: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """The mask, void where there is no data."""
    return mask if valid is None else np.where(valid, mask, np.uint8(VOID))


def of_tiles(config: InferenceConfig) -> InferenceConfig:
    """How the tiles of a large image are segmented: without what costs most, unless it was asked for by name."""
    method = "softmax" if config.method == "both" else config.method
    return config.model_copy(update={"crf": config.crf is True, "method": method, "presence": 0.0})


def check_image(image: NDArray[np.uint8]) -> None:
    """Raises InputError unless it is (H, W, 3) uint8."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise InputError(f"an image must be (H, W, 3) uint8 but is {image.shape} {image.dtype}; use images.read_image.")
