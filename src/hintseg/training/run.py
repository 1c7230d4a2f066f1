"""The stages of a run after its first weights: train, complete masks, go on or classify, remember segments."""

import json
import logging
import time
from functools import partial

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from hintseg.config.schema import NetworkConfig, Recipe, TermConfig
from hintseg.inference.evaluation import evaluate_split
from hintseg.inference.run_config import RunConfig
from hintseg.inference.segmenter import Segmenter
from hintseg.inference.selection import choose_crf, crf_without_hints, held_out, without_crf
from hintseg.io.writing import write_text
from hintseg.network.tta import image_maps, middle_scale
from hintseg.pseudo_labels.complete import completion_maps
from hintseg.training.augment import SoftMask
from hintseg.training.checkpoint import damage_explained, read_checkpoint, restore, save_checkpoint
from hintseg.training.data import TrainingImages
from hintseg.training.distributed import first_process_decides
from hintseg.training.inputs import HintWatch
from hintseg.training.interrupt import Interruption
from hintseg.training.job import Job, finish
from hintseg.training.loading import decode
from hintseg.training.loop import TrainingState, new_state, train_until
from hintseg.training.run_folder import write_metrics, write_tensorboard
from hintseg.training.self_training import MapsOf, remembered_segments, soft_pseudo_labels

log = logging.getLogger("hintseg")

LOG_EVERY = 20
UNTIL = 0.6  # fraction of the iterations after which the images held out are trained on, too
DROPOUT = 0.65  # of a new classifier [SPML, stage 2]


def is_separate(recipe: Recipe) -> bool:
    """Whether another classifier learns from pseudo-labels, with a learning rate of its own."""
    return recipe.self_training.mode == "classifier"


def completion_step(recipe: Recipe) -> int | None:
    """The iteration before which the pseudo-labels are made; None: never."""
    stage, last = recipe.self_training, recipe.iterations
    step = round(stage.start * last)
    if is_separate(recipe):
        return min(max(step, 1), last - 1)
    return None if stage.mode == "none" or step == last else step


class Run:
    """One run's folder and state between stages.

    Args:
        first_maps: `completion_maps` of an image by the weights before the first step, where they cost less.
    """

    def __init__(
        self, job: Job, description: RunConfig, images: TrainingImages, state: TrainingState, fabric: Fabric,
        fingerprint: str, watch: HintWatch, interruption: Interruption, first_maps: MapsOf | None = None,
    ) -> None:  # fmt: skip
        self.job = job
        self.out = job.out
        self.description = description
        self.recipe = job.recipe
        self.images = images
        self.state = state
        self.fabric = fabric
        self.fingerprint = fingerprint
        self.watch = watch
        self.first_maps = first_maps
        self.history: list[dict[str, float]] = []
        self.segmenter = Segmenter(state.average.network, description, job.out)
        self.checkpoint = job.out / "checkpoint.pt"
        self.interruption = interruption
        self.held_out = frozenset[str]()
        if (fraction := self.recipe.selection.held_out) > 0:
            self.held_out = held_out(images.localized, fraction, self.recipe.seed)
        self.too_few = not self.held_out

    def train(self) -> None:
        """Train to the last iteration, from the checkpoint where the job is to be resumed."""
        if self.job.resume and self.checkpoint.exists():
            content = read_checkpoint(self.checkpoint, self.fingerprint)
            with damage_explained(self.checkpoint):
                if content["start"] > 0:
                    self._begin_second_classifier(content["start"])
                self.history = restore(content, self.state)
            log.info("resumed at iteration %d", self.state.step)
        completion, last = completion_step(self.recipe), self.recipe.iterations
        selection = round(UNTIL * last) if self.held_out else last
        stops = [last, selection] if completion is None else [last, selection, completion]
        soft: dict[str, SoftMask] | None = None
        while self.state.step < last:
            if self.held_out and self.state.step >= selection:
                self._select()
            past = completion is not None and completion <= self.state.step
            if completion is not None and past and soft is None:
                soft = self._completed(completion)
            if completion is not None and past and is_separate(self.recipe) and self.state.start == 0:
                self._begin_second_classifier(completion)
            self._train_until(min(step for step in stops if step > self.state.step), soft)
        if self.held_out:
            self._select()
        if self.too_few and not crf_without_hints(self.recipe, map(self.images.image, self.images.keys)).masks:
            self.recipe = without_crf(self.recipe)

    def _select(self) -> None:
        """Choose the post-processing by the images held out, which teach from now on; as before after a resume."""
        if first_process_decides(self.fabric, self._chosen_crf) != self.recipe.inference.crf:
            self.recipe = without_crf(self.recipe)
        self.held_out = frozenset()

    def _chosen_crf(self) -> bool:
        path = self.out / "selection.json"
        if not path.exists():
            chosen = choose_crf(
                self.segmenter, (self._hinted(key) for key in sorted(self.held_out)),
                lambda done: self._progress("selection", done, len(self.held_out)),
            )  # fmt: skip
            write_text(path, json.dumps({"crf": chosen.masks}))
        return bool(json.loads(path.read_text("utf-8"))["crf"])

    def _hinted(self, key: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        image, target = self.images.target(key)
        return image, target.labels

    def _begin_second_classifier(self, step: int) -> None:
        """A new classifier on the frozen embedding, towards pseudo-labels alone."""
        torch.manual_seed(self.recipe.seed + 1)
        network = self.state.average.network.with_new_classifier(DROPOUT)
        network.classifier.requires_grad_(True)
        towards_masks = self.recipe.model_copy(
            update={"objective": {"pseudo_label_cross_entropy": TermConfig(weight=1.0)}}
        )
        self.state = new_state(network, towards_masks, self.images.dataset.background, self.fabric, start=step)
        self.segmenter.network = self.state.average.network

    def network_config(self) -> NetworkConfig:
        """What the final network is made of."""
        changes = {"classifier": "detached", "dropout": DROPOUT} if is_separate(self.recipe) else {}
        return self.recipe.network.model_copy(update=changes)

    def _train_until(self, stop: int, soft: dict[str, SoftMask] | None) -> None:
        started, first = time.monotonic(), self.state.step

        def report(step: int, values: dict[str, float]) -> None:
            seconds = (time.monotonic() - started) / (step - first + 1)
            self.history.append({"iteration": step, **values, "seconds": seconds})
            if (step + 1) % LOG_EVERY == 0:
                parts = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
                log.info("iteration %d of %d: %s; %.2f s each", step + 1, self.recipe.iterations, parts, seconds)
            self.job.progress("train", step + 1, self.recipe.iterations, values)

        images = self.images.only([key for key in self.images.keys if key not in self.held_out])
        decode(self.images, self.recipe.data.num_workers, partial(self._progress, "decode"))
        train_until(
            stop, self.state, images, self.recipe, self.fabric, self.interruption, report, partial(self._keep, first),
            soft,
        )  # fmt: skip

    def _keep(self, first: int) -> None:
        """A checkpoint, and what was measured since the iteration `first`."""
        self._validate()
        save_checkpoint(self.checkpoint, self.state, self.fingerprint, self.history)
        write_metrics(self.out, self.history)
        write_tensorboard(self.out, self.history, first)

    def _validate(self) -> None:
        """Mean IoU of the averaged network's softmax beside the last iteration's losses."""
        split = self.job.validate
        if split is None or self.state.step != self.history[-1]["iteration"] + 1:
            return
        softmax = self.segmenter.with_inference(method="softmax", crf=False)
        matrix, _ = evaluate_split(self.segmenter, self.images.dataset, split, softmax, wrong=self._left_out)
        self.history[-1][f"mean_iou_{split}"] = matrix.scores().mean_iou
        log.info("mean IoU of %s: %.4f", split, matrix.scores().mean_iou)

    def _left_out(self, sentence: str) -> None:
        self.segmenter.warn_once(f"{sentence} It is left out of the validation.")

    def _completed(self, step: int) -> dict[str, SoftMask]:
        """Soft masks made with the averaged weights of `step`; made now unless they lie on disk.

        The checkpoint of `step` is on disk before the first one is made and no later one is written before
        all are, so masks found here come from exactly those weights.
        """
        self.watch.tell()
        log.info("completing the training masks with the weights of iteration %d", step)
        network, inference = self.state.average.network, self.recipe.inference
        maps_of: MapsOf = partial(completion_maps, network, inference)
        if step == 0 and self.first_maps is not None and not inference.flip:
            maps_of = self.first_maps
        folder = self.out / "pseudo_labels" / f"{step:06d}"
        done = partial(self._progress, "complete")
        return soft_pseudo_labels(self.images, self.recipe, maps_of, folder, self.fabric, done)

    def _progress(self, stage: str, done: int, total: int) -> None:
        self.job.progress(stage, done, total, {})

    def finish(self) -> None:
        """Weights, memory bank and summary."""
        self.watch.tell()
        network = self.state.average.network.eval()
        scale = middle_scale(self.recipe.inference.scales)
        memory = remembered_segments(
            self.images, self.recipe, lambda image: image_maps(network, image, scale=scale),
            partial(self._progress, "memory"),
        )  # fmt: skip
        seconds = [row["seconds"] for row in self.history]
        summary = {
            "iterations": self.state.step,
            "seconds_per_iteration": float(np.median(seconds)) if seconds else None,
            "last": self.history[-1] if self.history else {},
        }
        finish(self.out, network, memory, summary)
