"""What a network makes of the hinted training images: masks to go on with, and the segments that vote."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from hintseg.config import CompletionConfig, Recipe
from hintseg.hints.labels import VOID
from hintseg.inference.completion import complete_image
from hintseg.inference.retrieval import SegmentIndex, index_image, merge
from hintseg.inference.views import image_maps, retrieval_scale
from hintseg.network.embedder import Embedder, PixelMaps
from hintseg.targets.target import WeakTarget
from hintseg.training.augment import SOFT_STRIDE, SoftMask
from hintseg.training.data import TrainingImages
from hintseg.training.processes import shared_work
from hintseg.writing import kept_arrays

Progress = Callable[[int, int], None]


def completed_masks(
    network: Embedder,
    images: TrainingImages,
    config: CompletionConfig,
    folder: Path,
    fabric: Fabric,
    progress: Progress,
) -> dict[str, SoftMask]:
    """KEY → completed mask of every training image, made now unless it lies in `folder`.

    Images at which hints point come first: the others' classes have at least the shares that they have there.

    Args:
        network: in evaluation mode.
        folder: named after the iteration whose weights the network has; its masks come from those and no others.
        progress: called with (done, total).
    """

    paths = {key: folder / f"{number:07d}.npz" for number, key in enumerate(images.keys)}
    found: dict[str, SoftMask] = {}

    def complete(keys: Sequence[str], least: NDArray[np.floating] | None) -> None:
        def completed(key: str, path: Path) -> SoftMask:
            return SoftMask(
                *kept_arrays(path, SoftMask._fields, lambda: _completed_mask(network, images, config, key, least))
            )

        def report(done: int, total: int) -> None:  # of this process's part
            progress(before + done * len(keys) // total, len(paths))

        before = len(found)
        found.update(shared_work(fabric, {key: paths[key] for key in keys}, completed, report))

    complete(images.placed, None)
    others = [key for key in images.keys if key not in found]
    complete(others, least_shares(images, found, config.least) if found and config.least > 0 else None)
    return found


def least_shares(images: TrainingImages, masks: Mapping[str, SoftMask], part: float) -> NDArray[np.float64]:
    """(C,) the share of an image that a class exceeds in all but `part` of the masks in which hints show it; else 0."""
    shares: list[list[float]] = [[] for _ in range(images.num_classes)]
    for key, mask in masks.items():
        covered = mask.probabilities.mean(axis=(0, 1)) / 255
        for label in images.hints(key).placed():
            shares[label].extend(covered[mask.classes == label])
    return np.array([np.quantile(some, part) if some else 0.0 for some in shares])


def _completed_mask(
    network: Embedder, images: TrainingImages, config: CompletionConfig, key: str, least: NDArray[np.floating] | None
) -> SoftMask:
    image, target = images.target(key)
    if target.says_nothing():
        return SoftMask(np.zeros(0, np.uint8), np.zeros((1, 1, 0), np.uint8))
    probabilities = complete_training_image(network, images, key, image, target, config, least=least).numpy()
    classes = np.flatnonzero(target.allowed)
    scaled = np.round(probabilities[classes] * 255).astype(np.uint8)
    return SoftMask(classes.astype(np.uint8), np.ascontiguousarray(np.moveaxis(scaled, 0, 2)))


@torch.no_grad()
def remembered_segments(
    network: Embedder, images: TrainingImages, recipe: Recipe, progress: Progress,
    maps_of: Callable[[NDArray[np.uint8]], PixelMaps] | None = None,
) -> SegmentIndex | None:  # fmt: skip
    """Segments of all training images with the labels that most of their cells have; None where no image is hinted.

    Args:
        network: in evaluation mode.
        progress: called with (done, total).
        maps_of: `image_maps` of an image at the scale of retrieval, where they are at hand.
    """
    # Neither borders nor mirror images matter to what most of a segment's cells are.
    scale = retrieval_scale(recipe.inference.scales)
    quick = recipe.completion.model_copy(update={"crf": False, "flip": False, "scale": scale})
    grid, iterations = recipe.segments.inference_grid, recipe.segments.iterations
    parts = []
    for number, key in enumerate(images.keys):
        image, target = images.target(key)
        if not target.says_nothing():
            maps = image_maps(network, image, scale=scale) if maps_of is None else maps_of(image)
            completed = complete_training_image(network, images, key, image, target, quick, maps)
            embeddings = maps.embeddings.cpu()
            labels = F.interpolate(completed[None], size=embeddings.shape[-2:], mode="bilinear", align_corners=False)
            void = torch.from_numpy(target.labels == VOID)[None, None].float()
            void = F.adaptive_avg_pool2d(void, (embeddings.shape[1], embeddings.shape[2]))[0, 0] > 0.5
            classes = labels[0].argmax(dim=0).masked_fill(void, VOID)
            parts.append(index_image(embeddings, classes, number, grid, iterations, images.num_classes))
        progress(number + 1, len(images.keys))
    return merge(parts) if parts else None


def complete_training_image(
    network: Embedder, images: TrainingImages, key: str, image: NDArray[np.uint8], target: WeakTarget,
    config: CompletionConfig, maps: PixelMaps | None = None, least: NDArray[np.floating] | None = None,
) -> Tensor:  # fmt: skip
    """`complete_image` at `SOFT_STRIDE`, with what training already knows of the image's hints."""
    regions = images.spread_regions(key, image)
    shares = None
    if regions is not None and config.hints > 0:
        shares = images.hint_shares(key, image, target, regions)
    return complete_image(
        network, image, target, config, SOFT_STRIDE, regions, shares, maps, images.dataset.background, least
    )
