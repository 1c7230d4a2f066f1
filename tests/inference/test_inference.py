"""Predictions of any size, tiles, retrieval, reports."""

import json
import os
import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from tests.drawing import on_blank

from hintseg import train
from hintseg.apps.report.figures import draw_hints, embedding_colors, overlay, region_borders
from hintseg.apps.report.run_report import report_run
from hintseg.apps.report.scores import shown_scores
from hintseg.boundary_metrics import BoundaryMetrics
from hintseg.config.load import override
from hintseg.config.schema import CompletionConfig
from hintseg.errors import ConfigError, InputError, RunError, WeightsError
from hintseg.functional.propagation.dense_crf import dense_crf
from hintseg.hints.dataset import Dataset
from hintseg.hints.model import ImageHints
from hintseg.hints.types.boxes import Box
from hintseg.inference import prediction
from hintseg.inference.evaluation import evaluate_split, evaluation
from hintseg.inference.prediction import refined
from hintseg.inference.retrieval import load_index
from hintseg.inference.run_config import RunConfig
from hintseg.inference.segmenter import Segmenter
from hintseg.inference.suggest import class_scarcity, suggest, worthiest_region
from hintseg.io.images import write_image, write_labels
from hintseg.io.palette import label_palette
from hintseg.io.pil_images import decode_array
from hintseg.network.embedder import Embedder
from hintseg.network.heads import resize
from hintseg.network.tta import (
    at_training_scale,
    enlarged_argmax,
    image_maps,
    multi_scale_maps,
    tile_weight,
    tiles,
)
from hintseg.pseudo_labels.complete import complete_image, touch_boxes
from hintseg.pseudo_labels.propagate import METHODS, complete_key, propagate_without_training
from hintseg.pseudo_labels.target import PseudoLabels


@pytest.fixture
def segmenter(scenes, tiny, tmp_path):
    return train(scenes, "scribbles", tmp_path / "run", weights="none", device="cpu", iterations=2, settings=tiny)


def noisy_halves():
    """A picture of two halves, probabilities that are right on average, and a third class nobody believes in."""
    image = np.zeros((30, 40, 3), np.uint8)
    image[:, 20:] = 200
    left = (torch.arange(40) < 20).float() * 0.3 + 0.3 + 0.1 * torch.randn(30, 40, generator=torch.manual_seed(0))
    left = left.clamp(0.05, 0.9)
    return image, torch.stack([left, 0.95 - left, torch.full_like(left, 0.05)])


def test_refining_follows_colors_and_leaves_out_improbable_classes():
    image, shares = noisy_halves()
    posterior = refined(image, shares)
    assert (posterior[2] == 0).all()
    expected = torch.as_tensor(dense_crf(torch.from_numpy(image), shares[:2]))
    torch.testing.assert_close(posterior[:2], expected, atol=1e-5, rtol=1e-5)
    for stride in (1, 2, 100):
        labels = refined(image, shares, stride).argmax(dim=0)
        assert labels.shape == (30, 40)
        if stride < 100:
            assert (labels[:, :18] == 0).all()
            assert (labels[:, 22:] == 1).all()
    improbable_everywhere = torch.full((30, 5, 5), 1 / 30)
    assert refined(image[:5, :5], improbable_everywhere).sum(dim=0).allclose(torch.ones(5, 5))


def test_maps_of_an_enlarged_image(segmenter):
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
    plain, enlarged = (image_maps(segmenter.network, image, scale=scale) for scale in (1.0, 2.0))
    assert enlarged.logits.shape[1:] == tuple(2 * side for side in plain.logits.shape[1:])
    np.testing.assert_allclose(enlarged.logits.sum(dim=0), 1, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (33, 70), (72, 96)])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "knn"},
        {"method": "softmax+knn", "scales": [1.25, 0.75]},
        {"flip": True, "scales": (0.5, 1.0)},
        {"crf": True, "crf_stride": 3},
        {"longest_side": 64},
    ],
)
def test_every_size_and_way_gives_a_mask(segmenter, size, changes):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    config = segmenter.with_inference(**changes)
    mask = segmenter.predict(image, config)
    assert mask.shape == size
    assert mask.dtype == np.uint8
    assert mask.max() < 3
    probabilities = segmenter.probabilities(image, config)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-3)
    assert (probabilities.argmax(axis=0) == mask).mean() > 0.99


@pytest.mark.parametrize(
    ("size", "largest", "expected"),
    [
        ((300, 400), 400, (300, 400)),  # no training image was reduced: nothing is
        ((900, 1200), 640, (900, 1200)),
        ((900, 1200), 0, (900, 1200)),  # a run that does not say
        ((300, 400), 2000, (300, 400)),  # small ones keep their size, as in training
        ((1500, 2000), 2000, (480, 640)),
        ((960, 1280), 2000, (480, 640)),
        ((6000, 3000), 2000, (1920, 960)),  # larger than all: by as much as the largest
    ],
)
def test_images_are_looked_at_in_the_size_that_training_saw(size, largest, expected):
    image = np.zeros((*size, 3), np.uint8)
    assert at_training_scale(image, 640, largest).shape == (*expected, 3)


def test_photographs_are_reduced_as_training_images_were(scenes, tiny, tmp_path, caplog):
    def trained(name, longest_side):
        settings = [*tiny, f"data.longest_side={longest_side}"]
        return train(
            scenes, "scribbles", tmp_path / name, weights="none", iterations=1, settings=settings, device="cpu"
        )

    image = np.random.default_rng(6).integers(0, 255, (144, 192, 3)).astype(np.uint8)
    reducing, keeping = trained("reducing", 64), trained("keeping", 640)
    assert reducing.description.largest == keeping.description.largest == 96
    small = cv2.resize(image, (128, 96), interpolation=cv2.INTER_AREA)  # by a third, like the training images
    expected = reducing.probabilities(small, reducing.with_inference(longest_side=0))
    enlarged = resize(torch.from_numpy(expected)[None], (144, 192))[0].numpy()
    np.testing.assert_allclose(reducing.probabilities(image), enlarged, atol=1e-6)
    assert (reducing.predict(image) == enlarged.argmax(axis=0)).mean() > 0.999
    mask, _ = reducing.retrieve(image, (5, 5))
    assert mask.shape == (144, 192)
    whole = keeping.with_inference(longest_side=0)
    np.testing.assert_array_equal(keeping.probabilities(image), keeping.probabilities(image, whole))
    warnings = lambda: [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]  # noqa: E731
    assert not warnings()
    for _ in range(2):
        keeping.predict(np.zeros((200, 90, 3), np.uint8))
    (warning,) = warnings()
    assert "--longest-side 96" in warning


@pytest.mark.parametrize(("height", "width", "side"), [(10, 10, 20), (100, 50, 40), (41, 300, 40), (1000, 1000, 256)])
def test_tiles_cover_everything_and_overlap(height, width, side):
    covered = np.zeros((height, width), int)
    for rows, columns in tiles(height, width, side, 8):
        assert 0 <= rows.start < rows.stop <= height
        assert rows.stop - rows.start == min(side, height)
        covered[rows, columns] += 1
    assert covered.min() >= 1
    assert tile_weight(5, 9).min() > 0


def test_bands_of_tiles_equal_the_blended_whole(segmenter):
    image = np.random.default_rng(1).integers(0, 255, (430, 370, 3)).astype(np.uint8)
    config = segmenter.with_inference(tile=192)
    whole = segmenter.probabilities(image, config).argmax(axis=0)
    assert (segmenter.predict(image, config) == whole).mean() > 0.999


def test_what_the_network_sees_at_once_does_not_grow_where_images_are_enlarged(segmenter, monkeypatch):
    image = np.random.default_rng(3).integers(0, 255, (120, 200, 3)).astype(np.uint8)
    seen, whole = [], prediction.multi_scale_maps
    monkeypatch.setattr(prediction, "multi_scale_maps", lambda *a: seen.append(max(a[1].shape[:2])) or whole(*a))
    config = segmenter.with_inference(tile=192, scales=(3.0, 4.0, 5.0), crf=False)
    assert segmenter.predict(image, config).shape == (120, 200)
    assert max(seen) == 192 // 4
    assert segmenter.probabilities(image, config).shape[1:] == (120, 200)


def test_both_is_the_mean_of_softmax_and_votes_in_tiles_too(segmenter):
    image = np.random.default_rng(2).integers(0, 255, (60, 90, 3)).astype(np.uint8)
    small, tiled = (
        {
            method: segmenter.probabilities(content, segmenter.with_inference(method=method, tile=192, crf=False))
            for method in ("softmax", "knn", "softmax+knn")
        }
        for content in (image, np.tile(image, (4, 3, 1)))
    )
    for found in (small, tiled):
        np.testing.assert_allclose(found["softmax+knn"], (found["softmax"] + found["knn"]) / 2, atol=1e-6)
        assert not np.allclose(found["softmax"], found["knn"], atol=1e-3)


def test_ways_that_share_work_give_what_each_gives_alone(segmenter, monkeypatch):
    image = np.random.default_rng(5).integers(0, 255, (72, 96, 3), dtype=np.uint8)
    changes = [{"method": method, "crf": crf} for method in ("softmax", "knn", "softmax+knn") for crf in (False, True)]
    ways = [segmenter.with_inference(**change) for change in (*changes, {"flip": True}, {"tile": 192})]
    expected = [segmenter.predict(image, way) for way in ways]
    looks = []
    whole = prediction.multi_scale_maps
    monkeypatch.setattr(prediction, "multi_scale_maps", lambda *a: looks.append(a[2:]) or whole(*a))
    for one, other in zip(segmenter.predict_configs(image, ways), expected, strict=True):
        assert np.array_equal(one, other)
    assert len(looks) == len(set(looks)) == 2  # with and without its mirror image


def test_embeddings_are_those_of_the_middle_scale(segmenter):
    image = np.random.default_rng(3).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    several = multi_scale_maps(segmenter.network, image, (0.5, 1.25, 1.0, 1.5))
    torch.testing.assert_close(several.embeddings, image_maps(segmenter.network, image).embeddings)
    alone = [multi_scale_maps(segmenter.network, image, (scale,)).logits for scale in (0.5, 1.25, 1.0, 1.5)]
    torch.testing.assert_close(several.logits, torch.stack(alone).mean(dim=0))
    with pytest.raises(ConfigError, match="scales"):
        override(segmenter.recipe, ["inference.scales=[]"])


def test_mirror_averaging_is_symmetric(segmenter):
    image = np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    one = multi_scale_maps(segmenter.network, image, (1.0,), flip=True).logits
    other = multi_scale_maps(segmenter.network, image[:, ::-1], (1.0,), flip=True).logits
    torch.testing.assert_close(one, other.flip(2), atol=1e-4, rtol=0)


def test_retrieval_finds_the_segment_itself_first(segmenter, scenes):
    key = scenes.keys("train")[0]
    mask, found = segmenter.retrieve(scenes.image(key), (30, 20), neighbors=5)
    assert mask[20, 30]
    assert mask.shape == (72, 96)
    assert len(found) == 5
    similarities = [neighbor.similarity for neighbor in found]
    assert similarities == sorted(similarities, reverse=True)
    assert all(0 <= edge <= 1 for neighbor in found for edge in neighbor.box)
    with pytest.raises(InputError, match="outside the 96×72 image"):
        segmenter.retrieve(scenes.image(key), (96, 0))
    for at in (None, (3,), ("a", "b")):
        with pytest.raises(InputError, match="a pixel is two numbers, such as"):
            segmenter.retrieve(scenes.image(key), at)
    for neighbors in (-1, 1.5, "3"):
        with pytest.raises(InputError, match="whole number from 0"):
            segmenter.retrieve(scenes.image(key), (3, 3), neighbors)
    with pytest.raises(InputError, match="has no image None"):
        segmenter.complete(scenes, None)
    with pytest.raises(ConfigError, match="but this is list"):
        train(scenes, hints=["points"])


def test_completion_keeps_hints_and_absent_classes_out(segmenter, scenes):
    for key in scenes.keys("train"):
        mask = segmenter.complete(scenes, key)
        hints = scenes.hints(key, ("scribbles",))
        drawn = hints.scribble_map.labels
        assert (mask[drawn < 254] == drawn[drawn < 254]).all()
        assert set(np.unique(mask)) <= hints.classes()


def test_broken_runs_say_what_to_do(segmenter, tmp_path):
    with pytest.raises(RunError, match="no run folder"):
        Segmenter.open(tmp_path / "nothing")
    weights = segmenter.run / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:500])
    with pytest.raises(WeightsError, match="damaged"):
        Segmenter.open(segmenter.run, "cpu")
    weights.unlink()
    with pytest.raises(RunError, match="--resume"):
        Segmenter.open(segmenter.run, "cpu")
    weights.write_bytes(whole)
    bank = segmenter.run / "memory_bank.safetensors"
    bank.rename(segmenter.run / "memory.safetensors")  # its earlier name
    assert Segmenter.open(segmenter.run, "cpu").retrieve(np.zeros((32, 32, 3), np.uint8), (1, 1))[1]
    (segmenter.run / "memory.safetensors").unlink()
    with pytest.raises(RunError, match="memory bank is missing"):
        Segmenter.open(segmenter.run, "cpu").retrieve(np.zeros((32, 32, 3), np.uint8), (1, 1))
    (segmenter.run / "run.json").write_text("{}")
    with pytest.raises(RunError, match="is damaged"):
        Segmenter.open(segmenter.run, "cpu")


def test_the_report_is_one_page_that_links_nowhere(segmenter, scenes):
    result = evaluated(segmenter, scenes)
    page = report_run(segmenter, result, scenes).read_text("utf-8")
    assert "Scores on val" in page
    assert "completed mask" in page
    assert page.count("data:image/jpeg;base64,") >= 20
    neighbors = page.split("nearest segments among the training images</h2>")[1].split("<h2>")[0]
    assert neighbors.count("<img") == 2 * 6  # both images of val, each with five neighbors
    assert all(f"{key}: " in neighbors for key in scenes.keys("val"))
    assert "s an iteration" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "square" in page


def test_the_report_names_the_hint_types_that_the_training_images_have(segmenter, monkeypatch):
    known = segmenter.description
    monkeypatch.setattr(segmenter, "description", replace(known, hint_types=("boxes", "points", "scribbles")))
    keys = frozenset(known.keys[:1])
    monkeypatch.setattr(Dataset, "hint_keys", lambda self: {"points": keys, "boxes": frozenset({"gone"})})
    assert f"{len(known.keys)} training images with points; " in report_run(segmenter).read_text("utf-8")


def test_scores_stay_in_the_report_whoever_writes_it_again(segmenter, scenes):
    result = evaluated(segmenter, scenes)
    (segmenter.run / "evaluation-val.json").write_text(result.model_dump_json(), "utf-8")
    page = report_run(segmenter).read_text("utf-8")
    assert "Scores on val" in page
    for column in ("IoU %", "Dice %", "precision %", "recall %", "boundary IoU %", "HD95, pixels"):
        assert f"<th>{column}</th>" in page
    assert f"{100 * result.mean_iou:.1f} %" in page


@pytest.mark.parametrize("content", ["{", "[]", '{"split": "val"}', None])
def test_a_damaged_evaluation_is_left_out_of_the_report_and_named(segmenter, scenes, content, caplog):
    if content is None:
        content = evaluated(segmenter, scenes).model_copy(update={"confusion": [[1]]}).model_dump_json()
    (segmenter.run / "evaluation-val.json").write_text(content, "utf-8")
    assert "Scores on" not in report_run(segmenter).read_text("utf-8")
    assert "evaluation-val.json: is no evaluation" in caplog.text


def evaluated(segmenter, dataset):
    borders = BoundaryMetrics(len(dataset.classes))
    matrix, images = evaluate_split(segmenter, dataset, "val", borders=borders)
    classes = segmenter.class_map(dataset)
    return evaluation(matrix, images, classes, dataset, "val", segmenter.recipe.inference, borders.scores())


def test_an_image_of_ignored_pixels_alone_is_not_scored(segmenter, scenes):
    first, second = scenes.keys("val")
    write_labels(scenes.root / "masks" / f"{first}.png", np.full((72, 96), 255, np.uint8))
    result = evaluated(segmenter, scenes)
    assert [key for key, _ in result.images] == [second]
    assert "NaN" not in result.model_dump_json()
    write_labels(scenes.root / "masks" / f"{second}.png", np.full((72, 96), 255, np.uint8))
    with pytest.raises(InputError, match="none of the 2 images of split 'val' could be evaluated"):
        evaluated(segmenter, scenes)


def test_a_distance_says_of_how_many_images_it_is_missing(segmenter, scenes):
    result = evaluated(segmenter, scenes)
    lacking = {name: number for number, name in enumerate(scenes.classes)}
    shown = shown_scores(result.model_copy(update={"hd95_missing": lacking}))
    assert shown.columns[-1] == "images without HD95"
    assert [values[-1] for _, values in shown.rows[:-1]] == ["0", "1", "2"]


def test_evaluation_refuses_maskless_splits(segmenter, scenes):
    for path in (scenes.root / "masks").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="has no masks"):
        evaluate_split(segmenter, scenes, "val")


def test_predict_takes_an_array_a_path_or_a_pil_image(segmenter, scenes, tmp_path):
    key = scenes.keys("val")[0]
    path = scenes.path(key)
    expected = segmenter.predict(scenes.image(key))
    np.testing.assert_array_equal(segmenter.predict(path), expected)
    np.testing.assert_array_equal(segmenter.predict(str(path)), expected)
    with Image.open(path) as image:
        np.testing.assert_array_equal(segmenter.predict(image), expected)
        np.testing.assert_array_equal(segmenter.probabilities(image), segmenter.probabilities(path))
        np.testing.assert_array_equal(segmenter.retrieve(image, (5, 5))[0], segmenter.retrieve(path, (5, 5))[0])
        with pytest.raises(InputError, match="save it as a TIFF and give its path"):
            segmenter.predict(image.convert("F"))
    hollow = np.dstack([scenes.image(key), np.full(expected.shape, 255, np.uint8)])
    hollow[:10, :, 3] = 0
    Image.fromarray(hollow).save(tmp_path / "hollow.png")
    assert (segmenter.predict(tmp_path / "hollow.png")[:10] == 255).all()
    hollow[10:20, :, 3] = 90
    for mode in ("RGBA", "LA", "P"):
        Image.fromarray(hollow).convert(mode).save(tmp_path / f"{mode}.png")
        with Image.open(tmp_path / f"{mode}.png") as image:
            np.testing.assert_array_equal(segmenter.predict(image), segmenter.predict(tmp_path / f"{mode}.png"))
    with pytest.raises(InputError, match=r"none\.png"):
        segmenter.predict(tmp_path / "none.png")


def test_pictures_show_what_they_should():
    image = np.full((6, 6, 3), 100, np.uint8)
    labels = np.full((6, 6), 254, np.uint8)
    labels[2, 2] = 1
    assert (overlay(image, labels)[5, 5] == 100).all()
    assert overlay(image, labels)[2, 2].sum() > 0
    for wrong in (labels / 2, labels > 3, None, labels[:5], torch.from_numpy(labels)):
        with pytest.raises(InputError, match=r"its labels \(H, W\) whole numbers"):
            overlay(image, wrong)
    assert (draw_hints(image, labels)[2, 2] == label_palette()[1]).all()
    assert (region_borders(image, labels)[2, 2] == (255, 220, 0)).all()
    colors = embedding_colors(np.random.default_rng(0).normal(size=(8, 5, 7)).astype(np.float32))
    assert colors.shape == (5, 7, 3)
    assert colors.max() == 255


@pytest.mark.parametrize("method", METHODS)
def test_one_image_and_two_strokes_make_a_mask_without_training(method):
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, :30] = 200, 40, 40
    image[:, 30:] = 40, 60, 200
    labels = np.full((40, 60), 254, np.uint8)
    labels[10:20, 5], labels[20:30, 50] = 0, 2
    shares = propagate_without_training(image, labels, 3, method, regions=60)
    assert shares.shape == (3, 40, 60)
    assert (shares[1] == 0).all()
    mask = shares.argmax(axis=0)
    assert (mask[:, :29] == 0).mean() > 0.97
    assert (mask[:, 31:] == 2).mean() > 0.97
    assert (shares[:, 15, 5] == [1, 0, 0]).all()


def test_completion_without_training_follows_supplied_contours(scenes):
    """On a plain image the data set's contours alone say where superpixels end."""
    key = scenes.keys("train")[0]
    write_image(scenes.path(key), np.full((72, 96, 3), 90, np.uint8))
    (scenes.root / "points.json").write_text(json.dumps({key: [[10, 30, 0], [60, 30, 1]]}), "utf-8")
    plain = complete_key(Dataset.open(scenes.root), key, ("points",))
    contours = np.zeros((72, 96, 3), np.uint8)
    contours[:, 30] = 255
    write_image(scenes.root / "contours" / f"{key}.png", contours)
    mask = complete_key(Dataset.open(scenes.root), key, ("points",))
    assert not np.array_equal(mask, plain)
    assert len(np.unique(mask[:, :29])) == len(np.unique(mask[:, 32:])) == 1


def test_an_image_without_hints_cannot_be_completed_untrained():
    with pytest.raises(InputError, match="no pixel is hinted"):
        propagate_without_training(np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 254, np.uint8), 2)
    with pytest.raises(ConfigError, match="harmonic"):
        propagate_without_training(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8), 2, "magic")


def test_tagged_classes_are_balanced_where_nothing_is_pointed_at(segmenter):
    image = np.random.default_rng(0).integers(0, 255, (64, 80, 3)).astype(np.uint8)
    maps = image_maps(segmenter.network, image)
    labels = np.full((64, 80), 254, np.uint8)
    allowed = np.array([True, True, False])
    config = CompletionConfig()
    raising = config.model_copy(update={"class_prior_power": 0.5})
    target = PseudoLabels(labels, allowed, allowed, labels)
    plain = complete_image(maps, image, target, config, crf=False)[:2].double()
    found = complete_image(maps, image, target, raising, crf=False)
    raised = plain / plain.mean(dim=(1, 2), keepdim=True).sqrt()
    torch.testing.assert_close(found[:2].double(), raised / raised.sum(dim=0), atol=1e-5, rtol=1e-4)
    found = complete_image(maps, image, target, raising, background=1, crf=False)
    raised = plain / (plain.mean(dim=(1, 2)) / torch.tensor([1 / 3, 2 / 3]))[:, None, None].sqrt()
    torch.testing.assert_close(found[:2].double(), raised / raised.sum(dim=0), atol=1e-5, rtol=1e-4)
    hinted = labels.copy()
    hinted[3, 4] = 0
    target = PseudoLabels(labels, allowed, allowed, hinted)
    torch.testing.assert_close(
        complete_image(maps, image, target, raising, crf=False), complete_image(maps, image, target, config, crf=False)
    )
    everything, tagged = np.array([True, True, True]), np.array([False, True, False])
    target = PseudoLabels(labels, everything, tagged, labels)  # tags that are only examples
    torch.testing.assert_close(
        complete_image(maps, image, target, raising, crf=False), complete_image(maps, image, target, config, crf=False)
    )


def test_the_crf_of_completed_masks_sees_every_second_pixel(segmenter, monkeypatch):
    seen = []

    def record(image, shares, bilateral_sxy):
        seen.append((tuple(image.shape), bilateral_sxy))
        return shares

    monkeypatch.setattr("hintseg.functional.propagation.dense_crf.dense_crf", record)
    image = np.random.default_rng(0).integers(0, 255, (67, 80, 3)).astype(np.uint8)
    labels = np.full((67, 80), 254, np.uint8)
    allowed = np.array([True, True, False])
    target = PseudoLabels(labels, allowed, allowed, labels)
    maps = image_maps(segmenter.network, image)
    mask = complete_image(maps, image, target, CompletionConfig(), crf=True)
    assert seen == [((33, 40, 3), 67 / 2)]
    assert mask.shape == (3, 33, 40)
    torch.testing.assert_close(mask.sum(dim=0), torch.ones(33, 40))


def test_enlarged_argmax_is_bilinear_enlargement_in_bands():
    shares = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))
    assert (enlarged_argmax(shares, (40, 50)) == shares.argmax(dim=0).numpy()).all()
    whole = F.interpolate(shares[None], size=(611, 730), mode="bilinear", align_corners=False)[0].argmax(dim=0)
    assert (enlarged_argmax(shares, (611, 730)) == whole.numpy()).mean() > 0.9999


def test_completion_walks_and_keeps_to_boxes(segmenter):
    image = np.random.default_rng(0).integers(0, 255, (64, 80, 3)).astype(np.uint8)
    hints = ImageHints({"boxes": (Box(10, 10, 40, 50, 1), Box(50, 5, 75, 60, 2))}, background=0)
    target = on_blank(hints, (64, 80), 3)
    shares = complete_image(
        image_maps(segmenter.network, image), image, target, CompletionConfig(random_walk=True), crf=True
    )
    mask = shares.argmax(dim=0).numpy()
    possible = target.possible.reshape(3, 32, 2, 40, 2).any(axis=(2, 4))
    for label in (0, 1, 2):
        assert possible[label][mask == label].all()
    torch.testing.assert_close(shares.sum(dim=0), torch.ones(32, 40), atol=1e-3, rtol=0)


def test_large_images_are_refined_like_small_ones_and_no_seam_shows(segmenter, scenes):
    image = np.tile(scenes.image(scenes.keys("val")[0]), (4, 4, 1))  # 288 × 384
    found = {
        (crf, side): segmenter.probabilities(image, segmenter.with_inference(crf=crf, tile=side))
        for crf in (False, True)
        for side in (768, 192)
    }
    whole, tiled = found[True, 768].argmax(axis=0), found[True, 192].argmax(axis=0)
    assert (whole == tiled).mean() > 0.95
    assert np.abs(found[True, 192] - found[False, 192]).max() > 0.1
    jumps = np.abs(np.diff(found[True, 192][0], axis=1)).mean(axis=0)  # from column to column
    assert jumps.max() < 2 * np.abs(np.diff(found[True, 768][0], axis=1)).mean(axis=0).max()


def test_every_box_holds_its_class():
    shares = torch.zeros(3, 20, 30)
    shares[0] = 0.6
    shares[1] = torch.linspace(0, 0.2, 30)
    shares[2] = 0.3
    shares[:, 15:, :5] = torch.tensor([0.2, 0.1, 0.7])[:, None, None]
    before = shares.clone()
    touch_boxes(shares, (Box(5, 2, 15, 12, 1), Box(0, 14, 6, 20, 2)))
    best = shares.argmax(dim=0)
    assert (best[2:12, 14] == 1).all()  # the tenth of the cells where it is most probable
    assert int((best == 1).sum()) == 10
    changed = (shares != before).any(dim=0)
    assert int(changed.sum()) == 10  # the second box held its class already
    torch.testing.assert_close(shares[:, 2:12, 14], torch.tensor([0.0, 1.0, 0.0])[:, None].expand(3, 10))
    tiny = torch.zeros(2, 3, 3)
    tiny[0] = 1
    touch_boxes(tiny, (Box(1.2, 1.2, 1.4, 1.4, 1),))
    assert tiny[1, 1, 1] == 1


def test_the_most_doubtful_region_without_a_hint():
    regions = np.zeros((10, 30), np.int64)
    regions[:, 10:20], regions[:, 20:] = 1, 2
    sure = np.array([0.6, 0.5, 0.9])[regions]
    shares = np.stack([sure, 1 - sure])
    hinted = np.zeros((10, 30), np.bool_)
    alike = np.ones(2)
    x, y, uncertainty, worth, mean = worthiest_region(shares, regions, hinted, alike)
    assert 13 <= x <= 16
    assert 3 <= y <= 6
    assert uncertainty == worth == pytest.approx(50)
    assert mean == pytest.approx([0.5, 0.5])
    hinted[0, 15] = True
    assert worthiest_region(shares, regions, hinted, alike)[2] == pytest.approx(40)
    hinted[0] = True
    assert worthiest_region(shares, regions, hinted, alike) is None


def test_a_click_does_not_rule_out_what_it_does_not_name(segmenter, scenes):
    """One click an image, which `tags_exhaustive` would take for all there is: no region could be in doubt."""
    key = scenes.keys("train")[0]
    for name, content in (("points", {key: [[2, 2, "ground"]]}), ("tags", {})):
        (scenes.root / f"{name}.json").write_text(json.dumps(content), "utf-8")
    for path in (scenes.root / "boxes.json", *(scenes.root / "scribbles").iterdir()):
        path.unlink()
    (found,) = suggest(segmenter, Dataset.open(scenes.root), [key])
    assert found.uncertainty > 0
    assert found.classes[0][1] < 1


def test_doubt_about_a_scarce_class_is_worth_more():
    regions = np.array([[0] * 10 + [1] * 10])
    shares = np.zeros((3, 1, 20))
    shares[0, :, :10], shares[1, :, :10] = 0.6, 0.4  # more doubt, between frequent classes
    shares[0, :, 10:], shares[2, :, 10:] = 0.7, 0.3  # less, about a scarce one
    hinted = np.zeros((1, 20), np.bool_)
    assert worthiest_region(shares, regions, hinted, np.ones(3))[2] == pytest.approx(4)
    _, _, uncertainty, worth, _ = worthiest_region(shares, regions, hinted, np.array([0.5, 0.5, 8]))
    assert uncertainty == pytest.approx(3)
    assert worth == pytest.approx(3 / 2 * (0.5 + 8))
    labels = torch.tensor([0] * 60 + [1] * 30)
    np.testing.assert_allclose(class_scarcity(labels, 3), [0.5, 1, 10])


def test_suggestions_lie_where_nothing_is_hinted(segmenter, scenes):
    found = suggest(segmenter, scenes, scenes.keys())
    assert len({suggestion.key for suggestion in found}) == len(found) == len(scenes.keys())
    assert [one.worth for one in found] == sorted((one.worth for one in found), reverse=True)
    for one in found:
        labels = on_blank(scenes.hints(one.key, ("scribbles",)), (72, 96), 3).labels
        assert labels[one.y, one.x] == 254
        assert sum(share for _, share in one.classes) <= 1 + 1e-5
        tags = scenes.hints(one.key, ("tags",))
        excluded = {scenes.classes[label] for label in np.flatnonzero(tags.absent(3))}
        assert all(name not in excluded or share == 0 for name, share in one.classes)
    votes = suggest(segmenter, scenes, scenes.keys("train"), "knn")
    assert all(0 <= one.x < 96 and 0 <= one.y < 72 for one in votes)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("changes", [{"method": "softmax+knn", "crf": True}, {"method": "softmax", "tile": 192}])
def test_a_gpu_segments_and_completes_as_a_cpu_does(segmenter, scenes, changes):
    on_gpu = Segmenter.open(segmenter.run, "cuda")
    config = segmenter.with_inference(**changes)
    for key in scenes.keys("val"):
        large = cv2.resize(scenes.image(key), None, fx=3, fy=3)
        pair = [one.predict(large, config) for one in (segmenter, on_gpu)]
        assert np.mean(pair[0] == pair[1]) > 0.995
    key = scenes.keys("train")[0]
    assert np.mean(segmenter.complete(scenes, key) == on_gpu.complete(scenes, key)) > 0.995


@pytest.mark.parametrize(
    "change",
    [
        {"largest": float("inf")},
        {"largest": -1},
        {"largest": 10**15},
        {"background": 99},
        {"background": "x"},
        {"classes": ["ground", "\ud800", "disc"]},
        {"hint_types": [1]},
        {"classes": "abc"},
        {"view": [[-1], None]},
        {"view": [[0, 1, 2, 3, 4], None]},
        {"view": ["abc", None]},
        {"view": [[], [9, 1]]},
        {"view": [[], [float("nan"), 1]]},
        {"stretch": [float("nan"), 1]},
        {"stretch": [9, 1]},
        {"stretch": [0, float("inf")]},
    ],
    ids=str,
)
def test_a_run_description_that_says_what_cannot_be_is_damaged(segmenter, tmp_path, change):
    content = json.loads((segmenter.run / "run.json").read_text("utf-8")) | change
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match="is damaged"):
        RunConfig.load(tmp_path / "run.json")


@pytest.mark.parametrize(("section", "key", "value"), [("network", "frozen", False), ("inference", "crf", "small")])
def test_a_run_of_another_version_says_so(segmenter, tmp_path, section, key, value):
    content = json.loads((segmenter.run / "run.json").read_text("utf-8"))
    content["recipe"][section][key] = value
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=rf"another version.*its recipe: {section}\.{key}.*train a new run") as caught:
        Segmenter.open(tmp_path, "cpu")
    assert len(str(caught.value).split(". ")) == 1


@pytest.mark.parametrize("scale", [0, 1e-9, 100, 1e300, float("inf"), float("nan")])
def test_scales_that_no_image_can_have_are_refused(segmenter, scale):
    with pytest.raises(ConfigError, match="scales"):
        segmenter.with_inference(scales=[1.0, scale])


@pytest.mark.parametrize("name", ["metrics.csv", "inputs.json", "log.txt", "evaluation-val.json"])
def test_a_run_that_holds_a_pipe_or_device_is_refused(segmenter, tmp_path, name):
    shutil.copy(segmenter.run / "run.json", tmp_path)
    (tmp_path / name).symlink_to(os.devnull)
    with pytest.raises(RunError, match=f"{name}: is no ordinary file"):
        RunConfig.load(tmp_path / "run.json")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_and_segments_that_are_no_numbers_are_damaged(segmenter, tmp_path, value):
    from safetensors.torch import load_file, save_file

    for name in ("memory_bank", "weights"):
        stored = load_file(segmenter.run / f"{name}.safetensors")
        last = max(key for key in stored if stored[key].dtype == torch.float32 and key != "boxes")
        stored[last].view(-1)[-1] = value
        save_file(stored, segmenter.run / f"{name}.safetensors")
    with pytest.raises(RunError, match="missing or damaged"):
        load_index(segmenter.run / "memory_bank.safetensors", 3, 4)
    with pytest.raises(WeightsError, match="damaged"):
        Segmenter.open(segmenter.run, "cpu")


@pytest.mark.parametrize("name", ["labels", "images"])
def test_a_memory_bank_of_other_classes_or_images_is_damaged(segmenter, tmp_path, name):
    from safetensors.torch import load_file, save_file

    stored = load_file(segmenter.run / "memory_bank.safetensors")
    stored[name] = stored[name] + 250
    save_file(stored, tmp_path / "memory_bank.safetensors")
    with pytest.raises(RunError, match="missing or damaged"):
        load_index(tmp_path / "memory_bank.safetensors", 3, 4)


@pytest.mark.parametrize(
    "change", [{"embedding_dim": 8192}, {"decoder_channels": 8192}, {"backbone": "vit_giant_patch14_224"}]
)
def test_a_network_that_its_weights_do_not_fit_is_never_made(segmenter, tmp_path, monkeypatch, change):
    run = shutil.copytree(segmenter.run, tmp_path / "other")
    content = json.loads((run / "run.json").read_text("utf-8"))
    content["recipe"]["network"] |= change
    (run / "run.json").write_text(json.dumps(content))
    made, real = [], Embedder.__init__

    def init(self, *arguments):
        real(self, *arguments)
        made.append(next(self.parameters()).device.type)

    monkeypatch.setattr(Embedder, "__init__", init)
    with pytest.raises(WeightsError, match="belongs to another network"):
        Segmenter.open(run, "cpu")
    assert set(made) <= {"meta"}


@pytest.mark.parametrize("setting", ["embedding_dim=1500000", "decoder_channels=30000", "region_prototypes=1000000"])
def test_sizes_of_no_network_are_refused(segmenter, setting):
    with pytest.raises(ConfigError, match="less than or equal"):
        override(segmenter.recipe, [f"network.{setting}"])


@pytest.mark.parametrize("image", [b"bytes", [1, 2], None])
def test_what_is_no_image_is_named(image):
    with pytest.raises(InputError, match=f"but this is {type(image).__name__}"):
        decode_array(image)


def test_a_pil_image_that_turns_out_to_be_damaged_is_named(tmp_path):
    write_image(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8))
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:900])
    with Image.open(tmp_path / "a.png") as image, pytest.raises(InputError, match=r"a\.png: cannot be read"):
        decode_array(image)
    closed = Image.new("RGB", (4, 4))
    closed.close()
    with pytest.raises(InputError, match="a PIL image: cannot be read"):
        decode_array(closed)
