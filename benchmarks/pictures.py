"""One picture of many runs: photographs, their truth, and what every run makes of them."""

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from hintseg.images import reduced
from hintseg.inference.segmenter import Segmenter
from hintseg.report.comparison import compared
from hintseg.writing import atomic_path

GAP = 4  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", help="NAME=RUN, in the order of the columns")
    parser.add_argument("--split", default="val")
    parser.add_argument("--images", type=int, default=6, help="evenly over the split")
    parser.add_argument("--width", type=int, default=150, help="of a picture, pixels")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    segmenters = {name: Segmenter.open(Path(run)) for name, run in (pair.split("=", 1) for pair in options.runs)}
    dataset = next(iter(segmenters.values())).dataset()
    rows = []
    for pictures in compared(segmenters, dataset, options.split, options.images):
        small = [reduced(picture, options.width) for picture, _ in pictures]
        titles = ["photograph", *(title for _, title in pictures[1:])]
        if not rows:
            rows.append(beside([heading(title, options.width) for title in titles]))
        rows.append(beside([within(picture, options.width) for picture in small]))
    with atomic_path(options.out) as temporary:
        Image.fromarray(np.concatenate(rows)).save(temporary, "JPEG", quality=82)
    print(options.out)


def within(picture: np.ndarray, width: int) -> np.ndarray:
    """A picture of any shape on white, as wide as all and three quarters as high."""
    picture = reduced(picture, width * 3 // 4) if picture.shape[0] > width * 3 // 4 else picture
    canvas = np.full((width * 3 // 4 + GAP, width, 3), 255, np.uint8)
    canvas[: picture.shape[0], : picture.shape[1]] = picture
    return canvas


def heading(text: str, width: int) -> np.ndarray:
    """A line of text, as large as fits."""
    canvas = np.full((24, width, 3), 255, np.uint8)
    (long, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1, 1)
    size = min(0.45, (width - 4) / long)
    return cv2.putText(canvas, text, (2, 16), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA)


def beside(pictures: list[np.ndarray]) -> np.ndarray:
    """In a row with gaps."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([part for picture in pictures for part in (picture, gap)][:-1], axis=1)


if __name__ == "__main__":
    main()
