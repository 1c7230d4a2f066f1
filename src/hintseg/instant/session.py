"""Masks that learn while hints are drawn: features once, a head refitted after every change."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hintseg.errors import ConfigError, InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.forms.registry import FORMS
from hintseg.hints.labels import UNLABELLED
from hintseg.inference.device import pick_device
from hintseg.inference.prediction import without_data
from hintseg.inference.refine import refined
from hintseg.instant.features import FEATURES_LIMIT, FeatureStore, scale_for
from hintseg.instant.head import LabelledPixels, draw_pixels, fit_head, gathered
from hintseg.io.images import read_image_size, resize_nearest
from hintseg.memory_errors import memory_explained
from hintseg.network.embedder import Embedder
from hintseg.network.heads import resize
from hintseg.network.tta import enlarged_argmax
from hintseg.recipes.instant import INSTANT
from hintseg.training.data import TrainingImages

# Nobody should have to wait for a fit: it takes fewer pixels than a run's, and no pseudo-labels.
STEPS, BATCH_SIZE, PIXELS_PER_IMAGE = 100, 512, 200
CRF_STRIDE = 2  # pixels per node of a mask's CRF along each side
TRUST = 0.9  # probability of its class that the CRF starts from in a superpixel that a hint touches


class Session:
    """A head on frozen features, fitted to the hints of a data set whenever they change.

    Hints that are still being drawn never say that a class is absent: `Dataset.tags_complete` is ignored. One thread at
    a time may use a session. It writes nothing but cached features and superpixels.

    Args:
        dataset: images and hints.
        cache: folder for features and superpixels, which runs and sessions on the same images share.
        forms: of the hints that are read.
        weights: of the backbone: "auto", "timm", or a file.
        device: "auto", "cpu", "cuda", …
        seed: of the head's first weights and of the choice of pixels.

    Raises:
        ConfigError: weights "none".
        WeightsError: no weights can be had.
    """

    def __init__(
        self, dataset: Dataset, cache: Path, *, forms: Sequence[str] = tuple(FORMS), weights: str = "auto",
        device: str = "auto", seed: int = 0,
    ) -> None:  # fmt: skip
        if weights == "none":
            raise ConfigError("the instant engine needs a pretrained backbone: use --weights auto or a file.")
        self.cache = cache
        self.forms = tuple(forms)
        self.seed = seed
        self._weights, self._device = weights, pick_device(device)
        self._begin(dataset)

    def _begin(self, dataset: Dataset) -> None:
        self.dataset = replace(dataset, tags_complete=False)
        self.network = Embedder(INSTANT.network, max(len(dataset.classes), 1), self._weights).to(self._device).eval()
        scale = scale_for(max(map(_longest_side, dataset.paths.values()), default=0), INSTANT)
        self.store = FeatureStore(self.cache / "features", self.network, scale, FEATURES_LIMIT)
        self._pixels: dict[str, LabelledPixels] = {}

    def change(self, dataset: Dataset, keys: Iterable[str]) -> None:
        """Take the data set as it is now.

        Args:
            dataset: opened anew.
            keys: images whose hints changed; where classes or images did, everything is read again.
        """
        if (dataset.classes, dataset.paths) != (self.dataset.classes, self.dataset.paths):
            self._begin(dataset)
            return
        self.dataset = replace(dataset, tags_complete=False)
        for key in keys:
            self._pixels.pop(key, None)

    def prepare(self, key: str) -> None:
        """Compute what is cached of an image, so that a fit or a mask need not wait for it.

        Raises:
            InputError: the image or its hints cannot be read.
        """
        self._labelled(key)

    def fit(self, keys: Iterable[str]) -> bool:
        """Fit the head to the hints of these images; False, and nothing changes, where they label no pixel.

        Raises:
            InputError: an image or its hints cannot be read.
        """
        parts = [part for key in keys if len((part := self._labelled(key)).labels)]
        if parts:
            fit_head(self.network, gathered(parts), STEPS, self.seed, BATCH_SIZE)
        return bool(parts)

    @torch.no_grad()
    def mask(self, key: str) -> NDArray[np.uint8]:
        """(H, W) uint8 classes of an image by the head as it is.

        A hint holds where it is, and has most of a say in the superpixels that it touches.

        Raises:
            InputError: the image or its hints cannot be read.
        """
        picture, images = self.dataset.picture(key), self._images(key)
        image, target = images.target(key)
        probabilities = resize(self.store.maps(image).logits[None].cpu(), image.shape[:2])[0]
        possible = target.allowed[:, None, None] if target.possible is None else target.possible
        probabilities *= torch.from_numpy(possible)
        touched = _touched(target.labels, images.propagation_superpixels(key, image), len(probabilities))
        rows, columns = np.nonzero(touched < len(probabilities))
        probabilities[:, rows, columns] *= 1 - TRUST
        probabilities[touched[rows, columns], rows, columns] += TRUST
        probabilities /= probabilities.sum(dim=0).clamp_min(1e-9)
        mask = enlarged_argmax(refined(image, probabilities, CRF_STRIDE), picture.pixels.shape[:2])
        labels = resize_nearest(target.labels, mask.shape)
        return without_data(np.where(labels < UNLABELLED, labels, mask), picture.valid)

    def _images(self, key: str) -> TrainingImages:
        return TrainingImages(self.dataset, (key,), self.forms, INSTANT.data, self.cache)

    def _labelled(self, key: str) -> LabelledPixels:
        """Labelled pixels of an image with their features; kept until its hints change."""
        if key not in self._pixels:
            images, random = self._images(key), np.random.default_rng(self.seed)
            with memory_explained(key, "reduce the image, or cut it into tiles"):
                image, labels = images.image(key), images.sample(key).propagated
                self._pixels[key] = draw_pixels(
                    self.store.pyramid(image), labels, images.num_classes, PIXELS_PER_IMAGE,
                    self.store.extent(image), random,
                )  # fmt: skip
        return self._pixels[key]


def _longest_side(path: Path) -> int:
    try:
        return max(read_image_size(path))
    except InputError:  # said when the image is asked for
        return 0


def _touched(labels: NDArray[np.uint8], regions: NDArray[np.integer] | None, num_classes: int) -> NDArray[np.int64]:
    """(H, W): the class of the superpixels that hints of one class alone touch, num_classes elsewhere."""
    if regions is None:
        return np.minimum(labels, num_classes).astype(np.int64)
    hinted = labels < num_classes
    touches = np.zeros((int(regions.max()) + 1, num_classes), bool)
    touches[regions[hinted], labels[hinted]] = True
    of_region = np.where(touches.sum(axis=1) == 1, touches.argmax(axis=1), num_classes)
    return of_region[regions]
