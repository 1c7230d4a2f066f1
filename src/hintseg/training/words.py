"""Visual words of all training images, found before training: where hints spread to, what looks alike agrees.

What looks alike is told by the backbone as its weights came, so that nothing of it is learned from wrong labels.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray

from hintseg.network.embedder import Embedder
from hintseg.targets.words import TaggedCells, Vocabulary, explained, foreign, learn_vocabulary, word_table
from hintseg.training.data import Looks, TrainingImages
from hintseg.training.processes import shared_work
from hintseg.writing import kept_arrays

log = logging.getLogger("hintseg")
WORD_STRIDE = 8  # pixels per cell
SCALE = 1.5  # of the image that the backbone sees
SAMPLED_IMAGES, SAMPLED_CELLS = 500, 20_000  # that a vocabulary is learned from
LEAST_CLAIM = 0.02  # of every class, so that looks can object
POWER = 0.7  # of what looks say beside what hints spread to


class Words(NamedTuple):
    """What looks alike in a data set.

    Attributes:
        size: of the vocabulary.
        cells: by key. Claims are what hints spread to; no classes where no hint spreads, or not to everywhere.
    """

    size: int
    cells: dict[str, TaggedCells]


def agree_on_words(
    out: Path, network: Embedder, images: TrainingImages, seed: int, fabric: Fabric,
    progress: Callable[[str, int, int, dict[str, float]], None],
) -> Words | None:  # fmt: skip
    """Find words and let them weigh where hints spread; None where hints do not spread, or without words."""
    if not (images.config.words and images.config.spread_regions):
        return None
    words = find_words(out, network, images, seed, fabric, progress)
    images.weigh(looks_by_words(words, images.num_classes))
    leave_open(images, words.cells, words.size)
    return words


def leave_open(images: TrainingImages, cells: dict[str, TaggedCells], words: int) -> None:
    """What looks like classes that an image does not have is void in it, unless there is a background to hold it.

    Args:
        cells: of images, with claims; those without any are left as they are.
        words: size of the vocabulary.
    """
    if images.config.foreign == 0 or images.dataset.background is not None:
        return
    claimed = {key: own for key, own in cells.items() if len(own.classes)}
    places = foreign(list(claimed.values()), words, images.num_classes, images.config.foreign)
    if places:
        share = np.mean([place.mean() for place in places])
        log.info("%.0f %% of %d images looks like classes that they do not have, and is void", 100 * share, len(places))
    images.leave_open(dict(zip(claimed, places, strict=True)))


def find_words(
    out: Path, network: Embedder, images: TrainingImages, seed: int, fabric: Fabric,
    progress: Callable[[str, int, int, dict[str, float]], None],
) -> Words:  # fmt: skip
    """Words of every training image, left in OUT/words and read back from there.

    Args:
        network: its backbone has learned nothing yet; moved to the device.
    """
    training, _ = network.training, network.eval().to(fabric.device)

    def learned(_: str, path: Path) -> Vocabulary:
        return Vocabulary(*kept_arrays(path, Vocabulary._fields, lambda: _vocabulary(network, images, seed, progress)))

    vocabulary = shared_work(fabric, {"": out / "vocabulary.npz"}, learned, lambda *_: None)[""]

    def cells(key: str, path: Path) -> TaggedCells:
        return TaggedCells(*kept_arrays(path, TaggedCells._fields, lambda: described(key)))

    def described(key: str) -> TaggedCells:
        features = cell_features(network, images.image(key))
        size = features.shape[1:]
        words = vocabulary.words(features.reshape(len(features), -1).T).reshape(size)
        classes, shares = images.spread_shares(key)
        claims = F.adaptive_avg_pool2d(torch.from_numpy(shares), size).numpy() + LEAST_CLAIM
        return TaggedCells(classes, (claims / claims.sum(axis=0)).astype(np.float16), words.astype(np.uint16))

    paths = {key: out / "words" / f"{number:07d}.npz" for number, key in enumerate(images.keys)}
    found = shared_work(fabric, paths, cells, lambda done, total: progress("words", done, total, {}))
    network.train(training)
    return Words(len(vocabulary.centres), found)


def looks_by_words(words: Words, num_classes: int) -> dict[str, Looks]:
    """What the words that hints spread to say of every image that has some."""
    spread = {key: cells for key, cells in words.cells.items() if len(cells.classes) > 1}
    table = word_table(list(spread.values()), words.size, num_classes, power=POWER)
    looks = {}
    for key, cells in spread.items():
        alone = cells._replace(claims=np.ones_like(cells.claims))
        looks[key] = Looks(cells.classes, explained(alone, table, power=POWER).astype(np.float16))
    return looks


def _vocabulary(
    network: Embedder, images: TrainingImages, seed: int,
    progress: Callable[[str, int, int, dict[str, float]], None],
) -> Vocabulary:  # fmt: skip
    generator = np.random.default_rng(seed)
    some = images.keys[:: -(-len(images.keys) // SAMPLED_IMAGES)]
    sample = []
    for key in some:
        features = cell_features(network, images.image(key))
        features = features.reshape(len(features), -1).T
        count = min(-(-SAMPLED_CELLS // len(some)), len(features))
        sample.append(features[generator.choice(len(features), count, replace=False)])
        progress("vocabulary", len(sample), len(some), {})
    return learn_vocabulary(np.concatenate(sample), images.config.words, seed=seed)


@torch.no_grad()
def cell_features(network: Embedder, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(D, h, w): the backbone's deepest three maps of an image, each of unit length."""
    multiple = network.backbone.multiple
    size = [max(round(side * SCALE / multiple), 1) * multiple for side in image.shape[:2]]
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float().to(network.mean.device)
    pixels = F.interpolate(pixels, size=size, mode="bilinear", align_corners=False)
    cells = [max(side // WORD_STRIDE, 1) for side in image.shape[:2]]
    resized = [
        F.interpolate(maps.float(), size=cells, mode="bilinear", align_corners=False)[0]
        for maps in network.pyramid(pixels)[-3:]
    ]
    return torch.cat([F.normalize(maps, dim=0) for maps in resized]).cpu().numpy()
