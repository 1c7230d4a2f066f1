"""The report of a run folder: which images it shows."""

from pathlib import Path

from hintseg.apps.report.html import Evaluated, known_home, write_report
from hintseg.errors import HintsegError
from hintseg.hints.dataset import Dataset
from hintseg.inference.segmenter import Segmenter

SHOWN = 6


def report_run(segmenter: Segmenter, evaluated: Evaluated | None = None, dataset: Dataset | None = None) -> Path:
    """Write RUN/report.html: a few training images, and images it was not trained on where there are any.

    With `evaluated`, the worst images of that split are shown.

    Args:
        dataset: where the evaluated images lie; default the training data.

    Raises:
        HintsegError: the training data has moved, and no other data set is given.
    """
    if dataset is not None and dataset.address == segmenter.description.data:
        segmenter.data = dataset
    shown_from, home = dataset or segmenter.dataset(), known_home(segmenter)
    trained = segmenter.description.keys
    step = max(len(trained) // SHOWN, 1)
    others = [key for key, _ in evaluated.images[:SHOWN]] if evaluated else _unseen(shown_from, set(trained))
    path = segmenter.run / "report.html"
    same = home is not None and shown_from.root.resolve() == home.root.resolve()
    write_report(
        segmenter, path, training=trained[::step][:SHOWN] if same else (), others=others, evaluated=evaluated,
        dataset=shown_from, title=f"hintseg · {segmenter.run.name}",
    )  # fmt: skip
    return path


def _unseen(dataset: Dataset, trained: set[str]) -> list[str]:
    for split in ("held_out", "val", "test"):
        try:
            keys = [key for key in dataset.keys(split) if key not in trained]
        except HintsegError:
            continue
        if keys:
            return keys[:: max(len(keys) // SHOWN, 1)][:SHOWN]
    return [key for key in dataset.paths if key not in trained][:SHOWN]
