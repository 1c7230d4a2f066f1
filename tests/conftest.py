"""Shared fixtures: published arrays, a tiny data set with squares and discs, a tiny network."""

import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_image, write_labels
from hintseg.io.storage import addresses

SHARED = Path(os.environ.get("HINTSEG_SHARED", Path(__file__).resolve().parents[2] / "shared"))

TINY = [
    "tags.iterations=4",
    "network.backbone=test_efficientnet",
    "network.output_stride=32",
    "network.decoder_channels=16",
    "network.embedding_dim=8",
    "data.batch_size=2",
    "data.crop_size=64",
    "data.num_superpixels=12",
    "segments.grid=[4,4]",
    "segments.memory_bank=1",
    "checkpoint_every=2",
]


@pytest.fixture(autouse=True)
def _few_threads():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _store_in_memory(monkeypatch):
    """memory://, which is no address outside of tests."""
    monkeypatch.setattr(addresses, "SCHEMES", addresses.SCHEMES | {"memory"})


@pytest.fixture
def golden():
    """Load published arrays as tensors by file name."""

    def load(name: str) -> dict[str, torch.Tensor]:
        path = SHARED / "golden" / f"{name}.npz"
        if not path.exists():
            pytest.skip("the published arrays are not here")
        with np.load(path) as stored:
            return {key: torch.from_numpy(stored[key]) for key in stored.files}

    return load


def draw_scene(seed: int, size: tuple[int, int] = (72, 96)) -> tuple[np.ndarray, np.ndarray]:
    """A noisy picture of a red square (1) and a blue disc (2) on gray (0), and its mask."""
    random = np.random.default_rng(seed)
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    mask = np.zeros(size, dtype=np.uint8)
    y, x = random.integers(5, height // 3), random.integers(5, width // 3)
    mask[y : y + height // 3, x : x + width // 4] = 1
    center = random.integers(height // 2, height - 15), random.integers(width // 2 + 10, width - 20)
    mask[np.hypot(rows - center[0], columns - center[1]) < height // 6] = 2
    colors = np.array([[120, 120, 120], [200, 50, 40], [40, 60, 200]])
    image = np.clip(colors[mask] + random.normal(0, 12, (*size, 3)), 0, 255).astype(np.uint8)
    return image, mask


@pytest.fixture
def scenes(tmp_path: Path) -> Dataset:
    """Four training and two validation images with scribbles, points, boxes, tags and masks."""
    from hintseg.simulate.hints import simulate_boxes, simulate_points, simulate_scribbles

    root = tmp_path / "data"
    points, boxes, tags = {}, {}, {}
    for index in range(6):
        key = f"scene {index} ä"
        image, mask = draw_scene(index)
        write_image(root / "images" / f"{key}.png", image)
        write_labels(root / "masks" / f"{key}.png", mask)
        if index < 4:
            scribbles = simulate_scribbles(mask, seed=index)
            write_labels(root / "scribbles" / f"{key}.png", np.where(scribbles == 254, 255, scribbles).astype(np.uint8))
            points[key] = [[point.x, point.y, point.label] for point in simulate_points(mask, index)]
            boxes[key] = [[box.x0, box.y0, box.x1, box.y1, box.label] for box in simulate_boxes(mask, 0)]
            tags[key] = ["square", "disc"]
    (root / "points.json").write_text(json.dumps(points), "utf-8")
    (root / "boxes.json").write_text(json.dumps(boxes), "utf-8")
    (root / "tags.json").write_text(json.dumps(tags), "utf-8")
    (root / "dataset.json").write_text(json.dumps({"classes": ["ground", "square", "disc"], "background": 0}), "utf-8")
    (root / "train.txt").write_text("\n".join(f"scene {index} ä" for index in range(4)), "utf-8")
    (root / "val.txt").write_text("\n".join(f"scene {index} ä" for index in (4, 5)), "utf-8")
    return Dataset.open(root)


@pytest.fixture
def tiny() -> list[str]:
    """`--set` assignments for a network that trains in a blink."""
    return list(TINY)


@pytest.fixture(scope="module")
def interpreter():
    """A process where kernels run on the CPU, line by line; Triton decides so when it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            yield pool


@pytest.fixture
def compiled():
    """(kernel, types of arguments, constants and how to compile, capability) → it for a GPU that is not here."""
    triton, compiler = pytest.importorskip("triton"), pytest.importorskip("triton.backends.compiler")

    def build(kernel, types, options, capability):
        names = kernel.arg_names
        source = triton.compiler.ASTSource(
            kernel,
            {name: "constexpr" if name in options else types[name] for name in names},
            {(names.index(name),): value for name, value in options.items() if name in names},
        )
        warps = {name: options[name] for name in ("num_warps", "num_stages")}
        return triton.compile(source, target=compiler.GPUTarget("cuda", capability, 32), options=warps)

    return build
