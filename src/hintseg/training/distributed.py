"""Several processes train one network: each embeds its part of a batch, and all see the whole loss.

Every process gathers maps and hints of the whole batch and computes the whole objective; only its own maps
carry a gradient, and the gradients of the parameters are added up. So every term, whatever it averages over
and whichever segments it compares, equals that of one process on the same batch. The price is that the
objective, a small part of a step beside a backbone, is computed once a process.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from hintseg.errors import ConfigError, InputError, RunError
from hintseg.network.embedder import PixelMaps
from hintseg.training.batches import TrainingBatch
from hintseg.training.interrupt import Interruption
from hintseg.training.run_folder import own_folder

PATIENCE = timedelta(hours=3)  # one process may complete masks for long while the others wait

Item = TypeVar("Item")


def make_fabric(device: str, precision: str, devices: int = 1) -> Fabric:
    """A fabric of one device, or of several with a process each.

    Under torchrun, which starts the processes itself, its environment says how many there are.

    Raises:
        InputError: the device is not available.
        ConfigError: several of one numbered device.
    """
    from hintseg.inference.device import pick_device

    chosen = pick_device(device)
    local, world = (int(os.environ.get(name, "0")) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    nodes = world // local if local else 1
    devices = local or devices
    if devices * nodes == 1:
        index = [chosen.index] if chosen.index is not None else 1
        return Fabric(accelerator=chosen.type, devices=index, precision=precision)  # type: ignore[arg-type]
    if chosen.index is not None:
        raise ConfigError(f"--device {device} is one device, but --devices asks for {devices}; use --device cuda.")
    if chosen.type == "cuda" and torch.cuda.device_count() < devices:
        raise InputError(f"--devices {devices}: only {torch.cuda.device_count()} are here.")
    return Fabric(
        accelerator=chosen.type, devices=devices, num_nodes=nodes, strategy=DDPStrategy(timeout=PATIENCE),
        precision=precision,
    )  # fmt: skip


@contextmanager
def run_folder(out: Path, resume: bool, fabric: Fabric) -> Iterator[None]:
    """The run folder, locked and logged to by the first process; all agree whether it may be used.

    Raises:
        RunError: the folder is in use, holds another run, or cannot be written.
    """
    with ExitStack() as held:
        first_process_decides(fabric, lambda: held.enter_context(own_folder(out, resume)))
        yield


def first_process_decides(fabric: Fabric, work: Callable[[], Item]) -> Item:
    """What `work` gives in the first process, in all of them; none waits for one that could not do it.

    Raises:
        Exception: in the first process what `work` raised there, a RunError that says it in the others.
    """
    found: Any = None
    error = None
    if fabric.is_global_zero:
        try:
            found = work()
        except Exception as raised:
            error = raised
    found, problem = fabric.broadcast((found, None if error is None else str(error) or repr(error)))
    if error is not None:
        raise error
    if problem is not None:
        raise RunError(problem)
    return found


def shared_work(
    fabric: Fabric, folder: Path, keys: Sequence[str], make: Callable[[str, Path], Item],
    progress: Callable[[int, int], None],
) -> dict[str, Item]:  # fmt: skip
    """What `make` makes of every key, each made by one process and read from its path in a folder by the others.

    Args:
        make: reads the path, or makes what belongs there and leaves it.
        progress: called with (done, total) of this process's part.
    """
    paths = {key: folder / f"{number:07d}.npz" for number, key in enumerate(keys)}
    mine = keys[fabric.global_rank :: fabric.world_size]
    made = {}
    for key in mine:
        made[key] = make(key, paths[key])
        progress(len(made), len(mine))
    fabric.barrier()
    return {key: made[key] if key in made else make(key, path) for key, path in paths.items()}


def images_a_process(fabric: Fabric, batch: int) -> int:
    """How many images of a batch one process embeds; ConfigError where they cannot be shared out evenly."""
    if batch % fabric.world_size:
        raise ConfigError(f"data.batch_size is {batch}, which {fabric.world_size} processes cannot share evenly.")
    return batch // fabric.world_size


def whole_batch(fabric: Fabric, batch: TrainingBatch) -> TrainingBatch:
    """The images and hints of all processes, in the order of the batch."""
    return TrainingBatch(*(_everyones(fabric, tensor).flatten(0, 1) for tensor in batch))


def whole_maps(fabric: Fabric, maps: PixelMaps) -> PixelMaps:
    """The maps of all processes; this process's own have a gradient."""
    columns = []
    for own in maps:
        parts = list(_everyones(fabric, own))
        parts[fabric.global_rank] = own
        columns.append(torch.cat(parts))
    return PixelMaps(*columns)


def add_gradients(network: nn.Module) -> None:
    """Replace every parameter's gradient by the sum over processes."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    if not gradients:
        return
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, total in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(total.view(gradient.shape))


def interrupted(fabric: Fabric, interruption: Interruption) -> bool:
    """Whether a signal had reached any process; all then take it as theirs, after the same step.

    One that comes while they agree stays noted until the next time.
    """
    if fabric.world_size == 1:
        return interruption.signal is not None
    number = fabric.all_reduce(torch.tensor(interruption.signal or 0, device=fabric.device), reduce_op="max")
    agreed = int(number)  # type: ignore[arg-type]
    if agreed:
        interruption.signal = agreed
    return agreed != 0


def disconnect(fabric: Fabric) -> None:
    """Destroy the process group on all ranks together, instead of whenever each one ends."""
    if fabric.world_size > 1:
        fabric.barrier()
        dist.destroy_process_group()


def _everyones(fabric: Fabric, tensor: Tensor) -> Tensor:
    return fabric.all_gather(tensor)  # type: ignore[return-value]
