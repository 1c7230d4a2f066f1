"""The commands as a user runs them: outputs, sentences, exit codes."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version

import fsspec
import numpy as np
import PIL.Image
import pytest

from hintseg.apps.cli import app
from hintseg.hints.dataset import Dataset
from hintseg.hints.labels import IGNORE_INDEX
from hintseg.io.images import read_labels, write_image, write_labels


@pytest.fixture
def hintseg(monkeypatch, capsys):
    """Run a command line; returns (exit code, standard output, standard error)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["hintseg", *map(str, arguments)])
        try:
            app.main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def trained(hintseg, scenes, tiny, tmp_path):
    run = tmp_path / "runs" / "a b"
    settings = [part for setting in tiny for part in ("--set", setting)]
    code, out, err = hintseg(
        "train", scenes.root, "--hints", "scribbles", "--out", run, "--weights", "none", "--iterations", 3,
        "--device", "cpu", *settings,
    )  # fmt: skip
    assert code == 0, err
    assert "report.html" in out
    return run


def test_the_whole_journey(hintseg, scenes, trained, tmp_path):
    code, out, _ = hintseg("complete", trained)
    assert code == 0
    assert "4 masks" in out
    assert read_labels(trained / "masks" / "scene 0 ä.png").shape == (72, 96)

    photographs = scenes.root / "images"
    code, out, _ = hintseg("predict", trained, photographs, "--out", tmp_path / "masks", "--soft")
    assert code == 0
    assert "6 of 6 masks" in out
    with np.load(tmp_path / "masks" / "scene 5 ä.npz") as stored:
        assert stored["probabilities"].shape == (3, 72, 96)
        assert stored["classes"].tolist() == ["ground", "square", "disc"]

    code, out, _ = hintseg("evaluate", trained, scenes.root, "--split", "val", "--method", "knn", "--flip")
    assert code == 0
    assert "mean IoU" in out
    content = json.loads((trained / "evaluation-val.json").read_text("utf-8"))
    assert content["inference"]["method"] == "knn"
    assert np.array(content["confusion"]).sum() == content["pixels"] == 2 * 72 * 96

    photograph = photographs / "scene 4 ä.png"
    code, out, _ = hintseg("retrieve", trained, photograph, "--at", "20,20", "--neighbors", 3)
    assert code == 0
    assert out.startswith("similarity, class and image of the nearest training segments:\n")
    assert len(json.loads((trained / "retrieval" / "scene 4 ä.json").read_text("utf-8"))) == 3
    assert (trained / "retrieval" / "scene 4 ä.png").exists()
    code, out, _ = hintseg("report", trained)
    assert out.strip().endswith("report.html")


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:60]), lambda path: path.unlink()])
def test_a_training_image_that_cannot_be_read_is_an_empty_tile(hintseg, trained, scenes, damage, caplog):
    clicked = ("retrieve", trained, scenes.path("scene 4 ä"), "--at", "20,20", "--neighbors", 9)
    assert hintseg(*clicked)[0] == 0
    listing = trained / "retrieval" / "scene 4 ä.json"
    nearest = json.loads(listing.read_text("utf-8"))[0]["key"]
    damage(scenes.path(nearest))
    code, _, err = hintseg(*clicked, "--overwrite")
    assert code == 0, err
    assert sum("Its tiles stay empty." in said for said in caplog.messages) == 1
    assert json.loads(listing.read_text("utf-8"))[0]["key"] == nearest


def test_predict_names_broken_files_and_does_the_others(hintseg, trained, scenes, tmp_path):
    folder = tmp_path / "mixed"
    write_image(folder / "good.png", np.zeros((40, 50, 3), np.uint8))
    (folder / "bad.jpg").write_bytes(b"\xff\xd8 nothing")
    code, out, err = hintseg("predict", trained, folder, "--out", tmp_path / "masks")
    assert code == 2
    assert "bad.jpg" in err
    assert "1 of 2 masks" in out
    assert (tmp_path / "masks" / "good.png").exists()
    pattern = str(folder / "go*.png")
    assert hintseg("predict", trained, pattern, "--out", tmp_path / "more")[0] == 0


@pytest.mark.skipif(version("torch").startswith("2.6."), reason="it exports no network of open sides")
def test_onnxruntime_predicts_what_torch_predicts(hintseg, trained, scenes, tmp_path):
    pytest.importorskip("onnxruntime")
    for engine, out in (("torch", "torch"), ("onnx", "onnx"), ("onnx", "again")):  # the third finds the second's file
        code, _, err = hintseg("predict", trained, scenes.root / "images", "--engine", engine, "--out", tmp_path / out)
        assert code == 0, err
    for path in sorted((tmp_path / "torch").rglob("*.png")):
        agreement = read_labels(path) == read_labels(tmp_path / "onnx" / path.relative_to(tmp_path / "torch"))
        assert agreement.mean() > 0.999
    (trained / "network.onnx").write_bytes(b"torn")
    code, _, err = hintseg("predict", trained, scenes.root / "images", "--engine", "onnx", "--out", tmp_path / "c")
    assert code == 2
    assert "network.onnx" in err


def test_completing_without_training(hintseg, scenes, tmp_path):
    command = ("complete", scenes.root, "--method", "harmonic", "--hints", "scribbles")
    code, out, err = hintseg(*command, "--out", tmp_path / "a")
    assert code == 0, err
    assert "4 of 4 masks" in out
    assert read_labels(tmp_path / "a" / "scene 0 ä.png").shape == (72, 96)
    code, _, err = hintseg("complete", scenes.root)
    assert code == 2
    assert "is a data set, not a run; add --method harmonic" in err
    code, _, err = hintseg("complete", scenes.root, "--method", "magic", "--out", tmp_path / "a")
    assert code == 2
    assert "crf, harmonic, lgc, ncut, network, random_walk" in err
    code, out, err = hintseg("complete", scenes.root, "--method", "lgc", "--hints", "tags", "--out", tmp_path / "b")
    assert code == 2
    assert "no pixel is hinted" in err
    assert "0 of 4 masks" in out


def test_masks_leave_and_do_not_come_back_without_their_images(hintseg, trained, tmp_path):
    assert hintseg("complete", trained, "--out", tmp_path / "masks")[0] == 0
    code, out, err = hintseg("export", trained, "--masks", tmp_path / "masks", "--out", tmp_path / "coco")
    assert code == 0, err
    assert "4 masks in" in out
    code, _, err = hintseg("import", tmp_path / "coco", "--out", tmp_path / "back")
    assert code == 2
    assert "which lies nowhere below" in err
    other = tmp_path / "other"
    write_image(other / "scene 0 ä.png", np.zeros((72, 96, 3), np.uint8))
    assert hintseg("predict", trained, other, "--out", tmp_path / "theirs")[0] == 0
    command = ("export", trained, "--masks", tmp_path / "theirs", "--out")
    code, _, err = hintseg(*command, tmp_path / "wrong")
    assert code == 2
    assert "1 of 1 masks were made of other images" in err
    assert not (tmp_path / "wrong").exists()
    assert hintseg(*command, tmp_path / "right", "--images", other)[0] == 0
    code, _, err = hintseg("export", trained, "--masks", tmp_path, "--out", tmp_path / "none")
    assert code == 2
    assert "holds no mask" in err


def test_suggestions(hintseg, trained, scenes, tmp_path):
    code, out, err = hintseg("suggest", trained, scenes.root, "--count", 2, "--out", tmp_path / "next.json")
    assert code == 0, err
    assert "uncertain pixels" in out + err
    suggestions = json.loads((tmp_path / "next.json").read_text("utf-8"))
    assert [set(row) for row in suggestions] == [{"key", "x", "y", "uncertainty", "worth", "classes"}] * 2
    code, _, err = hintseg("suggest", trained, scenes.root, "--data", tmp_path)
    assert (code, "give one data set" in err) == (2, True)


def test_a_run_does_not_complete_from_other_hint_types(hintseg, trained, tmp_path):
    code, _, err = hintseg("complete", trained, "--hints", "points", "--out", tmp_path / "out")
    assert (code, "a run completes from what it trained on" in err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_a_run_completes_the_training_images_of_another_data_set(hintseg, trained, scenes, tmp_path):
    shutil.copytree(scenes.root, tmp_path / "moved")
    kept, *held_out = scenes.keys()
    (tmp_path / "moved" / "train.txt").unlink(missing_ok=True)
    (tmp_path / "moved" / "val.txt").write_text("".join(f"{key}\n" for key in held_out), "utf-8")
    code, _, err = hintseg("complete", trained, "--data", tmp_path / "moved", "--out", tmp_path / "out")
    assert code == 0, err
    assert [path.stem for path in (tmp_path / "out").glob("*.png")] == [kept]


def test_a_recipe_file_is_a_local_file(hintseg, scenes, tmp_path):
    code, _, err = hintseg("train", scenes.root, "--config", "s3://bucket/recipe.yaml", "--out", tmp_path / "run")
    assert (code, "local" in err) == (2, True)


def test_comparing_objectives(hintseg, scenes, tiny, tmp_path):
    settings = [part for setting in tiny for part in ("--set", setting)]
    rows = "partial_cross_entropy,propagated_cross_entropy:data.scale_range=[0.9,1.2];data.mirror=false"
    arguments = (
        "compare", scenes.root, "--objectives", rows, "--hints", "scribbles", "--seeds", 2, "--weights", "none",
        "--iterations", 3, "--out", tmp_path / "c", "--device", "cpu", *settings,
    )  # fmt: skip
    code, _out, err = hintseg(*arguments)
    assert code == 0, err
    results = json.loads((tmp_path / "c" / "compare.json").read_text("utf-8"))
    assert [(result["row"].partition(":")[0], result["seed"]) for result in results] == [
        ("partial_cross_entropy", 0), ("partial_cross_entropy", 1),
        ("propagated_cross_entropy", 0), ("propagated_cross_entropy", 1),
    ]  # fmt: skip
    assert all(0 < result["mean_iou"] <= 100 for result in results)
    assert all(0 < result["completed"] <= 100 for result in results)
    assert len(list((tmp_path / "c" / "cache").iterdir())) == 4 * 2, "one for all runs; with and without propagation"
    page = (tmp_path / "c" / "compare.html").read_text("utf-8")
    assert "±" in page
    assert (page.count("<figcaption>truth<"), page.count("<figcaption>hints<")) == (2, 0)

    weights = sorted((tmp_path / "c").rglob("weights.safetensors"))
    before = [path.stat().st_mtime_ns for path in weights]
    assert hintseg(*arguments)[0] == 0
    assert [path.stat().st_mtime_ns for path in weights] == before
    code, _, err = hintseg(*arguments, "--set", "data.color_jitter=0.5")
    assert code == 2
    assert "a result of other settings or data" in err
    quick = [
        *arguments[: -len(settings)],
        *settings,
        "--no-completed",
        "--out",
        tmp_path / "quick",
        "--seeds",
        1,
        "--split",
        "train",
    ]
    assert hintseg(*quick)[0] == 0
    page = (tmp_path / "quick" / "compare.html").read_text("utf-8")
    assert page.count("<figcaption>truth<") == page.count("<figcaption>hints<") == 4
    results = json.loads((tmp_path / "quick" / "compare.json").read_text("utf-8"))
    assert [result["completed"] for result in results] == [None, None]
    code, _, err = hintseg("compare", scenes.root, "--objectives", "magic")
    assert code == 2
    assert "partial_cross_entropy" in err


def test_check_says_what_is_there_and_what_is_wrong(hintseg, scenes):
    code, out, _ = hintseg("check", scenes.root, "--split", "train")
    assert code == 0
    assert "4 images, 4 readable; hints: " in out
    assert "0 files under images/ not read" in out
    scenes.path("scene 0 ä").write_bytes(b"broken")
    code, out, _ = hintseg("check", scenes.root)
    assert code == 2
    assert "error: " in out
    assert "scene 0 ä.png" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "NOWHERE"], "no such folder"),
        (["train", "DATA", "--hints", "scribles"], "Did you mean 'scribbles'"),
        (["train", "DATA", "--recipe", "big"], "Unknown recipe"),
        (["train", "DATA", "--backbone", "resnet5O", "--weights", "none"], "Unknown backbone"),
        (["train", "DATA", "--set", "data.batch_size=0"], "data.batch_size"),
        (["train", "DATA", "--weights", "none.pth"], "no such weights file"),
        (["train", "DATA", "--device", "abacus", "--weights", "none"], "is not available"),
        (["train", "DATA", "--config", "none.json"], "no such file"),
        (["predict", "NOWHERE", "DATA/images"], "is no run folder"),
        (["recipe", "larg"], "Unknown recipe"),
        (["check", "DATA", "--split", "../ds/val"], "is no name of a split"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(hintseg, scenes, tmp_path, arguments, message):
    places = {
        "NOWHERE": str(tmp_path / "nowhere"),
        "DATA": str(scenes.root),
        "DATA/images": str(scenes.root / "images"),
    }
    replaced = [places.get(argument, argument) for argument in arguments]
    if arguments[0] == "train":
        replaced += ["--out", str(tmp_path / "out"), "--hints", "scribbles"][: 4 if "--hints" not in arguments else 2]
    code, _, err = hintseg(*replaced)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("hintseg:")]) == 1


def test_run_commands_refuse_wrong_options(hintseg, trained, scenes):
    for arguments, message in [
        (["predict", trained, "nothing*.png"], "no image found"),
        (["predict", trained, ""], "a path is empty"),
        (["predict", trained, scenes.root / "images", "--method", "magic"], "--method"),
        (["predict", trained, scenes.root / "images", "--scales", "0,1"], "--scales"),
        (["retrieve", trained, scenes.root / "images" / "scene 0 ä.png", "--at", "here"], "write x,y"),
        (["evaluate", trained, scenes.root, "--split", "test"], "no such split"),
        (["evaluate", trained, scenes.root, "--split", f"../{scenes.root.name}/val"], "is no name of a split"),
        (["evaluate", trained, scenes.root, "--spacing", "inf"], "spacing"),
        (["evaluate", trained, scenes.root, "--spacing", "nan"], "spacing"),
        (["suggest", trained, "--method", "magic"], "hintseg: method: input should be 'softmax'"),
        (["simulate", scenes.root, "--out", trained / "new", "--seed", "-1"], "--seed"),
        (["train", scenes.root, "--out", trained, "--weights", "none"], "already holds a run"),
    ]:
        code, _, err = hintseg(*arguments)
        assert code == 2, arguments
        assert message in err


def test_two_photographs_never_share_a_mask(hintseg, trained, scenes, tmp_path):
    for folder in ("one", "two"):
        write_image(tmp_path / folder / "same.png", np.zeros((8, 8, 3), np.uint8))
    code, _, err = hintseg("predict", trained, tmp_path / "one", tmp_path / "two", "--out", tmp_path / "masks")
    assert code == 2
    assert "would both write same.png" in err


def test_recipes_and_simulation(hintseg, scenes, tmp_path):
    assert hintseg("recipe")[1].split() == [
        "fine-tuned",
        "instant",
        "plain",
        "voc12-tags",
        "voc12-boxes",
        "voc12-points",
        "voc12-scribbles",
        "densepose-points",
    ]
    assert json.loads(hintseg("recipe", "voc12-scribbles")[1])["network"]["backbone"] == "resnet101"
    assert "partial_cross_entropy" in hintseg("recipe", "--objectives")[1]
    table = hintseg("recipe", "fine-tuned", "--explain")[1].splitlines()
    assert table[0].split() == ["name", "value", "without", "a", "recipe", "what", "for"]
    assert len([line for line in table if line.startswith("optimizer.")]) == 6
    assert next(line for line in table if line.startswith("data.scale_range")).split()[1:5] == [
        "[0.7,", "1.35]", "[0.75,", "1.5]"
    ]  # fmt: skip
    every = json.loads(hintseg("recipe", "fine-tuned", "--all")[1])
    assert every["tags"]["iterations"] == 500
    code, out, _ = hintseg("simulate", scenes.root, "--out", tmp_path / "made", "--style", "border", "--coverage", 0.5)
    assert code == 0
    assert "4 images" in out


def test_a_read_only_folder(hintseg, trained, scenes, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, not a folder")
    code, _, err = hintseg("train", scenes.root, "--weights", "none", "--out", blocked / "run", "--hints", "scribbles")
    assert code == 2
    assert "cannot be written" in err
    for command in (("predict", trained, scenes.root / "images"), ("complete", trained)):
        code, _, err = hintseg(*command, "--out", blocked / "masks")
        assert code == 2, err
        assert "cannot be written" in err


@pytest.mark.slow
def test_an_aerial_photograph_of_a_hundred_million_pixels(hintseg, trained, scenes, tmp_path):
    PIL.Image.new("L", (12000, 9000), 120).save(tmp_path / "aerial.png")
    command = ["predict", trained, tmp_path / "aerial.png", "--out", tmp_path / "masks", "--device", "cpu", "--no-crf"]
    process = subprocess.Popen([sys.executable, "-m", "hintseg", *map(str, command)])
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) < 4e9
    assert read_labels(tmp_path / "masks" / "aerial.png").shape == (9000, 12000)


def test_interrupted_masks_are_gone_on_with(hintseg, scenes, trained, tmp_path):
    masks = tmp_path / "masks"
    arguments = ("predict", trained, scenes.root / "images", "--out", masks)
    assert hintseg(*arguments)[0] == 0
    kept, missing = masks / "scene 1 ä.png", masks / "scene 2 ä.png"
    content, when = missing.read_bytes(), kept.stat().st_mtime_ns
    missing.unlink()
    code, out, _ = hintseg(*arguments, "--resume")
    assert code == 0
    assert "6 of 6 masks" in out
    assert missing.read_bytes() == content
    assert kept.stat().st_mtime_ns == when
    code, _, err = hintseg(*arguments, "--resume", "--method", "softmax", "--no-crf")
    assert code == 2
    assert "other settings" in err
    other = (*arguments, "--method", "softmax", "--no-crf", "--flip")
    code, _, err = hintseg(*other)
    assert code == 2
    assert "--overwrite" in err
    assert hintseg(*other, "--overwrite")[0] == 0

    assert hintseg("complete", trained)[0] == 0
    when = (trained / "masks" / "scene 0 ä.png").stat().st_mtime_ns
    (trained / "masks" / "scene 1 ä.png").unlink()
    code, out, _ = hintseg("complete", trained, "--resume")
    assert "4 of 4 masks" in out
    assert (trained / "masks" / "scene 0 ä.png").stat().st_mtime_ns == when
    assert (trained / "masks" / "scene 1 ä.png").exists()
    (scenes.root / "points.json").write_text("{}")
    code, _, err = hintseg("complete", trained, "--resume")
    assert code == 2
    assert "other hints" in err


def test_masks_without_training_leave_the_truth_alone(hintseg, scenes):
    before = (scenes.root / "masks" / "scene 0 ä.png").read_bytes()
    code, out, err = hintseg("complete", scenes.root, "--method", "harmonic", "--hints", "scribbles")
    assert code == 0, err
    assert "masks-harmonic" in out
    (scenes.root / "masks-harmonic" / "scene 1 ä.png").unlink()
    when = (scenes.root / "masks-harmonic" / "scene 0 ä.png").stat().st_mtime_ns
    code, _, err = hintseg("complete", scenes.root, "--method", "harmonic", "--hints", "scribbles", "--resume")
    assert code == 0, err
    assert (scenes.root / "masks-harmonic" / "scene 1 ä.png").exists()
    assert (scenes.root / "masks-harmonic" / "scene 0 ä.png").stat().st_mtime_ns == when
    assert (scenes.root / "masks" / "scene 0 ä.png").read_bytes() == before


def test_everything_takes_addresses(hintseg, scenes, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HINTSEG_CACHE", str(tmp_path / "cache"))
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]  # into a folder that is there already it would be put one deeper
    store.put(str(scenes.root), "/data", recursive=True)
    settings = [part for setting in tiny for part in ("--set", setting)]
    common = ("--weights", "none", "--iterations", 2, "--device", "cpu")
    code, out, err = hintseg(
        "train", "memory://data", "--hints", "scribbles", "--out", "memory://run", *common, *settings
    )
    assert code == 0, err
    assert "memory://run/report.html" in out
    assert store.exists("/run/report.html")
    data = ("--data", "memory://data")
    for command, made in (
        (("predict", "memory://run", "memory://data/images", "--out", "memory://masks"), "/masks/scene 5 ä.png"),
        (("complete", "memory://run", *data), "/run/masks/scene 0 ä.png"),
        (("evaluate", "memory://run", "memory://data", "--split", "val"), "/run/evaluation-val.json"),
        (("retrieve", "memory://run", "memory://data/images/scene 4 ä.png", "--at", "3,3", *data), "/run/retrieval"),
        (("suggest", "memory://run", *data), "/run/suggestions.json"),
        (("export", "memory://run", *data, "--format", "coco", "--out", "memory://coco"), "/coco"),
        (
            (
                "export",
                "memory://run",
                "--masks",
                "memory://masks",
                "--images",
                "memory://data/images",
                "--out",
                "memory://all",
            ),
            "/all/annotations.json",
        ),
        (("complete", "memory://data", "--method", "crf", "--out", "memory://crf"), "/crf/scene 0 ä.png"),
        (("report", "memory://run", *data), "/run/report.html"),
    ):
        code, out, err = hintseg(*command)
        assert code == 0, f"{command}: {out}{err}"
        assert store.exists(made), command
    assert hintseg("check", "memory://data")[0] == 0
    assert hintseg("simulate", "memory://data", "--out", tmp_path / "simulated")[0] == 0
    code, _, err = hintseg("predict", "memory://nothing", "memory://data/images")
    assert code == 2
    assert "memory://nothing: no such file" in err


def test_earlier_options_work_and_are_told(hintseg, tmp_path, caplog):
    write_labels(tmp_path / "maps" / "masks" / "a.png", np.array([[0, 1], [1, 2]], np.uint8))
    write_image(tmp_path / "maps" / "images" / "a.png", np.zeros((2, 2, 3), np.uint8))
    (tmp_path / "maps" / "classes.txt").write_text("cow\ndog\n")
    for said in (("--unlabelled", "0"), ("--unlabelled=0",)):
        out = tmp_path / f"data{len(said)}"
        code, _, err = hintseg("import", tmp_path / "maps", "--format", "png", *said, "--out", out)
        assert code == 0, err
        assert Dataset.open(out).mask("a").tolist() == [[IGNORE_INDEX, 0], [0, 1]]
    assert caplog.text.count("--unlabelled is now called --unlabeled") == 2
