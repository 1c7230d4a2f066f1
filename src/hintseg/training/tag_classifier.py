"""Before the recipe's own training: where the classes are that an image is only known to contain.

A network learns the tags (and whatever pixels are hinted); its activation maps, refined by
a dense CRF, give seeds, which are propagated like hints. Its weights are where the recipe's training starts.
"""

import logging
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from hintseg.config.schema import Recipe, SelfTrainingConfig, TermConfig
from hintseg.functional.propagation.dense_crf import coarse_crf
from hintseg.hints.labels import UNLABELED
from hintseg.io.writing import cached_arrays
from hintseg.network.embedder import Embedder
from hintseg.network.heads import coarse_size, resize
from hintseg.network.tta import to_tensor
from hintseg.pseudo_labels.cam import (
    LEVEL,
    activations,
    balanced,
    boundary_prior_odds,
    expected_fractions,
    seeds,
)
from hintseg.pseudo_labels.target import PseudoLabels
from hintseg.training.augment import SOFT_STRIDE
from hintseg.training.checkpoint import read_checkpoint, restore, save_checkpoint
from hintseg.training.data import TrainingImages
from hintseg.training.distributed import shared_work
from hintseg.training.interrupt import Interruption
from hintseg.training.job import Job
from hintseg.training.loading import decode
from hintseg.training.loop import new_state, train_until

log = logging.getLogger("hintseg")
LOG_EVERY = 20
SCALES = (1.0, 1.5)  # of the activation maps, with mirror images
CONFIDENCE = 0.8  # minimum probability of a seed, after a dense CRF


def localize_tags(
    job: Job, network: Embedder, images: TrainingImages, fabric: Fabric, fingerprint: str, interruption: Interruption
) -> None:
    """Train `network` on tags and set seeds in `images`; nothing where every class has a localized hint.

    `tags.pt` and `seeds/` are written to the run folder, and read back when resuming.

    Args:
        network: trained in place; ends with the averaged weights.
    """
    keys, recipe = unlocalized(images), job.recipe
    if not keys or recipe.tags.iterations == 0:
        return
    said = "%d images have classes without a localized hint: %d iterations on tags first"
    log.info(said, len(keys), recipe.tags.iterations)
    trained = _train_on_tags(job, network, images, fabric, fingerprint, interruption)
    pixels = any((images.sample(key).labels < UNLABELED).any() for key in images.keys)

    def found(key: str, path: Path) -> NDArray[np.uint8]:
        return cached_arrays(path, ["labels"], lambda: [_find(trained, images, key, recipe, pixels)])[0]

    def told(done: int, total: int) -> None:
        job.progress("seeds", done, total, {})

    images.set_seeds(shared_work(fabric, job.out / "seeds", keys, found, told))
    network.load_state_dict(trained.state_dict())


def _train_on_tags(
    job: Job, network: Embedder, images: TrainingImages, fabric: Fabric, fingerprint: str, interruption: Interruption
) -> Embedder:
    """The network with the averaged weights."""
    recipe, none = job.recipe, SelfTrainingConfig(mode="none")
    terms = {name: TermConfig(weight=1.0) for name in ("tags", "partial_cross_entropy", "propagated_cross_entropy")}
    if (propagated := recipe.objective.get("propagated_cross_entropy")) is not None:
        terms["propagated_cross_entropy"] = propagated.model_copy(update={"weight": 1.0})
    own = recipe.model_copy(update={"iterations": recipe.tags.iterations, "objective": terms, "self_training": none})
    state = new_state(network, own, images.dataset.background, fabric)
    history: list[dict[str, float]] = []
    path = job.out / "tags.pt"
    if job.resume and path.exists():
        history = restore(read_checkpoint(path, fingerprint), state)

    def report(step: int, values: dict[str, float]) -> None:
        history.append({"iteration": step, **values})
        if (step + 1) % LOG_EVERY == 0:
            log.info("tags, iteration %d of %d: total %.4f", step + 1, own.iterations, values["total"])
        job.progress("tags", step + 1, own.iterations, values)

    if state.step < own.iterations:
        decode(images, own.data.num_workers, lambda done, total: job.progress("decode", done, total, {}))
    train_until(
        own.iterations, state, images, own, fabric, interruption, report,
        lambda: save_checkpoint(path, state, fingerprint, history),
    )  # fmt: skip
    return state.average.network


def unlocalized(images: TrainingImages) -> list[str]:
    """Images with complete tags and a class without a localized hint.

    A background alone without a localized hint does not count, as long as other images show what it is.
    """
    background = images.dataset.background
    always = {background} if background is not None else set()
    found: dict[str, frozenset[int]] = {}
    shown: set[int] = set()
    for key in images.keys:
        hints = images.hints(key)
        localized = hints.localized()
        shown |= localized
        named = hints.classes()
        missing = (named | always) - localized
        is_told = hints.tags_exhaustive and (hints.verified_classes is None or named <= hints.verified_classes)
        if is_told and named and missing:
            found[key] = missing
    foreground = any(missing - always for missing in found.values())
    return list(found) if foreground or not always <= shown else []


@torch.no_grad()
def pixel_scores(network: Embedder, image: NDArray[np.uint8]) -> Tensor:
    """(C, h, w) logits averaged over scales and mirror images, at `SOFT_STRIDE`."""
    pixels = to_tensor(image, network)
    total = torch.zeros((), device=pixels.device)
    for scale in SCALES:
        resized = pixels
        if scale != 1:
            resized = F.interpolate(pixels, scale_factor=scale, mode="bilinear", align_corners=False)
        for mirrored in (False, True):
            logits = network(resized.flip(3) if mirrored else resized).logits
            logits = logits.flip(3) if mirrored else logits
            total = total + resize(logits, coarse_size(image.shape[:2], SOFT_STRIDE))[0]
    return (total / (2 * len(SCALES))).cpu()


def tagged_probabilities(
    scores: Tensor, target: PseudoLabels, background: int | None, recipe: Recipe, pixels: bool
) -> Tensor:
    """Pixel scores of one image → (T, h, w) probabilities of the classes that may be there, summing to one.

    Args:
        scores: (C, h, w) logits.
        pixels: whether the network also learned from labeled pixels; then its softmax is worth more than
            its activations.
    """
    classes = np.flatnonzero(target.candidate_classes)
    if pixels:
        return scores[classes].softmax(dim=0)
    power = recipe.tags.background_score_power
    if power is None:
        values = scores[classes].double()
        values[classes == background] = LEVEL
        found = balanced(values.softmax(dim=0), 1.0, expected_fractions(classes, background)).float()
        activation_maps = np.sqrt(found.numpy())  # overconfident
        activation_maps[classes == background] *= boundary_prior_odds(
            activation_maps.shape[1:], recipe.tags.boundary_prior
        )
    else:
        activation_maps = activations(scores.numpy(), target.candidate_classes, background, power)[classes] + 1e-3
    return torch.from_numpy(activation_maps / activation_maps.sum(axis=0))


def image_seeds(probabilities: Tensor, image: NDArray[np.uint8], target: PseudoLabels) -> NDArray[np.uint8]:
    """Probabilities of the classes that may be in an image, (T, h, w), → probable labels at its size."""
    classes = np.flatnonzero(target.candidate_classes)
    if target.possible is not None:
        possible = torch.from_numpy(target.possible[classes]).float()
        probabilities = probabilities * F.adaptive_max_pool2d(possible[None], probabilities.shape[1:])[0]
        probabilities = probabilities / probabilities.sum(dim=0, keepdim=True).clamp_min(1e-12)
    if len(classes) > 1:
        probabilities = coarse_crf(image, probabilities, SOFT_STRIDE)
    full = torch.zeros(len(target.candidate_classes), *target.labels.shape)
    full[classes] = resize(probabilities[None], target.labels.shape)[0]
    return seeds(full.numpy(), target.seeds, CONFIDENCE)


def _find(network: Embedder, images: TrainingImages, key: str, recipe: Recipe, pixels: bool) -> NDArray[np.uint8]:
    image, target = images.target(key)
    background = images.dataset.background
    probabilities = tagged_probabilities(pixel_scores(network, image), target, background, recipe, pixels)
    if pixels and not (target.seeds < UNLABELED).any():
        expected = expected_fractions(np.flatnonzero(target.candidate_classes), background)
        probabilities = balanced(probabilities, recipe.completion.class_prior_power, expected)
    return image_seeds(probabilities, image, target)
