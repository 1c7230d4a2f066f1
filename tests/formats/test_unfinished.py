"""An import that is stopped halfway leaves a folder that nothing takes for a data set."""

import json

import numpy as np
import pytest

from hintseg.errors import InputError
from hintseg.formats import folder
from hintseg.formats.registry import import_dataset
from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_image


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "coco"
    for number in range(3):
        write_image(root / f"{number}.png", np.zeros((8, 8, 3), np.uint8))
    images = [{"id": number, "file_name": f"{number}.png"} for number in range(3)]
    annotations = [{"id": n, "image_id": n, "category_id": 1, "segmentation": [[1, 1, 6, 1, 6, 6]]} for n in range(3)]
    categories = [{"id": 1, "name": "cow"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "a.json").write_text(json.dumps(content))
    return root


@pytest.mark.parametrize("images_before", [0, 2])
def test_a_stopped_import_is_unfinished_until_it_is_deleted(source, tmp_path, monkeypatch, images_before):
    out, linked, real = tmp_path / "out", [], folder.link_or_copy

    def stopped(path, target):
        if len(linked) == images_before:
            raise KeyboardInterrupt
        linked.append(target)
        real(path, target)

    monkeypatch.setattr(folder, "link_or_copy", stopped)
    with pytest.raises(KeyboardInterrupt):
        import_dataset(source, out)
    monkeypatch.setattr(folder, "link_or_copy", real)
    for use in (lambda: Dataset.open(out), lambda: import_dataset(source, out)):
        with pytest.raises(InputError, match=r"is unfinished.*delete this folder"):
            use()
    import_dataset(source, tmp_path / "other")
    assert not list((tmp_path / "other").glob(".*"))


def test_an_import_that_fails_while_reading_leaves_nothing(source, tmp_path):
    (source / "a.json").write_text('{"images": [], "annotations": [5], "categories": []}')
    with pytest.raises(InputError):
        import_dataset(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
