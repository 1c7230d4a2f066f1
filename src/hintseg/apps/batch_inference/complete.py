"""Dense masks of hinted images, by a run's network or without one."""

from collections.abc import Iterator, Sequence

from hintseg.apps.batch_inference.input_images import InputImage
from hintseg.apps.batch_inference.output import Output, Prediction, digest_of
from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.hints.dataset_json import hint_files
from hintseg.inference.segmenter import Segmenter
from hintseg.io.storage.outputs import require_outside
from hintseg.memory_errors import memory_explained
from hintseg.network.onnx import digest
from hintseg.pseudo_labels.propagate import complete_key


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
    output = Output(out, classes=dataset.classes)
    require_outside(output.folder, dataset.label_folders)
    images = [InputImage(str(dataset.paths[key]), key) for key in keys if key in dataset.paths]
    finished = output.claim(digest_of(method, weights, hint_types, hint_files(dataset.root)), images, resume, overwrite)
    for key in keys:
        wrong = None
        try:
            if key not in finished:
                with memory_explained(key, "reduce the image, or cut it into tiles"):
                    mask = (
                        segmenter.complete(dataset, key)
                        if segmenter
                        else complete_key(dataset, key, hint_types, method)
                    )
                output.write(key, Prediction(mask))
        except InputError as error:
            wrong = str(error)
        yield wrong
