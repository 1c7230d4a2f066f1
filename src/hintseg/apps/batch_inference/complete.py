"""Dense masks of hinted images, by a run's network or without one."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from hintseg.apps.batch_inference.input_images import InputImage
from hintseg.apps.batch_inference.output import Output, Prediction, digest_of
from hintseg.apps.batch_inference.sources import source_mark
from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import hint_files
from hintseg.hints.stretch import contrast_warnings, lost_contrast
from hintseg.inference.segmenter import Segmenter
from hintseg.io.samples import PLAIN, Limits
from hintseg.io.storage.outputs import require_outside
from hintseg.memory_errors import memory_explained
from hintseg.network.onnx import digest
from hintseg.pseudo_labels.propagate import complete_key

log = logging.getLogger("hintseg")


def complete_masks(
    segmenter: Segmenter | None, dataset: Dataset, keys: Sequence[str], hint_types: Sequence[str], method: str,
    out: str, resume: bool = False, overwrite: bool = False,
) -> Iterator[str | None]:  # fmt: skip
    """Write OUT/KEY.png of every image; yields what is wrong with it, or None.

    Args:
        segmenter: a run whose network completes; None: `method` does without, see `complete_key`.
        hint_types: hint types to use; a run uses its own.
        resume, overwrite: see `Output.claim`.

    Raises:
        RunError: the output cannot be written, or must not be.
    """
    weights = "" if segmenter is None else digest(segmenter.run / "weights.safetensors")
    output = Output(out, classes=dataset.classes, colors=dataset.colors)
    require_outside(output.folder, dataset.label_folders)
    images = [InputImage(str(dataset.paths[key]), key) for key in keys if key in dataset.paths]
    # Without a run all deep images decide together how each is shown.
    stretch = PLAIN.stretch if segmenter else dataset.shown.stretch

    def mark_of(image: InputImage) -> str:
        return shown_mark(source_mark(image.source), stretch)

    hints = {name: _content(path) for name, path in hint_files(dataset.root).items()}
    maker = digest_of(method, weights, hint_types, hints)
    finished = output.claim(maker, images, resume, overwrite, mark_of=mark_of)
    flat, looked_at = list[str](), 0
    for key in keys:
        wrong = None
        try:
            if key not in finished:
                source = mark_of(InputImage(str(dataset.path(key)), key))
                with memory_explained(key, "reduce the image, or cut it into tiles"):
                    if segmenter is not None:  # which warns of lost contrast itself
                        mask = segmenter.complete(dataset, key)
                    else:
                        decoded, looked_at = dataset.decoded(key), looked_at + 1
                        mask = complete_key(dataset, key, hint_types, method, decoded=decoded)
                        if lost_contrast(dataset.path(key), dataset.shown, decoded):
                            flat.append(key)
                output.write(key, Prediction(mask), source=source)
        except InputError as error:
            wrong = str(error)
        yield wrong
    if looked_at:
        for sentence in contrast_warnings(dataset.shown, tuple(dataset.paths.values()), flat, looked_at):
            log.warning("%s", sentence)


def _content(path: Path) -> str | None:
    """What tells one content of a hint file from another; where it cannot be read, that is said of its image."""
    try:
        return digest(path)
    except OSError:
        return None


def shown_mark(source: str, stretch: Limits | str) -> str:
    """The mark of an image that is shown with a contrast which others decide, too."""
    return source if stretch == PLAIN.stretch else digest_of(source, stretch)
