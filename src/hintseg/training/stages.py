"""A whole run: embed → complete masks → go on or classify → memory bank. Every stage can be resumed."""

import logging
from collections.abc import Callable
from dataclasses import replace

import torch
from lightning_fabric import Fabric

from hintseg.errors import TrainingError
from hintseg.inference.segmenter import Segmenter
from hintseg.io.storage.mirror import Progress
from hintseg.io.writing import write_text
from hintseg.memory_errors import memory_explained
from hintseg.network.embedder import Embedder
from hintseg.training.data import TrainingImages
from hintseg.training.distributed import disconnect, first_process_decides, images_a_process, make_fabric, run_folder
from hintseg.training.inputs import HintWatch, agree_on_inputs, run_inputs
from hintseg.training.interrupt import Interruption
from hintseg.training.job import Job
from hintseg.training.loop import new_state
from hintseg.training.objective import require_known_terms, uses_propagated_labels
from hintseg.training.run import Run, completion_step, is_separate
from hintseg.training.self_training import MapsOf
from hintseg.training.tag_classifier import localize_tags

log = logging.getLogger("hintseg")

ADVICE = (
    "lower data.batch_size or data.crop_size with --set, or choose a smaller backbone; everything up to the last "
    "checkpoint is kept"
)
Start = Callable[[Embedder, TrainingImages, Progress], MapsOf]


def run_training(job: Job, start: Start | None = None) -> Segmenter:
    """Train, and leave a run folder that `Segmenter.open` reads.

    Args:
        start: gives the network its weights before the first iteration, in place of whatever else says where classes
            are that hints do not place; returns the `completion_maps` of an image by these weights.

    Raises:
        RunError: the folder is in use, holds another run or one of other data, or cannot be written.
        TrainingError: the loss is not finite, memory is exhausted, or an image changed meanwhile.
    """
    require_known_terms(job.recipe)
    fabric = make_fabric(job.device, job.precision, job.devices)
    images_a_process(fabric, job.recipe.data.batch_size)
    fabric.launch()
    with run_folder(job.out, job.resume, fabric):
        job.tell()
        run = _begin(job, fabric, start)
        with memory_explained("training", ADVICE, TrainingError):
            run.train()
        final = replace(run.description, recipe=run.recipe.model_copy(update={"network": run.network_config()}))
        disconnect(fabric)
        if fabric.is_global_zero:
            with memory_explained("training", ADVICE, TrainingError):
                run.finish()
            log.info("finished; weights, memory bank and metrics are in %s", job.out)
            write_text(job.out / "run.json", final.dump())
    return Segmenter(run.state.average.network, final, job.out)


def _begin(job: Job, fabric: Fabric, start: Start | None) -> Run:
    """The run before its first iteration: its folder, its inputs, and a network that knows where classes are."""
    recipe, description = job.recipe, job.described()
    torch.manual_seed(recipe.seed)
    network = Embedder(recipe.network, len(job.dataset.classes), job.weights)
    log.info(
        "hintseg %s, torch %s, %s, %s: recipe %s, %d images of %s, %d classes, %s",
        job.version, torch.__version__, fabric.device, job.precision, recipe.name, len(job.keys), description.data,
        len(description.classes), ", ".join(job.hint_types),
    )  # fmt: skip
    # A head that the run starts from is fitted to propagated labels, whatever the objective reads.
    propagates = uses_propagated_labels(recipe) or start is not None
    watch = HintWatch(job.dataset.root, fabric.is_global_zero)
    images = job.images(recipe.label_propagation.superpixels if propagates else 0)
    inputs = run_inputs(job, description, network, job.precision, fabric.device.type)

    def agreed() -> str:
        name = agree_on_inputs(job.out, inputs)
        if not (job.out / "run.json").exists():
            write_text(job.out / "run.json", description.dump())
        return name

    fingerprint = first_process_decides(fabric, agreed)
    maps_of, interruption = None, Interruption()
    with memory_explained("training", ADVICE, TrainingError):
        if start is None:
            localize_tags(job, network, images, fabric, fingerprint, interruption)
        elif uses_propagated_labels(recipe) or not (job.resume and (job.out / "checkpoint.pt").exists()):
            maps_of = start(network.to(fabric.device), images, job.progress)
            network.load_state_dict(fabric.broadcast(network.state_dict()))  # devices differ in the last bits
    torch.manual_seed(recipe.seed)
    stop = completion_step(recipe) if is_separate(recipe) else recipe.iterations
    state = new_state(network, recipe, job.dataset.background, fabric, stop=stop)
    return Run(job, description, images, state, fabric, fingerprint, watch, interruption, maps_of)
