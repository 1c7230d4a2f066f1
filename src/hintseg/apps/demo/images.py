"""A small data set from the images that scikit-image installs, with scribbles from scribbles.json.

Training: an astronaut, a cat, a cup and the left view of a motorcycle. Held out: the motorcycle's right
view, taken by a second camera.
"""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

from hintseg.io.writing import atomic_path, write_text

TRAINING = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "cup": "coffee.png",
    "motorcycle": "motorcycle_left.png",
}
HELD_OUT = {"motorcycle_right": "motorcycle_right.png"}
CLASSES = ("background", "person", "cat", "cup", "motorcycle")


def write_demo(root: Path) -> None:
    """Write the data set in the folder format; what is there already stays, since somebody may have drawn on it.

    Raises:
        RunError: the folder cannot be written.
    """
    source = files("skimage.data")
    for key, name in {**TRAINING, **HELD_OUT}.items():
        if (root / "images" / f"{key}.png").exists():
            continue
        with source.joinpath(name).open("rb") as file:
            pixels = np.array(Image.open(file).convert("RGB"))
        with atomic_path(root / "images" / f"{key}.png") as temporary:
            Image.fromarray(pixels).save(temporary)
    scribbles = files("hintseg.apps.demo").joinpath("scribbles.json").read_text("utf-8")
    description = {"classes": list(CLASSES), "ignore_index": 255, "background": 0}
    texts = {
        "dataset.json": json.dumps(description, indent=1),
        "scribbles.json": scribbles,
        "train.txt": "\n".join(TRAINING) + "\n",
        "held_out.txt": "\n".join(HELD_OUT) + "\n",
    }
    for name, text in texts.items():
        if not (root / name).exists():
            write_text(root / name, text)
