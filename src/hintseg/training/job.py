"""What a run is asked to do, once it is known that it can: the instant engine's or a trained network's."""

import json
import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hintseg.config.schema import Recipe
from hintseg.hints.dataset import Dataset
from hintseg.inference.retrieval import MEMORY_BANK, SegmentIndex, save_index
from hintseg.inference.run_config import RunConfig
from hintseg.io.storage.mirror import Progress
from hintseg.io.writing import write_text
from hintseg.network.embedder import Embedder
from hintseg.training.data import TrainingImages
from hintseg.training.run_folder import save_network

log = logging.getLogger("hintseg")


@dataclass(frozen=True)
class Job:
    """A run to be.

    Attributes:
        keys: training images, each with at least one usable hint somewhere in the set.
        hint_types: hint types.
        out: run folder; must be new, or a run of the same configuration with `resume`.
        devices: how many, a process each; the script or command is started again for every further one, and
            all but the first return before the run folder is complete.
        cache: folder for superpixels and features.
        validate: split with masks whose mean IoU goes into the metrics at every checkpoint; the weights do not depend
            on it.
        largest: longest side of the largest training image, so that images can be reduced alike; 0: not known.
        digests: KEY → digests of every training image's pixels and hints, see `inspect`.
        notes: what the log says first, each with its level.
    """

    dataset: Dataset
    keys: tuple[str, ...]
    hint_types: tuple[str, ...]
    recipe: Recipe
    out: Path
    weights: str
    device: str
    devices: int
    precision: str
    resume: bool
    cache: Path
    validate: str | None
    largest: int
    digests: Mapping[str, tuple[str, str]]
    version: str
    notes: Sequence[tuple[int, str]]
    progress: Progress

    def described(self) -> RunConfig:
        """What run.json says of it."""
        dataset = self.dataset
        return RunConfig(
            self.recipe, dataset.classes, dataset.background, dataset.address or str(dataset.root.resolve()),
            self.hint_types, self.keys, self.version, dataset.shown, self.largest, dataset.colors,
        )  # fmt: skip

    def images(self, superpixels: int) -> TrainingImages:
        """Its training images, whose labels are propagated over about that many superpixels; 0: they are not."""
        pixels = {key: self.digests[key][0] for key in self.keys}
        return TrainingImages(
            self.dataset, self.keys, self.hint_types, self.recipe.data, self.cache, pixels, superpixels
        )

    def tell(self) -> None:
        """Log the notes."""
        for level, note in self.notes:
            log.log(level, note)


def finish(out: Path, network: Embedder, memory: SegmentIndex | None, summary: dict[str, Any]) -> None:
    """Leave memory bank, metrics.json, and last the weights, which make a run complete."""
    if memory is not None:
        save_index(memory, out / MEMORY_BANK)
    machine = {"system": platform.system(), "processor": platform.machine(), "torch": torch.__version__}
    write_text(out / "metrics.json", json.dumps({**summary, "machine": machine}, indent=1))
    save_network(network, out)
