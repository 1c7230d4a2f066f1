"""One self-contained HTML page about a run: no link leaves it, light and dark."""

import base64
import csv
import html
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hintseg.apps.report.figures import Picture, embedding_colours, hints_over, overlay, region_borders
from hintseg.apps.report.retrieval import spotlit, spotlit_neighbour
from hintseg.errors import InputError
from hintseg.hints.dataset import Dataset
from hintseg.inference.retrieval import image_segments
from hintseg.inference.segmenter import Segmenter
from hintseg.io.images import deepest, resize_longest_side, resize_nearest
from hintseg.io.palette import label_palette
from hintseg.io.writing import atomic_path
from hintseg.memory_errors import memory_explained
from hintseg.metrics import ConfusionMatrix
from hintseg.network.tta import image_maps, middle_scale
from hintseg.pseudo_labels.target import weak_target

PAGE = 1150  # pixels that a row of images may take
RETRIEVED = 3  # images of which a segment's neighbours are shown
STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#f3f4f6;--line:#d0d7de;--accent:#0969da}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--paper:#0d1117;--soft:#161b22;--line:#30363d;--accent:#58a6ff}}
body{margin:0 auto;max-width:1200px;padding:1.5rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.2rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}
.row{display:flex;flex-wrap:wrap;gap:.6rem;margin:.6rem 0 1.2rem}figure{margin:0}img{display:block;border-radius:4px;max-width:100%}
figcaption{font-size:.8rem;opacity:.8}table{border-collapse:collapse;font-size:.9rem}td,th{padding:.25rem .7rem;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child{text-align:left}.key{display:inline-flex;align-items:center;margin-right:1rem;font-size:.9rem}
.key i{width:1em;height:1em;border-radius:3px;margin-right:.4em;border:1px solid var(--line)}pre{background:var(--soft);padding:.8rem;overflow:auto;font-size:.8rem}
svg{background:var(--soft);border-radius:4px;max-width:100%}.bar{background:var(--accent);height:.6em;border-radius:2px}
"""


class Evaluated(NamedTuple):
    """Scores of a split, and the images with their own mean IoU, worst first."""

    split: str
    matrix: ConfusionMatrix
    images: list[tuple[str, float]]


def write_report(
    segmenter: Segmenter,
    path: Path,
    *,
    training: Sequence[str] = (),
    others: Sequence[str] = (),
    evaluated: Evaluated | None = None,
    dataset: Dataset | None = None,
    title: str = "hintseg run",
) -> None:
    """Write the page.

    Args:
        training: keys of training images to show with hints, segments and completed masks.
        others: keys to show with predictions.
        evaluated: scores to tabulate; its worst images are shown first.
        dataset: where the images are; default is the run's.
    """
    dataset = dataset or segmenter.dataset()
    parts = [f"<h1>{html.escape(title)}</h1>", _summary(segmenter), legend(dataset.classes)]
    if evaluated is not None:
        parts.append(_scores(evaluated, dataset.classes))
    if training:
        parts.append("<h2>From hints to masks</h2>")
        parts += _rows(training, lambda key: picture_row(training_pictures(segmenter, dataset, key)))
    if others:
        predictions: dict[str, NDArray[np.uint8]] = {}
        shown = segmenter.class_map(dataset).own_labels

        def predicted(key: str) -> str:
            predictions[key] = segmenter.predict(segmenter.picture(dataset, key).pixels)
            return _prediction_row(dataset, key, shown(predictions[key]))

        parts.append("<h2>Predictions on images it was not trained on</h2>")
        parts += _rows(others, predicted)
        if (home := known_home(segmenter)) is not None:
            parts.append("<h2>Segments of such images and the nearest segments of training</h2>")
            some = list(predictions)[:RETRIEVED]
            parts += _rows(some, lambda key: _retrieval_row(segmenter, dataset, key, predictions[key], home))
    parts += _curves(segmenter.run / "metrics.csv")
    parts.append(
        "<h2>Configuration</h2><details><summary>Every constant of the run</summary><pre>"
        + html.escape(segmenter.recipe.model_dump_json(indent=1)) + "</pre></details>"
    )  # fmt: skip
    with atomic_path(path) as temporary:
        temporary.write_text(page(title, parts), "utf-8")


def _rows(keys: Iterable[str], make: Callable[[str], str]) -> list[str]:
    """A row of images for every image, or the sentence that says why there is none."""
    rows = []
    for key in keys:
        try:
            with memory_explained(key, "reduce the image, or cut it into tiles"):
                rows.append(make(key))
        except InputError as error:
            rows.append(f"<p>Left out: {html.escape(str(error))}</p>")
    return rows


def page(title: str, parts: Iterable[str]) -> str:
    """A self-contained HTML page of parts."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def _summary(segmenter: Segmenter) -> str:
    description = segmenter.description
    recipe = segmenter.recipe
    effort = f"{recipe.iterations} iterations of batch {recipe.data.batch_size}, crop {recipe.data.crop_size}"
    if recipe.instant is not None:
        head = f"a head on frozen features, {recipe.instant.steps} steps"
        effort = f"{head}, then {effort}" if recipe.objective else head
    return (
        f"<p>{len(description.keys)} training images with {html.escape(', '.join(description.forms))}; "
        f"{html.escape(recipe.network.backbone)}, {effort}, seed {recipe.seed}; "
        f"hintseg {html.escape(description.version)}.</p>"
    )


def legend(classes: Sequence[str]) -> str:
    """Every class with its colour."""
    keys = []
    for label, name in enumerate(classes):
        colour = ",".join(str(value) for value in label_palette()[label])
        keys.append(f'<span class="key"><i style="background:rgb({colour})"></i>{html.escape(name)}</span>')
    return f"<p>{''.join(keys)}</p>"


def training_pictures(segmenter: Segmenter, dataset: Dataset, key: str) -> list[tuple[Picture, str]]:
    """A training image, its hints, segments, embedding and completed mask, each with a caption."""
    image = segmenter.picture(dataset, key).pixels
    target = weak_target(
        dataset.hints(key, segmenter.description.forms), image.shape[:2], len(dataset.classes),
        segmenter.recipe.data.point_radius,
    )  # fmt: skip
    scale = middle_scale(segmenter.recipe.inference.scales)
    maps = image_maps(segmenter.network, segmenter.as_in_training(image), scale=scale)
    segments = resize_nearest(shown_segments(segmenter, maps.embeddings), image.shape[:2])
    colours = resize_nearest(embedding_colours(maps.embeddings.cpu().numpy()), image.shape[:2])
    return [
        (image, key),
        (hints_over(image, target.labels), "hints"),
        (region_borders(image, segments), "segments"),
        (colours, "embedding (three principal axes)"),
        (overlay(image, segmenter.complete(dataset, key)), "completed mask"),
    ]


def shown_segments(segmenter: Segmenter, embeddings: Tensor) -> NDArray[np.uint16]:
    """(D, h, w) → (h, w) segments. Training forms them on coarser cells; the mean of 5 × 5 fine ones resembles these."""
    smooth = F.normalize(F.avg_pool2d(embeddings[None], 5, stride=1, padding=2)[0], dim=0)
    return image_segments(smooth, segmenter.recipe.segments.inference_grid).cpu().numpy().astype(np.uint16)


def _prediction_row(dataset: Dataset, key: str, prediction: NDArray[np.uint8]) -> str:
    image = dataset.image(key)
    pictures = [(image, key), (overlay(image, prediction), "prediction")]
    truth = dataset.mask(key)
    if truth is not None:
        pictures.append((overlay(image, truth), "truth"))
    return picture_row(pictures)


def known_home(segmenter: Segmenter) -> Dataset | None:
    """The training data; None where it has moved, or the run names an address that the user does not."""
    try:
        return segmenter.dataset()
    except InputError:
        return None


def _retrieval_row(
    segmenter: Segmenter, dataset: Dataset, key: str, prediction: NDArray[np.uint8], home: Dataset
) -> str:
    """The segment in the middle of the largest thing that is no background, and its five nearest ones."""
    image = segmenter.picture(dataset, key).pixels
    counts = np.bincount(prediction.ravel(), minlength=len(segmenter.classes))
    if segmenter.description.background is not None and counts.sum() > counts[segmenter.description.background]:
        counts[segmenter.description.background] = 0
    x, y = deepest(prediction == counts.argmax())
    mask, found = segmenter.retrieve(image, (x, y), 5)
    pictures = [(spotlit(image, mask), f"{key}: {segmenter.classes[int(counts.argmax())]}?")]
    pictures += [
        (spotlit_neighbour(home, one), f"{one.key}: {segmenter.classes[one.label]}, {one.similarity:.2f}")
        for one in found
    ]
    return picture_row(pictures)


def _scores(evaluated: Evaluated, classes: Sequence[str]) -> str:
    scores = evaluated.matrix.scores()
    rows = []
    for name, value in zip(classes, scores.iou.tolist(), strict=True):
        shown = "–" if np.isnan(value) else f"{100 * value:.1f}"
        width = 0 if np.isnan(value) else round(160 * value)
        rows.append(
            f'<tr><td>{html.escape(name)}</td><td>{shown}</td><td><div class="bar" style="width:{width}px"></div></td></tr>'
        )
    counts = evaluated.matrix.counts
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    worst = "; ".join(f"{html.escape(key)} {100 * value:.0f}" for key, value in evaluated.images[:8])
    return (
        f"<h2>Scores on {html.escape(evaluated.split)}</h2><p>mean IoU <b>{100 * scores.mean_iou:.1f} %</b>, pixel "
        f"accuracy {100 * scores.pixel_accuracy:.1f} %, {scores.pixels:,} pixels.</p>"
        f'<div class="row"><table><tr><th>class</th><th>IoU %</th><th></th></tr>{"".join(rows)}</table>'
        f"{_confusion(shares, classes)}</div><p>Worst images (own mean IoU %): {worst}</p>"
    )


def _confusion(shares: NDArray[np.float64], classes: Sequence[str]) -> str:
    cell = max(10, min(28, 420 // len(classes)))
    squares = []
    for row, name in enumerate(classes):
        for column, other in enumerate(classes):
            squares.append(
                f'<rect x="{column * cell}" y="{row * cell}" width="{cell}" height="{cell}" fill="#0969da" '
                f'fill-opacity="{shares[row, column]:.3f}"><title>{html.escape(name)} seen as {html.escape(other)}: '
                f"{100 * shares[row, column]:.1f} %</title></rect>"
            )
    side = cell * len(classes)
    return (
        f'<figure><svg width="{side}" height="{side}" role="img" aria-label="confusion matrix">{"".join(squares)}</svg>'
        "<figcaption>confusion: rows are the truth, columns the prediction</figcaption></figure>"
    )


def _curves(path: Path) -> list[str]:
    """Losses by iteration, with their heading; nothing where a run has none, as an instant one."""
    try:
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError:
        return []
    if not rows:
        return []
    names = [name for name in rows[0] if name not in ("iteration", "seconds")]
    names += [name for name in rows[-1] if name not in names and name not in ("iteration", "seconds")]
    seconds = [float(row["seconds"]) for row in rows if row.get("seconds")]
    charts = [
        _curve(name, [(int(row["iteration"]), float(row[name])) for row in rows if row.get(name)]) for name in names
    ]
    timing = f"<p>{np.median(seconds):.2f} s an iteration.</p>" if seconds else ""
    return ["<h2>Training</h2>", f'{timing}<div class="row">{"".join(charts)}</div>']


def _curve(name: str, points: list[tuple[int, float]]) -> str:
    if not points:
        return ""
    window = max(len(points) // 60, 1)
    smooth = [
        (points[start][0], float(np.mean([value for _, value in points[start : start + window]])))
        for start in range(0, len(points), window)
    ]
    top = max(value for _, value in smooth) or 1.0
    last = max(smooth[-1][0], 1)
    line = " ".join(f"{10 + 240 * step / last:.1f},{110 - 100 * max(value, 0) / top:.1f}" for step, value in smooth)
    return (
        f'<figure><svg width="260" height="120" role="img" aria-label="{html.escape(name)}"><polyline points="{line}" '
        f'fill="none" stroke="var(--accent)" stroke-width="1.5"/></svg><figcaption>{html.escape(name)}: '
        f"{smooth[0][1]:.3g} → {smooth[-1][1]:.3g}</figcaption></figure>"
    )


def picture_row(pictures: Iterable[tuple[Picture, str]]) -> str:
    """Images with captions, side by side."""
    pictures = list(pictures)
    side = min(360, max(180, PAGE // len(pictures) - 10))
    figures = []
    for picture, caption in pictures:
        small = resize_longest_side(picture, side)
        figures.append(
            f'<figure><img src="{_data_uri(small)}" width="{small.shape[1]}" height="{small.shape[0]}" '
            f'alt="{html.escape(caption)}"><figcaption>{html.escape(caption)}</figcaption></figure>'
        )
    return f'<div class="row">{"".join(figures)}</div>'


def _data_uri(picture: Picture) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
