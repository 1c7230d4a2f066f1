"""Post-processing chosen by hints that the network has not learned from.

A dense CRF sharpens photographs and wipes out what is thin or faint elsewhere; masks to see which are rarely at hand.
Hinted pixels of images that are held out tell it, too: they lie inside of regions, where a CRF that moves borders
changes little, and one that swallows regions much. Its widths are those of color images [Krähenbühl and Koltun
2011], and images without color get none: on ACDC gains of 1 and 5 % at hints went with 12 % lost in masks, while gray
photographs (MSRC-21) lose 2 % without it. Pseudo-labels are another question: on ACDC a head that learned from masks
with a CRF has 60.9 % mean IoU without one, and 54.2 with one more; from masks without it, 52.4.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hintseg.config.schema import Recipe
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.inference.segmenter import Segmenter
from hintseg.metrics import ConfusionMatrix
from hintseg.network.tta import middle_scale

FEWEST, MOST = 4, 40  # images held out; of fewer nothing can be told, and more only take time
CLEAR = 0.02  # mean IoU at hints: what a CRF may lose there for the borders, where nobody hints; less is chance
log = logging.getLogger("hintseg")


def held_out(keys: Sequence[str], fraction: float, seed: int) -> frozenset[str]:
    """About this fraction of the images, the same for a seed; none where that would be too few."""
    count = min(round(fraction * len(keys)), MOST)
    if count < FEWEST:
        return frozenset()
    chosen = np.random.default_rng(seed).choice(len(keys), count, replace=False)
    return frozenset(keys[place] for place in chosen.tolist())


class CrfChoice(NamedTuple):
    """Where a dense CRF is used.

    Attributes:
        masks: on the masks of new images, and on those that `complete` writes.
        pseudo_labels: on the masks that a head learns from, which carries what one CRF gains to all images.
    """

    masks: bool
    pseudo_labels: bool


def choose_crf(
    segmenter: Segmenter, hinted: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
    progress: Callable[[int], None] = lambda done: None,
) -> CrfChoice:  # fmt: skip
    """Where a dense CRF is used: on masks of color images, unless held-out hints speak clearly against it.

    Args:
        hinted: images (H, W, 3) uint8 and their hints (H, W) uint8; values ≥ C are no labels.
        progress: called with the number of images done.
    """
    recipe = segmenter.recipe
    if not recipe.inference.crf:
        return CrfChoice(masks=False, pseudo_labels=False)
    one = (middle_scale(recipe.inference.scales),)  # others cost time and change both alike
    configs = [segmenter.with_inference(crf=crf, scales=one) for crf in (True, False)]
    matrices = [ConfusionMatrix(len(segmenter.classes), IGNORE_INDEX) for _ in configs]
    colorful = None
    for done, (image, labels) in enumerate(hinted, start=1):
        colorful = bool(colorful) or has_color(image)
        truth = np.where(labels < UNLABELED, labels, np.uint8(IGNORE_INDEX))
        for matrix, mask in zip(matrices, segmenter.predict_configs(image, configs), strict=True):
            matrix.update(truth, mask)
        progress(done)
    refined, plain = (matrix.scores().mean_iou for matrix in matrices)
    harmless = not plain > refined + CLEAR  # not a number where nothing was hinted: color images then get a CRF
    masks = harmless and colorful is not False
    log.info(
        "mean IoU at held-out hints: %.1f %% with a dense CRF, %.1f %% without: masks are made %s it%s",
        100 * refined, 100 * plain, "with" if masks else "without",
        ", as the images have no color" if harmless and not masks else "",
    )  # fmt: skip
    return CrfChoice(masks, harmless)


def crf_without_hints(recipe: Recipe, images: Iterable[NDArray[np.uint8]]) -> CrfChoice:
    """Where a dense CRF is used if too few images have hints to hold some out: on masks of color images alone.

    On ACDC (gray) 20 slices taught an instant run that has 51.1 % mean IoU with it and 59.8 without; 20 others, 43.0
    and 50.7.

    Args:
        images: of training, (H, W, 3) uint8.
    """
    if not recipe.inference.crf or recipe.selection.held_out == 0:
        return CrfChoice(recipe.inference.crf, recipe.inference.crf)
    masks = any(map(has_color, images))
    log.info(
        "too few images have localized hints to hold some out: masks are made %s a dense CRF, as the images have %s",
        "with" if masks else "without", "color" if masks else "none",
    )  # fmt: skip
    return CrfChoice(masks, pseudo_labels=True)


def has_color(image: NDArray[np.uint8]) -> bool:
    """Whether the channels of an (H, W, 3) image differ anywhere."""
    return bool((image != image[..., :1]).any())


def without_crf(recipe: Recipe) -> Recipe:
    """The recipe with no dense CRF, on new images and on training images."""
    return recipe.model_copy(update={"inference": recipe.inference.model_copy(update={"crf": False})})
