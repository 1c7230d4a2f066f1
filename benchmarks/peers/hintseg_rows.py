"""hintseg itself, measured like the others, and published losses on its network."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.task import Image, Labels, Learner, Predict, Task, processor_seconds
from hintseg.api import train
from hintseg.inference.segmenter import Segmenter

PROBES = (10, 30)  # iterations of two short trainings, which tell how long one takes and what every training takes


def hintseg_row(engine: str) -> Learner:
    """The default of an engine, on the task's images and hints alone."""
    return lambda task: _predict(_trained(task, "run", engine=engine))


def objective_row(
    objective: str, settings: Sequence[str] = (), begin: Callable[[int], None] = lambda iterations: None
) -> Learner:
    """The recipe `plain` with another objective, for as many iterations as fit into the task's seconds.

    Args:
        begin: is told the iterations of every training before it starts.
    """

    def trained(task: Task, name: str, iterations: int) -> Segmenter:
        begin(iterations)
        return _trained(task, name, objective=objective, settings=settings, iterations=iterations)

    def learn(task: Task) -> Predict:
        times = [processor_seconds()]
        for count in PROBES:
            trained(task, f"probe-{count}", count)
            times.append(processor_seconds())
        short, long = np.diff(times)
        each = (long - short) / (PROBES[1] - PROBES[0])
        left = task.seconds - short - long - (short - PROBES[0] * each)
        return _predict(trained(task, "run", max(round(left / each), 1)))

    return learn


def _trained(task: Task, name: str, **choices: Any) -> Segmenter:
    folder = Path(tempfile.mkdtemp(prefix="hintseg-peers-"))
    return train(task.dataset, ",".join(task.hints), folder / name, seed=task.seed, **choices)


def _predict(segmenter: Segmenter) -> Callable[[Image], Labels]:
    return lambda image: segmenter.predict(image)
