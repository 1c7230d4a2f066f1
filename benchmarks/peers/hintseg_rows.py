"""hintseg itself, measured like the others."""

import tempfile
from pathlib import Path

from benchmarks.peers.task import Image, Labels, Learner, Predict, Task
from hintseg.api import train


def hintseg_row(engine: str) -> Learner:
    """The default of an engine, on the task's images and hints alone."""

    def learn(task: Task) -> Predict:
        folder = Path(tempfile.mkdtemp(prefix="hintseg-peers-"))
        segmenter = train(task.dataset, ",".join(task.hints), folder / "run", engine=engine, seed=task.seed)

        def predict(image: Image) -> Labels:
            return segmenter.predict(image)

        return predict

    return learn
