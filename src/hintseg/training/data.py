"""Dataset → decoded images with targets and superpixels.

They stay in memory (compactly), superpixels also on disk.
"""

import copy
import dataclasses
import hashlib
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hintseg.config.schema import DataConfig, LabelPropagationConfig
from hintseg.errors import TrainingError
from hintseg.functional.segments.superpixels import partitions, resized_contours
from hintseg.hints.dataset import Dataset
from hintseg.hints.digest import pixel_digest
from hintseg.hints.held import pack, unpack
from hintseg.hints.model import ImageHints
from hintseg.hints.types.boxes import Box
from hintseg.io.images import resize_longest_side
from hintseg.io.samples import DecodedImage
from hintseg.io.writing import cached_arrays
from hintseg.pseudo_labels.grabcut import box_seeds
from hintseg.pseudo_labels.pipeline import pseudo_labels
from hintseg.pseudo_labels.propagate import propagated
from hintseg.pseudo_labels.target import PseudoLabels, reduce_labels
from hintseg.training.augment import Sample


class TrainingImages:
    """Decoded training images with their targets.

    Hints are read once and stay as they were. Images are read more than once; one that has other pixels than
    `digests` says is refused, so that no run learns from two versions of an image.

    Args:
        dataset, keys, hint_types: which images and which of their hints.
        config: data section of the recipe.
        cache: folder for superpixels.
        digests: KEY → `pixel_digest` of the image; those without one are not compared.
        superpixels: about this many, over which labels are propagated; 0: they are not.
    """

    def __init__(
        self,
        dataset: Dataset,
        keys: Sequence[str],
        hint_types: Sequence[str],
        config: DataConfig,
        cache: Path,
        digests: Mapping[str, str] | None = None,
        superpixels: int = LabelPropagationConfig().superpixels,
    ) -> None:
        self.dataset = dataset
        self.keys = tuple(keys)
        self.hint_types = tuple(hint_types)
        self.config = config
        self.cache = cache
        self.digests = digests or {}
        self.superpixels = superpixels
        self.num_classes = len(dataset.classes)
        self._samples: dict[str, Sample] = {}
        self._hints: dict[str, ImageHints] = {}
        self._seeds: dict[str, NDArray[np.uint8]] = {}

    def set_seeds(self, seeds: dict[str, NDArray[np.uint8]]) -> None:
        """Probable labels to propagate from, by key, at the reduced size; in place of hints and of earlier ones."""
        for key in self._seeds.keys() | seeds.keys():
            self._samples.pop(key, None)
        self._seeds.clear()  # in place: `only` shares them
        self._seeds.update(seeds)

    def only(self, keys: Collection[str]) -> "TrainingImages":
        """Some of these images; what is known of them is shared."""
        twin = copy.copy(self)
        twin.keys = tuple(key for key in self.keys if key in keys)
        twin.__dict__.pop("localized", None)
        return twin

    @cached_property
    def localized(self) -> list[str]:
        """Images in which a class has a localized hint."""
        return [key for key in self.keys if self.hints(key).localized()]

    def hints(self, key: str) -> ImageHints:
        """The image's hints as they were when first asked for."""
        if key not in self._hints:
            self._hints[key] = pack(self.dataset.hints(key, self.hint_types))
        return unpack(self._hints[key])

    def sample(self, key: str) -> Sample:
        """Decode an image, or take it from memory."""
        if key not in self._samples:
            self._samples[key] = self._read(key)
        return self._samples[key]

    def missing(self) -> list[str]:
        """Images that `sample` would have to decode."""
        return [key for key in self.keys if key not in self._samples]

    def keep(self, key: str, sample: Sample) -> None:
        """What `sample` gave of this image in another process."""
        self._samples[key] = sample

    def image(self, key: str) -> NDArray[np.uint8]:
        """(H, W, 3) at the size of `target`."""
        return resize_longest_side(self._decoded(key).pixels, self.config.longest_side)

    def _decoded(self, key: str) -> DecodedImage:
        decoded = self.dataset.decoded(key)
        if key in self.digests and pixel_digest(decoded, self.dataset.contours(key)) != self.digests[key]:
            raise TrainingError(
                f"{self.dataset.path(key)}: the image (or its contours, or its no-data mask) changed while the run "
                "trained; put back what was there and go on with --resume, or train a new run with another --out."
            )
        return decoded

    def target(self, key: str) -> tuple[NDArray[np.uint8], PseudoLabels]:
        """Image and whole weak target, reduced alike; made anew, since what is possible where takes much memory."""
        decoded = self._decoded(key)
        labels = pseudo_labels(decoded, self.hints(key), self.num_classes, self.config.point_radius, self._in_boxes)
        return reduce_labels(decoded.pixels, labels, self.config.longest_side)

    def _in_boxes(self, image: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.uint8]:
        """`box_seeds`, from disk where they lie there."""
        drawn = np.array([dataclasses.astuple(box) for box in boxes])
        path = self.cache / _named_after(f"boxes{image.shape}".encode() + drawn.tobytes() + image.tobytes())
        return cached_arrays(path, ["seeds"], lambda: [box_seeds(image, boxes)], image.shape[:2])[0]

    def propagation_superpixels(self, key: str, image: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """(H, W) superpixels of `target`'s image over which its hints are propagated."""
        return self._partitions(key, image)[1]

    def _read(self, key: str) -> Sample:
        image, target = self.target(key)
        regions, fine = self._partitions(key, image)
        labels = target.labels
        if self.superpixels > 0:
            labels = propagated(image, target, fine, self._seeds.get(key))
        return Sample(image, target.labels, regions, target.candidate_classes, target.present_classes, labels)

    def _partitions(self, key: str, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Superpixels for segments and for label propagation, from disk where they lie there."""
        counts = self.config.num_superpixels, max(self.superpixels, 2)
        contours = resized_contours(self.dataset.contours(key), image.shape[:2])
        told = b"" if contours is None else contours.tobytes()
        content = f"{image.shape}watershed{counts}".encode() + image.tobytes() + told
        path = self.cache / _named_after(content)
        size = image.shape[:2]
        coarse, fine = cached_arrays(path, ["coarse", "fine"], lambda: partitions(image, counts, contours), size)
        return coarse, fine


def _named_after(content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()[:24]}.npz"
