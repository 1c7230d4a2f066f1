"""Run-length masks of a declared size that is far larger than the image."""

import json

import numpy as np
import pytest

from hintseg.errors import InputError
from hintseg.formats import coco, rle
from hintseg.formats.frames import Frame
from hintseg.formats.registry import import_dataset
from hintseg.formats.rle import encode_rle, sample_rle
from hintseg.io.images import read_labels, resize_nearest, write_image


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("size", "declared"), [((7, 5), (50, 36)), ((48, 64), (333, 444)), ((9, 9), (4, 4))])
def test_a_sampled_mask_is_the_unpacked_one(size, declared, orientation):
    declared = declared[::-1] if orientation >= 5 else declared
    mask = np.random.default_rng(orientation).random(declared) < 0.5
    frame = Frame(size, declared, orientation)
    sampled = sample_rle(encode_rle(mask), declared, *frame.shown())
    assert (sampled == (frame.moved_map(mask.astype(np.uint8)) > 0)).all()


def test_pixels_are_sampled_as_maps_are_resized():
    random = np.random.default_rng(0)
    for _ in range(300):
        size, declared = (tuple(sides) for sides in random.integers(1, 3000, (2, 2)).tolist())
        rows, columns = Frame(size, declared).shown()
        assert (rows == resize_nearest(np.arange(declared[0], dtype=np.int32)[:, None], (size[0], 1))).all()
        assert (columns == resize_nearest(np.arange(declared[1], dtype=np.int32)[None], (1, size[1]))).all()


def annotated(root, segmentation, declared, count=1):
    write_image(root / "a.png", np.zeros((48, 64, 3), np.uint8))
    row = {"image_id": 1, "category_id": 1, "segmentation": segmentation}
    images = [{"id": 1, "file_name": "a.png", "height": declared[0], "width": declared[1]}]
    content = {"images": images, "annotations": [row] * count, "categories": [{"id": 1, "name": "cow"}]}
    (root / "a.json").write_text(json.dumps(content))
    return root


def test_a_huge_mask_is_never_unpacked(tmp_path, monkeypatch):
    height, width = 4800, 6400
    half = {"size": [height, width], "counts": [0, height * width // 2, height * width // 2]}
    monkeypatch.setattr(rle.np, "repeat", None)
    monkeypatch.setattr(coco, "decode_rle", None)
    import_dataset(annotated(tmp_path, half, (height, width), 100), tmp_path / "out")
    labels = read_labels(tmp_path / "out/scribbles/a.png")
    assert (labels[:, :32] == 0).all()
    assert (labels[:, 32:] == 255).all()


def test_a_mask_of_another_size_than_its_image_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(rle.np, "repeat", None)
    huge = {"size": [20000, 20000], "counts": [0, 400_000_000]}
    with pytest.raises(InputError, match="a mask of 20000 × 20000 cells, not of 48 × 64"):
        import_dataset(annotated(tmp_path, huge, (48, 64)), tmp_path / "out")
