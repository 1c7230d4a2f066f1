"""Crops: image, labels, regions and soft masks alike."""

import numpy as np
import pytest

from hintseg.config.schema import DataConfig
from hintseg.hints.labels import IGNORE_INDEX, UNLABELED
from hintseg.training.augment import Sample, SoftMask, augment


def test_crops_keep_image_labels_regions_and_soft_masks_aligned():
    rows, columns = np.mgrid[:96, :128]
    labels = ((rows // 24 + columns // 32) % 3).astype(np.uint8)
    image = np.repeat((labels * 100)[..., None], 3, axis=2).astype(np.uint8)
    share = np.stack([(labels[2::4, 2::4] == label) * 255 for label in (0, 1, 2)], axis=2).astype(np.uint8)
    sample = Sample(image, labels, labels.astype(np.uint16), np.ones(3, np.bool_), np.ones(3, np.bool_), labels)
    config = DataConfig(crop_size=64, scale_range=(0.6, 1.6), color_jitter=0.0)
    for seed in range(20):
        pixels, cropped, regions, allowed, _, propagated, soft = augment(
            sample, SoftMask(np.arange(3, dtype=np.uint8), share), config, np.random.default_rng(seed)
        )
        inside = cropped != IGNORE_INDEX
        assert allowed.all()
        assert (regions[inside] == cropped[inside]).all()
        assert (propagated == cropped).all()
        agree = np.abs(pixels[..., 0].astype(int) - cropped.astype(int) * 100)[inside] < 30
        assert agree.mean() > 0.9
        coarse, known = cropped[2::4, 2::4], inside[2::4, 2::4]
        assert (soft.argmax(axis=0) == coarse)[known].mean() > 0.85


@pytest.mark.parametrize("classes", [0, 150])
def test_soft_masks_of_no_class_and_of_many(classes):
    image = np.zeros((64, 64, 3), np.uint8)
    labels = np.full((64, 64), UNLABELED, np.uint8)
    sample = Sample(image, labels, labels.astype(np.uint16), np.ones(200, np.bool_), np.ones(200, np.bool_), labels)
    soft = SoftMask(np.arange(classes, dtype=np.uint8) + 5, np.full((16, 16, classes), 51, np.uint8))
    config = DataConfig(crop_size=32, mirror=False, scale_range=(0.5, 0.5))
    crop = augment(sample, soft, config, np.random.default_rng(0))
    assert crop.soft.shape == (200, 8, 8)
    np.testing.assert_allclose(crop.soft[5 : 5 + classes], 0.2, atol=1e-6)
    assert crop.soft.sum() == pytest.approx(0.2 * classes * 64, rel=1e-5)
