"""Before the recipe's own training: where the classes are that an image is only known to contain.

A network learns the tags (and whatever pixels are hinted); its activation maps, made to agree on what looks alike in
all images and refined by a dense CRF, give seeds, which spread like hints. Its weights are where the recipe's training
starts.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from hintseg.config import Recipe, StageTwoConfig, TagsConfig, TermConfig
from hintseg.hints.labels import UNLABELLED
from hintseg.inference.completion import balanced
from hintseg.network.embedder import Embedder
from hintseg.propagation.dense_crf import dense_crf
from hintseg.targets.activation import activations, balanced_shares, border_odds, expected_shares, seeds
from hintseg.targets.target import WeakTarget
from hintseg.targets.words import TaggedCells, explained, word_table
from hintseg.training.augment import SOFT_STRIDE
from hintseg.training.checkpoint import read_checkpoint, restore, save_checkpoint
from hintseg.training.data import TrainingImages
from hintseg.training.loading import decode
from hintseg.training.loop import new_state, train_steps
from hintseg.training.processes import shared_work
from hintseg.training.words import LEAST_CLAIM, Words, leave_open
from hintseg.writing import kept_arrays

log = logging.getLogger("hintseg")
LOG_EVERY = 20


def place_tags(
    out: Path, network: Embedder, images: TrainingImages, recipe: Recipe, fabric: Fabric, fingerprint: str,
    resume: bool, progress: Callable[[str, int, int, dict[str, float]], None], words: Words | None = None,
) -> None:  # fmt: skip
    """Train `network` on tags and plant seeds into `images`; nothing where every class is pointed at.

    Args:
        out: run folder; `tags.pt` and `seeds/` are written there, and read back when resuming.
        network: trained in place; ends with the averaged weights.
        words: of the images, where seeds are to agree on what looks alike.
    """
    keys = unplaced(images)
    if not keys or recipe.tags.iterations == 0:
        return
    iterations = classifier_iterations(recipe, len(images.keys))
    log.info("%d images have classes that nothing points at: %d iterations on tags first", len(keys), iterations)
    terms = {name: TermConfig(weight=1.0) for name in ("tags", "partial_cross_entropy", "spread")}
    if "spread" in recipe.objective:
        spread = recipe.objective["spread"]
        terms["spread"] = terms["spread"].model_copy(update={"balance": spread.balance, "fading": spread.fading})
    own = recipe.model_copy(
        update={
            "iterations": iterations,
            "objective": terms,
            "stage_two": StageTwoConfig(kind="none"),
            "data": recipe.data.model_copy(update={"wait": False}),
        }
    )
    state = new_state(network, own, images.dataset.background, fabric)
    history: list[dict[str, float]] = []
    path = out / "tags.pt"
    if resume and path.exists():
        history = restore(read_checkpoint(path, fingerprint), state)

    def report(step: int, values: dict[str, float]) -> None:
        history.append({"iteration": step, **values})
        if (step + 1) % LOG_EVERY == 0:
            log.info("tags, iteration %d of %d: total %.4f", step + 1, own.iterations, values["total"])
        progress("tags", step + 1, own.iterations, values)

    if state.step < own.iterations:
        decode(images, own.data.workers, lambda done, total: progress("decode", done, total, {}))
    while state.step < own.iterations:
        stop = min((state.step // own.checkpoint_every + 1) * own.checkpoint_every, own.iterations)
        train_steps(state, images, own, stop, fabric, None, report)
        if fabric.is_global_zero:
            save_checkpoint(path, state, fingerprint, history)
        fabric.barrier()
    trained = state.average.network
    pixels = any((images.sample(key).labels < UNLABELLED).any() for key in images.keys)
    shares: dict[str, NDArray[np.float32]] = {}
    if words is not None and recipe.tags.claims == "balanced" and not pixels:
        shares = _agreed_shares(out, trained, images, keys, words, recipe, fabric, progress)

    def found(key: str, path: Path) -> NDArray[np.uint8]:
        return kept_arrays(path, ["labels"], lambda: [_find(trained, images, key, recipe, pixels, shares.get(key))])[0]

    images.plant(
        shared_work(fabric, _paths(out / "seeds", keys), found, lambda done, total: progress("seeds", done, total, {}))
    )
    network.load_state_dict(trained.state_dict())


def classifier_iterations(recipe: Recipe, images: int) -> int:
    """Of the tag classifier: few enough that an image is looked at `tags.epochs` times, but for `tags.least`."""
    config = recipe.tags
    if config.epochs == 0:
        return config.iterations
    return min(config.iterations, max(round(config.epochs * images / recipe.data.batch), config.least, 1))


def _paths(folder: Path, keys: list[str]) -> dict[str, Path]:
    return {key: folder / f"{number:07d}.npz" for number, key in enumerate(keys)}


def unplaced(images: TrainingImages) -> list[str]:
    """Images with complete tags and a class that nothing points at.

    A background alone that nobody pointed at does not count, as long as other images show what it is. With
    `data.wait` no class counts that a hint of another image points at.
    """
    background = images.dataset.background
    always = {background} if background is not None else set()
    found: dict[str, frozenset[int]] = {}
    shown: set[int] = set()
    for key in images.keys:
        hints = images.hints(key)
        placed = hints.placed()
        shown |= placed
        missing = (hints.classes() | always) - placed
        if hints.tags_complete and hints.looked_for is None and hints.classes() and missing:
            found[key] = missing
    if images.config.wait:
        found = {key: missing - shown for key, missing in found.items() if missing - shown}
    foreground = any(missing - always for missing in found.values())
    return list(found) if foreground or not always <= shown else []


@torch.no_grad()
def pixel_scores(network: Embedder, image: NDArray[np.uint8], scales: tuple[float, ...]) -> Tensor:
    """(C, h, w) logits averaged over scales and mirror images, at `SOFT_STRIDE`."""
    size = (max(image.shape[0] // SOFT_STRIDE, 1), max(image.shape[1] // SOFT_STRIDE, 1))
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    pixels = pixels.to(network.mean.device)
    total = torch.zeros((), device=pixels.device)
    for scale in scales:
        resized = pixels
        if scale != 1:
            resized = F.interpolate(pixels, scale_factor=scale, mode="bilinear", align_corners=False)
        for mirrored in (False, True):
            logits = network(resized.flip(3) if mirrored else resized).logits
            logits = logits.flip(3) if mirrored else logits
            total = total + F.interpolate(logits, size=size, mode="bilinear", align_corners=False)[0]
    return (total / (2 * len(scales))).cpu()


def _agreed_shares(
    out: Path, trained: Embedder, images: TrainingImages, keys: list[str], words: Words, recipe: Recipe,
    fabric: Fabric, progress: Callable[[str, int, int, dict[str, float]], None],
) -> dict[str, NDArray[np.float32]]:  # fmt: skip
    """KEY → (T, h, w) shares of the tagged classes after all images agreed on what looks alike."""
    background = images.dataset.background

    def claims(key: str, path: Path) -> TaggedCells:
        return TaggedCells(*kept_arrays(path, TaggedCells._fields, lambda: claimed(key)))

    def claimed(key: str) -> TaggedCells:
        image, target = images.target(key)
        scores = pixel_scores(trained, image, recipe.tags.scales)
        shares = tagged_shares(scores, target, background, recipe, pixels=False)
        seen = words.cells[key].words
        return TaggedCells(
            np.flatnonzero(target.allowed).astype(np.uint8),
            F.adaptive_avg_pool2d(shares, seen.shape).numpy().astype(np.float16),
            seen,
        )

    found = shared_work(
        fabric, _paths(out / "claims", keys), claims, lambda done, total: progress("claims", done, total, {})
    )
    expected = {
        key: expected_shares(cells.classes, background, recipe.completion.background) for key, cells in found.items()
    }
    table = word_table(list(found.values()), words.size, images.num_classes, expected=list(expected.values()))
    shares = {key: explained(cells, table, expected=expected[key]) for key, cells in found.items()}
    leave_open(images, {key: cells._replace(claims=shares[key]) for key, cells in found.items()}, words.size)
    return shares


def tagged_shares(scores: Tensor, target: WeakTarget, background: int | None, recipe: Recipe, pixels: bool) -> Tensor:
    """Pixel scores of one image → (T, h, w) shares of the classes that may be there, summing to one.

    Args:
        scores: (C, h, w) logits.
        pixels: whether the network also learned from labelled pixels; then its softmax is worth more than
            its activations.
    """
    classes = np.flatnonzero(target.allowed)
    if pixels:
        return scores[classes].softmax(dim=0)
    config, share = recipe.tags, recipe.completion.background
    if config.claims == "balanced":
        claims = balanced_shares(scores.numpy(), target.allowed, background, config.level, share)[classes]
        claims = np.sqrt(claims)  # the classifier is surer than it is right
        claims[classes == background] *= border_odds(claims.shape[1:], config.border)
    else:
        claims = activations(scores.numpy(), target.allowed, background, config.power)[classes] + 1e-3
    return torch.from_numpy(claims / claims.sum(axis=0))


def image_seeds(shares: Tensor, image: NDArray[np.uint8], target: WeakTarget, config: TagsConfig) -> NDArray[np.uint8]:
    """Shares of the classes that may be in an image, (T, h, w), → probable labels at its size."""
    classes = np.flatnonzero(target.allowed)
    if target.possible is not None:
        where = F.adaptive_max_pool2d(torch.from_numpy(target.possible[classes]).float()[None], shares.shape[1:])[0]
        shares = shares * where
        shares = shares / shares.sum(dim=0, keepdim=True).clamp_min(1e-12)
    if len(classes) > 1:
        small = F.adaptive_avg_pool2d(
            torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float(), (shares.shape[1], shares.shape[2])
        )
        refined = dense_crf(small.permute(1, 2, 0), shares, bilateral_sxy=67 / SOFT_STRIDE)
        shares = torch.as_tensor(refined)
    full = torch.zeros(len(target.allowed), *target.labels.shape)
    full[classes] = F.interpolate(shares[None], size=target.labels.shape, mode="bilinear", align_corners=False)[0]
    return seeds(full.numpy(), target.likely, config.confidence)


def _find(
    network: Embedder, images: TrainingImages, key: str, recipe: Recipe, pixels: bool,
    agreed: NDArray[np.float32] | None,
) -> NDArray[np.uint8]:  # fmt: skip
    image, target = images.target(key)
    if agreed is None:
        scores = pixel_scores(network, image, recipe.tags.scales)
        shares = tagged_shares(scores, target, images.dataset.background, recipe, pixels)
        if pixels and not (target.likely < UNLABELLED).any():
            expected = expected_shares(
                np.flatnonzero(target.allowed), images.dataset.background, recipe.completion.background
            )
            shares = balanced(shares, recipe.completion.balance, expected)
    else:
        size = [max(side // SOFT_STRIDE, 1) for side in image.shape[:2]]
        claims = np.sqrt(agreed) + LEAST_CLAIM
        shares = torch.from_numpy(claims / claims.sum(axis=0))
        shares = F.interpolate(shares[None], size=size, mode="bilinear", align_corners=False)[0]
    return image_seeds(shares, image, target, recipe.tags)
