"""A whole run: embed → complete masks → go on or classify → memory bank. Every stage can be resumed."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from lightning_fabric import Fabric

from hintseg.config.schema import Recipe
from hintseg.errors import TrainingError
from hintseg.hints.dataset import Dataset
from hintseg.inference.run_config import RunDescription
from hintseg.inference.segmenter import Segmenter
from hintseg.io.writing import write_text
from hintseg.memory_errors import is_exhausted
from hintseg.network.embedder import Embedder
from hintseg.training.data import TrainingImages
from hintseg.training.distributed import disconnect, images_a_process, make_fabric, run_folder
from hintseg.training.inputs import HintWatch, agree_on_inputs, first_process_decides, run_inputs
from hintseg.training.loop import new_state
from hintseg.training.objective import require_known_terms, uses_propagated_labels
from hintseg.training.progress import Progress
from hintseg.training.run import Run, completion_step, is_separate
from hintseg.training.self_training import MapsOf
from hintseg.training.tag_classifier import place_tags

log = logging.getLogger("hintseg")

Start = Callable[[Embedder, TrainingImages, Progress], MapsOf]


def run_training(
    dataset: Dataset,
    keys: tuple[str, ...],
    forms: tuple[str, ...],
    recipe: Recipe,
    out: Path,
    *,
    weights: str,
    device: str = "auto",
    devices: int = 1,
    precision: str = "32-true",
    resume: bool = False,
    version: str = "",
    notes: Sequence[tuple[int, str]] = (),
    progress: Progress | None = None,
    cache: Path | None = None,
    validate: str | None = None,
    largest: int = 0,
    digests: Mapping[str, tuple[str, str]],
    start: Start | None = None,
) -> Segmenter:
    """Train, and leave a run folder that `Segmenter.open` reads.

    Args:
        keys: training images, each with at least one usable hint somewhere in the set.
        out: run folder; must be new, or a run of the same configuration with `resume`.
        devices: how many, a process each; the script or command is started again for every further one, and
            all but the first return before the run folder is complete.
        notes: what the log says first, each with its level.
        progress: called with (stage, done, total, values).
        cache: folder for superpixels; default OUT/cache.
        largest: longest side of the largest training image, so that images can be reduced alike; 0: not known.
        digests: KEY → digests of every training image's pixels and hints, see `inspect`.
        start: gives the network its weights before the first iteration, in place of whatever else says where classes
            are that hints do not place; returns the `completion_maps` of an image by these weights.
        validate: split with masks whose mean IoU goes into the metrics at every checkpoint; it decides nothing.

    Raises:
        RunError: the folder is in use, holds another run or one of other data, or cannot be written.
        TrainingError: the loss is not finite, memory is exhausted, or an image changed meanwhile.
    """
    require_known_terms(recipe)
    progress = progress or (lambda stage, done, total, values: None)
    description = RunDescription(
        recipe, dataset.classes, dataset.background, dataset.address or str(dataset.root.resolve()), forms, keys,
        version, dataset.shown, largest,
    )  # fmt: skip
    fabric = make_fabric(device, precision, devices)
    images_a_process(fabric, recipe.data.batch_size)
    fabric.launch()
    with run_folder(out, resume, fabric):
        for level, note in notes:
            log.log(level, note)
        torch.manual_seed(recipe.seed)
        network = Embedder(recipe.network, len(dataset.classes), weights)
        _announce(description, fabric, precision)
        # A head that the run starts from is fitted to propagated labels, whatever the objective reads.
        propagates = uses_propagated_labels(recipe) or start is not None
        watch = HintWatch(dataset.root, fabric.is_global_zero)
        pixels, hints = ({key: digests[key][which] for key in keys} for which in (0, 1))
        superpixels = recipe.label_propagation.superpixels if propagates else 0
        images = TrainingImages(dataset, keys, forms, recipe.data, cache or out / "cache", pixels, superpixels)
        inputs = run_inputs(description, dataset, network, weights, precision, fabric.device.type, pixels, hints)
        fingerprint = first_process_decides(fabric, lambda: agree_on_inputs(out, inputs))
        if fabric.is_global_zero and not (out / "run.json").exists():
            write_text(out / "run.json", description.dump())
        with memory_errors_explained():
            maps_of = None
            if start is None:
                place_tags(out, network, images, recipe, fabric, fingerprint, resume, progress)
            elif uses_propagated_labels(recipe) or not (resume and (out / "checkpoint.pt").exists()):
                maps_of = start(network.to(fabric.device), images, progress)
                network.load_state_dict(fabric.broadcast(network.state_dict()))  # devices differ in the last bits
        torch.manual_seed(recipe.seed)
        stop = completion_step(recipe) if is_separate(recipe) else recipe.iterations
        state = new_state(network, recipe, dataset.background, fabric, stop=stop)
        run = Run(out, description, images, state, fabric, fingerprint, weights, progress, validate, watch, maps_of)
        with memory_errors_explained():
            run.train(resume)
        final = replace(description, recipe=run.recipe.model_copy(update={"network": run.network_config()}))
        disconnect(fabric)
        if fabric.is_global_zero:
            with memory_errors_explained():
                run.finish()
            log.info("finished; weights, memory bank and metrics are in %s", out)
            write_text(out / "run.json", final.dump())
    return Segmenter(run.state.average.network, final, out)


def _announce(run: RunDescription, fabric: Fabric, precision: str) -> None:
    log.info(
        "hintseg %s, torch %s, %s, %s: recipe %s, %d images of %s, %d classes, %s",
        run.version, torch.__version__, fabric.device, precision,
        run.recipe.name, len(run.keys), run.data, len(run.classes), ", ".join(run.forms),
    )  # fmt: skip


@contextmanager
def memory_errors_explained() -> Iterator[None]:
    """Exhausted memory, on either device, becomes a sentence that says which setting to lower."""
    try:
        yield
    except Exception as error:
        if not is_exhausted(error):
            raise
        raise TrainingError(
            "Memory is exhausted; lower data.batch_size or data.crop_size with --set, or choose a smaller backbone. "
            "Everything up to the last checkpoint is kept."
        ) from error
