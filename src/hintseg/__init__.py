"""Semantic segmentation from tags, boxes, points and scribbles.

from hintseg import Dataset, Segmenter, train
segmenter = train(Dataset.open("DATA"), hints="scribbles", out="runs/a")
mask = segmenter.predict("image.jpg")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hintseg import functional as functional
    from hintseg.api import train as train
    from hintseg.apps.cli.progress import progress_bar as progress_bar
    from hintseg.apps.demo.images import write_demo as write_demo
    from hintseg.apps.report.figures import draw_hints as draw_hints
    from hintseg.apps.report.figures import overlay as overlay
    from hintseg.errors import HintsegError as HintsegError
    from hintseg.hints.dataset import Dataset as Dataset
    from hintseg.inference.segmenter import Segmenter as Segmenter
    from hintseg.pseudo_labels.pipeline import hint_labels as hint_labels
    from hintseg.pseudo_labels.propagate import propagate_without_training as propagate_without_training

from hintseg import moved
from hintseg.version import __version__ as __version__

moved.install()

_HOME = {
    "Dataset": "hintseg.hints.dataset",
    "HintsegError": "hintseg.errors",
    "Segmenter": "hintseg.inference.segmenter",
    "propagate_without_training": "hintseg.pseudo_labels.propagate",
    "draw_hints": "hintseg.apps.report.figures",
    "hint_labels": "hintseg.pseudo_labels.pipeline",
    "overlay": "hintseg.apps.report.figures",
    "progress_bar": "hintseg.apps.cli.progress",
    "train": "hintseg.api",
    "write_demo": "hintseg.apps.demo.images",
}

__all__ = [
    "__version__", "functional", *_HOME,
]  # fmt: skip


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import hintseg` does not load torch."""
    if name == "functional":
        return import_module("hintseg.functional")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'hintseg' has no attribute {name!r}")
