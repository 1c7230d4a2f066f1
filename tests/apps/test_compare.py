"""What an earlier comparison measured counts for the same images and masks alone."""

import json

import numpy as np
import pytest

from hintseg.apps.compare import compare
from hintseg.errors import ConfigError
from hintseg.hints.dataset import Dataset
from hintseg.io.images import write_labels

ROWS = ("partial_cross_entropy",)


@pytest.fixture
def measured(scenes, tiny, tmp_path):
    def measured(split="val", completed=False):
        return compare(
            Dataset.open(scenes.root), ROWS, "scribbles", tmp_path / "out", split=split, weights="none", iterations=2,
            settings=tiny, device="cpu", completed=completed,
        )[0]  # fmt: skip

    return measured


def test_another_split_and_other_masks_are_measured_anew_by_the_same_run(scenes, measured, tmp_path):
    first = measured()
    assert measured() == first
    weights = next((tmp_path / "out").rglob("weights.safetensors"))
    trained = weights.read_bytes()
    elsewhere = measured("train")
    assert elsewhere.knn != first.knn
    assert elsewhere.seconds == first.seconds, "of the training, which was not repeated"
    assert measured() == first
    key = scenes.keys("val")[0]
    write_labels(scenes.root / "masks" / f"{key}.png", np.zeros_like(scenes.mask(key)))
    mended = measured()
    assert mended.knn != first.knn
    assert measured(completed=True).completed is not None
    assert weights.read_bytes() == trained


def test_a_run_that_learned_from_other_hints_is_not_kept(scenes, measured):
    measured()
    description = json.loads((scenes.root / "dataset.json").read_text("utf-8"))
    (scenes.root / "dataset.json").write_text(json.dumps(description | {"tags_exhaustive": False}), "utf-8")
    with pytest.raises(ConfigError, match="other settings or data"):
        measured()
