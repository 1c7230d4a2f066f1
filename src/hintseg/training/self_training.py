"""What a network makes of the hinted training images: masks to go on with, and the segments that vote."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray

from hintseg.config.schema import Recipe
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.inference.retrieval import SegmentIndex, index_image, merge
from hintseg.io.writing import cached_arrays
from hintseg.network.embedder import PixelMaps
from hintseg.network.heads import coarse_size, resize
from hintseg.pseudo_labels.complete import complete_image
from hintseg.training.augment import SOFT_STRIDE, SoftMask
from hintseg.training.data import TrainingImages
from hintseg.training.distributed import shared_work

Progress = Callable[[int, int], None]
MapsOf = Callable[[NDArray[np.uint8]], PixelMaps]


def soft_pseudo_labels(
    images: TrainingImages, recipe: Recipe, maps_of: MapsOf, folder: Path, fabric: Fabric, progress: Progress
) -> dict[str, SoftMask]:
    """KEY → soft pseudo-labels of every training image, made now unless it lies in `folder`.

    Args:
        maps_of: `completion_maps` of an image.
        folder: named after the iteration whose weights `maps_of` reads; its masks come from those and no others.
        progress: called with (done, total).
    """

    def complete(key: str, path: Path) -> SoftMask:
        return SoftMask(*cached_arrays(path, SoftMask._fields, lambda: _completed_mask(images, recipe, key, maps_of)))

    return shared_work(fabric, folder, images.keys, complete, progress)


def _completed_mask(images: TrainingImages, recipe: Recipe, key: str, maps_of: MapsOf) -> SoftMask:
    image, target = images.target(key)
    if target.says_nothing():
        return SoftMask(np.zeros(0, np.uint8), np.zeros((1, 1, 0), np.uint8))
    found = complete_image(
        maps_of(image), image, target, recipe.completion, images.dataset.background, crf=recipe.inference.crf
    )
    classes = np.flatnonzero(target.candidate_classes)
    probabilities = F.adaptive_avg_pool2d(found[classes], coarse_size(image.shape[:2], SOFT_STRIDE)).numpy()
    if recipe.instant is not None:  # where the head is not confident nothing is taught
        probabilities = np.where(probabilities.max(axis=0) >= recipe.instant.confidence, probabilities, 0)
    scaled = np.round(probabilities * 255).astype(np.uint8)
    return SoftMask(classes.astype(np.uint8), np.ascontiguousarray(np.moveaxis(scaled, 0, 2)))


@torch.no_grad()
def remembered_segments(
    images: TrainingImages, recipe: Recipe, maps_of: MapsOf, progress: Progress
) -> SegmentIndex | None:
    """Segments of all training images with the labels that most of their cells have; None where no image is hinted.

    Args:
        maps_of: `image_maps` of an image at the scale of retrieval.
        progress: called with (done, total).
    """
    parts = []
    for number, key in enumerate(images.keys):
        image, target = images.target(key)
        if not target.says_nothing():
            maps = maps_of(image)
            # Most of a segment's cells lie off its borders: no CRF.
            soft = complete_image(maps, image, target, recipe.completion, images.dataset.background, crf=False)
            embeddings = maps.embeddings.cpu()
            labels = resize(soft[None], embeddings.shape[-2:])
            ignored = torch.from_numpy(target.labels == IGNORE_INDEX)[None, None].float()
            ignored = F.adaptive_avg_pool2d(ignored, (embeddings.shape[1], embeddings.shape[2]))[0, 0] > 0.5
            classes = labels[0].argmax(dim=0).masked_fill(ignored, IGNORE_INDEX)
            parts.append(index_image(embeddings, classes, number, recipe.segments.inference_grid, images.num_classes))
        progress(number + 1, len(images.keys))
    return merge(parts) if parts else None
