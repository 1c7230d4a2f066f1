"""Masks that learn while hints are drawn: features once, a head refitted after every change."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hintseg.errors import ConfigError, InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import UNLABELED
from hintseg.hints.types.registry import HINT_TYPES
from hintseg.inference.device import pick_device
from hintseg.inference.prediction import refined, without_data
from hintseg.instant.features import FEATURES_LIMIT, FeatureStore, scale_for
from hintseg.instant.head import LabeledPixels, draw_pixels, fit_head, gathered
from hintseg.io.images import read_image_size, resize_nearest
from hintseg.memory_errors import memory_explained
from hintseg.network.embedder import Embedder
from hintseg.network.heads import resize
from hintseg.network.tta import enlarged_argmax
from hintseg.pseudo_labels.near import touched
from hintseg.pseudo_labels.target import PseudoLabels
from hintseg.recipes.instant import INSTANT
from hintseg.training.data import TrainingImages

# Nobody should have to wait for a fit: it takes fewer pixels than a run's, and no pseudo-labels.
STEPS, BATCH_SIZE, PIXELS_PER_IMAGE = 100, 512, 200
CRF_STRIDE = 2  # pixels per node of a mask's CRF along each side
TRUST = 0.9  # probability of its class that the CRF starts from in a superpixel that a hint touches


class Session:
    """A head on frozen features, fitted to the hints of a data set whenever they change.

    Hints that are still being drawn never make a class absent: `Dataset.tags_exhaustive` is ignored. One thread at a
    time may use a session. It writes nothing but cached features and superpixels. Its methods raise
    InputError where an image or its hints cannot be read.

    Args:
        dataset: images and hints.
        cache: folder for features and superpixels, which runs and sessions on the same images share.
        hint_types: of the hints that are read.
        weights: of the backbone: "auto", "timm", or a file.
        device: "auto", "cpu", "cuda", …
        seed: of the head's first weights and of the choice of pixels.

    Raises:
        ConfigError: weights "none".
        WeightsError: no weights can be had.
    """

    def __init__(
        self, dataset: Dataset, cache: Path, *, hint_types: Sequence[str] = tuple(HINT_TYPES), weights: str = "auto",
        device: str = "auto", seed: int = 0,
    ) -> None:  # fmt: skip
        if weights == "none":
            raise ConfigError("the instant engine needs a pretrained backbone: use --weights auto or a file.")
        self.cache = cache
        self.hint_types = tuple(hint_types)
        self.seed = seed
        self._weights, self._device = weights, pick_device(device)
        self._begin(dataset)

    def _begin(self, dataset: Dataset) -> None:
        self.dataset = replace(dataset, tags_exhaustive=False)
        self.network = Embedder(INSTANT.network, max(len(dataset.classes), 1), self._weights).to(self._device).eval()
        scale = scale_for(max(map(_longest_side, dataset.paths.values()), default=0), INSTANT)
        self.store = FeatureStore(self.cache / "features", self.network, scale, FEATURES_LIMIT)
        self._pixels: dict[str, LabeledPixels] = {}

    def change(self, dataset: Dataset, keys: Iterable[str]) -> None:
        """Take the data set as it is now.

        Args:
            dataset: opened anew.
            keys: images whose hints changed; where classes or images did, everything is read again.
        """
        if (dataset.classes, dataset.paths) != (self.dataset.classes, self.dataset.paths):
            self._begin(dataset)
            return
        self.dataset = replace(dataset, tags_exhaustive=False)
        for key in keys:
            self._pixels.pop(key, None)

    def prepare(self, key: str) -> None:
        """Compute what is cached of an image, so that a fit or a mask need not wait for it."""
        self._labeled(key)

    def fit(self, keys: Iterable[str]) -> bool:
        """Fit the head to the hints of these images; False, and nothing changes, where they label no pixel."""
        parts = [part for key in keys if len((part := self._labeled(key)).labels)]
        if parts:
            fit_head(self.network, gathered(parts), STEPS, self.seed, BATCH_SIZE)
        return bool(parts)

    @torch.no_grad()
    def mask(self, key: str) -> NDArray[np.uint8]:
        """(H, W) uint8 classes of an image by the head as it is.

        A hint holds where it is, and has most of a say in the superpixels that it touches.
        """
        decoded = self.dataset.decoded(key)
        image, target, probabilities = self._probabilities(key)
        mask = enlarged_argmax(refined(image, probabilities, CRF_STRIDE), decoded.pixels.shape[:2])
        labels = resize_nearest(target.labels, mask.shape)
        return without_data(np.where(labels < UNLABELED, labels, mask), decoded.valid)

    @torch.no_grad()
    def probabilities(self, key: str) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """(C, h, w) class probabilities of a reduced image before the CRF, and (h, w) uint8 its hints."""
        _, target, probabilities = self._probabilities(key)
        return probabilities.numpy(), target.labels

    def _probabilities(self, key: str) -> tuple[NDArray[np.uint8], PseudoLabels, torch.Tensor]:
        """The reduced image, its hints, and what the head makes of it with them."""
        images = self._images(key)
        image, target = images.target(key)
        probabilities = resize(self.store.maps(image).logits[None].cpu(), image.shape[:2])[0]
        possible = target.candidate_classes[:, None, None] if target.possible is None else target.possible
        probabilities *= torch.from_numpy(possible)
        of_hints = touched(target.labels, images.propagation_superpixels(key, image), len(probabilities))
        rows, columns = np.nonzero(of_hints < len(probabilities))
        probabilities[:, rows, columns] *= 1 - TRUST
        probabilities[of_hints[rows, columns], rows, columns] += TRUST
        probabilities /= probabilities.sum(dim=0).clamp_min(1e-9)
        return image, target, probabilities

    def _images(self, key: str) -> TrainingImages:
        return TrainingImages(self.dataset, (key,), self.hint_types, INSTANT.data, self.cache)

    def _labeled(self, key: str) -> LabeledPixels:
        """Labeled pixels of an image with their features; kept until its hints change."""
        if key not in self._pixels:
            images, random = self._images(key), np.random.default_rng(self.seed)
            with memory_explained(key, "reduce the image, or cut it into tiles"):
                sample = images.sample(key)
                self._pixels[key] = draw_pixels(
                    self.store.pyramid(sample.image), sample.propagated, images.num_classes, PIXELS_PER_IMAGE,
                    self.store.extent(sample.image), random,
                )  # fmt: skip
        return self._pixels[key]


def _longest_side(path: Path) -> int:
    try:
        return max(read_image_size(path))
    except InputError:  # said when the image is asked for
        return 0
