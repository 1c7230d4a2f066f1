"""The training loop."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric

from hintseg.config.schema import Recipe
from hintseg.errors import TrainingError
from hintseg.network.embedder import Embedder
from hintseg.training.augment import SoftMask
from hintseg.training.batches import TrainingBatch, TrainingBatches
from hintseg.training.data import TrainingImages
from hintseg.training.distributed import (
    add_gradients,
    first_process_decides,
    images_a_process,
    interrupted,
    whole_batch,
    whole_maps,
)
from hintseg.training.interrupt import Interruption
from hintseg.training.loading import loader
from hintseg.training.objective import Objective
from hintseg.training.optimizer import AveragedWeights, build_optimizer, learning_rate_factor, set_learning_rate
from hintseg.training.sync_batchnorm import synchronize_batchnorm

RENEW_EVERY = 20

Report = Callable[[int, dict[str, float]], None]


@dataclass
class TrainingState:
    """All that changes while training; what a checkpoint holds.

    Attributes:
        step: iterations done, over all stages.
        start, stop: iterations between which this stage's learning rate decays.
    """

    network: Embedder
    optimizer: torch.optim.Optimizer
    average: AveragedWeights
    objective: Objective
    step: int = 0
    start: int = 0
    stop: int = 1


def new_state(
    network: Embedder, recipe: Recipe, background: int | None, fabric: Fabric, start: int = 0, stop: int | None = None
) -> TrainingState:
    """State before the first step of a stage, on the fabric's device; `stop` None: the recipe's last iteration."""
    synchronize_batchnorm(network, fabric)
    network.to(fabric.device)
    network.to(memory_format=torch.channels_last)
    with fabric.autocast():
        coarse = torch.is_autocast_enabled(fabric.device.type)
    return TrainingState(
        network=network,
        optimizer=build_optimizer(network, recipe.optimizer),
        average=AveragedWeights(network, recipe.optimizer.ema_decay),
        objective=Objective(recipe, network.num_classes, background, coarse),
        step=start,
        start=start,
        stop=recipe.iterations if stop is None else stop,
    )


def train_until(
    stop: int, state: TrainingState, images: TrainingImages, recipe: Recipe, fabric: Fabric,
    interruption: Interruption, report: Report, keep: Callable[[], None], soft: dict[str, SoftMask] | None = None,
) -> None:  # fmt: skip
    """Train to before `stop`; `keep` writes every checkpoint, in the first process, one before a signal is obeyed."""
    every = recipe.checkpoint_every
    while state.step < stop:
        until = min((state.step // every + 1) * every, stop)
        with interruption:
            train_steps(state, images, recipe, until, fabric, soft, report, interruption)
            first_process_decides(fabric, keep)
            stop_all = interrupted(fabric, interruption)
        if stop_all:
            interruption.obey()


def train_steps(
    state: TrainingState,
    images: TrainingImages,
    recipe: Recipe,
    stop: int,
    fabric: Fabric,
    soft: dict[str, SoftMask] | None = None,
    report: Report | None = None,
    interruption: Interruption | None = None,
) -> None:
    """Train from `state.step` to before `stop`, or until interrupted; TrainingError: the loss is not finite."""
    count = images_a_process(fabric, recipe.data.batch_size)
    first = fabric.global_rank * count
    places = range(first, first + count)
    batches = TrainingBatches(images, recipe.data, recipe.iterations, recipe.seed, soft, places)
    state.network.train()
    freeze_batchnorm(state.network, recipe.network.freeze_batchnorm)
    for batch in loader(batches, state.step, stop, recipe.data.num_workers):
        batch = TrainingBatch(*(tensor.to(fabric.device, non_blocking=True) for tensor in batch))
        try:
            found = train_step(state, batch, recipe, fabric)
        except FloatingPointError as error:
            shown = ", ".join(images.keys[number] for number in batch.number.tolist())
            raise TrainingError(
                f"Training became unstable at iteration {state.step}: the loss is not finite ({error}; images "
                f"{shown}). Train anew into another --out with a lower optimizer.lr, or with --precision 32-true."
            ) from error
        if report is not None:
            report(state.step, found)
        state.step += 1
        if interruption is not None and interrupted(fabric, interruption):
            break


def train_step(state: TrainingState, batch: TrainingBatch, recipe: Recipe, fabric: Fabric) -> dict[str, float]:
    """One optimizer step: the value of every term, and `total`.

    Raises:
        FloatingPointError: the total is not finite; says the value of every term.
    """
    optimizer = recipe.optimizer
    set_learning_rate(
        state.optimizer,
        learning_rate_factor(state.step - state.start, state.stop - state.start, optimizer.warmup),
    )
    # Dropout depends on seed, step and process alone, so that a resumed run repeats the uninterrupted one.
    torch.manual_seed((fabric.global_rank << 40) + recipe.seed * 1_000_003 + state.step)
    with fabric.autocast():
        maps = state.network(batch.image)
    if fabric.world_size > 1:
        batch, maps = whole_batch(fabric, batch), whole_maps(fabric, maps)
    total, values = state.objective(maps, batch)
    state.optimizer.zero_grad(set_to_none=True)
    fabric.backward(total)
    if fabric.world_size > 1:
        add_gradients(state.network)
    fabric.strategy.optimizer_step(state.optimizer)
    renew_prototypes(state)
    state.average.update(state.network)
    found = torch.stack([*values.values(), total.detach()]).tolist()  # together: a GPU is waited for once
    named = dict(zip(values, found[:-1], strict=True))
    if not math.isfinite(found[-1]):
        raise FloatingPointError(", ".join(f"{name} {value:g}" for name, value in named.items()))
    return named | {"total": found[-1]}


@torch.no_grad()
def renew_prototypes(state: TrainingState) -> None:
    """From time to time the prototypes that pixels attend to follow the remembered regions."""
    aggregation = state.network.aggregation
    if aggregation is not None and state.step % RENEW_EVERY == 0:
        aggregation.prototypes.copy_(state.objective.regions.prototypes(aggregation.prototypes))


def freeze_batchnorm(network: Embedder, keep: bool) -> None:
    """What does not learn behaves as it will when it predicts: batch norm keeps its statistics, nothing is dropped.

    Args:
        keep: every batch norm of the backbone keeps its statistics, whether or not it learns.
    """
    norms = torch.nn.modules.batchnorm._BatchNorm
    for name, module in network.named_modules():
        frozen = not all(parameter.requires_grad for parameter in module.parameters(recurse=False))
        if isinstance(module, norms) and (frozen or (keep and name.startswith("backbone."))):
            module.eval()
