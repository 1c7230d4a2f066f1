"""What is computed of one image in one piece: softmax, votes and the CRF, each once."""

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hintseg.config.schema import InferenceConfig, Recipe
from hintseg.errors import InputError
from hintseg.functional.propagation.dense_crf import coarse_crf
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.inference.retrieval import SegmentIndex, retrieval_probabilities
from hintseg.network.embedder import Network, PixelMaps
from hintseg.network.heads import coarse_size, resize
from hintseg.network.tta import multi_scale_maps

NEIGHBORS = 20  # segments that vote [SPML]
LEAST = 0.1  # a class that is best nowhere and less probable than this everywhere is left out of the CRF


class Trained(Protocol):
    """What is needed of a trained run; see `Segmenter`."""

    network: Network
    recipe: Recipe
    classes: tuple[str, ...]

    @property
    def index(self) -> SegmentIndex: ...


class Seen:
    """What was computed of one image, by the settings that decide it."""

    def __init__(self) -> None:
        self.maps: dict[tuple[object, ...], PixelMaps] = {}
        self.votes: dict[tuple[object, ...], Tensor] = {}


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
        if look not in seen.votes:
            segments = trained.recipe.segments
            seen.votes[look] = retrieval_probabilities(
                maps.embeddings, trained.index, (height, width), segments.inference_grid, NEIGHBORS,
                len(trained.classes),
            )  # fmt: skip
        votes = seen.votes[look]
        result = votes if config.method == "knn" else (result + votes) / 2
    if config.crf:
        result = refined(image, result, config.crf_stride)
    return result


def refined(image: NDArray[np.uint8], probabilities: Tensor, stride: int = 1) -> Tensor:
    """Class probabilities refined by position and color [Krähenbühl & Koltun 2011; constants of SPML].

    Args:
        image: (H, W, 3) uint8.
        probabilities: (C, H, W).
        stride: the CRF runs on an image this many times smaller.

    Returns:
        (C, H, W) on the same device; zero for classes that are improbable everywhere.
    """
    height, width = probabilities.shape[1:]
    chosen = probabilities.amax(dim=(1, 2)) >= LEAST
    chosen[probabilities.argmax(dim=0).unique()] = True
    kept = torch.nonzero(chosen).flatten()
    coarse = F.adaptive_avg_pool2d(probabilities[kept], coarse_size((height, width), stride))
    posterior = coarse_crf(image, coarse, stride)
    result = torch.zeros_like(probabilities)
    result[kept] = resize(posterior[None], (height, width))[0]
    return result


def without_data(mask: NDArray[np.uint8], valid: NDArray[np.bool_] | None) -> NDArray[np.uint8]:
    """The mask, with `IGNORE_INDEX` where there is no data."""
    return mask if valid is None else np.where(valid, mask, np.uint8(IGNORE_INDEX))


def check_image(image: NDArray[np.uint8]) -> None:
    """Raises InputError unless it is (H, W, 3) uint8."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise InputError(f"an image must be (H, W, 3) uint8 but is {image.shape} {image.dtype}; use images.read_image.")
