"""Segmenter: a trained run, ready to predict, complete and retrieve."""

import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import ValidationError

from hintseg.config.aliases import METHODS, current_choice
from hintseg.config.schema import InferenceConfig
from hintseg.errors import ConfigError, RunError
from hintseg.hints.classes import ClassMap, match_classes
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import UNLABELED
from hintseg.hints.model import ImageHints
from hintseg.hints.stretch import lost_contrast
from hintseg.inference.device import pick_device
from hintseg.inference.prediction import Seen, check_image, class_probabilities, without_data
from hintseg.inference.retrieval import Neighbor, SegmentIndex, bank_path, load_index, nearest_to_click, require_click
from hintseg.inference.run_config import RunConfig
from hintseg.io.images import ImageLike, decode_image, resize_longest_side, resize_nearest
from hintseg.io.pil_images import decode_array
from hintseg.io.pillow import has_bands
from hintseg.io.samples import BandSelection, DecodedImage
from hintseg.io.storage.files import local_file
from hintseg.io.storage.mirror import fetch
from hintseg.network import tta
from hintseg.network.embedder import Embedder, Network
from hintseg.network.heads import resize
from hintseg.network.onnx import digest, exported_network
from hintseg.network.tta import enlarged_argmax, image_maps, tiled_argmax, tiled_mean
from hintseg.network.weights import load_fitting
from hintseg.pseudo_labels.complete import complete_image, completion_maps
from hintseg.pseudo_labels.pipeline import pseudo_labels
from hintseg.pseudo_labels.target import PseudoLabels, reduce_labels

TILE_OVERLAP = 128
log = logging.getLogger("hintseg")


class Segmenter:
    """A trained network with its memory bank.

    Its methods raise InputError where an image or its hints cannot be read, or name a class that the run never learned.

    Example: `Segmenter.open("runs/a").predict(image)`
    """

    def __init__(self, network: Network, description: RunConfig, run: Path) -> None:
        self.network = network
        self.description = description
        self.run = run
        self.recipe = description.recipe
        self.classes = description.classes
        self.data: Dataset | str | Path | None = None  # of training, as the caller names it
        self._warned: set[str] = set()

    @classmethod
    def open(
        cls, run: str | Path, device: str = "auto", engine: Literal["torch", "onnx"] = "torch",
        data: Dataset | str | Path | None = None,
    ) -> Self:  # fmt: skip
        """Load a run folder.

        Args:
            run: its path, or a URL, which is copied into the cache first.
            engine: who runs the network; "onnx" writes RUN/network.onnx first where it is absent or of other weights.
            data: the data set it was trained on; None: the local folder that the run names, see `dataset`.

        Raises:
            ConfigError: the engine, or the package for the URL's scheme, is not installed.
            RunError: no run, or training has not finished.
            WeightsError: weights are damaged.
        """
        run = fetch(run)
        description = RunConfig.load(run / "run.json")
        weights = run / "weights.safetensors"
        if not weights.exists():
            raise RunError(f"{run}: training has not finished; go on with hintseg train … --out {run} --resume.")
        network = load_fitting(weights, lambda: Embedder(description.recipe.network, len(description.classes)))
        network.to(pick_device(device)).eval()
        if engine == "onnx":
            exported = exported_network(network.cpu(), run / "network.onnx", digest(weights), description.classes)
            segmenter = cls(exported, description, run)
        else:
            segmenter = cls(network, description, run)
        segmenter.data = data
        return segmenter

    @cached_property
    def index(self) -> SegmentIndex:
        """The memory bank; RunError where it is absent or damaged."""
        return load_index(bank_path(self.run), len(self.classes), len(self.description.keys))

    def decode_image(self, path: Path) -> DecodedImage:
        """An image as the training images were read, and which of its pixels hold data."""
        return self._shown(path, self.description.view)

    def decoded(self, dataset: Dataset, key: str) -> DecodedImage:
        """An image of a data set as the training images were read; what its dataset.json states comes first."""
        view = self.description.view
        if dataset.view.stated:
            view = dataset.view._replace(stretch=view.stretch)
        return self._shown(dataset.path(key), view)

    def _shown(self, path: Path, view: BandSelection) -> DecodedImage:
        decoded = decode_image(path, view)
        if view.bands and "bands" not in self._warned and not has_bands(path):
            channels = f"not by the channels {list(view.bands)} of the run; further ones are not named."
            self.warn_once(f"{path.name} is shown as it is, {channels}", "bands")
        if "contrast" not in self._warned and lost_contrast(path, view, decoded):
            whose, advice = "the run", "convert it to the scale of the training images"
            if view.limits is not None:
                whose, advice = "the stated range", 'correct "range" in dataset.json'
            self.warn_once(
                f"{path.name} has almost no contrast after the stretch of {whose}, so its mask means little. Unless it "
                f"is empty, {advice}. Further ones are not named.",
                "contrast",
            )
        return decoded

    def warn_once(self, sentence: str, kind: str = "") -> None:
        """Log a warning unless this segmenter gave one of its kind; without a kind, the same."""
        if (once := kind or sentence) not in self._warned:
            self._warned.add(once)
            log.warning("%s", sentence, extra={"once": once})

    def predict_decoded(self, decoded: DecodedImage, config: InferenceConfig | None = None) -> NDArray[np.uint8]:
        """(H, W) uint8 class indices, `IGNORE_INDEX` where the image holds no data; see `predict`."""
        return without_data(self.predict(decoded.pixels, config), decoded.valid)

    def predict(self, image: ImageLike, config: InferenceConfig | None = None) -> NDArray[np.uint8]:
        """Segment an image of any size.

        Args:
            image: (H, W, 3) uint8 RGB, a PIL image, or the path or URL of a file, which is read as the training images
                were.
            config: how; default is the recipe's.

        Returns:
            (H, W) uint8 class indices; `IGNORE_INDEX` (255) where the image is transparent or its file holds no
            data.

        Raises:
            InputError: the file cannot be read, an array is not (H, W, 3) uint8, or a PIL image lacks what its file
                holds.
        """
        pixels, valid = self._read(image)
        return without_data(self.predict_configs(pixels, [config or self.recipe.inference])[0], valid)

    def _read(self, image: ImageLike) -> DecodedImage:
        if isinstance(image, str | Path):
            with local_file(str(image)) as path:
                return self.decode_image(path)
        return decode_array(image)

    def predict_configs(self, image: NDArray[np.uint8], configs: Sequence[InferenceConfig]) -> list[NDArray[np.uint8]]:
        """Segment an image in several ways; what they have in common is computed once.

        Args:
            image: (H, W, 3) uint8 RGB.
            configs: how; a mask each, (H, W) uint8 class indices.
        """
        check_image(image)
        size, masks = image.shape[:2], []
        seen: dict[tuple[int, ...], Seen] = {}
        for config in configs:
            small = self.as_in_training(image, config)
            tile, overlap = _tile_of(config)
            if max(small.shape[:2]) <= tile:
                probabilities = class_probabilities(self, small, config, seen.setdefault(small.shape, Seen()))
                masks.append(enlarged_argmax(probabilities, size))
            else:
                look = self._tile_by_tile(small, config)
                mask = tiled_argmax(look, len(self.classes), small.shape[:2], tile, overlap)
                masks.append(resize_nearest(mask, size))
        return masks

    def as_in_training(self, image: NDArray[np.uint8], config: InferenceConfig | None = None) -> NDArray[np.uint8]:
        """The image at the scale at which training saw its images; see `tta.at_training_scale`."""
        limit = (config or self.recipe.inference).longest_side
        if limit is not None:
            return resize_longest_side(image, limit) if limit else image
        self._warn_of_size(max(image.shape[:2]))
        return tta.at_training_scale(image, self.recipe.data.longest_side, self.description.largest)

    def _warn_of_size(self, side: int) -> None:
        largest = self.description.largest
        if 0 < 2 * largest < side and largest <= self.recipe.data.longest_side:
            self.warn_once(
                f"An image of {side} pixels is segmented in full size, but training saw no more than {largest}. That "
                "is right for a map of which it saw pieces. If larger images show the same, only finer, reduce them: "
                f"--longest-side {largest}.",
                "size",
            )

    def probabilities(self, image: ImageLike, config: InferenceConfig | None = None) -> NDArray[np.float32]:
        """(C, H, W) float32 class probabilities; see `predict`. Holds all classes of the whole image in memory."""
        config = config or self.recipe.inference
        image = self._read(image).pixels
        check_image(image)
        size, image = image.shape[:2], self.as_in_training(image, config)
        height, width = image.shape[:2]
        tile, overlap = _tile_of(config)
        if max(height, width) <= tile:
            return resize(class_probabilities(self, image, config)[None], size)[0].cpu().numpy()
        look = self._tile_by_tile(image, config)
        probabilities = tiled_mean(look, len(self.classes), (height, width), tile, overlap)
        return resize(torch.from_numpy(probabilities)[None], size)[0].numpy()

    def _tile_by_tile(
        self, image: NDArray[np.uint8], config: InferenceConfig
    ) -> Callable[[slice, slice], NDArray[np.float32]]:
        return lambda rows, columns: class_probabilities(self, image[rows, columns], config).cpu().numpy()

    def class_map(self, dataset: Dataset) -> ClassMap:
        """How this run's classes are numbered in a data set; what is not matched by name is logged once.

        Raises:
            InputError: their classes do not match, see `match_classes`.
        """
        found = match_classes(
            dataset.classes, self.classes, own_background=dataset.background, where=str(dataset.root),
            learned_background=self.description.background,
        )  # fmt: skip
        for note in found.notes:
            self.warn_once(note)
        return found

    def hints(self, dataset: Dataset, key: str, hint_types: Sequence[str] | None = None) -> ImageHints:
        """The hints of an image, numbered as this run's classes; hint_types None: those that it was trained on."""
        chosen = self.description.hint_types if hint_types is None else hint_types
        return self.class_map(dataset).run_hints(dataset.hints(key, chosen), f"{dataset.root}, image {key}")

    def complete(self, dataset: Dataset, key: str) -> NDArray[np.uint8]:
        """The dense mask of a hinted image: (H, W) uint8, with the numbers and classes of the data set."""
        (image, valid), target = self.hinted(dataset, key)
        small, target_small = reduce_labels(image, target, self.recipe.data.longest_side)
        maps = completion_maps(self.network, self.recipe.inference, small)
        probabilities = complete_image(
            maps, small, target_small, self.recipe.completion, self.description.background,
            crf=self.recipe.inference.crf,
        )  # fmt: skip
        mask = enlarged_argmax(probabilities, image.shape[:2])
        hinted = target.labels < UNLABELED
        mask[hinted] = target.labels[hinted]
        return self.class_map(dataset).own_labels(without_data(mask, valid))

    def hinted(self, dataset: Dataset, key: str) -> tuple[DecodedImage, PseudoLabels]:
        """An image and its hints of the types this run was trained on, as its recipe draws them.

        The hints are numbered as this run's classes; only those that the data set has are candidates.
        """
        decoded, hints = self.decoded(dataset, key), self.hints(dataset, key)
        target = pseudo_labels(decoded, hints, len(self.classes), self.recipe.data.point_radius)
        return decoded, target._replace(candidate_classes=target.candidate_classes & self.class_map(dataset).shared())

    def retrieve(
        self, image: ImageLike, at: tuple[float, float], neighbors: int = 20
    ) -> tuple[NDArray[np.bool_], list[Neighbor]]:
        """The segment at a pixel and the training segments nearest to it.

        Args:
            image: see `predict`.
            at: (x, y) in pixels.
            neighbors: how many.

        Returns:
            (H, W) bool mask of the clicked segment, and neighbors, nearest first.

        Raises:
            InputError: the pixel lies outside the image, or is none; or there can be no such number of neighbors.
        """
        image = self._read(image).pixels
        check_image(image)
        height, width = image.shape[:2]
        x, y = require_click(at, neighbors, width, height)
        small = resize_longest_side(self.as_in_training(image), _tile_of(self.recipe.inference)[0])
        maps = image_maps(self.network, small, scale=tta.middle_scale(self.recipe.inference.scales))
        segments = self.recipe.segments
        clicked, found = nearest_to_click(
            maps.embeddings, self.index, self.description.keys, ((x + 0.5) / width, (y + 0.5) / height),
            segments.inference_grid, neighbors,
        )  # fmt: skip
        mask = F.interpolate(torch.from_numpy(clicked)[None, None].float(), size=(height, width), mode="nearest")
        return mask[0, 0].numpy() > 0.5, found

    def with_inference(self, **changes: object) -> InferenceConfig:
        """The recipe's inference section with changes, e.g. `with_inference(crf=True)`.

        Raises:
            ConfigError: there is no such setting, or it cannot have this value.
        """
        if isinstance(method := changes.get("method"), str):
            changes["method"] = current_choice("the method", method, METHODS)
        try:
            return InferenceConfig.model_validate({**self.recipe.inference.model_dump(), **changes})
        except ValidationError as error:
            first = error.errors()[0]
            raise ConfigError(f"{first['loc'][0]}: {first['msg'].lower()} (got {first['input']!r}).") from error

    def dataset(self) -> Dataset:
        """The data set the run was trained on, as it is now: `data` where the caller named it, else what the run names.

        Raises:
            InputError: it has moved, or the run names no local folder that holds its training images.
        """
        return self.data if isinstance(self.data, Dataset) else self.description.dataset(self.run, self.data)


def _tile_of(config: InferenceConfig) -> tuple[int, int]:
    """Side of the tiles and their overlap, in pixels of the image: where it is enlarged, fewer are seen at once."""
    enlarged = max(tta.middle_scale(config.scales), 1.0)
    return round(config.tile / enlarged), round(TILE_OVERLAP / enlarged)
