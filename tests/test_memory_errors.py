"""Memory that is exhausted, one image that cannot be held, and files that are damaged: what that must not stop."""

import json
import shutil
from contextlib import suppress

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hintseg.apps.batch_inference.local import computation
from hintseg.apps.cli.app import app
from hintseg.errors import HintsegError, InputError, RunError, TrainingError
from hintseg.hints.classes import match_classes
from hintseg.hints.dataset import Dataset
from hintseg.inference.evaluation import evaluate_split
from hintseg.inference.segmenter import Segmenter
from hintseg.io.images import write_image, write_labels
from hintseg.io.samples import DecodedImage
from hintseg.io.writing import cached_arrays, read_arrays
from hintseg.memory_errors import is_exhausted, memory_explained
from hintseg.training.stages import ADVICE

ERRORS = [
    MemoryError("std::bad_alloc"), RuntimeError("std::bad_alloc"), torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    np._core._exceptions._ArrayMemoryError((9, 9), np.dtype("f4")), OSError(12, "Cannot allocate memory"),
    cv2.error("OpenCV(4.10.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes in function"),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_exhausted_memory_is_one_sentence_that_names_a_setting(error):
    assert is_exhausted(error)
    with (
        pytest.raises(InputError, match=r"^a: does not fit into memory; lower it\.$"),
        memory_explained("a", "lower it"),
    ):
        raise error
    with pytest.raises(TrainingError, match=r"data\.batch"), memory_explained("training", ADVICE, TrainingError):
        raise error


@pytest.mark.parametrize(
    "error", [RuntimeError("boom"), ValueError("x"), InputError("a: out of memory"), KeyError("a")]
)
def test_other_errors_stay_what_they_are(error):
    assert not is_exhausted(error)
    with pytest.raises(type(error)) as caught, memory_explained("a", "b"):
        raise error
    assert caught.value is error


class Small:
    """A segmenter that can hold no image wider than 96 pixels."""

    classes = ("ground", "square", "disc")
    recipe = None

    def predict_configs(self, image, ways):
        if image.shape[1] > 96:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return [np.zeros(image.shape[:2], np.uint8) for _ in ways]

    def predict_decoded(self, decoded, config):
        return self.predict_configs(decoded.pixels, [config])[0]

    def decoded(self, dataset, key):
        return dataset.decoded(key)

    def class_map(self, dataset):
        return match_classes(dataset.classes, self.classes)

    def decode_image(self, path):
        return DecodedImage(np.zeros((10, int(path.stem), 3), np.uint8), None)


def test_one_image_that_cannot_be_held_costs_that_image_only(scenes, tmp_path):
    key = "scene 4 ä"
    write_image(scenes.root / "images" / f"{key}.png", np.zeros((72, 200, 3), np.uint8))
    write_labels(scenes.root / "masks" / f"{key}.png", np.zeros((72, 200), np.uint8))
    wrong = []
    matrix, images = evaluate_split(Small(), scenes, "val", object(), wrong=wrong.append)
    assert [name for name, _ in images] == ["scene 5 ä"]
    assert matrix.counts.sum() == 72 * 96
    assert "--longest-side" in wrong[0]
    with pytest.raises(InputError, match=f"{key}: does not fit"):
        evaluate_split(Small(), scenes, "val", object())
    compute = computation(Small(), None, False)
    assert compute(tmp_path / "9.png").labels.shape == (10, 9)
    with pytest.raises(InputError, match="--longest-side"):
        compute(tmp_path / "200.png")


def test_any_flipped_bit_of_a_cached_file_is_found(tmp_path):
    made = np.random.default_rng(0).integers(0, 9, (6, 5)).astype(np.uint16)
    path = tmp_path / "a.npz"
    cached_arrays(path, ["coarse", "fine"], lambda: [made, made + 1])
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 5):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        found = read_arrays(path, "coarse", "fine")
        assert found is None or (np.array_equal(found[0], made) and np.array_equal(found[1], made + 1)), bit
    path.write_bytes(content[:-30])
    assert np.array_equal(cached_arrays(path, ["coarse"], lambda: [made])[0], made)
    assert read_arrays(path, "coarse") is not None


@pytest.fixture
def odd(scenes, tmp_path):
    """The scenes with a torn photograph in each split, one that nothing names, and one of 1×1 pixels in each split."""
    root = scenes.root
    pixel = np.full((1, 1, 3), 200, np.uint8)
    for split in ("train", "val"):
        keys = (root / f"{split}.txt").read_text("utf-8").split("\n")
        torn = root / "images" / f"torn-{split}.png"
        torn.write_bytes((root / "images" / f"{keys[0]}.png").read_bytes()[:3000])
        shutil.copy(root / "masks" / f"{keys[0]}.png", root / "masks" / f"torn-{split}.png")
        write_image(root / "images" / f"pixel-{split}.png", pixel)
        write_labels(root / "masks" / f"pixel-{split}.png", np.ones((1, 1), np.uint8))
        (root / f"{split}.txt").write_text("\n".join([f"torn-{split}", f"pixel-{split}", *keys]), "utf-8")
    points = json.loads((root / "points.json").read_text("utf-8"))
    points |= {"pixel-train": [[0, 0, 1]], "torn-train": [[5, 5, 1]]}
    (root / "points.json").write_text(json.dumps(points), "utf-8")
    (root / "images" / "torn-free.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return Dataset.open(root)


def test_a_damaged_photograph_and_one_of_a_pixel_stop_nothing(odd, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, root = tmp_path / "run", odd.root
    settings = [part for setting in tiny for part in ("--set", setting)]

    def call(*arguments, code=0):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == code, (arguments, done.output, done.exception)
        return done.output

    call(
        "train", root, "--out", run, "--hints", "points,scribbles", "--weights", "none", "--iterations", 4,
        "--on-error", "skip", "--validate", "val", "--device", "cpu", *settings,
    )  # fmt: skip
    assert (run / "log.txt").read_text("utf-8").count("torn-train.png") == 1
    assert (run / "log.txt").read_text("utf-8").count("torn-val.png") == 1
    assert "Left out" not in (run / "report.html").read_text("utf-8").split("Training</h2>")[1]
    said = call("evaluate", run, root, "--device", "cpu", code=2)
    assert said.count("torn-val.png") == 1
    assert "3 of 4 images" in said
    assert (
        call("predict", run, root / "images", "--out", tmp_path / "masks", "--device", "cpu", code=2).count("torn") == 3
    )
    assert "pixel-val" in {path.stem for path in (tmp_path / "masks").glob("*.png")}
    call("complete", run, "--device", "cpu")
    call("complete", root, "--method", "harmonic", "--out", tmp_path / "harmonic", code=2)
    call("suggest", run, "--device", "cpu")
    call("report", run, "--device", "cpu")
    shutil.copy(root / "masks" / "torn-val.png", run / "masks" / "torn-free.png")
    for writer in ("coco", "label-studio", "cvat", "voc"):
        call("export", run, "--out", tmp_path / writer, "--format", writer)


def test_a_checkpoint_whose_entries_are_missing_or_misfit_is_damaged(scenes, tiny, tmp_path):
    from hintseg.api import choose_recipe, train

    recipe = choose_recipe(weights="none", iterations=2, settings=tiny)

    def run():
        return train(scenes, "scribbles", tmp_path / "run", recipe=recipe, weights="none", device="cpu", resume=True)

    run()
    path = tmp_path / "run" / "checkpoint.pt"
    content = path.read_bytes()
    good = torch.load(path, weights_only=True)

    def without(name, inner):
        return good | {name: {key: value for key, value in good[name].items() if key != inner}}

    first = next(iter(good["network"]))
    state = good["optimizer"]["state"]
    grown = {key: {**value, "momentum_buffer": torch.zeros(7, 7)} for key, value in state.items()}
    wrong = [
        *({key: value for key, value in good.items() if key != name} for name in good if name != "version"),
        without("network", first), without("average", first),
        good | {"network": {**good["network"], first: torch.ones(3)}},
        good | {"optimizer": {**good["optimizer"], "state": grown}}, good | {"optimizer": {}}, good | {"step": "2"},
        good | {"step": -1}, good | {"history": 5}, good | {"history": [5]}, good | {"memory": [(torch.ones(2, 2),)]},
        good | {"memory": [(torch.ones(2, 3), *(torch.ones(2).long() for _ in range(4)))]}, good | {"regions": None},
        good | {"start": "x"}, good | {"average_steps": None}, [],
    ]  # fmt: skip
    for number, changed in enumerate(wrong):
        torch.save(changed, path)
        with pytest.raises(RunError, match="checkpoint is damaged"):
            print(number, run())
    for place in range(0, len(content), len(content) // 20):
        flipped = bytearray(content)
        flipped[place] ^= 4
        path.write_bytes(flipped)
        with suppress(RunError):
            kept = run().network.state_dict()
            assert all(torch.equal(kept[name], good["average"][name]) for name in kept)
    path.write_bytes(content)
    assert isinstance(run(), Segmenter)
    assert issubclass(RunError, HintsegError)
