"""A whole run: embed → complete masks → go on or classify → segment memory. Every stage can be resumed."""

import json
import logging
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from hintseg.config import NetworkConfig, Recipe, TermConfig
from hintseg.errors import TrainingError
from hintseg.exhausted import is_exhausted
from hintseg.hints.dataset import Dataset
from hintseg.images import atomic_path
from hintseg.inference.description import RunDescription
from hintseg.inference.evaluation import evaluate_split
from hintseg.inference.retrieval import save_index
from hintseg.inference.segmenter import Segmenter
from hintseg.network.backbone import WEIGHTS_NONE
from hintseg.network.embedder import Embedder
from hintseg.training.augment import SoftMask
from hintseg.training.checkpoint import damage_explained, read_checkpoint, restore, save_checkpoint
from hintseg.training.completed import completed_masks, remembered_segments
from hintseg.training.data import TrainingImages
from hintseg.training.inputs import HintWatch, agree_on_inputs, first_process_decides, run_inputs
from hintseg.training.interrupt import Interruption
from hintseg.training.loading import decode
from hintseg.training.loop import TrainingState, new_state, train_steps
from hintseg.training.objective import require_known_terms, uses_spread_labels
from hintseg.training.presence import learn_presence
from hintseg.training.processes import disconnect, images_a_process, interrupted, make_fabric, run_folder
from hintseg.training.run_folder import save_network, write_metrics, write_tensorboard
from hintseg.training.tags import place_tags
from hintseg.training.words import agree_on_words

log = logging.getLogger("hintseg")

LOG_EVERY = 20

Progress = Callable[[str, int, int, dict[str, float]], None]
Start = Callable[[Embedder, TrainingImages, Progress], None]


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
    notes: Sequence[str] = (),
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
        notes: what the reader of the log should know about the data.
        progress: called with (stage, done, total, values).
        cache: folder for over-segments; default OUT/cache.
        largest: longest side of the largest training image, so that photographs can be reduced alike; 0: not known.
        digests: KEY → digests of every training image's pixels and hints, see `inspect`.
        start: gives the network its weights before the first iteration, in place of whatever else says where classes
            are that hints do not place.
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
    images_a_process(fabric, recipe.data.batch)
    fabric.launch()
    with run_folder(out, resume, fabric):
        for note in notes:
            log.warning(note)
        torch.manual_seed(recipe.seed)
        network = Embedder(recipe.network, len(dataset.classes), weights)
        _announce(description, fabric, precision)
        spread = {} if uses_spread_labels(recipe) else {"spread_regions": 0}
        watch = HintWatch(dataset.root, fabric.is_global_zero)
        pixels, hints = ({key: digests[key][which] for key in keys} for which in (0, 1))
        images = TrainingImages(
            dataset, keys, forms, recipe.data.model_copy(update=spread), cache or out / "cache", pixels
        )
        inputs = run_inputs(description, dataset, network, weights, precision, fabric.device.type, pixels, hints)
        fingerprint = first_process_decides(fabric, lambda: agree_on_inputs(out, inputs, description, precision))
        if fabric.is_global_zero and not (out / "run.json").exists():
            with atomic_path(out / "run.json") as temporary:
                temporary.write_text(description.dump(), "utf-8")
        with memory_errors_explained():
            words = None  # random filters see nothing alike
            if start is not None:
                if not (resume and (out / "checkpoint.pt").exists()):
                    start(network.to(fabric.device), images, progress)
            elif weights != WEIGHTS_NONE:
                if recipe.inference.presence > 0:
                    learn_presence(out, network, images, fabric, progress)
                words = agree_on_words(out, network, images, recipe.seed, fabric, progress)
            if start is None:
                place_tags(out, network, images, recipe, fabric, fingerprint, resume, progress, words)
        torch.manual_seed(recipe.seed)
        stop = renewal_steps(recipe)[0] if is_separate(recipe) else recipe.iterations
        state = new_state(network, recipe, dataset.background, fabric, stop=stop)
        run = _Run(out, description, images, state, fabric, fingerprint, weights, progress, validate, watch)
        with memory_errors_explained():
            run.train(resume)
        final = replace(description, recipe=recipe.model_copy(update={"network": run.network_config()}))
        disconnect(fabric)
        if fabric.is_global_zero:
            with memory_errors_explained():
                run.finish()
            log.info("finished; weights, segment memory and metrics are in %s", out)
            with atomic_path(out / "run.json") as temporary:
                temporary.write_text(final.dump(), "utf-8")
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
            "Memory is exhausted; lower data.batch or data.crop with --set, or choose a smaller backbone. "
            "Everything up to the last checkpoint is kept."
        ) from error


def is_separate(recipe: Recipe) -> bool:
    """Whether another network, or another classifier, learns from completed masks, with a learning rate of its own."""
    return recipe.stage_two.kind in ("classifier", "fresh")


def renewal_steps(recipe: Recipe) -> list[int]:
    """Iterations before which the training masks are completed."""
    stage, last = recipe.stage_two, recipe.iterations
    if stage.kind == "none":
        return []
    if is_separate(recipe):
        return [min(max(round(stage.renewals[0] * last), 1), last - 1)]
    return sorted({round(share * last) for share in stage.renewals} - {last})


class _Run:
    """One run's folder and state between stages."""

    def __init__(
        self, out: Path, description: RunDescription, images: TrainingImages, state: TrainingState, fabric: Fabric,
        fingerprint: str, weights: str, progress: Progress, validate: str | None, watch: HintWatch,
    ) -> None:  # fmt: skip
        self.out = out
        self.description = description
        self.recipe = description.recipe
        self.images = images
        self.state = state
        self.fabric = fabric
        self.fingerprint = fingerprint
        self.weights = weights
        self.progress = progress
        self.validate = validate
        self.watch = watch
        self.history: list[dict[str, float]] = []
        self.warned: set[str] = set()
        self.checkpoint = out / "checkpoint.pt"
        self.interruption = Interruption()

    def train(self, resume: bool) -> None:
        if resume and self.checkpoint.exists():
            content = read_checkpoint(self.checkpoint, self.fingerprint)
            with damage_explained(self.checkpoint):
                if content["start"] > 0:
                    self._begin_second_network(content["start"])
                self.history = restore(content, self.state)
            log.info("resumed at iteration %d", self.state.step)
        renewals, separate = renewal_steps(self.recipe), is_separate(self.recipe)
        while self.state.step < self.recipe.iterations:
            past = [step for step in renewals if step <= self.state.step]
            soft = self._completed(past[-1]) if past else None
            if past and separate and self.state.start == 0:
                self._begin_second_network(past[-1])
            later = [step for step in renewals if step > self.state.step]
            self._train_until(later[0] if later else self.recipe.iterations, soft)

    def _begin_second_network(self, step: int) -> None:
        """A new classifier on the frozen embedding, or a new network, towards completed masks alone."""
        torch.manual_seed(self.recipe.seed + 1)
        if self.recipe.stage_two.kind == "classifier":
            network = self.state.average.network.with_new_classifier(self.recipe.stage_two.dropout)
            network.classifier.requires_grad_(True)
        else:
            network = Embedder(self.recipe.network, self.images.num_classes, self.weights)
        towards_masks = self.recipe.model_copy(update={"objective": {"completed": TermConfig(weight=1.0)}})
        self.state = new_state(network, towards_masks, self.images.dataset.background, self.fabric, start=step)

    def network_config(self) -> NetworkConfig:
        """What the final network is made of."""
        if self.recipe.stage_two.kind != "classifier":
            return self.recipe.network
        changes = {"classifier": "detached", "dropout": self.recipe.stage_two.dropout}
        return self.recipe.network.model_copy(update=changes)

    def _train_until(self, stop: int, soft: dict[str, SoftMask] | None) -> None:
        started, first = time.monotonic(), self.state.step

        def report(step: int, values: dict[str, float]) -> None:
            seconds = (time.monotonic() - started) / (step - first + 1)
            self.history.append({"iteration": step, **values, "seconds": seconds})
            if (step + 1) % LOG_EVERY == 0:
                parts = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
                log.info("iteration %d of %d: %s; %.2f s each", step + 1, self.recipe.iterations, parts, seconds)
            self.progress("train", step + 1, self.recipe.iterations, values)

        decode(self.images, self.recipe.data.workers, partial(self._progress, "decode"))
        every = self.recipe.checkpoint_every
        while self.state.step < stop:
            until = min((self.state.step // every + 1) * every, stop)
            with self.interruption:
                train_steps(self.state, self.images, self.recipe, until, self.fabric, soft, report, self.interruption)
                if self.fabric.is_global_zero:
                    self._validate()
                    save_checkpoint(self.checkpoint, self.state, self.fingerprint, self.history)
                    write_metrics(self.out, self.history)
                self.fabric.barrier()
                stop_all = interrupted(self.fabric, self.interruption)
            if stop_all:
                self.interruption.obey()
            if self.fabric.is_global_zero:
                write_tensorboard(self.out, self.history, first)

    def _validate(self) -> None:
        """Mean IoU of the averaged network's softmax beside the last iteration's losses."""
        if self.validate is None or self.state.step != self.history[-1]["iteration"] + 1:
            return
        segmenter = Segmenter(self.state.average.network, self.description, self.out)
        softmax = segmenter.with_inference(method="softmax", crf=False, presence=0)
        matrix, _ = evaluate_split(segmenter, self.images.dataset, self.validate, softmax, wrong=self._warn_once)
        self.history[-1][f"mean_iou_{self.validate}"] = matrix.scores().mean_iou
        log.info("mean IoU of %s: %.4f", self.validate, matrix.scores().mean_iou)

    def _warn_once(self, sentence: str) -> None:
        if sentence not in self.warned:
            self.warned.add(sentence)
            log.warning("%s It is left out of the validation.", sentence)

    def _completed(self, step: int) -> dict[str, SoftMask]:
        """Soft masks made with the averaged weights of `step`; made now unless they lie on disk.

        Seeds of tags leave then where hints point at classes in other images, which taught the network better.

        The checkpoint of `step` is on disk before the first one is made and no later one is written before
        all are, so masks found here come from exactly those weights.
        """
        self.watch.tell()
        log.info("completing the training masks with the weights of iteration %d", step)
        soft = completed_masks(
            self.state.average.network, self.images, self.recipe.completion, self.out / "completed" / f"{step:06d}",
            self.fabric, partial(self._progress, "complete"),
        )  # fmt: skip
        if self.images.placed:
            self.images.plant({})
        return soft

    def _progress(self, stage: str, done: int, total: int) -> None:
        self.progress(stage, done, total, {})

    def finish(self) -> None:
        """Weights, segment memory and summary."""
        self.watch.tell()
        network = self.state.average.network.eval()
        memory = remembered_segments(network, self.images, self.recipe, partial(self._progress, "memory"))
        if memory is not None:
            save_index(memory, self.out / "memory.safetensors")
        summary = {
            "iterations": self.state.step,
            "seconds_per_iteration": float(np.median([row["seconds"] for row in self.history]))
            if self.history
            else None,
            "last": self.history[-1] if self.history else {},
            "machine": {"system": platform.system(), "processor": platform.machine(), "torch": torch.__version__},
        }
        with atomic_path(self.out / "metrics.json") as temporary:
            temporary.write_text(json.dumps(summary, indent=1), "utf-8")
        save_network(network, self.out)
