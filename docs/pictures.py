"""Draws the pictures of the documentation: python -m docs.pictures RUN OUT, with the run that `make demo` left."""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from docs.figures.clusters import draw_clusters
from docs.figures.losses import draw_gradient, draw_peakedness
from docs.figures.retrieval import draw_retrieval
from docs.figures.sparsity import draw_sparsity
from docs.figures.tags import draw_poolings, draw_tags
from PIL import Image

from hintseg import Segmenter
from hintseg.apps.report.figures import draw_hints, embedding_colors, overlay, region_borders
from hintseg.apps.report.run_report import shown_segments, training_figures
from hintseg.functional.propagation.regions import propagate, propagated_labels
from hintseg.functional.segments.superpixels import find_superpixels
from hintseg.hints.dataset import Dataset
from hintseg.hints.model import ImageHints
from hintseg.hints.types.boxes import Box
from hintseg.hints.types.points import Point
from hintseg.io.images import resize_longest_side, resize_nearest
from hintseg.io.palette import label_palette
from hintseg.io.samples import DecodedImage
from hintseg.network.tta import image_maps, middle_scale
from hintseg.pseudo_labels.pipeline import pseudo_labels
from hintseg.pseudo_labels.propagate import propagate_without_training

WIDTH, NARROW = 420, 220  # pixels of a picture where three and where five stand in a row
CUP, CAT = 3, 2
POINTS = {
    "cup": ((300, 150, CUP), (250, 32, CUP), (160, 290, CUP), (40, 300, 0), (560, 200, 0), (60, 50, 0)),
    "cat": ((150, 60, CAT), (215, 180, CAT), (40, 270, CAT), (425, 200, 0), (12, 60, 0), (395, 280, 0)),
}
IMAGENET = {"cup": [441, 504, 967, 968], "cat": [281, 282, 283, 284, 285]}  # mug, espresso, … and cats
CLICKS = [(0.75, 0.75), (0.52, 0.43)]  # on the held-out motorcycle, as fractions of its sides
BOXES = {"cup": (75, 12, 484, 388, CUP), "cat": (0, 0, 385, 300, CAT)}


def beside(*pictures: np.ndarray, width: int = WIDTH) -> np.ndarray:
    """Pictures of one size in a row, with a white gap between them."""
    small = [resize_longest_side(picture, width) for picture in pictures]
    gap = np.full((small[0].shape[0], 8, 3), 255, np.uint8)
    return np.concatenate([part for picture in small for part in (picture, gap)][:-1], axis=1)


def below(*rows: np.ndarray) -> np.ndarray:
    """Rows of pictures, one under the other."""
    gap = np.full((8, rows[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([part for row in rows for part in (row, gap)][:-1], axis=0)


def hint_row(image: np.ndarray, hints: ImageHints, classes: int) -> np.ndarray:
    """Hints, the labels that are propagated, and the whole mask that they give without any training."""
    target = pseudo_labels(DecodedImage(image), hints, classes, point_radius=6)
    drawn = draw_hints(image, target.labels)
    for box in hints.boxes:
        corners = (round(box.x0), round(box.y0)), (round(box.x1) - 1, round(box.y1) - 1)
        cv2.rectangle(drawn, *corners, label_palette()[box.label].tolist(), 4)
    regions = find_superpixels(image, 1000)
    probabilities = propagate(image, target.seeds, regions, classes)
    propagated = propagated_labels(target.labels, regions, probabilities, 0.9, target.possible)
    whole = propagate_without_training(image, target.seeds, classes)
    if target.possible is not None:
        whole = whole * target.possible
    return beside(drawn, overlay(image, propagated), overlay(image, whole.argmax(axis=0).astype(np.uint8)))


def save(path: Path, picture: np.ndarray) -> None:
    """Write a JPEG."""
    Image.fromarray(picture).save(path, quality=85)


def main(run: Path, out: Path) -> None:
    """Pictures of the README, the hint types, the method, the losses and the results."""
    segmenter = Segmenter.open(run)
    dataset = segmenter.dataset()
    draw_hint_types(out, dataset)
    shown = [[image for image, _ in training_figures(segmenter, dataset, key)] for key in ("cup", "motorcycle")]
    save(out / "demo.jpg", below(*[beside(*pictures, width=NARROW) for pictures in shown]))
    draw_method(out, segmenter, dataset)
    draw_retrieval(out / "method-retrieval.jpg", segmenter, dataset, "motorcycle_right", CLICKS)
    draw_lecture(out, dataset)
    draw_sparsity(out / "sparsity.jpg")


def draw_hint_types(out: Path, dataset: Dataset) -> None:
    """One picture a hint type."""
    rows: dict[str, list[np.ndarray]] = {"points": [], "scribbles": [], "boxes": []}
    for key in ("cup", "cat"):
        image = dataset.image(key)
        by_type = {
            "points": ImageHints({"points": tuple(Point(*point) for point in POINTS[key])}, background=0),
            "scribbles": dataset.hints(key, ("scribbles",)),
            "boxes": ImageHints({"boxes": (Box(*BOXES[key]),)}, background=0),
        }
        for name, hints in by_type.items():
            rows[name].append(hint_row(image, hints, len(dataset.classes)))
    for name, pictures in rows.items():
        save(out / f"hint-{name}.jpg", below(*pictures))


def draw_lecture(out: Path, dataset: Dataset) -> None:
    """Regularization losses, segments of colors, and what tags say of places."""
    cup, cat = dataset.image("cup"), dataset.image("cat")
    strokes = pseudo_labels(DecodedImage(cup), dataset.hints("cup", ("scribbles",)), len(dataset.classes)).labels
    draw_gradient(out / "losses-gradient.jpg", cup, strokes, center=(0.42, 0.45))
    draw_peakedness(out / "losses-entropy.jpg", cup, strokes)
    draw_clusters(out / "losses-clusters.jpg", dataset.image("astronaut"))
    draw_tags(out / "tags-cues.jpg", {CUP: (cup, IMAGENET["cup"]), CAT: (cat, IMAGENET["cat"])})
    draw_poolings(out / "tags-pooling.jpg", cat, IMAGENET["cat"])


def draw_method(out: Path, segmenter: Segmenter, dataset: Dataset) -> None:
    """How pixels become segments, and how near every pixel of two photographs is to one segment of the first."""
    image = dataset.image("motorcycle")
    scale = middle_scale(segmenter.recipe.inference.scales)
    vectors = {
        key: image_maps(segmenter.network, segmenter.as_in_training(dataset.image(key)), scale=scale).embeddings
        for key in ("motorcycle", "cat")
    }
    clusters = shown_segments(segmenter, vectors["motorcycle"])
    small = resize_longest_side(image, WIDTH)
    size = small.shape[:2]
    save(
        out / "method-segments.jpg",
        beside(
            region_borders(small, resize_nearest(find_superpixels(image, 200), size)),
            resize_nearest(embedding_colors(vectors["motorcycle"].numpy()), size),
            region_borders(small, resize_nearest(clusters, size)),
        ),
    )
    height, width = clusters.shape
    chosen = clusters == clusters[330 * height // image.shape[0], 600 * width // image.shape[1]]
    prototype = F.normalize(vectors["motorcycle"][:, torch.from_numpy(chosen)].sum(dim=1), dim=0)
    heats = []
    for embeddings in vectors.values():
        cosines = torch.einsum("dhw,d->hw", embeddings, prototype).clamp(0, 1).numpy()
        heats.append(
            resize_nearest(cv2.applyColorMap((cosines * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1], size)
        )
    save(out / "method-contrast.jpg", beside(overlay(small, resize_nearest(chosen.astype(np.uint8), size)), *heats))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
