"""A whole instant run: features → propagated hints → head → pseudo-labels → head → memory bank.

What full training does with thousands of steps through the backbone is done here with two fits of a perceptron: the
first on the hints and on the superpixels whose propagated label is confident, the second on what the first makes of the
training images, where the hints say which classes an image holds. Nothing is kept between the stages but features, so
that an interrupted run starts again from them.
"""

import logging
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hintseg.config.schema import Recipe
from hintseg.errors import TrainingError
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.inference.device import pick_device
from hintseg.inference.segmenter import Segmenter
from hintseg.inference.selection import CrfChoice, choose_crf, crf_without_hints, held_out, without_crf
from hintseg.instant.features import FEATURES_LIMIT, FeatureStore, instant_config, scale_for
from hintseg.instant.head import MOST_PIXELS, LabeledPixels, draw_pixels, fit_head, gathered
from hintseg.instant.tags import localize_tagged
from hintseg.io.images import resize_nearest
from hintseg.io.storage.mirror import Progress
from hintseg.io.writing import write_text
from hintseg.memory_errors import memory_explained
from hintseg.network.embedder import Embedder
from hintseg.network.tta import middle_scale
from hintseg.pseudo_labels.complete import complete_image
from hintseg.training.data import TrainingImages
from hintseg.training.inputs import agree_on_inputs, run_inputs
from hintseg.training.job import Job, finish
from hintseg.training.run_folder import own_folder
from hintseg.training.self_training import MapsOf, remembered_segments

log = logging.getLogger("hintseg")

ADVICE = "lower instant.pixels_per_image or instant.image_side with --set"
# The first fit takes this part of the steps: propagated labels are noisy, and a longer fit learns the noise.
FIRST_FIT = 3


def run_instant(job: Job) -> Segmenter:
    """Fit a head to all hints, and leave a run folder that `Segmenter.open` reads; the recipe is `at_scale`.

    Raises:
        RunError: the folder is in use, holds another run, or cannot be written.
        TrainingError: no pixel is labeled.
    """
    recipe, out = job.recipe, job.out
    description = job.described()
    with own_folder(out, job.resume), memory_explained("the head", ADVICE, TrainingError):
        job.tell()
        started = time.monotonic()
        network = Embedder(recipe.network, len(job.dataset.classes), job.weights).to(pick_device(job.device)).eval()
        agree_on_inputs(out, run_inputs(job, description, network, "32-true", network.mean.device.type))
        write_text(out / "run.json", description.dump())
        images = job.images(recipe.label_propagation.superpixels)
        store = _features(job.cache, network, recipe)
        recipe = fit_from_hints(network, images, store, recipe, job.progress, Segmenter(network, description, out))
        description = replace(description, recipe=recipe)
        write_text(out / "run.json", description.dump())
        memory = remembered_segments(
            images, recipe, store.maps, lambda done, total: job.progress("memory", done, total, {})
        )
        finish(out, network, memory, {"seconds": time.monotonic() - started})
        log.info("finished; weights, memory bank and metrics are in %s", out)
    return Segmenter(network, description, out)


def _features(cache: Path, network: Embedder, recipe: Recipe) -> FeatureStore:
    return FeatureStore(cache / "features", network, middle_scale(recipe.inference.scales), FEATURES_LIMIT)


def at_scale(recipe: Recipe, largest: int) -> Recipe:
    """The recipe for images whose largest has sides up to `largest` pixels: its scales, times one for all images."""
    scale = scale_for(largest, recipe)
    low, high = recipe.data.scale_range
    scales = tuple(round(factor * scale, 3) for factor in recipe.inference.scales)
    return recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update={"scale_range": (round(low * scale, 3), round(high * scale, 3))}),
            "inference": recipe.inference.model_copy(update={"scales": scales}),
        }
    )


def start_from_head(network: Embedder, images: TrainingImages, progress: Progress, *, recipe: Recipe) -> MapsOf:
    """Initialize a network with the head of an instant run on all images but those held out for `selection`.

    Returns:
        The maps of an image by that head.
    """
    network.eval()
    store = _features(images.cache, network, recipe)
    held = held_out(images.localized, recipe.selection.held_out, recipe.seed)
    fit_from_hints(network, images.only([key for key in images.keys if key not in held]), store, recipe, progress)
    return store.maps


def fit_from_hints(
    network: Embedder, images: TrainingImages, store: FeatureStore, recipe: Recipe, progress: Progress,
    segmenter: Segmenter | None = None,
) -> Recipe:  # fmt: skip
    """Fit the network's head to the hints of all images, then to the pseudo-labels that it gives them.

    Args:
        segmenter: of this network; its post-processing is chosen by images held out from a first fit.

    Returns:
        The recipe with what was chosen.
    """
    config, total = instant_config(recipe), len(images.keys)
    first = max(config.steps // FIRST_FIT, 1)
    count = min(config.pixels_per_image, max(MOST_PIXELS // total, 1))

    def drawn(number: int, labels: NDArray[np.uint8]) -> LabeledPixels:
        image, random = images.image(images.keys[number]), np.random.default_rng((recipe.seed, number))
        return draw_pixels(store.pyramid(image), labels, images.num_classes, count, store.extent(image), random)

    for done, key in enumerate(images.keys, start=1):
        store.pyramid(images.image(key))
        progress("features", done, total, {})
    localize_tagged(images, store, recipe, progress)
    labeled = {}
    for number, key in enumerate(images.keys):
        labeled[key] = drawn(number, images.sample(key).propagated)
        progress("hints", number + 1, total, {})
    held = held_out(images.localized, recipe.selection.held_out, recipe.seed) if segmenter is not None else frozenset()
    if segmenter is None:  # whoever trains on chooses in the end
        crf = CrfChoice(masks=recipe.inference.crf, pseudo_labels=recipe.inference.crf)
    elif not held:
        crf = crf_without_hints(recipe, map(images.image, images.keys))
    else:
        fit_head(network, gathered([labeled[key] for key in images.keys if key not in held]), first, recipe.seed)
        hinted = ((image, target.labels) for image, target in map(images.target, sorted(held)))
        crf = choose_crf(segmenter, hinted, lambda done: progress("selection", done, len(held), {}))
    progress("fit", 0, 2, {})
    fit_head(network, gathered(list(labeled.values())), first, recipe.seed)
    progress("fit", 1, 2, {})
    parts = []
    for number, key in enumerate(images.keys):
        if (labels := pseudo_labels(images, store, key, recipe, crf.pseudo_labels)) is not None:
            parts.append(drawn(number, labels))
        progress("pseudo-labels", number + 1, total, {})
    fit_head(network, gathered(parts), config.steps, recipe.seed)
    progress("fit", 2, 2, {})
    return recipe if crf.masks else without_crf(recipe)


def pseudo_labels(
    images: TrainingImages, store: FeatureStore, key: str, recipe: Recipe, crf: bool
) -> NDArray[np.uint8] | None:
    """(h, w) uint8 of the pseudo-label: the classes that the network is confident of among those the image may hold.

    Ignored pixels get none.

    None where no hint says anything of the image.
    """
    image, target = images.target(key)
    if target.says_nothing():
        return None
    probabilities = complete_image(
        store.maps(image), image, target, recipe.completion, images.dataset.background, crf=crf
    )
    best, labels = probabilities.max(dim=0)
    confident = best.numpy() >= instant_config(recipe).confidence
    confident &= resize_nearest(target.labels, confident.shape) != IGNORE_INDEX
    return np.where(confident, labels.numpy(), UNLABELED).astype(np.uint8)
