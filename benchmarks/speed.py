"""Time and peak memory of a training step by objective, each in a fresh process, on random photographs."""

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.record import write

ROWS = ("partial_cross_entropy", "annotation", "similarity", "cooccurrence", "affinity", "spml", "recipe")  # fmt: skip
DIFFERENT = 3  # batches


def measure(
    objective: str, steps: int, recipe_name: str, settings: list[str], precision: str
) -> dict[str, float | str]:
    """Median seconds of a step after four warm-up steps, the backbone's share of it, and peak memory in MiB.

    From the return of one step to that of the next, as training runs them: a GPU may still be at work when a step
    returns, but every step waits for it half-way. On a GPU also how often a step makes its host wait for it, as torch
    warns of it.
    """
    import numpy as np
    import torch

    from hintseg.api import choose_recipe
    from hintseg.network.embedder import Embedder
    from hintseg.training.batches import TrainingBatch
    from hintseg.training.distributed import make_fabric
    from hintseg.training.loop import freeze_batchnorm, new_state, train_step

    name, _, own = objective.partition(":")
    settings = [*settings, *(part for part in own.split(";") if part)]
    recipe = choose_recipe(recipe_name, objective=None if name == "recipe" else name, weights="auto", settings=settings)
    fabric = make_fabric("auto", precision)
    torch.manual_seed(0)
    state = new_state(Embedder(recipe.network, 21), recipe, None, fabric)
    state.network.train()
    freeze_batchnorm(state.network, recipe.network.freeze_batchnorm)
    batches = [
        TrainingBatch(*(made[name].to(fabric.device) for name in TrainingBatch._fields))
        for made in (_batch(np.random.default_rng(number), recipe.data) for number in range(DIFFERENT))
    ]

    def one(number: int) -> None:
        train_step(state, batches[number % DIFFERENT], recipe, fabric)
        state.step += 1

    seconds = _paces(one, steps)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() / 2**20
    step = statistics.median(seconds)
    backbone = _backbone_seconds(state.network, batches[0].image, fabric, min(steps, 8))
    waits = {"waits": _waits(lambda: one(0))} if torch.cuda.is_available() else {}
    return {"objective": objective, "seconds": step, "peak_mib": peak,
            "images_per_second": recipe.data.batch_size / step, "backbone_share": backbone / step, **waits}  # fmt: skip


def _paces(one: Callable[[int], None], count: int) -> list[float]:
    """Seconds from the return of each call to that of the next."""
    returned = []
    for number in range(count + 4):
        one(number)
        returned.append(time.perf_counter())
    return [after - before for before, after in itertools.pairwise(returned)][3:]


def _waits(step) -> int:
    import warnings

    import torch

    torch.cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        step()
    torch.cuda.set_sync_debug_mode("default")
    return sum("synchron" in str(warning.message) for warning in caught)


def _backbone_seconds(network, images, fabric, count: int) -> float:
    """Mean of `count` passes forward and backward, one right after the other."""
    import torch

    def wait() -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()

    for number in range(count + 1):
        if number == 1:
            started = wait()
        with fabric.autocast():
            total = sum(level.float().mean() for level in network.pyramid(images))
        fabric.backward(total)
    return (wait() - started) / count


def _batch(random, config):
    """Smooth photographs, about 3 % scribbled pixels of four classes an image, spread widely; a hundred regions."""
    import cv2
    import numpy as np
    import torch

    side, count = config.crop_size, config.batch_size
    coarse = random.integers(0, 255, (count, 12, 12, 3)).astype(np.uint8)
    image = np.stack([cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC) for part in coarse])
    labels = np.full((count, side, side), 254, np.uint8)
    propagated = labels.copy()
    allowed = np.zeros((count, 21), bool)
    for index in range(count):
        for label in random.choice(21, 4, replace=False):
            (x0, y0), (x1, y1) = random.integers(0, side, (2, 2)).tolist()
            cv2.line(propagated[index], (x0, y0), (x1, y1), int(label), 60)
            cv2.line(labels[index], (x0, y0), (x1, y1), int(label), 3)
            allowed[index, label] = True
    rows, columns = np.mgrid[:side, :side]
    regions = np.broadcast_to((rows * 10 // side) * 10 + columns * 10 // side, labels.shape).astype(np.int32)
    soft = np.repeat(allowed[:, :, None, None], side // 4, 2).repeat(side // 4, 3).astype(np.float32) / 4
    arrays = {
        "image": np.ascontiguousarray(image.transpose(0, 3, 1, 2)), "labels": labels, "regions": regions.copy(),
        "candidate_classes": allowed, "present_classes": allowed, "propagated": propagated, "soft": soft,
        "number": np.arange(count),
    }  # fmt: skip
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objective", help="measure this one in this process and print JSON")
    parser.add_argument(
        "--rows", default=",".join(ROWS), help="as hintseg compare --objectives; ratios are to the first"
    )
    parser.add_argument("--recipe", default="fine-tuned", help="the row 'recipe' stands for its own objective")
    parser.add_argument("--set", action="append", default=[], help="as hintseg train --set, for every row")
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--name", default="speed", help="of the result file")
    options = parser.parse_args()
    if options.objective:
        found = measure(options.objective, options.steps, options.recipe, options.set, options.precision)
        print(json.dumps(found))
        return
    rows = []
    for objective in options.rows.split(","):
        command = [sys.executable, "-m", "benchmarks.speed", "--objective", objective, "--steps", str(options.steps),
                   "--recipe", options.recipe, "--precision", options.precision,
                   *(part for setting in options.set for part in ("--set", setting))]  # fmt: skip
        row = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        row["time_ratio"] = row["seconds"] / (rows[0]["seconds"] if rows else row["seconds"])
        row["memory_ratio"] = row["peak_mib"] / (rows[0]["peak_mib"] if rows else row["peak_mib"])
        rows.append(row)
        print({key: value if isinstance(value, str) else round(value, 3) for key, value in row.items()}, flush=True)
    print(write(options.name, rows))


if __name__ == "__main__":
    main()
