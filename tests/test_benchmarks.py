"""Result files say where they come from, and the harness measures what it says."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from benchmarks import parts, plain
from benchmarks.economy import affordable
from benchmarks.subset import subset

from hintseg import functional

ROOT = Path(__file__).parents[1]
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_name_command_commit_and_machine(path):
    content = json.loads(path.read_text("utf-8"))
    assert content["command"].startswith("python -m benchmarks.")
    assert content["commit"]
    assert {"processor", "cores", "threads", "torch", "device"} <= set(content["machine"])
    assert content["rows"]
    for row in content["rows"]:
        assert "seconds" in row or "seed" in row


def test_the_documented_tables_quote_the_results():
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs" / "explanation").glob("*.md"))
    for path in RESULTS:
        assert path.name in pages, f"{path.name} is not shown in the docs"


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


def test_a_subset_has_the_chosen_images_with_the_chosen_hints(scenes, tmp_path):
    one, other, *_ = scenes.keys("train")
    part = subset(scenes, {one: ("scribbles",), other: ("tags", "boxes")}, tmp_path / "part")
    assert part.keys("train") == (one, other)
    assert part.keys("val") == scenes.keys("val")
    assert part.hints(one).forms() == ("scribbles",)
    assert part.hints(other).forms() == ("tags", "boxes")
    np.testing.assert_array_equal(part.hints(one).scribble_map.labels, scenes.hints(one).scribble_map.labels)
    assert part.hints(other).boxes == scenes.hints(other).boxes
    assert not part.has_mask(one)
    assert all(part.has_mask(key) for key in part.keys("val"))


def test_what_a_time_of_labelling_buys():
    seconds = {"a": 20.0, "b": 40.0, "c": 10.0}
    assert affordable(seconds, 60) == ["a", "b"]
    assert affordable(seconds, 59) == ["a"]
    assert affordable(seconds, 1000) == ["a", "b", "c"]
    assert affordable(seconds, 5) == []
