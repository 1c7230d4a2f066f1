"""napari-convpaint without its window.

Its default features are networks that it fetches from the internet; what it can load offline are Gaussian filters.
"""

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.peers.task import Image, Labels, Predict, Task
from hintseg.hints.labels import IGNORE_INDEX


def convpaint_gaussian(task: Task) -> Predict:
    """Gaussian features and CatBoost, as its alias "gaussian" has them."""
    model = _model_class()("gaussian")
    model.set_params(channel_mode="rgb", ignore_warnings=True)
    images, annotations = [], []
    for image, labels in task.hinted():
        images.append(np.moveaxis(image, 2, 0))
        annotations.append(np.where(labels == IGNORE_INDEX, 0, labels.astype(np.int64) + 1))
    model.train(images, annotations)

    def predict(image: Image) -> Labels:
        found = np.asarray(model.segment(np.moveaxis(image, 2, 0)))
        return np.asarray(found.reshape(image.shape[:2]) - 1, np.uint8)

    return predict


def _model_class() -> Any:
    """Its model alone: the package's own __init__ opens a window's widgets, which need Qt and a screen."""
    found = find_spec("napari_convpaint")
    if found is not None and "napari_convpaint" not in sys.modules:
        package = ModuleType("napari_convpaint")
        package.__path__ = list(found.submodule_search_locations or [])
        sys.modules["napari_convpaint"] = package
    from napari_convpaint.convpaint_model import ConvpaintModel

    return ConvpaintModel
