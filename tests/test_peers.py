"""The harness in which other tools are measured beside hintseg."""

import numpy as np
import pytest
from benchmarks.peers.one_image import by_hintseg, by_random_walker, by_watershed
from benchmarks.peers.task import completed, make_task, measured
from benchmarks.subset import some

from hintseg import hint_labels
from hintseg.hints.labels import VOID


@pytest.fixture
def task(scenes):
    return make_task(scenes, ("scribbles",), seed=0)


def test_a_learner_sees_hints_alone_and_is_scored_on_masks(task):
    truth = {task.dataset.image(key).tobytes(): task.dataset.mask(key) for key in task.test}

    def learn(given):
        drawn = [labels for _, labels in given.hinted()]
        assert len(drawn) == len(task.train)
        assert all((labels == VOID).mean() > 0.5 for labels in drawn)
        return lambda image: truth[image.tobytes()]

    found = measured(task, learn)
    assert found["mean_iou"] == 100
    assert set(found) == {"mean_iou", "train_seconds", "image_seconds", "memory_mib"}
    assert measured(task, lambda given: lambda image: np.zeros(image.shape[:2], np.uint8))["mean_iou"] < 50


@pytest.mark.parametrize("method", [by_random_walker, by_watershed, by_hintseg])
def test_methods_of_one_image_keep_its_hints(task, method):
    for image, labels in list(task.hinted())[:2]:
        mask = method(image, labels, task.num_classes)
        assert mask.shape == labels.shape
        np.testing.assert_array_equal(mask[labels != VOID], labels[labels != VOID])
        assert set(np.unique(mask)) <= set(np.unique(labels[labels != VOID]))


def test_completed_masks_are_scored_on_training_images(task):
    assert completed(task, by_hintseg)["mean_iou"] > completed(task, lambda image, labels, _: 0 * labels)["mean_iou"]


def test_one_class_alone_fills_the_image(task):
    image = task.dataset.image(task.train[0])
    labels = np.full(image.shape[:2], VOID, np.uint8)
    labels[2, 2] = 1
    for method in (by_random_walker, by_watershed):
        assert (method(image, labels, 3) == 1).all()


def test_some_images_of_each_split_are_drawn_by_the_seed(scenes, tmp_path):
    few = some(scenes, 1, 0, tmp_path / "few")
    assert (len(few.keys("train")), len(few.keys("val"))) == (1, 1)
    key = few.keys("train")[0]
    np.testing.assert_array_equal(hint_labels(few, key), hint_labels(scenes, key))
