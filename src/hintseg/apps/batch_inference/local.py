"""Segment images in this process, and what a worker on another machine does with its share."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from hintseg.apps.batch_inference.input_images import InputImage
from hintseg.apps.batch_inference.output import Output, Prediction, digest_of
from hintseg.config.schema import InferenceConfig
from hintseg.inference.prediction import without_data
from hintseg.inference.segmenter import Segmenter
from hintseg.memory_errors import SMALLER, memory_explained
from hintseg.network.onnx import digest

SHARD = 256  # images in a Parquet shard


def maker_of(segmenter: Segmenter, config: InferenceConfig) -> str:
    """A digest of the weights and of how images are segmented."""
    weights = digest(segmenter.run / "weights.safetensors")
    return digest_of(weights, config.model_dump_json(), tuple(segmenter.description.view))


def pending(
    images: Sequence[InputImage], output: Output, maker: str, resume: bool = False, overwrite: bool = False,
    clear: bool = False,
) -> list[InputImage]:  # fmt: skip
    """Claim the output (see `Output.claim`) and return the images that are still to be segmented."""
    finished = output.claim(maker, images, resume, overwrite, clear)
    return [image for image in images if image.name not in finished]


def computation(segmenter: Segmenter, config: InferenceConfig, soft: bool) -> Callable[[Path], Prediction]:
    """A function from an image's path to its mask."""

    def compute(path: Path) -> Prediction:
        with memory_explained(str(path), SMALLER):
            decoded = segmenter.decode_image(path)
            if not soft:
                return Prediction(segmenter.predict_decoded(decoded, config))
            probabilities = segmenter.probabilities(decoded.pixels, config)
            labels = without_data(probabilities.argmax(axis=0).astype(np.uint8), decoded.valid)
            if decoded.valid is not None:
                probabilities[:, ~decoded.valid] = 0
            return Prediction(labels, probabilities)

    return compute


def predict_here(
    segmenter: Segmenter, images: Sequence[InputImage], output: Output, config: InferenceConfig
) -> Iterator[tuple[InputImage, str | None]]:
    """Segment images one after the other; yields each with what was wrong with it, or None.

    Raises:
        RunError: the output cannot be written.
    """
    compute = computation(segmenter, config, output.soft)
    size = SHARD if output.kind == "parquet" else 1
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        yield from zip(batch, output.write_all(batch, compute, keep=False), strict=True)
