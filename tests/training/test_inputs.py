"""What a resumed run must have in common with its first start, and what may differ."""

import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from hintseg.api import train
from hintseg.errors import RunError, TrainingError
from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_labels
from hintseg.training.inputs import FILE, RunInputs

KEY = "scene 0 ä"


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.fixture
def go(scenes, tiny, tmp_path):
    def start(name="run", data=None, hints="scribbles,points", iterations=4, settings=(), **options):
        return train(
            data or scenes.root, hints, tmp_path / name, weights="none", iterations=iterations,
            settings=[*tiny, *settings], **{"device": "cpu", **options},
        )  # fmt: skip

    return start


@pytest.fixture
def interrupted(go):
    """A run that was killed after its first checkpoint."""

    def kill(stage, done, total, values):
        if stage == "train" and done == 3:
            raise Killed

    with pytest.raises(Killed):
        go(progress=kill)


def edit(root: Path, name: str, **changes: object) -> None:
    path = root / name
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def halve(root: Path) -> None:
    path = root / "images" / f"{KEY}.png"
    with Image.open(path) as image:
        image.resize((48, 36)).save(path)
    path = root / "scribbles" / f"{KEY}.png"
    with Image.open(path) as labels:
        write_labels(path, np.array(labels)[::2, ::2])
    edit(root, "points.json", **{KEY: [[2, 2, 0]]})


def paint(root: Path) -> None:
    path = root / "images" / f"{KEY}.png"
    state = path.stat()
    with Image.open(path) as image:
        pixels = np.array(image)
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def scribble(root: Path) -> None:
    for key in (KEY, "scene 1 ä"):
        path = root / "scribbles" / f"{key}.png"
        with Image.open(path) as labels:
            changed = np.array(labels)
        changed[0, :9] = 1
        write_labels(path, changed)


CHANGED = {
    "a point": (lambda root: edit(root, "points.json", **{KEY: [[4, 4, 0]]}), f"the hints of image '{KEY}' changed"),
    "scribbles": (scribble, f"the hints of 2 images, first '{KEY}', changed"),
    "a pixel": (paint, f"the pixels, contours or no-data mask of image '{KEY}' changed"),
    "a size": (halve, f"the pixels, contours or no-data mask of image '{KEY}' changed"),
    "a name": (lambda root: edit(root, "dataset.json", classes=["ground", "box", "disc"]), "ground, box, disc"),
    "the order": (lambda root: edit(root, "dataset.json", classes=["disc", "square", "ground"]), "the list of classes"),
    "a class more": (lambda root: edit(root, "dataset.json", classes=["ground", "square", "disc", "sky"]), "sky"),
    "the background": (lambda root: edit(root, "dataset.json", background=None), "the background was 0 and is None"),
    "completeness": (lambda root: edit(root, "dataset.json", tags_exhaustive=False), "tags_exhaustive was True"),
    "verified": (lambda root: (root / "verified_classes.json").write_text(f'{{"{KEY}": [1]}}'), "the hints of image"),
    "contours": (lambda root: write_labels(root / "contours" / f"{KEY}.png", np.zeros((72, 96), np.uint8)), "pixels"),
    "an image less": (lambda root: (root / "train.txt").write_text("scene 1 ä\nscene 2 ä\nscene 3 ä"), "left the"),
    "an image more": (
        lambda root: [(root / f"{name}.txt").unlink() for name in ("train", "val")],
        "2 images, first 'scene 4 ä', joined",
    ),
    "the order of images": (
        lambda root: (root / "train.txt").write_text("\n".join(f"scene {i} ä" for i in (1, 0, 2, 3))), "the order of",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_changed_data_is_refused_and_named(interrupted, go, scenes, name):
    change, said = CHANGED[name]
    change(scenes.root)
    with pytest.raises(RunError, match="cannot go on, since") as caught:
        go(resume=True)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"iterations": 5}, "iterations was 4 and is 5"),
        ({"settings": ["seed=1"]}, "seed was 0 and is 1"),
        ({"settings": ["data.crop_size=96"]}, "data.crop_size was 64 and is 96"),
        ({"settings": ["inference.flip=true"]}, "inference.flip was False and is True"),
        ({"objective": "partial_cross_entropy"}, "the terms of the objective was"),
        ({"precision": "bf16-mixed"}, "precision was 32-true and is bf16-mixed"),
        ({"hints": "scribbles"}, "the hint types was scribbles, points"),
    ],
)
def test_changed_options_are_refused_and_named(interrupted, go, options, said):
    with pytest.raises(RunError, match="cannot go on, since") as caught:
        go(resume=True, **options)
    assert said in str(caught.value)


def test_a_changed_setting_of_an_earlier_name_is_refused(interrupted, go, scenes, tmp_path):
    path = tmp_path / "run" / "inputs.json"
    content = json.loads(path.read_text("utf-8"))
    content["settings"]["tags_complete"] = content["settings"].pop("tags_exhaustive")
    path.write_text(json.dumps(content))
    edit(scenes.root, "dataset.json", tags_exhaustive=False)
    with pytest.raises(RunError, match="tags_exhaustive was True and is False"):
        go(resume=True)


def test_other_weights_are_refused(scenes, tiny, tmp_path, go):
    weights = tmp_path / "weights.pth"

    def start(seed, **options):
        torch.manual_seed(seed)
        import timm

        torch.save(timm.create_model("test_efficientnet").state_dict(), weights)
        train(
            scenes.root, "scribbles", tmp_path / "w", weights=str(weights), device="cpu", iterations=1, settings=tiny,
            **options,
        )  # fmt: skip

    start(0)
    start(0, resume=True)
    with pytest.raises(RunError, match="the content of the backbone's weights was"):
        start(1, resume=True)


def test_what_changes_no_number_may_differ(interrupted, go, scenes, tmp_path, monkeypatch):
    go("whole")
    moved = tmp_path / "moved"
    shutil.copytree(scenes.root, moved)
    table = json.loads((moved / "points.json").read_text("utf-8"))
    names = ["ground", "square", "disc"]
    named = {key: [[x, y, names[label]] for x, y, label in rows] for key, rows in reversed(table.items())}
    (moved / "points.json").write_text(json.dumps(named, indent=2), "utf-8")
    with Image.open(moved / "images" / f"{KEY}.png") as image:
        image.save(moved / "images" / f"{KEY}.png", compress_level=1)
    (moved / "val.txt").unlink()
    monkeypatch.setattr("hintseg.api.__version__", "another")
    go(data=moved, resume=True, settings=["checkpoint_every=3", "data.num_workers=1"])
    whole, parts = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_a_run_without_inputs_is_refused(interrupted, go, tmp_path):
    (tmp_path / "run" / "inputs.json").unlink()
    with pytest.raises(RunError, match=r"inputs.json: is missing"):
        go(resume=True)


def test_hints_edited_meanwhile_are_told_and_not_mixed_in(go, scenes, tmp_path, caplog):
    go("whole", hints="scribbles,points,masks", settings=["objective.pseudo_label_cross_entropy.weight=1"])
    table = json.loads((scenes.root / "points.json").read_text("utf-8"))

    def meddle(stage, done, total, values):
        if stage == "train" and done == 1:
            edit(scenes.root, "points.json", **{key: [] for key in table})
            for path in (scenes.root / "masks").glob("*.png"):
                write_labels(path, np.zeros((72, 96), np.uint8))

    caplog.set_level(logging.WARNING, logger="hintseg")
    caplog.clear()
    data = Dataset.open(scenes.root)
    go(
        "run",
        data,
        hints="scribbles,points,masks",
        settings=["objective.pseudo_label_cross_entropy.weight=1"],
        progress=meddle,
    )
    told = [record.getMessage() for record in caplog.records if "changed while the run trained" in record.getMessage()]
    assert len(told) == 1
    assert "goes on with the classes and hints as it read them" in told[0]
    whole, other = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "run"))
    assert all(torch.equal(whole[key], other[key]) for key in whole)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_edited_meanwhile_stops_the_run(go, scenes, tmp_path, workers):
    original = (scenes.root / "images" / f"{KEY}.png").read_bytes()
    options = {"settings": ["objective.pseudo_label_cross_entropy.weight=1", f"data.num_workers={workers}"]}

    def meddle(stage, done, total, values):
        if stage == ("train" if workers == 0 else "check") and done == (1 if workers == 0 else total):
            paint(scenes.root)

    with pytest.raises(
        TrainingError, match=r"scene 0 ä\.png: the image .* changed while the run trained; put back"
    ) as e:
        go(progress=meddle, **options)
    assert "Traceback" not in str(e.value)
    (scenes.root / "images" / f"{KEY}.png").write_bytes(original)
    go(resume=True, **options)
    assert (tmp_path / "run" / "weights.safetensors").exists()


def test_damaged_inputs_are_a_sentence(interrupted, go, tmp_path):
    (tmp_path / "run" / FILE).write_text("{")
    with pytest.raises(RunError, match="is missing or damaged"):
        go(resume=True)


def test_many_changes_are_counted():
    before = RunInputs({f"setting {i}": 0 for i in range(9)}, {}, {})
    now = RunInputs({f"setting {i}": 1 for i in range(9)}, {}, {})
    assert len(list(now.changes(before))) == 9
    assert not list(now.changes(now))


def test_images_are_named_before_the_settings_that_may_follow_from_them():
    before, now = (RunInputs({"setting": n}, {f"{i}": "" for i in range(n)}, {}) for n in (1, 2))
    assert list(now.changes(before)) == ["image '1' joined the training images", "setting was 1 and is 2"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"data.oversegmentation": "watershed", "inference.crf": True, "completion.crf": True}, []),
        ({"data.oversegmentation": "slic"}, ["data.oversegmentation was slic, and superpixels are watershed"]),
        ({"inference.crf": False, "completion.crf": True}, ["completion.crf was True, and inference.crf applies"]),
    ],
)
def test_a_run_of_settings_that_are_gone_is_not_gone_on_with(settings, said):
    now = RunInputs({"inference.crf": settings.get("inference.crf", False)}, {}, {})
    changes = list(now.changes(RunInputs({"inference.crf": False} | settings, {}, {})))
    assert len(changes) == len(said)
    assert all(change.startswith(start) for change, start in zip(changes, said, strict=True))
