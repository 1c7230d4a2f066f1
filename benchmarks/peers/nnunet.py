"""nnU-Net v2 on the processor: its ignore label stands where no hint is drawn, and training stops by processor time.

Planned, preprocessed, augmented and segmented by its own code. What differs: the polynomial learning rate falls over
the given time, not over 1 000 epochs, all images train (`fold` "all"), and a batch is `BATCH` images at most.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow

from benchmarks.peers.task import Image, Labels, Predict, Task, processor_seconds
from hintseg.hints.labels import IGNORE_INDEX

NUMBER, NAME = 1, "Dataset001_hints"
BATCH = 8  # its plan fills the memory of a GPU, which leaves few steps on a processor


def nnunet(task: Task) -> Predict:
    """Its 2-D configuration; the first class, or the background, is its label 0."""
    begun = processor_seconds()
    folder = Path(tempfile.mkdtemp(prefix="nnunet-peers-"))
    _environment(folder)
    description = _written(task, folder / "raw" / NAME)
    trainer = _trainer(_planned(folder), description)
    _trained(trainer, begun, task.seconds)
    predictor = _predictor(trainer, description)

    def predict(image: Image) -> Labels:
        channels = np.ascontiguousarray(image.transpose(2, 0, 1)[:, None], np.float32)
        found = predictor.predict_single_npy_array(channels, {"spacing": (999, 1, 1)})
        return np.asarray(found[0], np.uint8)

    return predict


def _environment(folder: Path) -> None:
    """Folders, and processes besides this one: one, the least that its planner takes."""
    for name in ("raw", "preprocessed", "results"):
        (folder / name).mkdir()
        os.environ[f"nnUNet_{name}"] = str(folder / name)
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1"}


def _written(task: Task, folder: Path) -> dict[str, Any]:
    """The task as it wants it: PNG images, label maps whose highest value is ignored, and their description."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for number, (image, labels) in enumerate(task.hinted()):
        known = np.where(labels == IGNORE_INDEX, task.num_classes, labels).astype(np.uint8)
        Pillow.fromarray(image).save(folder / "imagesTr" / f"{number:05d}_0000.png")
        Pillow.fromarray(known).save(folder / "labelsTr" / f"{number:05d}.png")
    names = ["background", *(f"class {label}" for label in range(1, task.num_classes)), "ignore"]
    description = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": {name: label for label, name in enumerate(names)},
        "numTraining": len(task.train),
        "file_ending": ".png",
    }
    (folder / "dataset.json").write_text(json.dumps(description), "utf-8")
    return description


def _planned(folder: Path) -> dict[str, Any]:
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )

    extract_fingerprints([NUMBER], num_processes=1, show_progress_bar=False)
    identifier = plan_experiments([NUMBER])
    preprocess([NUMBER], identifier, configurations=("2d",), num_processes=(1,), show_progress_bar=False)
    path = folder / "preprocessed" / NAME / f"{identifier}.json"
    plans: dict[str, Any] = json.loads(path.read_text("utf-8"))
    chosen = plans["configurations"]["2d"]
    chosen["batch_size"] = min(chosen["batch_size"], BATCH)
    return plans


def _trainer(plans: dict[str, Any], description: dict[str, Any]) -> Any:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    os.environ |= {"nnUNet_n_proc_DA": "0"}  # augment in this process
    trainer = nnUNetTrainer(
        plans | {"continue_training": False}, "2d", "all", description, device=torch.device("cpu")
    )  # fmt: skip
    trainer.initialize()
    trainer.on_train_start()
    return trainer


def _trained(trainer: Any, begun: float, seconds: float) -> None:
    """Steps until the processor seconds since `begun` are spent; at least one."""
    trainer.network.train()
    steps, spent = 0, processor_seconds() - begun
    while not steps or spent < seconds:
        rate = trainer.initial_lr * max(1 - spent / seconds, 0.0) ** 0.9
        for group in trainer.optimizer.param_groups:
            group["lr"] = rate
        trainer.train_step(next(trainer.dataloader_train))
        steps, spent = steps + 1, processor_seconds() - begun
    print(f"nnU-Net: {steps} steps of {trainer.batch_size} in {spent:.0f} processor seconds", flush=True)


def _predictor(trainer: Any, description: dict[str, Any]) -> Any:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(
        trainer.network, trainer.plans_manager, trainer.configuration_manager, [trainer.network.state_dict()],
        description, type(trainer).__name__, trainer.inference_allowed_mirroring_axes,
    )  # fmt: skip
    return predictor
