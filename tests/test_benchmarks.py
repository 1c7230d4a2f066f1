"""Result files say where they come from, and the harness measures what it says."""

import ast
import importlib
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from benchmarks import accuracy, parts, plain, record, results, speed, tables
from benchmarks.economy import affordable
from benchmarks.subset import subset

from hintseg import functional

ROOT = Path(__file__).parents[1]
RESULTS = sorted((ROOT / "paper" / "results").glob("*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_name_command_commit_and_machine(path):
    content = json.loads(path.read_text("utf-8"))
    assert content["command"]
    assert content["commit"]
    assert content["machine"]
    if content["command"].startswith("python -m benchmarks."):
        assert {"processor", "cores", "threads", "torch", "device"} <= set(content["machine"])
    assert content["rows"]
    for row in content["rows"]:
        assert {"seconds", "seed", "seeds"} & set(row)


def test_results_are_in_one_place():
    assert RESULTS
    assert record.RESULTS == ROOT / "paper" / "results"
    assert not list((ROOT / "benchmarks").rglob("*.json"))


def test_results_come_from_scripts_that_anybody_can_run_again():
    for path in RESULTS:
        assert json.loads(path.read_text("utf-8"))["command"].startswith("python -m benchmarks."), path.name


def test_the_results_page_is_up_to_date():
    page = tables.PAGE.read_text("utf-8")
    assert tables.filled(page) == page, "run python -m benchmarks.tables"


def test_every_row_of_accuracy_says_what_it_is():
    rows = [
        row for path in RESULTS if path.name.startswith("accuracy-") for row in json.loads(path.read_text())["rows"]
    ]
    assert rows
    for row in rows:
        assert row["data"]
        assert row["hints"]
        assert row["recipe"]
        assert row["split"] in ("val", "test")
        for name in ("mean_iou", "mean_iou_crf", "mean_iou_no_crf"):
            assert len(row[name]) == len(row["seeds"])
            assert all(0 <= value <= 100 for value in row[name])


def test_the_table_shows_seeds_gaps_and_remarks(tmp_path, monkeypatch):
    rows = [
        {
            "data": "A", "hints": "points", "recipe": "instant", "split": "test", "seeds": [0, 1],
            "mean_iou": [79.0, 81.0], "mean_iou_crf": [80.0, 82.0], "mean_iou_no_crf": None, "seconds": 61.7,
            "note": "short",
        },
        {"data": "B", "hints": "tags", "recipe": "x", "split": "val", "seeds": [0], "mean_iou_no_crf": [50.04]},
    ]  # fmt: skip
    (tmp_path / "accuracy-a.json").write_text(json.dumps({"rows": rows[:1]}), "utf-8")
    (tmp_path / "accuracy-b.json").write_text(json.dumps({"rows": rows[1:]}), "utf-8")
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    assert tables.accuracy().splitlines()[2:] == [
        "| A | points | instant | test | 0, 1 | 80.0 ± 1.4 | 81.0 ± 1.4 | – | 62 | short |",
        "| B | tags | x | val | 0 | – | – | 50.0 | – | – |",
    ]


def test_peers_are_grouped_over_seeds_and_sparsity_is_compared_with_whole_strokes(tmp_path, monkeypatch):
    about = {"data": "A", "hints": "scribbles", "images": 9, "masks": "val", "version": "1"}
    for seed, score in enumerate((50.0, 52.0)):
        better = about | {"tool": "b", "mean_iou": score + 20, "train_seconds": 10 * (seed + 1)}
        content = {"rows": [about | {"tool": "a", "mean_iou": score}, better]}
        (tmp_path / f"peers-a-{seed}.json").write_text(json.dumps(content), "utf-8")
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    assert tables.peers().splitlines()[2:] == [
        "| A | scribbles | 9 | val | b 1 | 71.0 ± 1.4 | 15 | – | – |",
        "| A | scribbles | 9 | val | a 1 | 51.0 ± 1.4 | – | – | – |",
    ]
    assert tables.made(tables.sparsity) == "Not measured: sparsity.json is not there."
    row = {"data": "A", "images": 9, "recipe": "instant", "seeds": [0]}
    rows = [row | {"coverage": 1.0, "mean_iou": [80.0]}, row | {"coverage": 0.3, "mean_iou": [60.0]}]
    (tmp_path / "sparsity.json").write_text(json.dumps({"rows": rows}), "utf-8")
    assert tables.sparsity().splitlines()[-1] == "| A | 9 | instant | 0 | 30 % | 60.0 | 75 % |"


def test_every_result_file_is_named_with_command_and_commit():
    sources = tables.sources()
    for path in RESULTS:
        content = json.loads(path.read_text("utf-8"))
        assert f"| {path.stem} | `{content['command']}` | `{content['commit']}` |" in sources


def test_a_look_at_a_test_split_is_noted_and_needs_masks(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(record, "TEST_LOG", tmp_path / "log.md")
    record.note_split(scenes, "val")
    assert not record.TEST_LOG.exists()
    (scenes.root / "test.txt").write_text(scenes.keys("val")[0], "utf-8")
    dataset = type(scenes).open(scenes.root)
    record.note_split(dataset, "test")
    assert "| `python -m" in record.TEST_LOG.read_text("utf-8")
    (scenes.root / "masks" / f"{scenes.keys('val')[0]}.png").unlink()
    with pytest.raises(SystemExit, match="'test' has no masks"):
        record.note_split(type(scenes).open(scenes.root), "test")


def test_results_are_measured_again_small_or_in_full(tmp_path):
    data = {task.name: tmp_path / task.data for task in results.TASKS}
    small, full, test = (
        [" ".join(command[1:]) for command in results.commands(data, tmp_path, whole, split, "other/python")]
        for whole, split in ((False, "val"), (True, "val"), (True, "test"))
    )
    assert all("--seeds 1 " in command for command in small if "benchmarks.accuracy" in command)
    assert sum("benchmarks.peers" in command for command in full) == 3 * len(results.PEERS)
    assert not any("--split test" in command for command in small + full)
    assert len(test) == len(results.TASKS)
    assert all("--split test" in command and "--seeds 3 " in command for command in test)
    for command in small + full + test:
        module, *arguments = command.split("benchmarks.")[1].split()
        path = ROOT / "benchmarks" / ("peers/__main__.py" if module == "peers" else f"{module}.py")
        for option in (word for word in arguments if word.startswith("--")):
            assert f'"{option}"' in path.read_text("utf-8"), f"{module} has no {option}"
    runs = {re.search(r"--runs (\S+)", command)[1] for command in test}
    assert runs == {re.search(r"--name (\S+)", command)[1] for command in full if "benchmarks.accuracy" in command}


def test_absent_data_sets_are_named(scenes, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        results, "TASKS", (results.Task("a", scenes.root.name, "points"), results.Task("b", "b", "points"))
    )
    found = results.datasets(scenes.root.parent, tmp_path / "work", 1)
    assert list(found) == ["a"]
    assert len(type(scenes).open(found["a"]).keys("train")) == 1
    assert "b: " in capsys.readouterr().err


def test_a_page_without_markers_is_refused():
    with pytest.raises(SystemExit, match="needs the markers"):
        tables.filled("# Results\n")


def test_rows_are_recipes_with_settings():
    text = "instant, fine-tuned:iterations=3;data.scale_range=[1,2]"
    assert accuracy.parse_rows(text) == ["instant", "fine-tuned:iterations=3;data.scale_range=[1,2]"]


def test_measured_rows_have_a_value_a_seed_and_are_kept(scenes, tmp_path, monkeypatch):
    trained = []

    class Trained:
        recipe = SimpleNamespace(inference=SimpleNamespace(crf=True))

        def with_inference(self, crf):
            return crf

    def train(dataset, hints, out, *, recipe, seed, settings, **others):
        trained.append((recipe, seed, settings))
        return Trained()

    def evaluate(segmenter, dataset, split, ways):
        return [
            (SimpleNamespace(scores=lambda crf=crf: SimpleNamespace(mean_iou=0.7 + 0.1 * crf)), None) for crf in ways
        ]

    monkeypatch.setattr(accuracy, "train", train)
    monkeypatch.setattr(accuracy, "evaluate_configs", evaluate)
    rows = ["instant", "fine-tuned:iterations=3;data.crop_size=64"]
    for _ in range(2):  # the second time nothing is trained
        first, second = accuracy.measure(scenes, rows, "points", tmp_path / "runs", seeds=(0, 1))
    assert trained == [
        ("instant", 0, []), ("instant", 1, []),
        ("fine-tuned", 0, ["iterations=3", "data.crop_size=64"]),
        ("fine-tuned", 1, ["iterations=3", "data.crop_size=64"]),
    ]  # fmt: skip
    assert first["mean_iou"] == first["mean_iou_crf"] == [80.0, 80.0]
    assert second["mean_iou_no_crf"] == [70.0, 70.0]
    assert second["recipe"] == rows[1]
    assert second["seeds"] == [0, 1]


def unit(*shape):
    return F.normalize(
        torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape))), dim=-1
    )


def test_plain_contrast_is_the_same_loss_with_the_same_gradient():
    labels, own = torch.arange(12) % 4, torch.arange(60) % 12
    gradients = []
    for loss in (plain.contrast, functional.pixel_to_segment_loss):
        pixels, prototypes = unit(60, 6).requires_grad_(), unit(12, 6).requires_grad_()
        value = loss(pixels, own, labels[own], prototypes, labels, 9.0)
        gradients.append((value.detach(), *torch.autograd.grad(value, (pixels, prototypes))))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_plain_parts_give_the_same_results():
    features, start = unit(3, 40, 5), torch.arange(40).repeat(3, 1) % 6
    assert torch.equal(plain.spherical_kmeans(features, start, 7), functional.spherical_kmeans(features, start, 7))
    segments = torch.arange(40) % 7
    one = plain.segment_prototypes(features[0], segments, 7)
    torch.testing.assert_close(one, functional.segment_prototypes(features[0], segments, 7))
    image, labels = torch.arange(40) % 3, torch.where(torch.arange(40) % 4 == 0, torch.arange(40) % 5, 255)
    arguments = (features[0], features[1], labels, image, image, 5, 2, 0.1)
    assert torch.equal(plain.affinity_label_sets(*arguments), functional.affinity_label_sets(*arguments))
    walked = (unit(4, 6, 5), torch.rand(3, 4, 6, dtype=torch.float64), 5.0, 3, 4)
    torch.testing.assert_close(plain.random_walk(*walked), functional.random_walk(*walked))
    voted = (features[0], features[1], segments, 5, 7)
    assert torch.equal(plain.vote(*voted), functional.vote(*voted))


@pytest.mark.parametrize("part", [part for part in parts.PARTS if part.__name__ != "dense_crf"])
def test_every_part_runs_both_ways(part):
    for ours in (True, False):
        part(ours, 0.2)()


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_what_benchmarks_import_is_there(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("hintseg", "benchmarks"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


def test_the_speed_of_a_step_is_measured(tiny):
    found = speed.measure("recipe", 1, "fine-tuned", tiny, "32-true")
    assert found["backbone_share"] > 0


def test_a_subset_has_the_chosen_images_with_the_chosen_hints(scenes, tmp_path):
    one, other, *_ = scenes.keys("train")
    part = subset(scenes, {one: ("scribbles",), other: ("tags", "boxes")}, tmp_path / "part")
    assert part.keys("train") == (one, other)
    assert part.keys("val") == scenes.keys("val")
    assert part.hints(one).types() == ("scribbles",)
    assert part.hints(other).types() == ("tags", "boxes")
    np.testing.assert_array_equal(part.hints(one).scribble_map.labels, scenes.hints(one).scribble_map.labels)
    assert part.hints(other).boxes == scenes.hints(other).boxes
    assert not part.has_mask(one)
    assert all(part.has_mask(key) for key in part.keys("val"))


def test_what_a_time_of_labeling_buys():
    seconds = {"a": 20.0, "b": 40.0, "c": 10.0}
    assert affordable(seconds, 60) == ["a", "b"]
    assert affordable(seconds, 59) == ["a"]
    assert affordable(seconds, 1000) == ["a", "b", "c"]
    assert affordable(seconds, 5) == []
