"""Pixel classifiers: a random forest on filters, as ilastik has it, and classifiers on frozen features."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from skimage.feature import multiscale_basic_features

from benchmarks.peers.task import Image, Labels, Predict, Task
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.network.embedder import Embedder
from hintseg.network.tta import rescaled, to_tensor
from hintseg.recipes.instant import INSTANT

Features = Callable[[Image], NDArray[np.float32]]  # (H, W, 3) → (h, w, F)
A_IMAGE = 1000  # labeled pixels of an image that a classifier sees, at most
TREES = 100


def forest_on_filters(task: Task) -> Predict:
    """Intensity, edges and texture at scales of 0.5 to 16 pixels; a random forest."""
    return _fitted(task, _filters, _forest(task.seed))


def forest_on_backbone(task: Task) -> Predict:
    """The frozen backbone's feature maps; a random forest."""
    return _fitted(task, _backbone(), _forest(task.seed))


def logistic_on_backbone(task: Task) -> Predict:
    """The frozen backbone's feature maps; logistic regression on standardized features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return _fitted(task, _backbone(), make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)))


def _forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(TREES, max_depth=25, min_samples_leaf=2, random_state=seed)


def _filters(image: Image) -> NDArray[np.float32]:
    return np.asarray(multiscale_basic_features(image, sigma_min=0.5, sigma_max=16, channel_axis=-1), np.float32)


@torch.no_grad()
def _backbone() -> Features:
    network = Embedder(INSTANT.network, 2, "auto").eval()

    def maps(image: Image) -> NDArray[np.float32]:
        with torch.no_grad():
            scale = INSTANT.instant.image_side / max(image.shape[:2]) if INSTANT.instant else 1.0
            levels = network.pyramid(rescaled(to_tensor(image, network), scale))
        size = levels[0].shape[2:]
        joined = torch.cat([F.interpolate(level, size, mode="bilinear", align_corners=False) for level in levels], 1)
        return joined[0].permute(1, 2, 0).numpy()

    return maps


def _fitted(task: Task, features: Features, classifier: Any) -> Predict:
    random, vectors, classes = np.random.default_rng(task.seed), [], []
    for image, labels in task.hinted():
        found = features(image)
        rows, columns = np.nonzero(labels != IGNORE_INDEX)
        chosen = random.permutation(len(rows))[:A_IMAGE]
        rows, columns = rows[chosen], columns[chosen]
        height, width = found.shape[:2]
        vectors.append(found[rows * height // image.shape[0], columns * width // image.shape[1]])
        classes.append(labels[rows, columns])
    classifier.fit(np.concatenate(vectors), np.concatenate(classes))

    def predict(image: Image) -> Labels:
        found = features(image)
        probabilities = classifier.predict_proba(found.reshape(-1, found.shape[2])).astype(np.float32)
        maps = probabilities.reshape(*found.shape[:2], -1)
        size = image.shape[1], image.shape[0]
        full = np.stack([cv2.resize(maps[..., place], size) for place in range(maps.shape[2])])
        return np.asarray(classifier.classes_, np.uint8)[full.argmax(axis=0)]

    return predict
