"""The report of a run folder: hints → masks, scores, curves, configuration, whoever writes it."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hintseg.apps.report.charts import curves
from hintseg.apps.report.figures import RgbImage, draw_hints, embedding_colors, overlay, region_borders
from hintseg.apps.report.page import Figure, Row, figure_row, require_page, write_page
from hintseg.apps.report.retrieval import spotlit, spotlit_neighbor
from hintseg.apps.report.scores import kept_evaluations, shown_scores
from hintseg.errors import HintsegError, InputError
from hintseg.functional.shapes import deepest
from hintseg.hints.dataset import Dataset
from hintseg.hints.splits import HELD_OUT
from hintseg.inference.evaluation import Evaluation
from hintseg.inference.retrieval import image_segments
from hintseg.inference.segmenter import Segmenter
from hintseg.io.images import resize_nearest
from hintseg.memory_errors import memory_explained
from hintseg.network.tta import image_maps, middle_scale
from hintseg.pseudo_labels.pipeline import pseudo_labels

SHOWN = 6
RETRIEVED = 3  # images of which a segment's neighbors are shown


def report_run(segmenter: Segmenter, evaluated: Evaluation | None = None, dataset: Dataset | None = None) -> Path:
    """Write RUN/report.html: a few training images, and images it was not trained on where there are any.

    Scores are those of every evaluation that the run folder holds.

    Args:
        evaluated: shown, too; the worst images of its split are the ones predicted.
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
    evaluations = [kept for kept in kept_evaluations(segmenter.run) if not evaluated or kept.split != evaluated.split]
    write_report(
        segmenter, path, training=trained[::step][:SHOWN] if same else (), others=others, dataset=shown_from,
        evaluations=([evaluated] if evaluated else []) + evaluations, title=f"hintseg · {segmenter.run.name}",
    )  # fmt: skip
    return path


def write_report(
    segmenter: Segmenter, path: Path, *, training: Sequence[str] = (), others: Sequence[str] = (),
    evaluations: Sequence[Evaluation] = (), dataset: Dataset | None = None, title: str = "hintseg run",
) -> None:  # fmt: skip
    """Write the page.

    Args:
        training: keys of training images to show with hints, segments and completed masks.
        others: keys to show with predictions.
        evaluations: scores to tabulate.
        dataset: where the images are; default is the run's.
    """
    require_page(path)
    dataset = dataset or segmenter.dataset()
    predictions: dict[str, NDArray[np.uint8]] = {}
    shown = segmenter.class_map(dataset).own_labels

    def predicted(key: str) -> list[Figure]:
        predictions[key] = segmenter.predict(segmenter.decoded(dataset, key).pixels)
        return _prediction_row(dataset, key, shown(predictions[key]))

    rows = {
        "training": _rows(training, lambda key: figure_row(training_figures(segmenter, dataset, key))),
        "predictions": _rows(others, predicted),
        "neighbors": [],
    }
    if (home := known_home(segmenter)) is not None:
        some = list(predictions)[:RETRIEVED]
        rows["neighbors"] = _rows(some, lambda key: _retrieval_row(segmenter, dataset, key, predictions[key], home))
    charts, seconds = curves(segmenter.run / "metrics.csv")
    write_page(
        path, "run.html", title, dataset.classes, dataset.colors, summary=_summary(segmenter, home), charts=charts,
        seconds=seconds, evaluations=[shown_scores(result) for result in evaluations],
        configuration=segmenter.recipe.model_dump_json(indent=1), **rows,
    )  # fmt: skip


def _rows(keys: Iterable[str], make: Callable[[str], list[Figure]]) -> list[Row]:
    """A row of images for every key, or the sentence that says why there is none."""
    rows: list[Row] = []
    for key in keys:
        try:
            with memory_explained(key, "reduce the image, or cut it into tiles"):
                rows.append(make(key))
        except InputError as error:
            rows.append(str(error))
    return rows


def _summary(segmenter: Segmenter, home: Dataset | None) -> str:
    description = segmenter.description
    named = home.hint_keys() if home else dict.fromkeys(description.hint_types, frozenset(description.keys))
    hint_types = [name for name in description.hint_types if named.get(name, frozenset()) & set(description.keys)]
    recipe = segmenter.recipe
    effort = f"{recipe.iterations} iterations of batch {recipe.data.batch_size}, crop {recipe.data.crop_size}"
    if recipe.instant is not None:
        head = f"a head on frozen features, {recipe.instant.steps} steps"
        effort = f"{head}, then {effort}" if recipe.objective else head
    return (
        f"{len(description.keys)} training images with {', '.join(hint_types)}; {recipe.network.backbone}, "
        f"{effort}, seed {recipe.seed}; hintseg {description.version}."
    )


def training_figures(segmenter: Segmenter, dataset: Dataset, key: str) -> list[tuple[RgbImage, str]]:
    """A training image, its hints, segments, embedding and completed mask, each with a caption."""
    decoded = segmenter.decoded(dataset, key)
    image, hints = decoded.pixels, dataset.hints(key, segmenter.description.hint_types)
    labels = pseudo_labels(decoded, hints, len(dataset.classes), segmenter.recipe.data.point_radius).labels
    scale = middle_scale(segmenter.recipe.inference.scales)
    maps = image_maps(segmenter.network, segmenter.as_in_training(image), scale=scale)
    segments = resize_nearest(shown_segments(segmenter, maps.embeddings), image.shape[:2])
    colors = resize_nearest(embedding_colors(maps.embeddings.cpu().numpy()), image.shape[:2])
    return [
        (image, key),
        (draw_hints(image, labels, dataset.colors), "hints"),
        (region_borders(image, segments), "segments"),
        (colors, "embedding (three principal axes)"),
        (overlay(image, segmenter.complete(dataset, key), dataset.colors), "completed mask"),
    ]


def shown_segments(segmenter: Segmenter, embeddings: Tensor) -> NDArray[np.uint16]:
    """(D, h, w) → (h, w) segments: of means over 5 × 5 cells, since training makes them on coarser ones."""
    smooth = F.normalize(F.avg_pool2d(embeddings[None], 5, stride=1, padding=2)[0], dim=0)
    return image_segments(smooth, segmenter.recipe.segments.inference_grid).cpu().numpy().astype(np.uint16)


def _prediction_row(dataset: Dataset, key: str, prediction: NDArray[np.uint8]) -> list[Figure]:
    image = dataset.image(key)
    captioned = [(image, key), (overlay(image, prediction, dataset.colors), "prediction")]
    truth = dataset.mask(key)
    if truth is not None:
        captioned.append((overlay(image, truth, dataset.colors), "truth"))
    return figure_row(captioned)


def known_home(segmenter: Segmenter) -> Dataset | None:
    """The training data; None where it has moved, or the run names an address that the user does not."""
    try:
        return segmenter.dataset()
    except InputError:
        return None


def _retrieval_row(
    segmenter: Segmenter, dataset: Dataset, key: str, prediction: NDArray[np.uint8], home: Dataset
) -> list[Figure]:
    """The segment in the middle of the largest thing that is no background, and its five nearest ones."""
    image = segmenter.decoded(dataset, key).pixels
    counts = np.bincount(prediction.ravel(), minlength=len(segmenter.classes))
    if segmenter.description.background is not None and counts.sum() > counts[segmenter.description.background]:
        counts[segmenter.description.background] = 0
    x, y = deepest(prediction == counts.argmax())
    mask, found = segmenter.retrieve(image, (x, y), 5)
    captioned = [(spotlit(image, mask), f"{key}: {segmenter.classes[int(counts.argmax())]}?")]
    captioned += [
        (spotlit_neighbor(home, one), f"{one.key}: {segmenter.classes[one.label]}, {one.similarity:.2f}")
        for one in found
    ]
    return figure_row(captioned)


def _unseen(dataset: Dataset, trained: set[str]) -> list[str]:
    for split in HELD_OUT:
        try:
            keys = [key for key in dataset.keys(split) if key not in trained]
        except HintsegError:
            continue
        if keys:
            return keys[:: max(len(keys) // SHOWN, 1)][:SHOWN]
    return [key for key in dataset.paths if key not in trained][:SHOWN]
